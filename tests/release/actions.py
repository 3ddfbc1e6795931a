"""What people, an upstream repository and chance do, drawn at random, and what people asked for.

The record of what people asked for is deliberately simpler than the guard: a tag that somebody went
back from stays out until somebody deploys that very tag. A tag that never was an image of this
registry asks for nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from release.history import Deployed
from release.tags import Tag

from tests.release.model import AUTOMATION, GUARD, NOTHING, PERSON, Model, Tree

T = TypeVar("T")


def number(deployed: Deployed) -> int:
    """The number of a tag."""
    tag = Tag.parse(deployed.tag)
    assert tag is not None
    return tag.number


class Actions:
    """Each method is something that happens; `pick` says to what."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.reverted: set[int] = set()
        self.last: tuple[int, int, int] | None = None  # at, before, after of the last decision
        self.moved = False  # to an empty registry
        self.features = 0
        self.events: list[str] = []  # the commits whose rollouts failed
        self.branch: str | None = None
        self.upstream: str | None = None
        self.theirs: list[Deployed] = []  # the images in the upstream's registry

    def record(self, before: int) -> None:
        """Record what a person's push asked for."""
        after = self.model.deployed
        if before != after:
            self.reverted.discard(after)
            if after < before:
                self.reverted.add(before)
            self.last = (self.model.number, before, after)

    def commit(self, tree: Tree, *parents: str) -> None:
        """Commit on main, or a merge, and push."""
        before = self.model.deployed
        self.model.push(self.model.git.add(tree, PERSON, *(parents or (self.model.git.main,))))
        self.record(before)

    # -- code

    def merge_a_change(self, _pick: int) -> None:
        """Squash a pull request."""
        self.features += 1
        tree = self.model.tree
        self.commit(replace(tree, code=tree.code | {self.features}))

    def revert_a_change(self, pick: int) -> None:
        """`git revert` of a merge: the code of before, found in the registry."""
        tree = self.model.tree
        if tree.code:
            self.commit(replace(tree, code=tree.code - {choose(sorted(tree.code), pick)}))

    # -- the tag

    def revert(self, pick: int) -> None:
        """`git revert` of any earlier commit that moved the tag, conflicts resolved its way."""
        self.deploy(self.undone(pick))

    def revert_the_last(self, _pick: int) -> None:
        """`git revert` of the last commit that moved the tag, no matter who wrote it."""
        self.deploy(self.undone(-1))

    def undone(self, pick: int) -> Deployed:
        """What was deployed before one of the moves."""
        git = self.model.git
        tags = [git.trees[name].deployed for name in git.line(git.main)]
        moves = [before for before, after in pairwise(tags) if before != after]
        return choose(moves, pick) if moves else NOTHING

    def edit(self, pick: int) -> None:
        """Edit the tag by hand: any image that is there."""
        if self.model.registry:
            self.deploy(choose(list(self.model.registry.values()), pick))

    def deploy(self, to: Deployed) -> None:
        """Deploy `to`, unless the registry does not have it: nothing could run then."""
        if to != self.model.tree.deployed and to in self.model.registry.values():
            self.commit(replace(self.model.tree, deployed=to))

    def mistype(self, pick: int) -> None:
        """Write a tag of no image; correct it in the next commit, or leave it."""
        right = self.model.tree.deployed
        digits = choose([1004, 2**40, number(right) + 1, max(number(right) - 1, 1), pick + 1], pick)
        digest = right.digest if pick & 1 else f"sha256:mistyped-{pick}"
        self.commit(replace(self.model.tree, deployed=Deployed(f"main-{digits}-fffffff", digest)))
        if pick & 2 and right in self.model.registry.values():
            self.commit(replace(self.model.tree, deployed=right))

    # -- versions that fail

    def a_version_fails(self, _pick: int) -> None:
        """Let what main names fail: Flux will tell of it, now or later, once or more often."""
        named = self.model.tree.deployed
        if named in self.model.registry.values() or named not in self.model.ever:
            self.events.append(self.model.git.main)

    def flux_tells_of_it(self, pick: int) -> None:
        """Let one of the events arrive, which may be an old one, or one that came before."""
        if not self.events:
            return
        before, tip = self.model.deployed, self.model.git.main
        is_image = self.model.tree.deployed in self.model.ever
        self.model.go_back(choose(self.events, pick))
        if tip == self.model.git.main:
            return
        after = self.model.deployed
        assert self.model.tree.deployed in self.model.ever
        if not is_image and before == after:
            return  # a mistyped tag is replaced by what main named before it
        assert after < before, "it goes back, or does nothing"
        assert after not in self.reverted, "never to what a person rolled back"
        self.reverted.add(before)
        # What was merged after the failed version is newer than this decision.
        self.last = (before, before, after)

    # -- branches

    def branch_off(self, pick: int) -> None:
        """Start a branch at any commit of main."""
        self.branch = choose(self.model.git.line(self.model.git.main), pick)

    def on_the_branch(self, pick: int) -> None:
        """Commit on the branch: code, a tag, what a staging automation writes, a merge of main."""
        if self.branch is None:
            return
        git, tree = self.model.git, self.model.git.trees[self.branch]
        images = list(self.model.registry.values())
        match pick % 4:
            case 0:
                self.features += 1
                tree = replace(tree, code=tree.code | {self.features})
            case 1 if images:
                tree = replace(tree, deployed=choose(images, pick // 4))
            case 2 if images:
                newest = self.model.registry[max(self.model.registry)]
                tree = replace(tree, deployed=newest)
                self.branch = git.add(tree, AUTOMATION, self.branch)
                return
            case _:
                tree = git.merge(self.branch, git.main, conflicts_keep_ours=bool(pick & 4))
                self.branch = git.add(tree, PERSON, self.branch, git.main)
                return
        self.branch = git.add(tree, PERSON, self.branch)

    def merge_the_branch(self, pick: int) -> None:
        """Merge a pull request by a merge commit, or squashed."""
        if self.branch is None:
            return
        git = self.model.git
        tree = git.merge(git.main, self.branch, conflicts_keep_ours=bool(pick & 1))
        self.commit(tree, git.main, *([self.branch] if pick & 2 else []))
        self.branch = None

    def push_a_pull(self, pick: int) -> None:
        """Push what `git pull` merged: main becomes the second parent of the person's line."""
        git = self.model.git
        if self.branch is None or self.model.turned_over:
            return
        tree = git.merge(self.branch, git.main, conflicts_keep_ours=bool(pick & 1))
        self.commit(tree, self.branch, git.main)
        self.branch = None

    # -- an upstream repository, whose automation has the same address

    def fork(self, pick: int) -> None:
        """Make this repository a fork, of itself as it was at any commit; or of another one."""
        self.upstream = choose(self.model.git.line(self.model.git.main), pick)
        self.theirs = []

    def upstream_goes_on(self, pick: int) -> None:
        """Let the upstream merge code, deploy it, roll it back, or run its guard."""
        if self.upstream is None:
            return
        git, tree, who = self.model.git, self.model.git.trees[self.upstream], AUTOMATION
        match pick % 4:
            case 1 if self.theirs:
                tree = replace(tree, deployed=self.theirs[-1])
            case 2 if self.theirs:
                tree, who = replace(tree, deployed=choose(self.theirs, pick // 4)), PERSON
            case 3 if self.theirs:
                span = f"^main-0*(?:[1-9]|[1-9][0-9]{{{1 + pick % 2}}})-[0-9a-f]{{7}}$"
                tree, who = replace(tree, excluded=(tree.excluded[0], span)), GUARD
            case _:
                self.features += 1
                tree = replace(tree, code=tree.code | {self.features})
                self.upstream = git.add(tree, PERSON, self.upstream)
                tag = f"main-{git.depth[self.upstream]}-{self.upstream[:7]}"
                self.theirs.append(Deployed(tag, f"sha256:upstream-{self.features}"))
                return
        self.upstream = git.add(tree, who, self.upstream)

    def merge_the_upstream(self, pick: int) -> None:
        """Merge it: as a merge, squashed, as an octopus, or main into it; with either tag kept."""
        if self.upstream is None or self.model.turned_over:
            return
        git, main = self.model.git, self.model.git.main
        if main in git.ancestors(self.upstream) or self.upstream in git.ancestors(main):
            return  # nothing to merge
        tree = git.merge(main, self.upstream, conflicts_keep_ours=not pick & 1)
        if not pick & 2:
            tree = replace(tree, deployed=self.model.tree.deployed)  # as README.md says
        branch = [self.branch] if self.branch else []
        parents = [[main, self.upstream], [main], [main, self.upstream, *branch]]
        self.commit(tree, *choose([*parents, [self.upstream, main]], pick // 4))

    # -- chance

    def image_arrives(self, pick: int) -> None:
        """Let one of the builds end, not always the oldest."""
        if self.model.building:
            self.model.arrive(choose(self.model.building, pick))

    def flux(self, pick: int) -> None:
        """Let one part of Flux run."""
        choose([self.model.reconcile, self.model.scan, self.model.automate], pick)()

    def controller_restarts(self, _pick: int) -> None:
        """Restart the image controllers: scan, then the automation at once."""
        self.model.scan()
        self.model.automate()

    def guard_runs(self, _pick: int) -> None:
        """Run the guard; between these, its runs were skipped."""
        self.model.guard()

    def move_to_an_empty_registry(self, _pick: int) -> None:
        """Tear registry and cluster down and set them up again, once."""
        if not self.moved and not self.model.turned_over:
            self.moved = True
            self.model.move_to_an_empty_registry()

    def all_is_quiet(self, _pick: int) -> None:
        """Let a day pass."""
        self.model.settle()


def choose(options: Sequence[T], pick: int) -> T:
    """One of the options."""
    return options[pick % len(options)]


Action = Callable[[Actions, int], None]
CODE: list[Action] = [
    Actions.merge_a_change, Actions.merge_a_change, Actions.revert_a_change,
    Actions.image_arrives, Actions.image_arrives, Actions.flux, Actions.flux, Actions.flux,
    Actions.controller_restarts, Actions.guard_runs, Actions.all_is_quiet,
]  # fmt: skip
TAGS: list[Action] = [Actions.revert, Actions.revert_the_last, Actions.edit]
BRANCHES: list[Action] = [
    Actions.branch_off, Actions.on_the_branch, Actions.on_the_branch, Actions.merge_the_branch
]  # fmt: skip
PULLS: list[Action] = [Actions.push_a_pull]
FAILURES: list[Action] = [Actions.a_version_fails, *[Actions.flux_tells_of_it] * 2]
MISTAKES: list[Action] = [Actions.mistype]
FORKS: list[Action] = [
    Actions.fork, *[Actions.upstream_goes_on] * 4, *[Actions.merge_the_upstream] * 2
]  # fmt: skip
REGISTRIES: list[Action] = [Actions.move_to_an_empty_registry]
