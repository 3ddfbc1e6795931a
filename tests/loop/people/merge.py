"""What happens on GitHub, done here: a person merges or reverts, and the image workflow runs.

The person's part is the git program in a clone of the loop's repository. The workflow's part is
the release programs that the real workflow calls (.github/scripts/release), with buildah in the
place of buildx.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.loop.cluster.images import Builder, Say
from tests.tools import tool

ROOT = Path(__file__).resolve().parents[3]
PERSON = ("A Developer", "developer@discord-sky.invalid")
_TRIES = 5  # Pushes that lose the race against the automation are tried again.


class GitFailed(Exception):
    """A git command ended with an error; the message is what it said."""


class ReleaseFailed(Exception):
    """A release program refused or failed; the message is what it said."""


def _environment() -> dict[str, str]:
    """Return the environment in which Git takes the committer for the person."""
    name, email = PERSON
    identity = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email))
    }
    return {**os.environ, **identity, "GIT_TERMINAL_PROMPT": "0"}


def release(clone: Path, *arguments: str) -> str:
    """Run one of the release programs in a clone, as the workflows do; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "release", *arguments],
        cwd=clone,
        env={
            **_environment(),
            "PYTHONPATH": str(ROOT / ".github" / "scripts"),
            "CRANE": str(tool("crane")),
        },
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise ReleaseFailed(f"release {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise GitFailed(f"git {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


class Clone:
    """A developer's clone of the loop's repository, always brought to origin/main first."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        if not (folder / ".git").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            _git(folder.parent, "clone", "--quiet", url, str(folder))

    def head(self) -> str:
        """Return the newest commit of main on the server."""
        _git(self.folder, "fetch", "--quiet", "origin")
        return _git(self.folder, "rev-parse", "origin/main")

    def text(self, path: str) -> str:
        """Return a file of the newest main."""
        return _git(self.folder, "show", f"{self.head()}:{path}") + "\n"

    def merge(self, title: str, edit: Callable[[Path], None]) -> str:
        """Commit what EDIT does on a branch, merge it, push; return the merge commit."""

        def change() -> None:
            self._switch("topic")
            self._commit(title, edit)
            self._switch("main")
            _git(self.folder, "merge", "--quiet", "--no-ff", "-m", f"Merge: {title}", "topic")

        return self._push(change)

    def edit(self, title: str, edit: Callable[[Path], None]) -> str:
        """Commit what EDIT does on main itself, push; return the commit."""

        def change() -> None:
            self._switch("main")
            self._commit(title, edit)

        return self._push(change)

    def revert(self, commit: str) -> str:
        """`git revert` COMMIT (a merge by its first parent), push; return the new commit.

        What conflicts is resolved its way: as it was before COMMIT.
        """
        _git(self.folder, "fetch", "--quiet", "origin")
        _, *parents = _git(self.folder, "rev-list", "--parents", "-1", commit).split()
        mainline = ["--mainline", "1"] if len(parents) > 1 else []

        def change() -> None:
            self._switch("main")
            how = ("--no-edit", "--strategy-option", "theirs", *mainline)
            _git(self.folder, "revert", *how, commit)

        return self._push(change)

    def _switch(self, branch: str) -> None:
        """Start over from the server's main, whatever an earlier attempt left behind."""
        _git(self.folder, "checkout", "--quiet", "--force", "-B", branch, "origin/main")

    def _commit(self, title: str, edit: Callable[[Path], None]) -> None:
        edit(self.folder)
        _git(self.folder, "add", "--all")
        _git(self.folder, "commit", "--quiet", "-m", title)

    def _push(self, change: Callable[[], None]) -> str:
        for left in reversed(range(_TRIES)):
            _git(self.folder, "fetch", "--quiet", "origin")
            change()
            try:
                _git(self.folder, "push", "--quiet", "origin", "main")
            except GitFailed:
                if left == 0:
                    raise
            else:
                break
        return _git(self.folder, "rev-parse", "HEAD")


@dataclass(frozen=True)
class Image:
    """What the image workflow leaves behind: the tag, its digest, and whether it had to build."""

    tag: str
    digest: str
    built: bool


class Builds(Protocol):
    """What makes an image where none is found."""

    def prepare(self) -> None:
        """Make what the first build needs."""

    def build(self, context: Path, reference: str, revision: str) -> str:
        """Push the image of the tree CONTEXT as REFERENCE; return its digest."""
        ...


class ImageWorkflow:
    """The `image` workflow on this machine: find by inputs, or build; then tag."""

    def __init__(
        self, clone: Clone, registry: str, say: Say, builder: Builds | None = None
    ) -> None:
        self._clone = clone
        self._repository = f"{registry}/discordskybot"
        self._builder = builder or Builder(say)

    def _release(self, *arguments: str) -> str:
        return release(self._clone.folder, *arguments)

    def prepare(self) -> None:
        """Make what the first build needs: the base image."""
        self._builder.prepare()

    def run(self, commit: str, *, tag: bool = True) -> Image:
        """Do for COMMIT what the workflow does at a push to main.

        With tag=False everything but the last step: the image is in the registry, not deployable.
        """
        to = ("--commit", commit, "--repository", self._repository, "--insecure")
        digest = self._release("find", *to)
        built = not digest
        if built:
            digest = self._build(commit)
        name = self._release("tag-name", "--commit", commit)
        if tag:
            self._clone.head()  # so that origin/main is main as it is now, as in the workflow
            self._release("tag", "--digest", digest, "--branch", "origin/main", *to)
        return Image(name, digest, built)

    def _build(self, commit: str) -> str:
        source = f"{self._repository}:src-{self._release('hash', '--commit', commit)}"
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "tree.tar"
            tree = Path(scratch) / "tree"
            _git(self._clone.folder, "archive", "--output", str(archive), commit)
            tree.mkdir()
            # Not tarfile: a safe extractall() came with Python 3.11.4, and Debian 12 has 3.11.2.
            subprocess.run(["tar", "--extract", "--file", archive, "--directory", tree], check=True)
            return self._builder.build(tree, source, commit)
