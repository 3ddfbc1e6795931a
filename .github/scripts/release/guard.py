"""The rollback guard: keep the exclusionList in step with what people said in Git."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from release.console import annotate
from release.errors import ReleaseError
from release.exclusion import Exclusion, Rollback
from release.git import Git
from release.history import History
from release.manifests import IMAGE_REPOSITORY, KUSTOMIZATION, excluded, with_excluded
from release.publish import ATTEMPTS, Branch, commit_on, read
from release.reading import GUARD, history

if TYPE_CHECKING:
    from release.images import Commands

DESCRIPTION = f"""\
Make the exclusionList of {IMAGE_REPOSITORY} agree with Git.

`git revert` of the automation's commit is not enough: the automation would write the reverted tag
again. The guard reads main's history, finds where people went back to an earlier tag, and excludes
every number between, so that Flux itself selects the tag that the person chose. It lifts what a
person deploys again, and what a newer merge has made needless. It commits nothing but that list,
and nothing at all when the list is right; run it as often as you like.
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
        now = history(git, tip)
        exclusion = Exclusion.of(now)
        if exclusion.leaves_nothing:
            annotate("warning", "rollback", warning(exclusion))
        before = read(git, tip, IMAGE_REPOSITORY)
        after = with_excluded(before, exclusion.expression)
        if after == before:
            print(f"nothing to do: {tip[:7]} excludes what people rolled back ({told(exclusion)})")
            return 0
        text = message(now, exclusion, excluded(before))
        commit = commit_on(git, tip, {IMAGE_REPOSITORY: after}, text, GUARD)
        print(git.text("show", "--no-color", "--format=%B", commit))
        if options.dry_run:
            return 0
        if branch.push(commit):
            print(f"pushed {commit[:7]} to {options.branch}")
            return 0
        print(f"{options.branch} has moved on: computing again")
    raise ReleaseError(
        f"{options.branch} moved at each of {ATTEMPTS} attempts: run again when it is quieter"
    )


def told(exclusion: Exclusion) -> str:
    """Name the excluded numbers in words."""
    return " and ".join(f"{span}" for span in exclusion.spans) or "nothing"


def warning(exclusion: Exclusion) -> str:
    """Say that Flux cannot follow a rollback to before the first image."""
    said = exclusion.rollbacks[-1].said
    return (
        f"{said.commit.author} went back to before the first image in {said.commit.id[:7]}. With "
        "every tag excluded Flux keeps the last one that it had selected: merge a fix, or suspend "
        "the ImageUpdateAutomation."
    )


def message(now: History, exclusion: Exclusion, before: Sequence[str]) -> str:
    """Say what was rolled back, by whom and to what; or why nothing is excluded any more."""
    if not exclusion.rollbacks:
        return (
            f"Exclude no image any more\n\nDeployed is {now.tag_of(now.deployed)}; what was rolled "
            "back is older, or was deployed again by a person.\n\n"
            f"Not needed any more: {', '.join(before[1:])}\n"
        )
    last = exclusion.rollbacks[-1]
    who, to = last.said.commit.author, now.tag_of(last.said.after)
    return "\n".join(
        [
            f"Keep {told(exclusion)} out: {who} went back to {to}",
            "",
            *(_line(now, rollback) for rollback in exclusion.rollbacks),
            "",
            "Newer merges deploy by themselves. To deploy one of these again, revert the",
            f"commit named here, or set its tag and digest in {KUSTOMIZATION}.",
            "",
        ]
    )


def _line(now: History, rollback: Rollback) -> str:
    said = rollback.said
    return (
        f"- {said.commit.author} in {said.commit.id[:7]} ({said.commit.subject}): "
        f"{now.tag_of(said.before)} -> {now.tag_of(said.after)}; out: {rollback.span}"
    )
