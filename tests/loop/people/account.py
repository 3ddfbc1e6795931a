"""What people asked for in a range of main's history: the reference for the guard.

It is read from Git, as the guard's is, but deliberately simpler: a tag that a person went back from
is out until a person deploys that very tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from release.history import Deployed
from release.tags import Tag

from tests.loop.cluster import git_server
from tests.loop.people.merge import PERSON
from tests.loop.people.releases import Said
from tests.loop.supervisor import state

LARGEST_LIST = 4096  # bytes, of all expressions together


def number(deployed: Deployed) -> int:
    """Return the number of a tag."""
    tag = Tag.parse(deployed.tag)
    assert tag is not None, deployed
    return tag.number


def _line(start: str) -> list[tuple[str, str]]:
    """Return (commit, author's address) of everything on main after START, oldest first."""
    span = ("--first-parent", "--reverse", "--format=%H %ae", f"{start}..main")
    listed = git_server.git("--git-dir", state.GIT_REPOSITORY, "log", *span)
    return [(commit, who) for commit, _, who in (row.partition(" ") for row in listed.split("\n"))]


@dataclass
class Account:
    """What people asked for since START: `reverted` is out; `last` is (at, before, after)."""

    reverted: set[int] = field(default_factory=set)
    last: tuple[int, int, int] | None = None
    moves: list[str] = field(default_factory=list)  # commits that moved the tag, anybody's

    @classmethod
    def since(cls, start: str) -> "Account":
        """Read it from main."""
        account = cls()
        before = number(Said.by(start).deployed)
        count = git_server.git(
            "--git-dir", state.GIT_REPOSITORY, "rev-list", "--count", "--first-parent", start
        )
        for at, (commit, who) in enumerate(_line(start), int(count) + 1):
            after = number(Said.by(commit).deployed)
            if after != before:
                account.moves.append(commit)
                if who == PERSON[1]:
                    account._asked(at, before, after)
            before = after
        return account

    def _asked(self, at: int, before: int, after: int) -> None:
        self.reverted.discard(after)
        if after < before:
            self.reverted.add(before)
        self.last = (at, before, after)

    def check(self, said: Said, arrived: Sequence[int]) -> None:
        """Raise AssertionError unless SAID, which runs, is what people want of ARRIVED."""
        runs = number(said.deployed)
        size = sum(map(len, said.excluded))
        assert size <= LARGEST_LIST, f"the list has {size} bytes"
        assert runs not in self.reverted, f"{runs} runs, which a person reverted"
        at, before, after = self.last or (0, 0, 0)
        newer = [one for one in arrived if one > at]
        if newer:
            assert runs == max(newer), f"{runs} runs, and {max(newer)} is newer than what was said"
        elif after < before:
            assert runs == after, f"{runs} runs, and a person went back to {after}"
        else:
            assert runs >= after, f"{runs} runs, and a person deployed {after}"
