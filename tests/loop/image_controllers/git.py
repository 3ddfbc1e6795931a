"""Git by its own program: a shallow clone that lives as long as one run, a commit, a push."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

_STOP_SECONDS = 0.5  # a git that does not end by itself when the process ends


class GitError(Exception):
    """A git command failed; the message has its last words."""


@dataclass(frozen=True)
class Plan:
    """Where to read and where to write. `timeout` (seconds) holds for each operation."""

    url: str
    branch: str
    push_branch: str
    timeout: float

    @property
    def switches(self) -> bool:
        """Whether commits go to another branch than the one that was read."""
        return self.branch != self.push_branch


@dataclass(frozen=True)
class Author:
    """Who commits."""

    name: str
    email: str


@dataclass(frozen=True)
class WorkTree:
    """A clone at the commit `revision` of the branch that was read."""

    root: Path
    revision: str
    plan: Plan

    async def commit(self, files: list[str], message: str, author: Author) -> str:
        """Commit the files and return the commit's hash. Raises GitError."""
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author.name), ("EMAIL", author.email))
        }
        # The message as it was rendered: no line of it is a comment.
        arguments = (
            "commit",
            "-q",
            "--no-verify",
            "--cleanup=verbatim",
            "--allow-empty-message",
            "-F",
            "-",
        )
        await _git(self.plan, *arguments, "--", *files, cwd=self.root, send=message, env=who)
        return (await _git(self.plan, "rev-parse", "HEAD", cwd=self.root)).strip()

    async def push(self) -> None:
        """Push HEAD to the push branch. Raises GitError.

        What another writer pushed in between is never overwritten on the branch that was read.
        """
        force = ("--force",) if self.plan.switches else ()
        target = f"HEAD:refs/heads/{self.plan.push_branch}"
        await _git(self.plan, "push", "-q", *force, "origin", target, cwd=self.root)


class Git:
    """The two things a run needs of a remote: its head, and a work tree."""

    async def head(self, plan: Plan) -> str | None:
        """Return the hash of the remote's branch, None where there is none. Raises GitError."""
        ref = f"refs/heads/{plan.branch}"
        listing = await _git(plan, "ls-remote", plan.url, ref)
        return listing.split()[0] if listing else None

    @asynccontextmanager
    async def work_tree(self, plan: Plan) -> AsyncIterator[WorkTree]:
        """Clone, and remove the clone afterwards. Raises GitError."""
        with tempfile.TemporaryDirectory(
            prefix="image-automation-", ignore_cleanup_errors=True
        ) as name:
            root = Path(name) / "tree"
            branches = ("--no-single-branch",) if plan.switches else ("--single-branch",)
            clone = ("clone", "-q", "--depth=1", "--no-tags", *branches, "--branch", plan.branch)
            # --no-local: also a file:// or plain path takes the protocol, and can be shallow.
            await _git(plan, *clone, "--no-local", plan.url, str(root))
            revision = (await _git(plan, "rev-parse", "HEAD", cwd=root)).strip()
            if plan.switches:
                await _switch(plan, root)
            yield WorkTree(root, revision, plan)


async def _switch(plan: Plan, root: Path) -> None:
    """Go to the push branch: on top of the remote's, or from here where there is none."""
    remote = f"refs/remotes/origin/{plan.push_branch}"
    known = await _git(plan, "for-each-ref", "--format=%(refname)", remote, cwd=root)
    start = (remote,) if known else ()
    await _git(plan, "checkout", "-q", "--no-track", "-B", plan.push_branch, *start, cwd=root)


async def _git(
    plan: Plan,
    *arguments: str,
    cwd: Path | None = None,
    send: str = "",
    env: dict[str, str] | None = None,
) -> str:
    process = await asyncio.create_subprocess_exec(
        "git",
        # Nothing in the loop is behind a proxy, whatever the shell that started it says.
        *("-c", "http.proxy=", "-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null"),
        *arguments,
        cwd=cwd,
        env=_environment() | (env or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(plan.timeout):
            out, said = await process.communicate(send.encode())
    except TimeoutError as error:
        raise GitError(f"git {arguments[0]} took longer than {plan.timeout:g} s") from error
    finally:
        if process.returncode is None:
            await _end(process)
    if process.returncode:
        words = said.decode(errors="replace").strip().replace("\n", "; ")[-500:]
        raise GitError(f"git {arguments[0]}: {words or f'exit code {process.returncode}'}")
    return out.decode()


async def _end(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    """Only what git needs: no person's configuration, no question at a terminal, English."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": os.devnull,
        "LC_ALL": "C",
    }
