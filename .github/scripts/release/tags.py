"""`main-<n>-<sha7>`, the tag that sorts, and what has to be so before an image gets it.

ImagePolicy in clusters/production has its pattern.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from release.errors import ReleaseError
from release.git import Git
from release.registry import DIGEST, Registry

PATTERN = re.compile(r"main-(?P<number>[0-9]+)-(?P<sha>[0-9a-f]{7})")
# Flux's numerical policy parses float64, which counts without gaps up to here.
LARGEST = 2**53 - 1


@dataclass(frozen=True, order=True)
class Tag:
    """The image of one commit of main; `number` is the count of first-parent commits up to it."""

    number: int
    sha: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a tag; None when it is of another kind (`src-…`, a signature's, one set by hand)."""
        found = PATTERN.fullmatch(text)
        return cls(int(found["number"]), found["sha"]) if found else None

    @classmethod
    def of(cls, git: Git, commit: str) -> Self:
        """Name the image of `commit`; seven digits are cut, as abbreviations differ by clone."""
        git.require_whole_history()
        number = int(git.text("rev-list", "--count", "--first-parent", commit))
        if number > LARGEST:
            raise ReleaseError(f"{number} commits: Flux compares numbers below 2^53 only")
        return cls(number, commit[:7])

    def __str__(self) -> str:
        return f"main-{self.number}-{self.sha}"


@dataclass(frozen=True)
class Tagging:
    """What is to be written: `missing` tags, all for `digest`."""

    digest: str
    missing: tuple[str, ...]


def check_number(own: Tag, others: Iterable[str], main: Sequence[str]) -> None:
    """Refuse a number that is not above every tag of a commit outside `main`.

    `main` is the first-parent line, oldest first. A higher tag of a later commit on that line is no
    reason: then this run was slow or is a re-run, and its tag only fills a gap.
    """
    if own.number > len(main) or not main[own.number - 1].startswith(own.sha):
        raise ReleaseError(
            f"commit {own.sha} is not number {own.number} of main any more (a force-push?): its "
            "image is not tagged; the commit that took its place has a run of its own"
        )
    strangers = sorted(
        tag
        for tag in map(Tag.parse, others)
        if tag is not None
        and tag.number >= own.number
        and (tag.number > len(main) or not main[tag.number - 1].startswith(tag.sha))
    )
    if strangers:
        newest = strangers[-1]
        raise ReleaseError(
            f"{own} is not above {newest}, a tag of a commit that is not on main: history was "
            "rewritten, and Flux would go on running the old line. Either bring that line back "
            f"(git push --force-with-lease origin {newest.sha}:main), or remove its tags, which "
            "keeps the images (az acr repository untag --image NAME:TAG): "
            f"{', '.join(map(str, strangers))}"
        )


def plan(registry: Registry, own: Tag, source: str, digest: str, main: Sequence[str]) -> Tagging:
    """Look at the registry and decide what to write, `source` (src-<hash>) first."""
    if not DIGEST.fullmatch(digest):
        raise ReleaseError(f"{digest!r} is not a digest: sha256: and 64 hex digits")
    check_number(own, registry.tags(), main)
    if registry.digest(digest) is None:
        raise ReleaseError(f"{registry.repository} has no {digest}: push the image first")
    missing = []
    for tag in (source, str(own)):
        now = registry.digest(tag)
        if now is None:
            missing.append(tag)
        elif now != digest:
            raise ReleaseError(
                f"{registry.repository}:{tag} is on {now} already, and a tag never moves. That is "
                f"the image of these inputs: tag it (--digest {now}) instead of {digest}"
            )
    return Tagging(digest, tuple(missing))
