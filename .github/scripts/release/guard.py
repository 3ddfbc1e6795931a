"""The rollback guard: keep the exclusionList in step with what people rolled back in Git."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from release.console import annotate
from release.errors import ReleaseError
from release.exclusion import Exclusion, Rollback
from release.first_parent_line import restored
from release.git import Git
from release.git_history import GUARD
from release.history import History
from release.manifests import IMAGE_REPOSITORY, KUSTOMIZATION, excluded, with_excluded
from release.publish import ATTEMPTS, Branch, commit_on, read

if TYPE_CHECKING:
    from release.images import Commands

DESCRIPTION = f"""\
Make the exclusionList of {IMAGE_REPOSITORY} agree with Git.

`git revert` of the automation's commit is not enough: the automation would write the reverted tag
again. The guard reads the branch's first-parent line, finds where people went back to an earlier
tag, and excludes every number between, so that Flux itself selects the tag that the person chose.
It lifts what a person deploys again, and drops what a newer merge has made unnecessary. It changes
nothing but that list, and commits nothing when the list is right; run it as often as you like.

With --before it also looks whether a push made the branch the second parent of another line, and
if so commits a merge that restores the order and changes no file.
"""


def add_command(commands: "Commands") -> None:
    """Add `guard` to the command line."""
    command = commands.add_parser(
        "guard",
        help="exclude what a person rolled back, so that it stays rolled back",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_branch(command)
    command.add_argument(
        "--before",
        metavar="SHA",
        default="",
        help="what the branch pointed to before the push that started this run, if a push did",
    )
    command.add_argument("--dry-run", action="store_true", help="show the change, push nothing")
    command.set_defaults(run=run)


def add_branch(command: argparse.ArgumentParser) -> None:
    """Add the options that say which branch is read and pushed."""
    command.add_argument("--remote", default="origin", help="name or address (default: origin)")
    command.add_argument("--branch", default="main", help="default: main")


def run(git: Git, options: argparse.Namespace) -> int:
    """Fetch, compute, commit, push; again from the start when somebody else pushed meanwhile."""
    branch = Branch(git, options.remote, options.branch)
    for _ in range(ATTEMPTS):
        tip = branch.fetch()
        now = restored(git, tip, options.before)
        base = now.tip.id
        exclusion = Exclusion.of(now)
        if exclusion.leaves_nothing:
            annotate("warning", "rollback", warning(exclusion))
        if now.unknown:
            annotate("warning", "deployed tag", unknown(now))
        before = read(git, base, IMAGE_REPOSITORY)
        after = with_excluded(before, exclusion.expression)
        commit = base
        if after != before:
            text = message(now, exclusion, excluded(before))
            commit = commit_on(git, base, {IMAGE_REPOSITORY: after}, text, GUARD)
        if commit == tip:
            print(
                f"nothing to do: {tip[:7]} excludes what people rolled back ({numbers(exclusion)})"
            )
            return 0
        print(git.text("log", "--first-parent", "--no-color", "--format=%B", f"{tip}..{commit}"))
        if options.dry_run:
            print(git.text("diff", "--no-color", tip, commit))
            return 0
        if branch.push(commit):
            print(f"pushed {commit[:7]} to {options.branch}")
            return 0
        print(f"{options.branch} has moved on: computing again")
    raise ReleaseError(
        f"{options.branch} moved at each of {ATTEMPTS} attempts: run again when it is quieter"
    )


def numbers(exclusion: Exclusion) -> str:
    """Name the excluded numbers in words."""
    return " and ".join(f"{span}" for span in exclusion.spans) or "nothing"


def warning(exclusion: Exclusion) -> str:
    """Say that Flux cannot follow a rollback to before the first image."""
    commit = exclusion.rollbacks[-1].decision.commit
    return (
        f"{commit.author} went back to before the first image in {commit.id[:7]}. With every tag "
        "excluded Flux keeps the last one that it had selected: merge a fix, or suspend the "
        "ImageUpdateAutomation."
    )


def unknown(now: History) -> str:
    """Say that the tag in Git is of no image of this branch."""
    return (
        f"{KUSTOMIZATION} names {now.unknown}, and neither is that a commit of this branch nor has "
        "the automation ever deployed it here: a typing error, or the tag of the repository that "
        f"was merged. It counts for nothing; deployed is {now.tag_of(now.deployed)}, and the "
        "automation will write that again. `release releases` lists the tags."
    )


def message(now: History, exclusion: Exclusion, before: Sequence[str]) -> str:
    """Write the commit message: what was rolled back, by whom and to what; or why nothing is."""
    if not exclusion.rollbacks:
        return (
            f"Exclude no image any more\n\nDeployed is {now.tag_of(now.deployed)}; what was rolled "
            "back is older, or was deployed again by a person.\n\n"
            f"Not needed any more: {', '.join(before[1:])}\n"
        )
    last = exclusion.rollbacks[-1]
    who, to = last.decision.commit.author, now.tag_of(last.decision.after)
    return "\n".join(
        [
            f"Keep {numbers(exclusion)} out: {who} went back to {to}",
            "",
            *(_line(now, rollback) for rollback in exclusion.rollbacks),
            "",
            "Newer merges deploy by themselves. To deploy one of these again, revert the",
            f"commit named here, or set its tag and digest in {KUSTOMIZATION}.",
            "",
        ]
    )


def _line(now: History, rollback: Rollback) -> str:
    decision = rollback.decision
    return (
        f"- {decision.commit.author} in {decision.commit.id[:7]} ({decision.commit.subject}): "
        f"{now.tag_of(decision.before)} -> {now.tag_of(decision.after)}; out: {rollback.span}"
    )
