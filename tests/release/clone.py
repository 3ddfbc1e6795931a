"""A real Git repository for a test, whose commits say who wrote them."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PERSON = ("Ada", "ada@example.org")
EPOCH = 1_750_000_000  # the first commit's time; each later one is a minute after


@dataclass
class Clone:
    """A working tree at `path`; `who` writes the next commit."""

    path: Path
    clock: int = EPOCH

    @classmethod
    def new(cls, path: Path) -> Self:
        """Make an empty repository whose branch is main."""
        path.mkdir(parents=True)
        clone = cls(path)
        clone.git("init", "--quiet", "--initial-branch=main")
        return clone

    def git(self, *arguments: str, who: tuple[str, str] = PERSON) -> str:
        """Run Git as `who`, at the clone's own time, without anybody's configuration."""
        self.clock += 60
        name, email = who
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            check=False,
            capture_output=True,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.path.parent),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_AUTHOR_NAME": name,
                "GIT_AUTHOR_EMAIL": email,
                "GIT_COMMITTER_NAME": name,
                "GIT_COMMITTER_EMAIL": email,
                "GIT_AUTHOR_DATE": f"{self.clock} +0000",
                "GIT_COMMITTER_DATE": f"{self.clock} +0000",
            },
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, with their directories."""
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(self, message: str, files: Mapping[str, str], who: tuple[str, str] = PERSON) -> str:
        """Write files, commit everything, and return the commit's id."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, who=who)
        return self.git("rev-parse", "HEAD")


def inputs(version: str = "1") -> dict[str, str]:
    """Build the smallest set of an image's inputs."""
    return {
        "Dockerfile": "FROM scratch\nCOPY bot /bot\n",
        ".dockerignore": "*\n!bot\n",
        "bot/cli/main.py": f"VERSION = {version!r}\n",
        "bot/requirements.txt": "aiohttp==3.14.0\n",
    }
