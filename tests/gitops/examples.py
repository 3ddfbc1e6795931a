"""Invalid examples: each a change to the tree as it is, and the message that must refuse it.

A file of invalid/ describes `what` a person did; the change itself (`edit`: exact text of a file
and its replacement, `add`: new files, `settings`: changed values of cluster-settings, null removes
one); and which `check` must refuse it with which `message`, in which `cluster` if not production.
An example is a change and not a copy, so it cannot fall behind the manifests.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.gitops.findings import ROOT, Tree, made_up_settings

FOLDER = Path(__file__).with_name("invalid")
COPIED = ("apps", "clusters")
KEYS = {"what", "edit", "add", "settings", "check", "message", "cluster"}


@dataclass(frozen=True)
class Example:
    """One invalid change and its refusal."""

    name: str
    check: str
    message: str
    cluster: str = "production"
    edit: tuple[dict[str, str], ...] = ()
    add: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] | None = None

    def tree(self, folder: Path) -> Tree:
        """Return a copy of the tree below FOLDER with the change made. Raises ValueError."""
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name)
        (folder / "bot").symlink_to(ROOT / "bot")
        for edit in self.edit:
            path = folder / edit["file"]
            text = path.read_text()
            if text.count(edit["old"]) != 1:
                raise ValueError(f"{self.name}: {edit['old']!r} is not once in {edit['file']}")
            path.write_text(text.replace(edit["old"], edit["new"]))
        for name, text in self.add.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Tree(folder, (self.cluster,), self._settings())

    def _settings(self) -> dict[str, str] | None:
        if self.settings is None:
            return None
        settings = {**made_up_settings(self.cluster), **self.settings}
        return {name: value for name, value in settings.items() if value is not None}


def load_examples() -> list[Example]:
    """Every example of invalid/. Raises ValueError for a file with an unknown key."""
    return [_load(path) for path in sorted(FOLDER.glob("*.yaml"))]


def _load(path: Path) -> Example:
    document = yaml.safe_load(path.read_text())
    if unknown := set(document) - KEYS:
        raise ValueError(f"{path.name}: unknown key {', '.join(sorted(unknown))}")
    document.pop("what")
    document["edit"] = tuple(document.get("edit", ()))
    return Example(name=path.stem, **document)
