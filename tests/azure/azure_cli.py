"""The real `az`, in a virtual environment of its own in the cache folder.

It believes that somebody is logged in, and can reach nothing. So a command line goes through the
parser, the validators and the command's own code as far as its first request: exit code 2 means
that the parser refused it, and any end but at the network that something behind the parser did.
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
_BEYOND = ("Connection refused", "Could not connect to the registry")
# Nobody listens there: whatever is tried, nothing leaves this machine.
_NOWHERE = "http://127.0.0.1:9"
_SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
_TENANT = "00000000-0000-0000-0000-000000000002"
# The login of a managed identity: its token is asked for at the first request, and from _NOWHERE.
_PROFILE = {
    "subscriptions": [
        {
            "id": _SUBSCRIPTION,
            "name": "Example",
            "state": "Enabled",
            "isDefault": True,
            "tenantId": _TENANT,
            "environmentName": "AzureCloud",
            "user": {
                "name": "systemAssignedIdentity",
                "type": "servicePrincipal",
                "assignedIdentityInfo": "MSI",
            },
        }
    ]
}


@dataclass(frozen=True, slots=True)
class ParserResult:
    """What the real `az` said about a command line."""

    argv: tuple[str, ...]
    code: int
    said: str

    @property
    def understood(self) -> bool:
        """Whether the parser accepted it."""
        # A validator that needs the network ends like one that refuses.
        return self.code != _REFUSED or self._beyond

    @property
    def sound(self) -> bool:
        """Whether only the network was missing: nothing behind the parser refuses it either."""
        return self.code == 0 or self._beyond

    @property
    def _beyond(self) -> bool:
        return any(words in self.said for words in _BEYOND)


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


def environment(home: Path) -> dict[str, str]:
    """Prepare HOME as if somebody were logged in; return the environment of the real program."""
    folder = home / "azure"
    folder.mkdir(exist_ok=True)
    (folder / "azureProfile.json").write_text(json.dumps(_PROFILE))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AZURE_CONFIG_DIR": str(folder),
        "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_NO_COLOR": "yes",
        "AZURE_CORE_ERROR_RECOMMENDATION": "off",
        "HTTPS_PROXY": _NOWHERE,
        "HTTP_PROXY": _NOWHERE,
        "IDENTITY_ENDPOINT": _NOWHERE,
        "IDENTITY_HEADER": "none",
    }


def run_azure_cli(lines: Iterable[tuple[str, ...]], home: Path) -> list[ParserResult]:
    """Run each command line, without its `az`, with the real program. HOME is for its files."""
    wanted = [list(argv) for argv in lines]
    done = subprocess.run(
        [str(installed()), str(_HERE / "azure_cli_worker.py")],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
        env=environment(home),
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    return [
        ParserResult(tuple(argv), code, said)
        for argv, (code, said) in zip(wanted, answers, strict=True)
    ]
