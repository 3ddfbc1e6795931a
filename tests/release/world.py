"""A world in memory: Git with people in it, a registry, Flux, and the guard.

Git is a list of commits with three things in each: the code, the deployed tag, the exclusionList.
People are drawn by the test; Flux behaves as it was measured: the policy takes the highest tag that
is not excluded and keeps its last one when none is left, the automation writes what the policy has.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from release.exclusion import Exclusion
from release.history import Commit, Deployed, History
from release.manifests import DEFAULT
from release.tags import Tag

T = TypeVar("T")
PERSON, AUTOMATION, GUARD = "a person", "the automation", "the guard"
NOTHING = Deployed("main-0-0000000", "sha256:nothing")


@dataclass(frozen=True)
class Tree:
    """What one commit holds."""

    code: frozenset[int]
    deployed: Deployed = NOTHING
    excluded: tuple[str, ...] = (DEFAULT,)


class Git:
    """Commits that say what they hold, and a branch."""

    def __init__(self) -> None:
        self.commits: dict[str, Commit] = {}
        self.trees: dict[str, Tree] = {}
        self.depth: dict[str, int] = {}  # commits along first parents: the number of an image
        self.main = self.add(Tree(frozenset()), PERSON)

    def add(self, tree: Tree, who: str, *parents: str) -> str:
        """Make a commit."""
        name = f"{len(self.commits) + 1:07x}".ljust(40, "0")
        self.commits[name] = Commit(
            name, parents, tree.deployed, automated=who != PERSON, author=who
        )
        self.trees[name] = tree
        self.depth[name] = self.depth[parents[0]] + 1 if parents else 1
        return name

    def line(self, tip: str) -> list[str]:
        """Commits along first parents, oldest first."""
        line = [tip]
        while parents := self.commits[line[-1]].parents:
            line.append(parents[0])
        return line[::-1]

    def ancestors(self, tip: str) -> set[str]:
        """Everything that can be reached, `tip` included."""
        seen, todo = {tip}, [tip]
        while todo:
            new = set(self.commits[todo.pop()].parents) - seen
            seen |= new
            todo += new
        return seen

    def merge(self, ours: str, theirs: str, *, conflicts_keep_ours: bool) -> Tree:
        """Merge three ways; a conflict in the tag is resolved one way or the other."""
        base = self.trees[max(self.ancestors(ours) & self.ancestors(theirs))]
        a, b = self.trees[ours], self.trees[theirs]

        def three_ways(get: Callable[[Tree], T]) -> T:
            if get(a) == get(base):
                return get(b)
            return get(a) if get(b) == get(base) or conflicts_keep_ours else get(b)

        return Tree(
            (a.code | b.code) - (base.code - a.code) - (base.code - b.code),
            three_ways(lambda tree: tree.deployed),
            three_ways(lambda tree: tree.excluded),
        )


class World:
    """Everything, and what happens to it when somebody does something."""

    def __init__(self) -> None:
        self.git = Git()
        self.images: dict[frozenset[int], str] = {}  # src-<hash>: found again, never built twice
        self.building: list[Tag] = []
        self.registry: dict[int, Deployed] = {}
        self.in_cluster: tuple[str, ...] = (DEFAULT,)
        self.selected: Deployed | None = None
        self.runs = NOTHING

    # -- Git and the registry

    @property
    def tree(self) -> Tree:
        """What main holds now."""
        return self.git.trees[self.git.main]

    @property
    def history(self) -> History:
        """What the guard reads."""
        return History(
            (self.git.commits[n] for n in sorted(self.git.ancestors(self.git.main))), self.git.main
        )

    def push(self, commit: str) -> None:
        """Move main; CI starts building when the push changed the code."""
        before, self.git.main = self.tree, commit
        if self.tree.code != before.code:
            self.building.append(Tag(self.git.depth[commit], commit[:7]))

    def commit(self, who: str, tree: Tree) -> None:
        """Commit on main and push."""
        self.push(self.git.add(tree, who, self.git.main))

    def arrive(self, tag: Tag) -> None:
        """Let a build end, early or late; the release program refuses what is not on main."""
        self.building.remove(tag)
        line = self.git.line(self.git.main)
        on_main = {Tag(n, name[:7]) for n, name in enumerate(line, 1)}
        higher = {Tag(n, d.tag[-7:]) for n, d in self.registry.items() if n >= tag.number}
        if tag in on_main and higher <= on_main:
            code = self.git.trees[line[tag.number - 1]].code
            digest = self.images.setdefault(code, f"sha256:{len(self.images)}")
            self.registry[tag.number] = Deployed(str(tag), digest)

    # -- Flux

    def select(self, excluded: tuple[str, ...]) -> Deployed | None:
        """The policy's choice under a list."""
        found = [re.compile(one) for one in excluded]
        left = (n for n, d in self.registry.items() if not any(f.search(d.tag) for f in found))
        highest = max(left, default=None)
        return self.selected if highest is None else self.registry[highest]

    def reconcile(self) -> None:
        """Bring what main says into the cluster: the list at once, the image when it is there."""
        self.in_cluster = self.tree.excluded
        if self.tree.deployed in self.registry.values():
            self.runs = self.tree.deployed

    def scan(self) -> None:
        """Let the reflector look at the registry."""
        self.selected = self.select(self.in_cluster)

    def automate(self) -> None:
        """Let the automation run: on its interval, a restart, or a new selection."""
        if self.selected and self.selected != self.tree.deployed:
            self.commit(AUTOMATION, replace(self.tree, deployed=self.selected))

    # -- the guard

    def guard(self) -> None:
        """Run it on main as it is."""
        expression = Exclusion.of(self.history).expression
        wanted = (DEFAULT, expression) if expression else (DEFAULT,)
        if wanted != self.tree.excluded:
            self.commit(GUARD, replace(self.tree, excluded=wanted))

    def settle(self, *, guarded: bool = True) -> None:
        """Let everything that runs by itself run until nothing changes."""
        for _ in range(8):
            before = self.git.main, self.selected, self.runs
            if guarded:
                self.guard()
            self.reconcile()
            self.scan()
            self.automate()
            if before == (self.git.main, self.selected, self.runs):
                return
        raise AssertionError("it never settles")
