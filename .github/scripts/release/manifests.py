"""The three manifests that the release programs read, and the two that they edit.

Edits are made in the text, line by line, so that nothing else in a file can change; a file that is
written in another form is refused instead of guessed at.
"""

import re
from collections.abc import Sequence

from release.errors import ReleaseError
from release.history import Deployed

KUSTOMIZATION = "apps/discord-sky/kustomization.yaml"
IMAGE_REPOSITORY = "clusters/production/images/image-repository.yaml"
AUTOMATION = "clusters/production/images/image-update-automation.yaml"

# The two lines that the setter comments mark; the value may be quoted.
VALUE = r"""["']?(?P<value>[^\s"'#]+)["']?"""
TAG = re.compile(rf"^(?P<before>[ -]*newTag:[ ]*){VALUE}", re.MULTILINE)
DIGEST = re.compile(rf"^(?P<before>[ -]*digest:[ ]*){VALUE}", re.MULTILINE)
EMAIL = re.compile(rf"^ +email:[ ]*{VALUE}", re.MULTILINE)

LIST = re.compile(r"^(?P<indent> *)exclusionList:[ ]*(?:#.*)?$")
ENTRY = re.compile(r"^(?P<indent> *)- (?P<value>'(?:[^']|'')*'|\"[^\"]*\"|[^\s'\"].*?)(?: +#.*)?$")
DEFAULT = r"^.*\.sig$"  # Flux's own list, which a list of ours replaces
OURS = "^main-0*(?:"  # how the entry begins that the guard owns
MOST_ENTRIES = 25  # the ImageRepository refuses more


def deployed(text: str) -> Deployed | None:
    """What a kustomization.yaml deploys; None when it has no tag or digest of its own."""
    tag, digest = TAG.search(text), DIGEST.search(text)
    return Deployed(tag["value"], digest["value"]) if tag and digest else None


def with_deployed(text: str, to: Deployed) -> str:
    """Name another tag and digest, and leave every other character as it is."""
    if deployed(text) is None:
        raise ReleaseError(f"{KUSTOMIZATION} has no newTag and digest to change")
    text = TAG.sub(lambda found: found["before"] + to.tag, text, count=1)
    return DIGEST.sub(lambda found: found["before"] + to.digest, text, count=1)


def author_email(text: str) -> str | None:
    """The author's address of the automation's commits."""
    found = EMAIL.search(text)
    return found["value"] if found else None


def _list(lines: Sequence[str]) -> tuple[str, dict[int, str]]:
    """The indentation of an exclusionList's entries, and each entry by its line."""
    start = next((n for n, line in enumerate(lines) if LIST.match(line)), None)
    entries: dict[int, str] = {}
    indent = ""
    for number in range(len(lines) if start is None else start + 1, len(lines)):
        found = ENTRY.match(lines[number])
        if found and (not entries or found["indent"] == indent):
            indent = found["indent"]
            entries[number] = _unquoted(found["value"])
        elif lines[number].strip() and not lines[number].lstrip().startswith("#"):
            break
    if not entries:
        raise ReleaseError(
            f"{IMAGE_REPOSITORY} has no exclusionList in the form that the guard can edit: under "
            f"spec, a line `exclusionList:`, and below it one entry a line, first `- {DEFAULT}`"
        )
    return indent, entries


def _unquoted(value: str) -> str:
    if value.startswith("'"):
        return value[1:-1].replace("''", "'")
    return value[1:-1].replace("\\\\", "\\") if value.startswith('"') else value


def excluded(text: str) -> list[str]:
    """List the expressions in an image-repository.yaml."""
    return list(_list(text.split("\n"))[1].values())


def with_excluded(text: str, expression: str | None) -> str:
    """Make `expression` the guard's one entry, or remove it. Entries of people are kept."""
    lines = text.split("\n")
    indent, entries = _list(lines)
    ours = [number for number, entry in entries.items() if entry.startswith(OURS)]
    if expression is None and len(ours) == len(entries):
        raise ReleaseError(f"{IMAGE_REPOSITORY}: the exclusionList must keep {DEFAULT}")
    line = [f"{indent}- '{expression}'"] if expression else []
    if expression and len(ours) == 1 and entries[ours[0]] == expression:
        return text
    for number in reversed(ours[1:]):
        del lines[number]
    if ours:
        lines[ours[0] : ours[0] + 1] = line
    else:
        lines[max(entries) + 1 : max(entries) + 1] = line
    if len(_list(lines)[1]) > MOST_ENTRIES:
        raise ReleaseError(
            f"{IMAGE_REPOSITORY}: Flux takes {MOST_ENTRIES} entries, one of them the guard's"
        )
    return "\n".join(lines)
