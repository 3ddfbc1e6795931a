"""Run programs and wait for them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Failed(Exception):
    """A program failed, or a condition was not met in time; the text says which."""


def run(
    *command: str | Path,
    cwd: Path | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program and return what it printed. Raises Failed with its error message."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        input=stdin,
        env={**os.environ, **(env or {})},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Run kubectl on the current context."""
    return run("kubectl", *arguments, stdin=stdin)


def wait(namespace: str, name: str, condition: str, seconds: int = 180) -> None:
    """Watch an object until `kubectl wait` sees the condition. Raises Failed at the timeout."""
    kubectl("-n", namespace, "wait", name, f"--for={condition}", f"--timeout={seconds}s")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)
