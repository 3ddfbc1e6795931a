"""`main-<n>-<sha7>`, the tag that sorts; ImagePolicy in clusters/production has its pattern."""

import re
from dataclasses import dataclass
from typing import Self

from release.errors import ReleaseError
from release.git import Git

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
