"""The real `az`, in a virtual environment of its own in the cache folder.

It is of no use without a login, but its argument parser comes before the login: exit code 2 means
that a command line was refused, anything else that it was understood.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.tools import cache_root

_HERE = Path(__file__).parent
_LOCK = _HERE / "requirements.txt"
_REFUSED = 2
_BEYOND = ("Please run 'az login'", "Could not connect to the registry")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the real `az` said of a command line."""

    argv: tuple[str, ...]
    code: int
    said: str

    @property
    def understood(self) -> bool:
        """Whether the parser took it."""
        return self.code != _REFUSED

    @property
    def sound(self) -> bool:
        """Whether only a login or the network was missing: its values have the right form too."""
        return self.code == 0 or any(words in self.said for words in _BEYOND)


def _target() -> Path:
    key = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    return cache_root() / f"azure-cli-{key}"


def clean() -> None:
    """Remove the environments of earlier locks."""
    for found in cache_root().glob("azure-cli-*"):
        if found != _target():
            shutil.rmtree(found)


def installed() -> Path:
    """Make the environment if it is not there yet (a minute), and return its Python."""
    target = _target()
    program = target / "bin" / "python"
    if (target / ".whole").exists():
        return program
    shutil.rmtree(target, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))  # far quicker than pip with so many files
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(target)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(program), "--require-hashes"]
    subprocess.run([*install, "-r", str(_LOCK)], check=True)
    (target / ".whole").touch()  # last: a half-made one is made again
    return program


def judge(lines: Iterable[tuple[str, ...]], home: Path) -> list[Verdict]:
    """Give each command line, without its `az`, to the real program. HOME is for its files."""
    wanted = [list(argv) for argv in lines]
    done = subprocess.run(
        [str(installed()), str(_HERE / "judge.py")],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AZURE_CONFIG_DIR": str(home / "azure"),
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_NO_COLOR": "yes",
            "AZURE_CORE_ERROR_RECOMMENDATION": "off",
            # A proxy that is not there: whatever is tried, nothing leaves this machine.
            "HTTPS_PROXY": "http://127.0.0.1:9",
        },
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    return [
        Verdict(tuple(argv), code, said) for argv, (code, said) in zip(wanted, answers, strict=True)
    ]
