"""`rollback-failed`: go back from a version that failed, as its Flux event says, and say why."""

import argparse
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from release import applied, inventory
from release.console import annotate
from release.errors import ReleaseError
from release.failed_rollout import (
    PROVEN,
    SUBJECT,
    Beside,
    Clock,
    Failure,
    GoBack,
    NotAFailure,
    Revert,
    Unclear,
    remedy,
    sentence,
    times,
)
from release.git import Git
from release.git_history import FAILURE, history
from release.guard import add_branch
from release.history import Commit, Deployed, History
from release.inventory import Inventory
from release.manifests import KUSTOMIZATION, deployed
from release.publish import ATTEMPTS, Branch, read
from release.rollback import Failed, make

if TYPE_CHECKING:
    from release.images import Commands

TRAILER = "Failed"
MINUTES = PROVEN.total_seconds() / 60
DESCRIPTION = f"""\
Go back in Git from a version that was merged and failed.

Flux's event of the failed rollout names a commit of main. If the manifests have not changed since,
the newest change of them is undone by one commit: an image by the earlier tag and its exclusion, as
`rollback` does it, and settings or personas by the revert of their merge. The commit says what
failed and why.

Where it is not certain that this change is the cause, nothing is changed, and the command says what
to look at: where another change came within {MINUTES:.0f} minutes before, where the newest one
is of clusters/ or is older than an hour, and where what failed was itself gone back to, by
whomever, or was named by main before. Nothing is done either, and nothing fails, where main has
moved on or what failed is no rollout. So the same event may arrive as often as it likes.

Of several images within {MINUTES:.0f} minutes all are left, if there is an earlier one. A tag that
names no image is replaced by what main named before it.
"""


def add_command(commands: "Commands") -> None:
    """Add `rollback-failed` to the command line."""
    command = commands.add_parser(
        "rollback-failed",
        help="go back from a version that failed, and say why in the commit",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--event",
        metavar="FILE",
        type=Path,
        help="GitHub's event that Flux's githubdispatch provider caused ($GITHUB_EVENT_PATH)",
    )
    which.add_argument("--revision", metavar="COMMIT", help="the commit of main that failed, now")
    command.add_argument(
        "--why", default="failed", help='with --revision, what "it" did (default: failed)'
    )
    command.add_argument(
        "--proven",
        type=int,
        default=int(PROVEN.total_seconds()),
        metavar="SECONDS",
        help="how long an image must have been deployed to be known to work (default: %(default)s)",
    )
    add_branch(command)
    inventory.add_options(command)
    command.add_argument("--dry-run", action="store_true", help="show the commit, push nothing")
    command.set_defaults(run=run)


def run(git: Git, options: argparse.Namespace) -> int:
    """Undo what failed, and push; compute again when somebody pushed meanwhile."""
    branch = Branch(git, options.remote, options.branch)
    try:
        failure = _failure(git, options)
        for _ in range(ATTEMPTS):
            commit = undo(git, branch.fetch(), failure, options)
            print(git.text("show", "--no-color", "--stat", "--patch", "--format=%B", commit))
            if options.dry_run:
                return 0
            if branch.push(commit):
                print(f"pushed {commit[:7]} to {options.branch}")
                return 0
            print(f"{options.branch} has moved on: looking again")
    except NotAFailure as reason:
        unclear = isinstance(reason, Unclear)
        title = "nothing was undone" if unclear else "nothing to do"
        print(f"{title}: {reason}")
        if os.environ.get("GITHUB_ACTIONS") == "true":
            annotate("warning" if unclear else "notice", title, str(reason))
        return 0
    raise ReleaseError(f"{options.branch} moved at each of {ATTEMPTS} attempts: run it again")


def _failure(git: Git, options: argparse.Namespace) -> Failure:
    if options.event is None:
        commit = git.commit(options.revision)
        return Failure(commit, datetime.now(UTC), sentence(options.why))
    try:
        text = options.event.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{options.event} cannot be read: {error}") from error
    return Failure.from_event(text)


def undo(git: Git, tip: str, failure: Failure, options: argparse.Namespace) -> str:
    """Write the commit on `tip` that undoes what failed. Raises NotAFailure."""
    now = history(git, tip)
    places = {commit.id: place for place, commit in enumerate(now.main)}
    if failure.commit not in places:
        raise NotAFailure(f"{failure.commit[:7]} is no commit of main any more")
    clock = Clock(failure.when, clock_time(), proven=timedelta(seconds=options.proven))
    others = beside(git, now, clock)
    # By commits and not by content: what people deploy again on purpose looks the same.
    if (newest := others.newest(now.main)) > places[failure.commit]:
        raise NotAFailure(
            f"main has moved on since {failure.commit[:7]}, last in {now.main[newest].id[:7]}: "
            "Flux tries that"
        )
    registry = Inventory.of(git, now, options)
    found = remedy(now, others, clock, lambda one: registry.lacks(one.deployed, one.commit.id))
    return (
        _go_back(git, now, found, failure)
        if isinstance(found, GoBack)
        else _revert(git, now, found, failure)
    )


def clock_time() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


def beside(git: Git, now: History, clock: Clock) -> Beside:
    """Find the newest changes beside the image: those that may be to blame, and one before."""
    paths = (f":(top){applied.FOLDER}", f":(top){applied.CLUSTERS}")
    listed = git.text("rev-list", "--first-parent", now.tip.id, "--", *paths)  # newest first
    places = {commit.id: place for place, commit in enumerate(now.main)}
    at = times(now.main)
    oldest = clock.now - clock.within - clock.proven
    settings: list[int] = []
    elsewhere: list[int] = []
    for name in listed.split():
        place = places[name]
        commit = now.main[place]
        if not place or ((settings or elsewhere) and at[place] < oldest):
            break
        if commit.automated:
            continue
        change = applied.changed(git, commit)
        if change.settings:
            settings.append(place)
        if change.elsewhere:
            elsewhere.append(place)
    return Beside(settings, elsewhere, lambda commit: applied.brought_back(git, commit))


def _go_back(git: Git, now: History, found: GoBack, failure: Failure) -> str:
    tag = found.failed.tag
    trailers = f"{TRAILER}: {tag} {failure.why}\nFailed-Revision: {failure.commit}\n"
    return make(git, now, found.to, Failed(f"{tag} {failure.why}.", trailers))


def _revert(git: Git, now: History, found: Revert, failure: Failure) -> str:
    """Write the revert of a merge of settings, as `git revert --mainline 1` does."""
    undone = found.commit
    name = f'{undone.id[:7]} ("{sentence(undone.subject)[:SUBJECT]}")'
    tree = _tree_without(git, now.tip.id, undone)
    if _deployed(git, tree) != now.tip.deployed:
        raise ReleaseError(
            f"{name} failed, and it also named an image: go back by hand with make rollback"
        )
    message = (
        f'Revert "{sentence(undone.subject)[:SUBJECT]}": it failed\n\n'
        f"{name} {failure.why}.\n\nThis reverts commit {undone.id}.\n"
        f"To merge it all the same, revert this commit.\n\n"
        f"{TRAILER}: {undone.id[:7]} {failure.why}\nFailed-Revision: {failure.commit}\n"
    )
    return git.commit_tree(tree, [now.tip.id], message, FAILURE)


def _tree_without(git: Git, tip: str, undone: Commit) -> str:
    """The tree of `tip` without what `undone` changed in main; raise ReleaseError on a conflict."""
    # Commits made for this alone: their base is `undone`, so that merging them undoes it.
    base = git.commit_tree(f"{undone.id}^{{tree}}", [], "undone", FAILURE)
    sides = [
        git.commit_tree(f"{side}^{{tree}}", [base], "side", FAILURE)
        for side in (tip, undone.parents[0])
    ]
    done = git.attempt("merge-tree", "--write-tree", "--no-messages", *sides)
    if done.returncode != 0:
        mainline = " --mainline 1" if len(undone.parents) > 1 else ""
        raise ReleaseError(
            f"{undone.id[:7]} failed and cannot be reverted without conflicts, because what it "
            f"changed was changed again: git revert{mainline} {undone.id[:7]}"
        )
    return done.stdout.decode().split("\n", 1)[0]


def _deployed(git: Git, tree: str) -> Deployed | None:
    return deployed(read(git, tree, KUSTOMIZATION))


def failures(git: Git, now: History) -> dict[str, tuple[str, str]]:
    """What failed and why, as the commits say that went back from it, by their ids.

    What failed is a tag, or the first digits of a merge of settings.
    """
    found = {}
    for commit in (one.id for one in now.main if one.by_failure):
        text = git.text(
            "show", "--no-patch", f"--format=%(trailers:key={TRAILER},valueonly)", commit
        )
        what, _, why = text.strip().partition(" ")
        if what:
            found[commit] = (what, why)
    return found
