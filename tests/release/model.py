"""A model in memory: Git, a registry, Flux, and the guard.

Git is a list of commits with three things in each: the code, the deployed tag, the exclusionList.
What people do is in actions.py. Flux behaves as it was measured: the policy takes the highest tag
that is not excluded and keeps its last one when none is left, the automation writes what the policy
has selected.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from release.exclusion import Exclusion
from release.failed_rollout import Beside, Clock, GoBack, NotAFailure, remedy
from release.first_parent_line import turned_over
from release.history import Commit, Deployed, History
from release.manifests import DEFAULT
from release.tags import Tag

T = TypeVar("T")
PERSON, AUTOMATION, GUARD = "a person", "the automation", "the guard"
FAILURE = "rollback-failed"
NOTHING = Deployed("main-0-0000000", "sha256:nothing")


@dataclass(frozen=True)
class Tree:
    """What one commit holds."""

    code: frozenset[int]
    deployed: Deployed = NOTHING
    excluded: tuple[str, ...] = (DEFAULT,)


class Git:
    """Commits that say what they hold, and a branch."""

    def __init__(self, first: Tree) -> None:
        self.commits: dict[str, Commit] = {}
        self.trees: dict[str, Tree] = {}
        self.depth: dict[str, int] = {}  # commits along first parents: the number of an image
        self.now = datetime(2026, 1, 1, tzinfo=UTC)  # each commit takes a minute
        self.main = self.add(first, PERSON)

    def add(self, tree: Tree, who: str, *parents: str, committer: str = "") -> str:
        """Make a commit; the committer is the author unless another one is given."""
        name = f"{len(self.commits) + 1:07x}".ljust(40, "0")
        committer = committer or who
        self.commits[name] = Commit(
            name,
            parents,
            tree.deployed,
            automated=not {PERSON, FAILURE} & {who, committer},
            author=who,
            when=self.now.isoformat(),
            by_automation=who not in (PERSON, FAILURE),
            by_guard=committer == GUARD,
            by_failure=who == FAILURE,
        )
        self.now += timedelta(minutes=1)
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


class Model:
    """The repository, the registry and the cluster, and what each part does by itself."""

    def __init__(self, first: Tree | None = None) -> None:
        self.git = Git(first or Tree(frozenset()))
        self.images: dict[frozenset[int], str] = {}  # src-<hash>: found again, never built twice
        self.building: list[Tag] = []
        self.registry: dict[int, Deployed] = {}
        self.ever: set[Deployed] = set()  # images that were in this registry
        self.turned_over: list[str] = []  # former tips that a push made a second parent
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

    @property
    def grown(self) -> list[str]:
        """Main's line as it grew: where a push has turned it over, as the guard will restore it."""
        git = self.git
        if not self.turned_over:
            return git.line(git.main)
        (before,) = self.turned_over
        pushed = [name for name in git.line(git.main) if before in git.ancestors(name)]
        return git.line(before) + pushed

    @property
    def number(self) -> int:
        """The number of main's newest commit."""
        return len(self.grown)

    @property
    def deployed(self) -> int:
        """The number of the newest image that main's line names; 0 for none."""
        named = [self.git.trees[name].deployed for name in self.grown]
        return next((int(one.tag.split("-")[1]) for one in named[::-1] if one in self.ever), 0)

    def push(self, commit: str) -> None:
        """Move main; CI starts building when the push changed the code."""
        before, self.git.main = self.git.main, commit
        if self.tree.code != self.git.trees[before].code:
            self.build()
        if before not in self.git.line(commit):
            self.turned_over.append(before)

    def build(self) -> None:
        """Start building the image of main; `release tag` names it after the tip.

        But where the commit that brought main's code is excluded, it names it after that one.
        """
        line = self.git.line(self.git.main)
        code = [self.git.trees[name].code for name in line]
        brought = max(n for n in range(1, len(line) + 1) if n == 1 or code[n - 1] != code[n - 2])
        tags = [Tag(number, line[number - 1][:7]) for number in (brought, len(line))]
        self.building.append(tags[0] if self.excludes(tags[0]) else tags[1])

    def excludes(self, tag: Tag) -> bool:
        """Tell whether main's list leaves a tag out."""
        return any(re.search(entry, str(tag)) for entry in self.tree.excluded)

    def move_to_an_empty_registry(self) -> None:
        """Remove registry and cluster, and set both up again, which builds the first image."""
        self.images.clear()
        self.registry.clear()
        self.building.clear()
        self.selected, self.runs = None, NOTHING
        self.build()

    def commit(self, who: str, tree: Tree) -> None:
        """Commit on main and push."""
        self.push(self.git.add(tree, who, self.git.main))

    def arrive(self, tag: Tag) -> None:
        """Let a build end, early or late; the release program refuses what is not on main.

        A build takes minutes, the guard seconds: none ends before the guard has seen the push.
        """
        if self.turned_over:
            return
        self.building.remove(tag)
        line = self.git.line(self.git.main)
        on_main = {Tag(n, name[:7]) for n, name in enumerate(line, 1)}
        higher = {Tag(n, d.tag[-7:]) for n, d in self.registry.items() if n >= tag.number}
        if tag in on_main and higher <= on_main:
            code = self.git.trees[line[tag.number - 1]].code
            digest = self.images.setdefault(code, f"sha256:{len(self.images)}")
            self.registry[tag.number] = Deployed(str(tag), digest)
            self.ever.add(self.registry[tag.number])

    # -- Flux

    def left(self, excluded: tuple[str, ...]) -> list[int]:
        """The numbers in the registry that a list leaves."""
        found = [re.compile(one) for one in excluded]
        return [n for n, d in self.registry.items() if not any(f.search(d.tag) for f in found)]

    def select(self, excluded: tuple[str, ...]) -> Deployed | None:
        """The policy's choice under a list."""
        highest = max(self.left(excluded), default=None)
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

    # -- rollback-failed

    def go_back(self, revision: str) -> None:
        """Run it for the event that the rollout of `revision` has failed."""
        line = self.git.line(self.git.main)
        if self.turned_over or revision not in line:
            return
        since = [self.git.trees[name].deployed for name in line[line.index(revision) :]]
        if len(set(since)) > 1:
            return  # main has moved on
        there = set(self.registry.values())
        try:
            found = remedy(
                self.history,
                Beside(),
                Clock(self.git.now, self.git.now),
                lambda one: None if one.deployed in there else "gone",
            )
        except NotAFailure:
            return
        assert isinstance(found, GoBack)
        tree = replace(self.tree, deployed=found.to)
        new = self.git.add(tree, FAILURE, self.git.main)
        history = History([*self.history.commits.values(), self.git.commits[new]], new)
        expression = Exclusion.of(history).expression
        excluded = (DEFAULT, expression) if expression else (DEFAULT,)
        self.git.trees[new] = replace(tree, excluded=excluded)
        self.push(new)

    # -- the guard

    def restore_the_line(self) -> None:
        """Let the guard run for each push that it has not seen yet."""
        for before in self.turned_over:
            history = self.history
            parent = before
            for commit in turned_over(history.commits, history.main, before):
                tree = self.git.trees[commit.id]
                parent = self.git.add(tree, commit.author, parent, commit.id, committer=GUARD)
                self.git.main = parent
                self.build()
        self.turned_over.clear()

    def guard(self) -> None:
        """Run it on main as it is."""
        self.restore_the_line()
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
