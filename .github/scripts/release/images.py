"""Commands about one commit's image: hash, tag-name, find, tag, without-run."""

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING

from release.console import annotate
from release.git_history import history
from release.inputs import PATHS, changing_commit, input_hash, source_tag
from release.manifests import IMAGE_REPOSITORY, excluded
from release.registry import Registry
from release.tags import Tag, plan

if TYPE_CHECKING:
    from release.git import Git

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - no public name


REFUSED = (
    "{tag} is excluded, because main went back to an earlier image: Flux does not deploy it. "
    "Merge a fix, or deploy it on purpose: "
    'make rollback TO={tag} ARGS="--digest {digest}"'
)


def add_commands(commands: "Commands") -> None:
    """Add these commands to the command line."""
    command = commands.add_parser(
        "hash",
        help="print the hash of the image's inputs",
        description=f"Print the hash of what the image is built from: {', '.join(PATHS)}, "
        "as Git has them at that commit (the working tree does not matter).",
    )
    _commit(command)
    command.set_defaults(run=run_hash)

    command = commands.add_parser(
        "tag-name",
        help="print main-<n>-<sha7>",
        description="Print the tag of that commit's image: main-<n>-<sha7>, where n counts the "
        "commits on main (along first parents). Where nothing that the image is built from has "
        "changed since a merge that was rolled back, that is the tag of that merge, which is "
        "excluded. Needs the whole history.",
    )
    _commit(command)
    command.set_defaults(run=run_tag_name)

    command = commands.add_parser(
        "find",
        help="print the digest of the image of these inputs, if there is one",
        description="Print the digest of the image that was built from this commit's inputs, by "
        "whichever commit; print nothing when it has to be built. Exit code 0 either way.",
    )
    _commit(command)
    _registry(command)
    command.set_defaults(run=run_find)

    command = commands.add_parser(
        "tag",
        help="put src-<hash> and main-<n>-<sha7> on a digest",
        description="Tag an image that is in the registry, without pulling it. A tag is never "
        "moved, and a number that is not above the tags of a rewritten history is refused. Doing "
        "it twice is fine.",
    )
    _commit(command)
    _registry(command)
    command.add_argument("--digest", required=True, help="sha256:… of the image")
    command.add_argument(
        "--branch",
        metavar="REV",
        help="tip of main as it is now, e.g. origin/main; lets a late run tag an older commit "
        "(default: the commit itself)",
    )
    command.add_argument(
        "--first-wins",
        action="store_true",
        help="if src-<hash> was put on another digest in the meantime, tag that one",
    )
    command.add_argument("--dry-run", action="store_true", help="print what would be tagged")
    command.set_defaults(run=run_tag)

    command = commands.add_parser(
        "without-run",
        help="print the merge that got no run of the image workflow, if there is one",
        description="Read from stdin the commits that the image workflow has run for, one a line. "
        "Print the newest commit that changed an input if neither it nor a later one is among "
        "them, and it is neither deployed nor excluded; else print nothing. Exit code 0 either "
        "way.",
    )
    _commit(command)
    command.set_defaults(run=run_without_run)


def _commit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--commit", metavar="REV", default="HEAD", help="default: HEAD")


def _registry(command: argparse.ArgumentParser) -> None:
    command.add_argument("--repository", required=True, metavar="HOST/NAME")
    add_access(command)


def add_access(command: argparse.ArgumentParser) -> None:
    """Add the options that say how a registry is reached."""
    command.add_argument(
        "--insecure", action="store_true", help="the registry may speak plain HTTP"
    )
    command.add_argument(
        "--crane",
        default=os.environ.get("CRANE") or "crane",
        metavar="PROGRAM",
        help="default: $CRANE, or crane on PATH",
    )


def _open(options: argparse.Namespace) -> Registry:
    return Registry(options.repository, crane=options.crane, insecure=options.insecure)


def run_hash(git: "Git", options: argparse.Namespace) -> int:
    """Print the hash of the image's inputs."""
    print(input_hash(git, git.commit(options.commit)))
    return 0


def run_tag_name(git: "Git", options: argparse.Namespace) -> int:
    """Print the tag that sorts."""
    commit = git.commit(options.commit)
    print(Tag.of(git, named_after(git, commit, commit)))
    return 0


def run_find(git: "Git", options: argparse.Namespace) -> int:
    """Print the digest, or nothing."""
    source = source_tag(input_hash(git, git.commit(options.commit)))
    if digest := _open(options).digest(source):
        print(digest)
    return 0


def run_tag(git: "Git", options: argparse.Namespace) -> int:
    """Put the missing tags on the digest, and print them."""
    commit = git.commit(options.commit)
    tip = git.commit(options.branch) if options.branch else commit
    commit = named_after(git, commit, tip)
    source = source_tag(input_hash(git, commit))
    registry = _open(options)
    digest = options.digest
    if options.first_wins and (first := registry.digest(source)) not in (None, digest):
        print(f"{source} is on {first} already: that image is tagged instead of {digest}")
        digest = first
    own = Tag.of(git, commit)
    tagging = plan(registry, own, source, digest, git.first_parents(tip))
    for tag in tagging.missing:
        if not options.dry_run:
            registry.put(digest, tag)
        print(
            f"{'would tag' if options.dry_run else 'tagged'} {registry.repository}:{tag} {digest}"
        )
    if not tagging.missing:
        print(f"nothing to do: {own} is on {digest} already")
    if is_excluded(git, tip, own):
        annotate("warning", "image", REFUSED.format(tag=own, digest=digest))
    return 0


def run_without_run(git: "Git", options: argparse.Namespace) -> int:
    """Print the commit, or nothing."""
    tip = git.commit(options.commit)
    merge = changing_commit(git, tip)
    tag = Tag.of(git, merge)
    line = git.first_parents(tip)
    has_run = not set(line[tag.number - 1 :]).isdisjoint(sys.stdin.read().split())
    if not has_run and not is_excluded(git, tip, tag) and history(git, tip).deployed < tag.number:
        print(merge)
    return 0


def named_after(git: "Git", commit: str, tip: str) -> str:
    """The commit after which the image of `commit` is named: itself, but for a rolled-back image.

    Where no input has changed since a merge that main's list excludes, it is that merge: under a
    new number, which no list excludes, the bytes that a person rolled back would be deployed again.
    """
    origin = changing_commit(git, commit)
    return origin if is_excluded(git, tip, Tag.of(git, origin)) else commit


def is_excluded(git: "Git", tip: str, tag: Tag) -> bool:
    """Tell whether Flux, which reads main's list at `tip`, leaves this tag out."""
    text = next(git.files([f"{tip}:{IMAGE_REPOSITORY}"]))
    entries = excluded(text.decode()) if text else []
    return any(re.search(entry, str(tag)) for entry in entries)
