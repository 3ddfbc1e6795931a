"""What people asked for, read from the first-parent line of the branch. Pure: no Git in here.

Main is the tip, its first parent, that one's first parent, and so on; nothing else decides it. What
another branch, an upstream repository or a staging branch recorded is read only through the merge
that brought it in, as far as that merge moved main. Of a merge that keeps main's tag nothing is
read at all.

Only people count, and the program that goes back for them when a version has failed. The automation
writes whatever the policy has selected, so its commits say nothing about what is wanted; the
guard's commits never touch the tag.

A commit's number is its place on main. A tag counts only if its image can exist here: it names a
commit of main, or the automation wrote it on main once, or it comes with the digest of such a tag.
A mistyped tag, and one that came with another repository's history, changes nothing.
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
    automated: bool = False  # author and committer are the automation, or the guard
    author: str = ""
    when: str = ""  # ISO 8601, the committer's clock; failed_rollout.py alone decides by it
    subject: str = ""
    by_automation: bool = False  # the author is; a person may have picked or rebased it
    by_guard: bool = False  # the guard is the committer
    by_failure: bool = False  # the author is `rollback-failed`: a version had failed


@dataclass(frozen=True)
class Decision:
    """In `commit`, at number `at` of main, somebody moved from number `before` to `after`."""

    at: int
    commit: Commit
    before: int
    after: int


class _Images:
    """The images that can exist here, learned while main is read from its first commit on."""

    def __init__(self) -> None:
        self._line: list[str] = []
        self._written: set[Tag] = set()  # tags that the automation wrote
        self._digests: dict[str, int] = {}
        self._inherited = ""  # what the first commit named: a copy's, made without the history
        self._named = ""  # the tag in the commit before
        self._digest = ""  # of the image that the line deploys

    def number(self, commit: Commit) -> int | None:
        """The number that `commit`, the next of the line, deploys; None: it changes nothing."""
        self._line.append(commit.id)
        named = commit.deployed
        if named is None:
            return None
        tag = Tag.parse(named.tag)
        if tag and (commit.automated or commit.by_automation) and named.tag != self._named:
            self._written.add(tag)
        self._named = named.tag
        if tag is not None and (tag.number == 0 or self._exists(tag)):
            number = tag.number
        elif named.digest == self._digest:
            return None
        elif named.digest in self._digests:
            number = self._digests[named.digest]
        elif named.tag == self._inherited:
            number = 0  # back to before the first image
        else:
            if len(self._line) == 1:
                self._inherited = named.tag
            return None
        self._digest = named.digest
        if number > 0:
            self._digests[named.digest] = number
        return number

    def _exists(self, tag: Tag) -> bool:
        named = self._line[tag.number - 1] if tag.number <= len(self._line) else ""
        return tag in self._written or named.startswith(tag.sha)


class History:
    """The commits up to `tip`; those that are not on its first-parent line may be missing."""

    def __init__(self, commits: Iterable[Commit], tip: str) -> None:
        self.commits: dict[str, Commit] = {commit.id: commit for commit in commits}
        self.main = self._line(tip)
        self.numbers: list[int] = []  # what is deployed after each commit of main
        self.known: list[bool] = []  # whether the commit names an image that can exist here
        images = _Images()
        for commit in self.main:
            number = images.number(commit)
            before = self.numbers[-1] if self.numbers else 0
            self.numbers.append(before if number is None else number)
            self.known.append(number is not None)

    def _line(self, tip: str) -> list[Commit]:
        """Commits along first parents, oldest first."""
        line = [self.commits[tip]]
        while parents := line[-1].parents:
            line.append(self.commits[parents[0]])
        return line[::-1]

    @property
    def tip(self) -> Commit:
        """The newest commit of main."""
        return self.main[-1]

    @property
    def deployed(self) -> int:
        """The number that is deployed at the tip; 0 before the first."""
        return self.numbers[-1]

    @property
    def unknown(self) -> str | None:
        """The tag that the tip names, where it is of no image that can exist here."""
        named = self.tip.deployed
        tag = Tag.parse(named.tag) if named else None
        return str(tag) if tag and tag.number not in (0, self.deployed) else None

    @property
    def names_no_image(self) -> bool:
        """Whether the tip names an image that cannot exist here, by its tag and by its digest."""
        named = self.tip.deployed
        return named is not None and all(
            one.deployed is None or one.deployed.digest != named.digest
            for one, known in zip(self.main, self.known, strict=True)
            if known
        )

    def tag_of(self, number: int) -> str:
        """Name a number as Git had it deployed."""
        for commit in reversed(self.main):
            if commit.deployed and (tag := Tag.parse(commit.deployed.tag)) and tag.number == number:
                return str(tag)
        return f"number {number}"

    def decisions(self) -> list[Decision]:
        """Everything that people asked for, oldest first."""
        found = []
        before = 0
        for at, (commit, now) in enumerate(zip(self.main, self.numbers, strict=True), 1):
            if now != before and not commit.automated:
                found.append(Decision(at, commit, before, now))
            before = now
        return found
