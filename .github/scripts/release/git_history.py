"""Git's commits as the values that history.py works on."""

from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

from release.errors import ReleaseError
from release.git import Git
from release.history import Commit, Deployed, History
from release.manifests import AUTOMATION, KUSTOMIZATION, author_email, deployed

FIELDS = "%H%x00%P%x00%an%x00%ae%x00%ce%x00%cI%x00%s"
# Written by the guard itself; its commits move no tag.
GUARD = ("Discord Sky rollback guard", "rollback-guard@discord-sky.invalid")
# Written by `rollback-failed`. Not one of the machines that are ignored: it decides for people.
FAILURE = ("Discord Sky rollback on failure", "rollback-on-failure@discord-sky.invalid")


def history(git: Git, tip: str) -> History:
    """Read every commit up to `tip`; refuse a shallow clone."""
    git.require_whole_history()
    return History(commits(git, tip), tip)


def commits(git: Git, tip: str) -> list[Commit]:
    """Every commit up to `tip`, parents first."""
    listed = git.text(
        "rev-list",
        "--topo-order",
        "--reverse",
        "--no-commit-header",
        "--encoding=UTF-8",
        f"--format={FIELDS}",
        tip,
    )
    rows = [line.split("\0") for line in listed.split("\n")]
    known = machine_emails(git, tip)
    return [
        Commit(
            id=name,
            parents=tuple(parents.split()),
            deployed=state,
            # Both: a person who cherry-picks or rebases the automation's commit is its committer.
            automated=email in known and committer in known,
            by_automation=email in known,
            by_guard=committer == GUARD[1],
            by_failure=email == FAILURE[1],
            author=author,
            when=when,
            subject=subject,
        )
        for (name, parents, author, email, committer, when, subject), state in zip(
            rows, _states(git, [row[0] for row in rows]), strict=True
        )
    ]


def machine_emails(git: Git, tip: str) -> frozenset[str]:
    """Every address that an image automation of this repository ever had, and the guard's."""
    if not next(git.files([f"{tip}:{AUTOMATION}"])):
        raise ReleaseError(
            f"{AUTOMATION} is not in {tip[:12]}: it says by which address the automation's commits "
            "are known, and without it they would be taken for a person's"
        )
    # Of every cluster: a staging branch that was merged may have an automation of its own.
    automations = f":(top,glob)clusters/**/{PurePosixPath(AUTOMATION).name}"
    changes = git.text(
        "-c", "log.showRoot=true", "log", "-m", "--full-history", "--no-renames", "--raw",
        "--no-abbrev", "--format=", tip, "--", automations,
    )  # fmt: skip
    blobs = sorted({line.split()[3] for line in changes.splitlines() if line.startswith(":")})
    found = {author_email(text.decode(errors="replace")) for text in git.files(blobs) if text}
    return frozenset({GUARD[1], *(email for email in found if email)})


def _states(git: Git, names: list[str]) -> Iterator[Deployed | None]:
    """What each commit leaves deployed; each version of the file is read once."""
    asked = "".join(f"{name}:{KUSTOMIZATION}\n" for name in names)
    answer = git.text("cat-file", "--batch-check=%(objectname)", stdin=asked)
    blobs = [None if line.endswith(" missing") else line for line in answer.split("\n")]
    distinct = sorted({blob for blob in blobs if blob})
    texts = dict(zip(distinct, git.files(distinct), strict=True))

    @cache
    def state(blob: str | None) -> Deployed | None:
        text = texts.get(blob) if blob else None
        return deployed(text.decode(errors="replace")) if text else None

    return (state(blob) for blob in blobs)
