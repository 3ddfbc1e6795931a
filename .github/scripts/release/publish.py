"""A commit on top of a remote branch, made and pushed without touching the working tree."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from release.errors import ReleaseError
from release.git import Git

ATTEMPTS = 20  # each lost race means that another push got through
LOST = ("[rejected]", "[remote rejected]", "fetch first", "cannot lock ref", "failed to update ref")
REFUSED = ("protected branch", "GH006", "GH013", "pre-receive hook declined", "denied")


@dataclass(frozen=True)
class Branch:
    """`name` at `remote`, which is a remote's name or an address."""

    git: Git
    remote: str
    name: str

    def fetch(self) -> str:
        """The branch's tip as it is now."""
        self.git.raw("fetch", "--quiet", self.remote, f"refs/heads/{self.name}")
        return self.git.commit("FETCH_HEAD")

    def push(self, commit: str) -> bool:
        """Push `commit` to the branch; False when another push was first."""
        done = self.git.attempt("push", "--quiet", self.remote, f"{commit}:refs/heads/{self.name}")
        if done.returncode == 0:
            return True
        reason = done.stderr.decode(errors="replace")
        if any(word in reason for word in LOST) and not any(word in reason for word in REFUSED):
            return False
        raise ReleaseError(f"{self.name} could not be pushed to {self.remote}: {reason.strip()}")


def commit_on(
    git: Git,
    base: str,
    files: Mapping[str, str],
    message: str,
    author: tuple[str, str] | None = None,
) -> str:
    """Write a commit with these files changed; without an author it is the person's own."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}  # noqa: PTH118 - a value for Git
        git.raw("read-tree", base, env=index)
        for path, text in files.items():
            mode = git.text("ls-tree", "--full-tree", base, "--", path).split(" ", 1)[0]
            blob = git.text("hash-object", "-w", "--stdin", stdin=text)
            git.raw("update-index", "--cacheinfo", f"{mode},{blob},{path}", env=index)
        tree = git.text("write-tree", env=index)
    return git.commit_tree(tree, [base], message, author)


def read(git: Git, commit: str, path: str) -> str:
    """One file of a commit."""
    content = next(git.files([f"{commit}:{path}"]))
    if content is None:
        raise ReleaseError(f"{commit[:12]} has no {path}")
    return content.decode()
