"""People, drawn at random, and the plain account of what they asked for.

The account is deliberately simpler than the guard: a tag that somebody went back from is out until
somebody deploys that very tag.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from release.history import Deployed
from release.tags import Tag

from tests.release.world import NOTHING, PERSON, Tree, World

T = TypeVar("T")


def number(deployed: Deployed) -> int:
    """The number of a tag."""
    tag = Tag.parse(deployed.tag)
    assert tag is not None
    return tag.number


class People:
    """Each method is something that a person, or chance, does; `pick` says to what."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reverted: set[int] = set()
        self.last: tuple[int, int, int] | None = None  # at, before, after of the last statement
        self.rewrote = False
        self.features = 0
        self.branch: str | None = None

    def account(self, before: Deployed) -> None:
        """Write down what a person's push asked for."""
        a, b = number(before), number(self.world.tree.deployed)
        if a != b:
            self.reverted.discard(b)
            if b < a:
                self.reverted.add(a)
            self.last = (self.world.git.depth[self.world.git.main], a, b)

    def push(self, commit: str) -> None:
        """Push a person's commit."""
        before = self.world.tree.deployed
        self.world.push(commit)
        self.account(before)

    def commit(self, tree: Tree, *parents: str) -> None:
        """Commit on main, or a merge, and push."""
        self.push(self.world.git.add(tree, PERSON, *(parents or (self.world.git.main,))))

    # -- code

    def merge_a_change(self, _pick: int) -> None:
        """Squash a pull request."""
        self.features += 1
        tree = self.world.tree
        self.commit(replace(tree, code=tree.code | {self.features}))

    def revert_a_change(self, pick: int) -> None:
        """`git revert` of a merge: the code of before, found in the registry."""
        tree = self.world.tree
        if tree.code:
            self.commit(replace(tree, code=tree.code - {choose(sorted(tree.code), pick)}))

    # -- the tag

    def revert(self, pick: int) -> None:
        """`git revert` of any earlier commit that moved the tag, conflicts resolved its way."""
        self.set(self.undone(pick))

    def revert_the_last(self, _pick: int) -> None:
        """`git revert` of the last commit that moved the tag, whoever wrote it."""
        self.set(self.undone(-1))

    def undone(self, pick: int) -> Deployed:
        """What was deployed before one of the moves."""
        git = self.world.git
        line = git.line(git.main)
        tags = [git.trees[name].deployed for name in line]
        moves = [before for before, after in pairwise(tags) if before != after]
        return choose(moves, pick) if moves else NOTHING

    def edit(self, pick: int) -> None:
        """Edit the tag by hand: any image that is there."""
        if self.world.registry:
            self.set(choose(list(self.world.registry.values()), pick))

    def set(self, to: Deployed) -> None:
        """Deploy `to`, unless it never was an image."""
        if to not in (NOTHING, self.world.tree.deployed):
            self.commit(replace(self.world.tree, deployed=to))

    # -- branches

    def branch_off(self, pick: int) -> None:
        """Start a branch at any commit of main."""
        self.branch = choose(self.world.git.line(self.world.git.main), pick)

    def on_the_branch(self, pick: int) -> None:
        """Commit code or a tag on the branch, or merge main into it."""
        if self.branch is None:
            return
        git, tree = self.world.git, self.world.git.trees[self.branch]
        images = list(self.world.registry.values())
        match pick % 3:
            case 0:
                self.features += 1
                tree = replace(tree, code=tree.code | {self.features})
            case 1 if images:
                tree = replace(tree, deployed=choose(images, pick // 3))
            case _:
                tree = git.merge(self.branch, git.main, conflicts_keep_ours=bool(pick & 4))
                self.branch = git.add(tree, PERSON, self.branch, git.main)
                return
        self.branch = git.add(tree, PERSON, self.branch)

    def merge_the_branch(self, pick: int) -> None:
        """Merge a pull request by a merge commit, or squashed."""
        if self.branch is None:
            return
        git = self.world.git
        tree = git.merge(git.main, self.branch, conflicts_keep_ours=bool(pick & 1))
        self.commit(tree, git.main, *([self.branch] if pick & 2 else []))
        self.branch = None

    def push_a_pull(self, pick: int) -> None:
        """Push what `git pull` merged: main becomes the second parent of the person's line."""
        git = self.world.git
        if self.branch is None:
            return
        missed = git.ancestors(git.main) - git.ancestors(self.branch)
        if not any(git.commits[name].automated for name in missed):
            return  # nothing tells the two lines apart, and either may be taken for main
        tree = git.merge(self.branch, git.main, conflicts_keep_ours=bool(pick & 1))
        self.rewrote = True
        self.commit(tree, self.branch, git.main)
        self.branch = None

    # -- chance

    def image_arrives(self, pick: int) -> None:
        """Let one of the builds end, not always the oldest."""
        if self.world.building:
            self.world.arrive(choose(self.world.building, pick))

    def flux(self, pick: int) -> None:
        """Let one part of Flux run."""
        choose([self.world.reconcile, self.world.scan, self.world.automate], pick)()

    def controller_restarts(self, _pick: int) -> None:
        """Restart the image controllers: scan, then the automation at once."""
        self.world.scan()
        self.world.automate()

    def guard_runs(self, _pick: int) -> None:
        """Run the guard; between these, its runs were skipped."""
        self.world.guard()

    def all_is_quiet(self, _pick: int) -> None:
        """Let a day pass."""
        self.world.settle()


def choose(options: Sequence[T], pick: int) -> T:
    """One of the options."""
    return options[pick % len(options)]


Action = Callable[[People, int], None]
CODE: list[Action] = [
    People.merge_a_change, People.merge_a_change, People.revert_a_change,
    People.image_arrives, People.image_arrives, People.flux, People.flux, People.flux,
    People.controller_restarts, People.guard_runs, People.all_is_quiet,
]  # fmt: skip
TAGS: list[Action] = [People.revert, People.revert_the_last, People.edit]
BRANCHES: list[Action] = [
    People.branch_off, People.on_the_branch, People.on_the_branch, People.merge_the_branch
]  # fmt: skip
PULLS: list[Action] = [People.push_a_pull]
