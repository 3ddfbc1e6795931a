"""Commands about one commit's image: hash, tag-name, find, tag."""

import argparse
import os
from typing import TYPE_CHECKING

from release.inputs import PATHS, input_hash, source_tag
from release.registry import Registry
from release.tagging import plan
from release.tags import Tag

if TYPE_CHECKING:
    from release.git import Git

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - no public name


def add_commands(commands: "Commands") -> None:
    """Add the four commands to the command line."""
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
        "commits on main (along first parents). Needs the whole history.",
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
        help="when src-<hash> was put on another digest meanwhile, tag that one",
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be tagged")
    command.set_defaults(run=run_tag)


def _commit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--commit", metavar="REV", default="HEAD", help="default: HEAD")


def _registry(command: argparse.ArgumentParser) -> None:
    command.add_argument("--repository", required=True, metavar="HOST/NAME")
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
    print(Tag.of(git, git.commit(options.commit)))
    return 0


def run_find(git: "Git", options: argparse.Namespace) -> int:
    """Print the digest, or nothing."""
    source = source_tag(input_hash(git, git.commit(options.commit)))
    if digest := _open(options).digest(source):
        print(digest)
    return 0


def run_tag(git: "Git", options: argparse.Namespace) -> int:
    """Put the tags that are missing, and say which."""
    commit = git.commit(options.commit)
    main = git.first_parents(git.commit(options.branch) if options.branch else commit)
    source = source_tag(input_hash(git, commit))
    registry = _open(options)
    digest = options.digest
    if options.first_wins and (first := registry.digest(source)) not in (None, digest):
        print(f"{source} is on {first} already: that image is tagged instead of {digest}")
        digest = first
    tagging = plan(registry, Tag.of(git, commit), source, digest, main)
    for tag in tagging.missing:
        if not options.dry_run:
            registry.put(digest, tag)
        print(
            f"{'would tag' if options.dry_run else 'tagged'} {registry.repository}:{tag} {digest}"
        )
    if not tagging.missing:
        print(f"nothing to do: {Tag.of(git, commit)} is on {digest} already")
    return 0
