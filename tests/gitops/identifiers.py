"""No identifier of a real Azure in Git: no subscription, tenant or client id, no host."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.gitops.findings import Finding, Tree

# Invalid examples look real on purpose.
EXAMPLES = "tests/gitops/invalid/"
# Names that can be seen to be examples.
MADE_UP = re.compile(r"^(example|loop|test|fake|some|my|your|their|name-hash)", re.IGNORECASE)
_GUID = re.compile(
    r"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])", re.IGNORECASE
)
_HOST = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9-]*)\."
    r"(?P<zone>azurecr\.io|vault\.azure\.net|openai\.azure\.com|onmicrosoft\.com)\b",
    re.IGNORECASE,
)
_CLUSTER = re.compile(r"\b[a-z0-9-]+\.hcp\.[a-z0-9]+\.azmk8s\.io\b", re.IGNORECASE)
# Not the name of an operation, as in Microsoft.Resources/subscriptions/resourceGroups/write.
_SUBSCRIPTION = re.compile(
    r"/subscriptions/(?![{$<\[(.*\"'\s]|resourceGroups/)(?P<id>[^/\s\"'`]+)", re.IGNORECASE
)
_REMEDY = (
    "Take it from cluster-settings (clusters/README.md), or write an obvious example:"
    " example.azurecr.io, 00000000-0000-0000-0000-000000000001."
)


def check_identifiers(tree: Tree) -> list[Finding]:
    """Look through every file that Git has, or would take."""
    findings: list[Finding] = []
    for path in _files(tree):
        if tree.name(path).startswith(EXAMPLES):
            continue
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # not text, or removed and not yet committed
        for number, line in enumerate(text.splitlines(), start=1):
            where = f"{tree.name(path)}:{number}"
            findings.extend(Finding(where, problem, _REMEDY) for problem in _problems(line))
    return findings


def _problems(line: str) -> Iterator[str]:
    for guid in _GUID.findall(line):
        if not _made_up_guid(guid):
            yield f"{guid} looks like a real identifier"
    for host in _HOST.finditer(line):
        if not MADE_UP.match(host["name"]):
            yield f"{host[0]} looks like a real host"
    for host in _CLUSTER.finditer(line):
        yield f"{host[0]} looks like a real cluster"
    for subscription in _SUBSCRIPTION.finditer(line):
        if not _made_up_guid(subscription["id"]) and not _GUID.search(subscription["id"]):
            yield f"{subscription[0]} looks like a real subscription"


def _made_up_guid(guid: str) -> bool:
    """Tell whether three of the five groups repeat one digit."""
    return sum(len(set(group)) == 1 for group in guid.split("-")) >= 3  # noqa: PLR2004 - as said


def _files(tree: Tree) -> Iterator[Path]:
    """Every file that Git has or would take; in a folder without Git, every file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=tree.root,
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        names = sorted(set(listed.stdout.split("\0")) - {""})
        yield from (tree.root / name for name in names)
    else:
        yield from sorted(path for path in tree.root.rglob("*") if path.is_file())
