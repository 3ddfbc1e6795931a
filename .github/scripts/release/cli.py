"""The command line: parses arguments, runs a command, prints each error as one sentence."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from release import guard, images, releases, rollback, rollback_failed
from release.console import annotate
from release.errors import ReleaseError
from release.git import Git

DESCRIPTION = """\
Name, find and tag the bot's image, and keep a rollback rolled back.

An image is found by what it was built from: `hash` is the hash of those inputs, and the registry
keeps the image under src-<hash>. `tag` gives it the name that deploys, main-<n>-<sha7>; Flux takes
the highest n. So the revert of a merge deploys the very bytes that ran before, without a build.
"""
EPILOG = """\
a merge to main, by hand:
  digest=$(release find --repository REGISTRY/discordskybot)   # empty: build and push first
  release tag --repository REGISTRY/discordskybot --digest "$digest"

where `release` is `PYTHONPATH=.github/scripts python -m release`.
"""


def parser() -> argparse.ArgumentParser:
    """Describe every command and option."""
    top = argparse.ArgumentParser(
        prog="release",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "-C",
        dest="clone",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="clone to read (default: .)",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    images.add_commands(commands)
    guard.add_command(commands)
    rollback.add_command(commands)
    rollback_failed.add_command(commands)
    releases.add_commands(commands)
    return top


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 done, 1 refused or failed (reason on stderr), 2 wrong usage."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(Git(options.clone), options)
    except ReleaseError as error:
        annotate("error", f"release {options.command}", str(error))
        return 1
    return code
