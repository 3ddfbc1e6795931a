"""Files of a module as it was published, checked against go.sum."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from tests.tools.families import Family, Share
from tests.tools.running import GoFailed, Runner

_NETWORK = re.compile(
    r"dial tcp|lookup |i/o timeout|TLS handshake|connection re|unexpected EOF|"
    r"proxyconnect|network is unreachable|50[0-4] |429 ",
    re.IGNORECASE,
)


def is_network_trouble(lines: Sequence[str]) -> bool:
    """Tell whether what go printed speaks of the network rather than of code."""
    return any(_NETWORK.search(line) for line in lines)


def archive(family: Family, work: Path, runner: Runner) -> Path:
    """Return the zip of FAMILY's module, downloaded where needed. Raises GoFailed.

    go checks the zip against the go.sum in WORK, and adds what is not there after asking the
    checksum database: so a line that is not there is refused here.
    """
    version = family.version()
    wanted = re.search(
        rf"^{re.escape(family.module)} {re.escape(version)} (h1:\S+)$",
        (family.source / "go.sum").read_text(),
        re.MULTILINE,
    )
    command = ("go", "mod", "download")
    try:
        answer = runner.go("mod", "download", "-json", f"{family.module}@{version}", folder=work)
    except GoFailed as error:
        # With -json the error is in the answer. A module that asks for a newer Go is downloaded
        # and checked all the same; only its files are wanted, so that does not matter.
        answer = error.output
        lines = error.lines
    else:
        lines = []
    try:
        said = json.loads(answer)
    except ValueError:
        raise GoFailed(command, lines or answer.splitlines()) from None
    if "Zip" not in said or "Sum" not in said:
        raise GoFailed(command, [str(said.get("Error", "no archive"))])
    if wanted is None or said["Sum"] != wanted[1]:
        raise GoFailed(command, [f"checksum mismatch: {said['Sum']} is not in go.sum"])
    return Path(said["Zip"])


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a module's archive: path inside the module, content."""
    with zipfile.ZipFile(path) as content:
        for name in sorted(content.namelist()):
            # All names begin with module@version/, and versions have no slash.
            inside = re.sub(r"^.*?@[^/]*/", "", name, count=1)
            if inside and not inside.endswith("/"):
                yield inside, content.read(name)


def unpack(path: Path, target: Path) -> None:
    """Write all files of a module's archive below TARGET."""
    for name, content in members(path):
        written = (target / name).resolve()
        if not written.is_relative_to(target.resolve()):
            raise GoFailed(("go", "mod", "download"), [f"{name} points out of its module"])
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(content)


def take(share: Share, path: Path, target: Path) -> None:
    """Write the shared files to TARGET. Raises GoFailed if a path of the table matches nothing."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    unmatched = set(share.paths)
    for name, content in members(path):
        patterns = [pattern for pattern in share.paths if fnmatch(name, pattern)]
        unmatched.difference_update(patterns)
        if not patterns:
            continue
        if share.crds_only:
            for crd, text in crds(content.decode()):
                (target / f"{crd}.yaml").write_text(text)
        else:
            written = target / Path(name).relative_to(_fixed_part(patterns[0]))
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(content)
    if unmatched:
        raise GoFailed(("go", "mod", "download"), [f"the module has no {min(unmatched)}"])


def crds(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and YAML of each CustomResourceDefinition in a stream of YAML documents.

    Documents are split by their separator and not parsed: there is no YAML parser in the standard
    library, and controller-gen writes these files.
    """
    for document in re.split(r"^---\s*$", text, flags=re.MULTILINE):
        if not re.search(r"^kind: CustomResourceDefinition$", document, re.MULTILINE):
            continue
        head = document.split("\nspec:", 1)[0]
        name = re.search(r"^  name: (\S+)$", head, re.MULTILINE)
        if name is None:
            raise GoFailed(("go", "mod", "download"), ["a CRD without a name"])
        yield name[1], document.strip() + "\n"


def _fixed_part(pattern: str) -> str:
    """Return the folder before the first wildcard of a pattern."""
    return pattern.split("*", 1)[0].rpartition("/")[0]
