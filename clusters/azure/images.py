"""The tags of the bot's images: which ones can be deployed, and which ones are excluded."""

from __future__ import annotations

import re
from collections.abc import Iterable

REPOSITORY = "discordskybot"
# What an image is built from: the inputs of `release hash`.
BUILD_INPUTS = (".dockerignore", "Dockerfile", "bot")
_DEPLOYABLE = re.compile(r"main-(\d+)-([0-9a-f]{7})")
_SIGNATURES = r"^.*\.sig$"  # Flux's default, which every list of one's own repeats
REMEDY = (
    "A newer number is not excluded: merge a fix to bot/ or the Dockerfile. Or, if what was rolled "
    "back may run again, build the present code under a newer number:"
)
REBUILD = (
    "git commit --allow-empty -m 'Build the image again' && git push origin main",
    "gh workflow run image.yaml --ref main",
)


def deployable(tags: Iterable[str]) -> list[str]:
    """Return the tags that the image policy may choose, the oldest first."""
    found = (_DEPLOYABLE.fullmatch(tag) for tag in tags)
    return [tag[0] for tag in sorted((one for one in found if one), key=lambda one: int(one[1]))]


def commit_of(image: str) -> str:
    """Return the short commit that an image NAME:TAG@DIGEST was built from; "" if it names none."""
    found = _DEPLOYABLE.search(image.partition("@")[0])
    return found[2] if found else ""


def exclusions(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the expressions of an exclusion list but for Flux's default."""
    return tuple(pattern for pattern in patterns if pattern != _SIGNATURES)


def _matches(tag: str, pattern: str) -> bool:
    """Return whether Flux excludes TAG: its expressions are not anchored.

    They are Go's. One that Python does not read excludes nothing here.
    """
    try:
        return re.search(pattern, tag) is not None
    except re.error:
        return False


def all_excluded(tags: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the deployable tags if there are some and each of them is excluded, else nothing."""
    found, expressions = deployable(tags), list(patterns)
    excluded = all(any(_matches(tag, pattern) for pattern in expressions) for tag in found)
    return found if excluded else []


def explain_all_excluded(tags: list[str]) -> str:
    """Say what it means that TAGS are all there are, and all excluded."""
    shown = tags[0] if len(tags) == 1 else f"{tags[0]} to {tags[-1]}"
    return (
        f"The rollback guard excludes every image in the registry ({shown}): main was rolled back "
        "to an image that this registry does not have."
    )
