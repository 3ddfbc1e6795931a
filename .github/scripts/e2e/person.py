"""A developer with a clone, and the image and guard workflows that follow each push."""

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from e2e.servers import GIT_URL, REGISTRY_PORT, ROOT, STATE
from e2e.shell import Failed, run
from tests.tools import tool

REPOSITORY = (
    f"127.0.0.1:{REGISTRY_PORT}/discordskybot"  # the same registry, as Docker may push to it
)
NAME = re.compile(r"You are Sky(?: \(edition \d+\))?")
PERSONA = Path("bot/personas/persona.py")
ATTEMPTS = 5


@dataclass(frozen=True)
class Image:
    """An image that Flux can deploy."""

    tag: str
    digest: str
    built: bool


def docker(tree: Path, reference: str, commit: str) -> None:
    """Build TREE's Dockerfile and push it as REFERENCE."""
    # One manifest, not an index, so that the tag's digest is the image's.
    env = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    run("docker", "build", "--quiet", "--build-arg", f"REVISION={commit}",
        "--tag", reference, tree, env=env)  # fmt: skip
    run("docker", "push", "--quiet", reference)


class Person:
    """Merges, reverts and pushes; each push is followed by the image workflow."""

    def __init__(
        self,
        clone: Path = STATE / "clone",
        repository: str = REPOSITORY,
        build: Callable[[Path, str, str], object] = docker,
    ) -> None:
        self.clone = clone
        self._repository = repository
        self._build_and_push = build
        if not self.clone.exists():
            run("git", "clone", "--quiet", GIT_URL, self.clone)
            self.git("config", "user.name", "A Developer")
            self.git("config", "user.email", "developer@discord-sky.invalid")

    def git(self, *arguments: str) -> str:
        """Run Git in the clone."""
        return run("git", *arguments, cwd=self.clone)

    def edition(self, number: int) -> str:
        """Merge a change of the persona's first sentence, which the test server repeats."""
        return self.merge(PERSONA, NAME, f"You are Sky (edition {number})")

    def crash(self) -> str:
        """Merge a bot that ends as soon as it starts."""
        return self.merge(Path("bot/__main__.py"), re.compile(r"\A"), 'raise SystemExit("bad")\n')

    def merge(self, file: Path, found: re.Pattern[str], text: str) -> str:
        """Replace the first match in a file by a merge commit; return it."""
        self.git("fetch", "--quiet")
        self.git("checkout", "--quiet", "-B", "topic", "origin/main")
        path = self.clone / file
        path.write_text(found.sub(text, path.read_text(), count=1))
        self.git("commit", "--quiet", "--all", "-m", f"{file}: {text.strip()}")
        self.git("checkout", "--quiet", "-B", "main", "origin/main")
        self.git("merge", "--quiet", "--no-ff", "-m", f"Merge {file}", "topic")
        return self._push("--quiet")

    def revert(self, commit: str) -> str:
        """`git revert` of a merge or of the automation's commit, pushed."""
        self.git("fetch", "--quiet")
        self.git("checkout", "--quiet", "-B", "main", "origin/main")
        parents = self.git("rev-list", "--parents", "-1", commit).split()[1:]
        self.git("revert", "--no-edit", *(["-m1"] if len(parents) > 1 else []), commit)
        return self._push("--quiet")

    def _push(self, *flags: str) -> str:
        for attempt in range(ATTEMPTS):
            try:
                self.git("push", *flags, "origin", "main")
            except Failed:  # the automation was faster
                if attempt == ATTEMPTS - 1:
                    raise
                self.git("pull", "--quiet", "--rebase=merges", "origin", "main")
            else:
                break
        return self.git("rev-parse", "HEAD")

    def release(self, *arguments: str) -> str:
        """Run a release program in the clone, as a workflow does."""
        env = {"PYTHONPATH": str(ROOT / ".github/scripts"), "CRANE": str(tool("crane"))}
        return run(sys.executable, "-m", "release", *arguments, cwd=self.clone, env=env)

    def image(self, commit: str) -> Image:
        """Do what the image workflow does, with `build` (Docker) in the place of buildx."""
        to = ("--commit", commit, "--repository", self._repository, "--insecure")
        digest = self.release("find", *to)
        built = not digest
        if built:
            self._build(commit)
            digest = self.release("find", *to)
        self.release("tag", "--digest", digest, *to)
        return Image(self.release("tag-name", "--commit", commit), digest, built)

    def _build(self, commit: str) -> None:
        source = f"{self._repository}:src-{self.release('hash', '--commit', commit)}"
        with tempfile.TemporaryDirectory() as tree:
            self.git("worktree", "add", "--quiet", "--detach", tree, commit)
            self._build_and_push(Path(tree), source, commit)
            self.git("worktree", "remove", "--force", tree)

    def automated(self) -> str:
        """The automation's newest commit."""
        self.git("fetch", "--quiet")
        return self.git("log", "origin/main", "-1", "--author=image-automation@", "--format=%H")
