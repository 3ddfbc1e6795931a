"""Bring the files of a work tree in line with the policies' latest images."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.loop.image_controllers.model import Refused
from tests.loop.image_controllers.setters import TOKEN, Change, ObjectId, UpdateError, edit
from tests.loop.image_controllers.template_values import Changed


@dataclass(frozen=True)
class Updated:
    """What changed, by file below `spec.update.path`; what to commit; what was left alone."""

    changed: Changed
    files: tuple[str, ...]
    remarks: tuple[str, ...]


def update(root: Path, path: str, values: Mapping[str, str]) -> Updated:
    """Edit every YAML file below `path` that has a setter comment.

    Raises UpdateError, and Refused with the file's name.
    """
    start = _inside(root, path)
    changed: dict[str, Mapping[ObjectId, Sequence[Change]]] = {}
    files, remarks = [], []
    for file in _yaml_files(start):
        name = str(file.relative_to(start if start.is_dir() else start.parent))
        content = file.read_bytes()
        if TOKEN.encode() not in content:
            continue
        try:
            edited = edit(content.decode(), values)
        except Refused as error:
            raise Refused(name, str(error)) from error
        except ValueError as error:  # not UTF-8, or not YAML: Flux passes over such a file too
            remarks.append(f"{name}: {error}")
            continue
        remarks += [f"{name}: no policy in scope for {setter}" for setter in edited.unknown]
        if edited.changes:
            file.write_bytes(edited.text.encode())
            files.append(str(file.relative_to(root)))
            objects: defaultdict[ObjectId, list[Change]] = defaultdict(list)
            for one, change in edited.changes:
                objects[one].append(change)
            changed[name] = dict(objects)
    return Updated(Changed(changed), tuple(files), tuple(remarks))


def _inside(root: Path, path: str) -> Path:
    """Resolve spec.update.path below the work tree; `..` and links do not lead out of it."""
    clean = os.path.normpath("/" + path).lstrip("/")
    start = root / clean
    if not start.exists() or not start.resolve().is_relative_to(root.resolve()):
        raise UpdateError(f"walking path for files: {path}: no such file or directory")
    return start


def _yaml_files(start: Path) -> Iterator[Path]:
    if start.is_file():
        yield start
    for folder, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            file = Path(folder, name)
            wanted = file.suffix in {".yaml", ".yml"} or name == "Kustomization"
            if wanted and file.is_file() and not file.is_symlink():
                yield file
