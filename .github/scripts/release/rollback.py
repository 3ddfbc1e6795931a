"""`rollback`: the older tag and its exclusion in one commit, shown before it is pushed."""

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from release import inventory
from release.deployments import NOTHING_YET, deployments, earlier, find
from release.errors import ReleaseError
from release.exclusion import Exclusion
from release.git import Git
from release.git_history import FAILURE, history
from release.guard import add_branch, numbers
from release.history import Commit, Deployed, History
from release.inputs import PATHSPECS, input_hash
from release.inventory import Inventory
from release.manifests import IMAGE_REPOSITORY, KUSTOMIZATION, with_deployed, with_excluded
from release.publish import ATTEMPTS, Branch, commit_on, read
from release.registry import DIGEST
from release.tags import Tag

if TYPE_CHECKING:
    from release.images import Commands


@dataclass(frozen=True)
class Failed:
    """What failed and why, for the message of a commit."""

    sentence: str  # with its full stop
    trailers: str


DESCRIPTION = """\
Go back to an earlier image, and keep what came after it from being deployed again.

One commit on the remote's main names the older tag and digest and excludes the numbers between, so
the automation has nothing to write again. (If its controller restarts in the seconds before Flux
has read the commit, it writes the newer tag once more, and then the older one without your help.)
Your working tree is not changed. The command shows the commit and what the next merge will carry,
and asks before it pushes. The next merge deploys without further action. TAG may also be newer than
what runs: then it is deployed again.
"""


def add_command(commands: "Commands") -> None:
    """Add `rollback` to the command line."""
    command = commands.add_parser(
        "rollback",
        help="go back to an earlier image in one commit",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("tag", nargs="?", metavar="TAG", help="main-<n>-<sha7>, see `releases`")
    which.add_argument("--last", action="store_true", help="what was deployed before this")
    command.add_argument("--digest", help="of TAG, where Git never had it deployed")
    add_branch(command)
    inventory.add_options(command)
    command.add_argument("--yes", action="store_true", help="push without asking")
    command.add_argument("--dry-run", action="store_true", help="show the commit, push nothing")
    command.set_defaults(run=run)


def run(git: Git, options: argparse.Namespace) -> int:
    """Make the commit, show it, ask, push; again when somebody pushed meanwhile."""
    branch = Branch(git, options.remote, options.branch)
    for _ in range(ATTEMPTS):
        tip = branch.fetch()
        now = history(git, tip)
        to = target(now, Inventory.of(git, now, options), options)
        commit = make(git, now, to)
        shape = ("--no-color", "--stat", "--patch", "--format=%an <%ae>%n%n%B")
        print(git.text("show", *shape, commit))
        print("\n".join(next_merge(git, tip, to)))
        if options.dry_run:
            return 0
        if not options.yes and not asked(f"\nPush this to {options.branch}? [y/N] "):
            print("nothing was pushed, and nothing here was changed")
            return 1
        if branch.push(commit):
            print(f"pushed {commit[:7]}; your own {options.branch} is one `git pull` behind")
            return 0
        print(f"{options.branch} has moved on: trying again from its new tip")
    raise ReleaseError(f"{options.branch} moved at each of {ATTEMPTS} attempts: try again")


def target(now: History, images: Inventory, options: argparse.Namespace) -> Deployed:
    """What to deploy, from the command line and from what Git has had deployed."""
    if options.last:
        return last(now, images)
    if Tag.parse(options.tag) is None:
        raise ReleaseError(f"{options.tag!r} is not main-<n>-<sha7>; `releases` lists the tags")
    if options.digest is not None:
        if not DIGEST.fullmatch(options.digest):
            raise ReleaseError(f"{options.digest!r} is not a digest: sha256: and 64 hex digits")
        to = Deployed(options.tag, options.digest)
        known = None
    else:
        known = find(now, options.tag)
        if known is None:
            raise ReleaseError(
                f"{options.tag} was never deployed, so Git does not know its digest. Take one that "
                f"`make releases` lists, or give the digest that `crane digest "
                f"REGISTRY/discordskybot:{options.tag}` prints (crane is on PATH after "
                '`eval "$(.venv/bin/python -m tests.tools env)"`): '
                f'make rollback TO={options.tag} ARGS="--digest sha256:…"'
            )
        to = known.deployed
    if missing := images.lacks(to, known.commit.id if known else ""):
        raise ReleaseError(
            f"{to.tag} ({to.digest[:19]}…) is {missing}: it could not run. `make releases` says "
            "what is there"
        )
    return to


def last(now: History, images: Inventory) -> Deployed:
    """The newest earlier image that can run here."""
    if not any(one.is_image for one in deployments(now)):
        raise ReleaseError(NOTHING_YET)
    reason = ""
    for one in earlier(now):
        missing = images.lacks(one.deployed, one.commit.id)
        if missing is None:
            return one.deployed
        reason = reason or f" ({one.deployed.tag} is {missing})"
    raise ReleaseError(
        f"nothing was deployed before what is deployed now{reason}: merge a fix, or revert the "
        "merge, which builds what main was before it"
    )


def make(git: Git, now: History, to: Deployed, failed: Failed | None = None) -> str:
    """Write the commit that deploys `to` and excludes what that rules out.

    It is the person's own, or that of `rollback-failed` where it is about something that `failed`.
    """
    tip = now.tip.id
    if now.tip.deployed == to:
        raise ReleaseError(f"{to.tag} is what {tip[:7]} deploys already")
    new = Commit("this", (tip,), to, by_failure=failed is not None)
    then = History([*now.commits.values(), new], new.id)
    if then.unknown:
        raise ReleaseError(
            f"{to.tag} names no commit of this branch, and was never deployed here: check the "
            "number and the seven digits. `make releases` lists what was deployed"
        )
    exclusion = Exclusion.of(then)
    files = {KUSTOMIZATION: with_deployed(read(git, tip, KUSTOMIZATION), to)}
    repository = read(git, tip, IMAGE_REPOSITORY)
    if (excluded := with_excluded(repository, exclusion.expression)) != repository:
        files[IMAGE_REPOSITORY] = excluded
    was = now.tip.deployed.tag if now.tip.deployed else "nothing"
    back = (parsed := Tag.parse(to.tag)) is not None and parsed.number < now.deployed
    message = (
        f"{'Roll back to' if back else 'Deploy'} {to.tag}{f': {was} failed' if failed else ''}\n\n"
        f"{failed.sentence if failed else f'Deployed was {was}.'} "
        f"Excluded from now on: {numbers(exclusion)}.\nNewer merges deploy by themselves.\n"
    )
    if failed is None:
        return commit_on(git, tip, files, message)
    if not now.names_no_image:
        message += f"To deploy it all the same: make rollback TO={was}\n"
    message += f"\n{failed.trailers}"
    return commit_on(git, tip, files, message, FAILURE)


def next_merge(git: Git, tip: str, to: Deployed) -> list[str]:
    """List what main's code has and the image does not: the next merge deploys it again."""
    tag = Tag.parse(to.tag)
    name = f"{tag.sha if tag else to.tag}^{{commit}}"
    built = git.attempt("rev-parse", "--verify", "--quiet", name)
    if built.returncode != 0:
        return [f"The commit that {to.tag} was built from is not in this clone; see what main has."]
    commit = built.stdout.decode().strip()
    if input_hash(git, commit) == input_hash(git, tip):
        return [f"main's code is what {to.tag} was built from: nothing to revert before a merge."]
    shape = ("--first-parent", "--no-color", "--format=  %h %an: %s")
    carried = git.text("log", *shape, f"{commit}..{tip}", "--", *PATHSPECS)
    return [
        "The next merge to main deploys main's code, and so carries this again:",
        carried or "  (changes from before that commit)",
        "Revert what must not be deployed again: git revert [-m 1] COMMIT",
    ]


def asked(question: str) -> bool:
    """Ask the user a yes-or-no question; raise ReleaseError without a terminal."""
    if not sys.stdin.isatty():
        raise ReleaseError(
            "there is no terminal to ask on: look at it with --dry-run, push with --yes"
        )
    return input(question).strip().lower() in {"y", "yes"}
