"""`releases` and `retain`: what was deployed, and what the registry must keep for it."""

import argparse
import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from release import inventory
from release.deployments import NOTHING_YET, Deployment, deployed_since, deployments
from release.errors import ReleaseError
from release.exclusion import Exclusion
from release.git import Git
from release.git_history import history
from release.history import Commit, Deployed, History
from release.inputs import input_hash, source_tag
from release.inventory import Inventory
from release.rollback_failed import failures
from release.tags import Tag

if TYPE_CHECKING:
    from release.images import Commands

Row = tuple[str, str, str, str, str, str, str]
_NOW = {True: "deployed now", False: "named now, but no image of this branch"}
RETENTION = 90  # days within which a rollback finds its image


def add_commands(commands: "Commands") -> None:
    """Add both to the command line."""
    command = commands.add_parser(
        "releases",
        help="list what was deployed when, by whom, and what is excluded",
        description="List every deployment that the branch records, newest first: when, tag, "
        "digest, by which commit, who, and what change it carried, whether it failed and why, and "
        "whether its image is in this registry; then what is excluded and why.",
    )
    command.add_argument("--commit", metavar="REV", default="HEAD", help="default: HEAD")
    command.add_argument("--all", action="store_true", help="not only the newest 20")
    inventory.add_options(command)
    command.set_defaults(run=run_releases)

    command = commands.add_parser(
        "retain",
        help="lock what was deployed lately in Azure Container Registry",
        description=f"Lock every image that was deployed within {RETENTION} days against deletion, "
        "by digest, by main-<n>-<sha7> and by src-<hash>, and unlock what is older. What is not "
        "locked may be purged. Images that only Git has, of a repository that this one was forked "
        "from or of an earlier registry, are left out. Prints each az command and runs it; meant "
        "to be run once a week.",
    )
    command.add_argument("--registry", required=True, help="the registry's name in Azure")
    command.add_argument("--repository", default="discordskybot", help="default: discordskybot")
    command.add_argument("--days", type=int, default=RETENTION, help=f"default: {RETENTION}")
    command.add_argument("--commit", metavar="REV", default="HEAD", help="default: HEAD")
    command.add_argument("--dry-run", action="store_true", help="print the commands only")
    command.set_defaults(run=run_retain)


def run_releases(git: Git, options: argparse.Namespace) -> int:
    """Print the table."""
    past = history(git, git.commit(options.commit))
    images = Inventory.of(git, past, options)
    exclusion = Exclusion.of(past)
    everything = deployments(past)[::-1]
    listed = [one for one in everything if one.is_image]
    if not listed:
        print(NOTHING_YET)
        return 0
    chosen = listed if options.all else listed[:20]
    built = built_for(past)
    failed = failures(git, past)
    left = {one: failed.get(after.commit.id) for after, one in pairwise(everything)}
    with ThreadPoolExecutor(8) as pool:
        missing = list(pool.map(lambda one: images.lacks(one.deployed, one.commit.id), chosen))
    shown = []
    for one, lacking in zip(chosen, missing, strict=True):
        notes = [_NOW[past.unknown is None]] if one is everything[0] else []
        if (reason := left.get(one)) is not None:
            notes.append(reason[1])
        if one.number is not None and exclusion.has(one.number):
            notes.append("excluded")
        if lacking:
            notes.append(lacking)
        shown.append(row(one, built, notes))
    _print_table(shown)
    if len(chosen) < len(listed):
        print(f"({len(listed) - len(chosen)} older: --all)")
    _print_reasons(past, failed, exclusion)
    if images.registry and images.tags is not None and not any(map(exclusion.leaves, images.tags)):
        print(
            f"{images.registry.repository} has no image that Flux may deploy: each is excluded, or "
            "there is none. Merge a fix; or deploy one again: make rollback TO=main-<n>-<sha7> "
            'ARGS="--digest sha256:…"'
        )
    return 0


def _print_reasons(
    past: History, failed: Mapping[str, tuple[str, str]], exclusion: Exclusion
) -> None:
    for commit, (what, why) in failed.items():
        if Tag.parse(what) is None:  # settings: no image was deployed for them
            print(f"failed: {what}, which {why}; reverted in {commit[:7]}")
    for rollback in exclusion.rollbacks:
        decision = rollback.decision
        print(
            f"excluded: numbers {rollback.span}; {decision.commit.author} went back from "
            f"{past.tag_of(decision.before)} to {past.tag_of(decision.after)} "
            f"in {decision.commit.id[:7]}"
        )


def _print_table(rows: Sequence[Row]) -> None:
    head = ("when", "tag", "digest", "commit", "by", "carries", "")
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for line in (head, *rows):
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def row(one: Deployment, built: Mapping[str, Commit], notes: Sequence[str]) -> Row:
    """Describe one deployment, a cell for each column."""
    return (
        one.commit.when[:16].replace("T", " "),
        one.deployed.tag,
        one.deployed.digest.removeprefix("sha256:")[:12],
        one.commit.id[:7],
        "automation" if one.commit.automated else one.commit.author,
        commit.subject[:60] if (commit := commit_of(one.deployed, built)) else "",
        ", ".join(notes),
    )


def built_for(past: History) -> dict[str, Commit]:
    """Every commit by the seven digits that its image's tag has."""
    return {name[:7]: commit for name, commit in past.commits.items()}


def commit_of(deployed: Deployed, built: Mapping[str, Commit]) -> Commit | None:
    """Find the commit that an image was named for; None where history does not have it."""
    tag = Tag.parse(deployed.tag)
    return built.get(tag.sha) if tag else None


def run_retain(git: Git, options: argparse.Namespace) -> int:
    """Lock and unlock, one az command each."""
    past = history(git, git.commit(options.commit))
    now, window = datetime.now(UTC), timedelta(days=options.days)
    kept = names(git, past, now - window)
    gone = names(git, past, now - 2 * window) - kept
    there = None if options.dry_run else in_azure(options.registry, options.repository)
    for name in (*sorted(kept), *sorted(gone)):
        if there is not None and name not in there:
            print(f"{options.repository}{name} is not in {options.registry}: only in Git's history")
            continue
        locked = name in kept
        command = [
            "az", "acr", "repository", "update", "--name", options.registry, "--image",
            f"{options.repository}{name}", "--delete-enabled", "false" if locked else "true",
            "--output", "none",
        ]  # fmt: skip
        print(shlex.join(command), flush=True)
        if not options.dry_run:
            _az(command)
    return 0


def names(git: Git, past: History, since: datetime) -> set[str]:
    """The names of all images that were deployed since then."""
    images = [one for one in deployed_since(past, since) if _is_image(one)]
    built = built_for(past)
    return {name for one in images for name in references(git, one, commit_of(one, built))}


def references(git: Git, deployed: Deployed, commit: Commit | None) -> Iterator[str]:
    """Every name of an image that a rollback needs: Flux's tag, the digest, and the inputs' tag."""
    yield f":{deployed.tag}"
    yield f"@{deployed.digest}"
    if commit:
        yield f":{source_tag(input_hash(git, commit.id))}"


def in_azure(registry: str, repository: str) -> frozenset[str]:
    """Every name that the registry has, as `:tag` and `@digest`; none in an empty registry."""
    repositories = ["az", "acr", "repository", "list", "--name", registry, "--output", "json"]
    if repository not in json.loads(_az(repositories) or "[]"):
        return frozenset()
    detail = [
        "az", "acr", "repository", "show-tags", "--name", registry, "--repository", repository,
        "--detail", "--output", "json",
    ]  # fmt: skip
    tags = json.loads(_az(detail) or "[]")
    return frozenset(name for tag in tags for name in (f":{tag['name']}", f"@{tag['digest']}"))


def _is_image(deployed: Deployed) -> bool:
    tag = Tag.parse(deployed.tag)
    return tag is not None and tag.number > 0


def _az(command: list[str]) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise ReleaseError("az is not installed; --dry-run prints the commands") from error
    if done.returncode == 0:
        return done.stdout
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise ReleaseError(f"az refused: {reason}")
