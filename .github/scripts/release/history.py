"""What people said about the deployed tag, read from the commits of main. Pure: no Git in here.

Only people count. The automation writes whatever the policy has selected, so its commits say
nothing about what is wanted; the guard's commits never touch the tag.

A commit's number is its place on main, along first parents. What matters of a merge is how it
moved main, not what its branch tried on the way. One kind of merge needs care: `git pull` on a
branch that has fallen behind, pushed as it is, makes the old main the second parent of the new one.
Only main ever gets a machine's commits, so main goes on at the parent that has the latest of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from release.tags import Tag


@dataclass(frozen=True)
class Deployed:
    """What apps/discord-sky/kustomization.yaml names: the two texts that Flux rewrites."""

    tag: str
    digest: str


@dataclass(frozen=True)
class Commit:
    """One commit, with what it leaves deployed; None where the file cannot be read."""

    id: str
    parents: tuple[str, ...]
    deployed: Deployed | None
    automated: bool = False  # written by the automation or by the guard
    author: str = ""
    when: str = ""  # ISO 8601, the committer's clock: for people to read, never compared
    subject: str = ""


@dataclass(frozen=True)
class Statement:
    """In `commit`, at number `at` of main, a person moved from number `before` to `after`."""

    at: int
    commit: Commit
    before: int
    after: int


class History:
    """The commits up to `tip`. `commits` come parents first, as they were made."""

    def __init__(self, commits: Iterable[Commit], tip: str) -> None:
        self.commits: dict[str, Commit] = {commit.id: commit for commit in commits}
        self._deployed: dict[str, int] = {}
        self._depth: dict[str, int] = {}
        self._machines: dict[str, int] = {}  # how late the latest machine's commit up to here is
        for place, commit in enumerate(self.commits.values(), 1):
            self._read(place, commit)
        self.main = self._main(tip)

    def _read(self, place: int, commit: Commit) -> None:
        first = commit.parents[0] if commit.parents else ""
        tag = Tag.parse(commit.deployed.tag) if commit.deployed else None
        # A tag of another kind, set by hand, says nothing in numbers.
        self._deployed[commit.id] = tag.number if tag else self._deployed.get(first, 0)
        self._depth[commit.id] = self._depth.get(first, 0) + 1
        before = max((self._machines[parent] for parent in commit.parents), default=0)
        self._machines[commit.id] = place if commit.automated else before

    def _main(self, tip: str) -> list[Commit]:
        """Main as it grew, oldest first."""
        main = [self.commits[tip]]
        while parents := main[-1].parents:
            main.append(self.commits[max(parents, key=self._machines.__getitem__)])
        return main[::-1]

    @property
    def tip(self) -> Commit:
        """The newest commit of main."""
        return self.main[-1]

    @property
    def deployed(self) -> int:
        """The number that is deployed at the tip; 0 before the first."""
        return self._deployed[self.tip.id]

    def tag_of(self, number: int) -> str:
        """Name a number as Git had it deployed."""
        for commit in reversed(self.commits.values()):
            if commit.deployed and (tag := Tag.parse(commit.deployed.tag)) and tag.number == number:
                return str(tag)
        return f"number {number}"

    def statements(self) -> list[Statement]:
        """Everything that people said, oldest first."""
        said = []
        before = 0
        for place, commit in enumerate(self.main, 1):
            now = self._deployed[commit.id]
            if now != before and not commit.automated:
                # They differ only after the push of a pull; no image up to either is newer.
                at = max(place, self._depth[commit.id])
                said.append(Statement(at, commit, before, now))
            before = now
        return said
