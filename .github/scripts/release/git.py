"""Git's plumbing commands, whose output does not depend on the user's configuration."""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from release.errors import ReleaseError


@dataclass(frozen=True)
class Git:
    """One repository. `path` may be any directory in it."""

    path: Path = field(default_factory=Path)

    def raw(
        self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> bytes:
        """Run one Git command and return its output; raise ReleaseError with its error message."""
        done = self.attempt(*arguments, stdin=stdin, env=env)
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise ReleaseError(f"git {arguments[0]} failed: {reason}")
        return done.stdout

    def text(
        self, *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """As `raw`, decoded, without the last newline."""
        sent = None if stdin is None else stdin.encode()
        return self.raw(*arguments, stdin=sent, env=env).decode(errors="replace").rstrip("\n")

    def attempt(
        self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one Git command and return its result, failed or not."""
        # Replacement objects and grafts belong to one clone; every clone must answer the same.
        everything = {**os.environ, "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C", **(env or {})}
        try:
            return subprocess.run(
                ["git", "-C", str(self.path), *arguments],
                input=stdin if stdin is not None else b"",
                capture_output=True,
                check=False,
                env=everything,
            )
        except FileNotFoundError as error:
            raise ReleaseError("git is not installed, or not on PATH") from error

    def commit(self, revision: str) -> str:
        """The full id of the commit that `revision` names."""
        done = self.attempt(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        if done.returncode == 0:
            return done.stdout.decode().strip()
        if self.attempt("rev-parse", "--git-dir").returncode != 0:
            raise ReleaseError(
                f"{self.path.resolve()} is not a Git repository: run this in a clone, or say where "
                "the clone is with -C DIR"
            )
        raise ReleaseError(
            f"no commit {revision!r} in this clone: fetch it first, or check the spelling"
        )

    def commit_tree(
        self,
        tree: str,
        parents: Iterable[str],
        message: str,
        committer: tuple[str, str] | None = None,
        author: Mapping[str, str] | None = None,
    ) -> str:
        """Write a commit and return its id.

        Without a committer, name and address, it is the person's own. `author` overrides who is
        named as author, in the words of Git's environment: AUTHOR_NAME and so on.
        """
        who: dict[str, str] = {}
        if committer:
            for role in ("AUTHOR", "COMMITTER"):
                who |= {f"{role}_NAME": committer[0], f"{role}_EMAIL": committer[1]}
        env = {f"GIT_{name}": value for name, value in (who | dict(author or {})).items()}
        signed = self.attempt("config", "--type=bool", "commit.gpgsign").stdout.strip() == b"true"
        flags = ["-S"] if signed and not committer else []
        for parent in parents:
            flags += ["-p", parent]
        return self.text("commit-tree", *flags, tree, "-F", "-", stdin=message, env=env)

    def require_whole_history(self) -> None:
        """Refuse a shallow clone: every number here is counted from the first commit on."""
        if self.text("rev-parse", "--is-shallow-repository") == "true":
            raise ReleaseError(
                "this clone is shallow, so commits cannot be counted: run `git fetch --unshallow` "
                "(in a workflow: `fetch-depth: 0` for actions/checkout)"
            )

    def first_parents(self, commit: str) -> list[str]:
        """Commits along first parents, oldest first: the commit with number n is at n - 1."""
        self.require_whole_history()
        return self.text("rev-list", "--first-parent", "--reverse", commit).split()

    def files(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """Contents of `<commit>:<path>` names or object ids, in order; None where there is none."""
        asked = "".join(f"{name}\n" for name in names)
        answer = memoryview(self.raw("cat-file", "--batch", stdin=asked.encode()))
        for name in asked.splitlines():
            end = bytes(answer[: len(name) + 200]).index(b"\n")
            header = bytes(answer[:end])
            if header.endswith(b" missing"):
                answer = answer[end + 1 :]
                yield None
                continue
            size = int(header.rsplit(b" ", 1)[1])
            yield bytes(answer[end + 1 : end + 1 + size])
            answer = answer[end + 1 + size + 1 :]
