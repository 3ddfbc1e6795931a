"""Every action that a workflow uses is one commit, with its version beside it."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.gitops.findings import Finding, Tree

_USES = re.compile(r"^\s*(?:-\s+)?uses:\s*[\"']?(?P<action>[^\s\"'#]+)[\"']?\s*(?P<comment>#.*)?$")
_PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
_VERSION = re.compile(r"^#\s*v\d+(\.\d+)*\b")


def check_actions(tree: Tree) -> list[Finding]:
    """Look through every workflow and composite action under .github."""
    return [
        finding
        for path in sorted((tree.root / ".github").rglob("*.y*ml"))
        for finding in _check_file(tree, path)
    ]


def _check_file(tree: Tree, path: Path) -> Iterator[Finding]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        uses = _USES.match(line)
        if not uses or uses["action"].startswith("./"):
            continue
        where = f"{tree.name(path)}:{number}"
        if not _PINNED.match(uses["action"]):
            remedy = "Write the 40 digits of the commit, and its version in a comment beside it."
            yield Finding(where, f"{uses['action']} is not pinned to a commit", remedy)
        elif not _VERSION.match(uses["comment"] or ""):
            remedy = "Write the version beside it: `# v1.2.3`; updates are made from it."
            yield Finding(where, f"{uses['action']} has no version beside it", remedy)
