"""Set-up as a person runs it: as a process, with programs on PATH, killed and continued."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusters.azure.__main__ import main
from clusters.azure.runner import Shell, Stop
from tests.azure.fake.programs import PROGRAMS, CloudServer, serve

ROOT = Path(__file__).parents[2]
# The same as `python -m clusters.azure`, but with a record elsewhere, and `python` from PATH too.
# A shell starts what it puts in the background with SIGINT ignored, and so all that this starts.
_DRIVE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from clusters.azure.__main__ import main
from clusters.azure.runner import Shell
say = lambda text: print(text, flush=True)
folder, *arguments = sys.argv[1:]
run = Shell(say, {})
sys.exit(main(arguments, execute=run, folder=Path(folder), say=say, sleep=lambda _: None))
"""


@dataclass(frozen=True)
class Machine:
    """A person's machine: a folder for the record, programs on PATH, and a cloud behind them."""

    folder: Path
    server: CloudServer

    @property
    def programs(self) -> Path:
        """The folder that PATH names, and nothing else."""
        return self.folder / "bin"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run set-up to its end, or to the signal that it gets."""
        record = self.folder / "record"
        record.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-c", _DRIVE, str(record), *arguments],
            cwd=ROOT,
            env={"PATH": str(self.programs), "FAKE_CLOUD": str(self.server.address)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Set up a machine in front of an empty cloud."""
    (tmp_path / "bin").mkdir()
    client = shlex.join([sys.executable, "-I", "-S", str(ROOT / "tests/azure/fake/client.py")])
    for name in PROGRAMS:
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {client} {name} "$@"\n')
        program.chmod(0o755)
    with serve(tmp_path / "cloud") as cloud:
        yield Machine(tmp_path, cloud)


def test_killed_then_interrupted_then_finished(machine: Machine, tmp_path: Path) -> None:
    machine.server.signal("KILL", change=14)
    killed = machine.run("up", "--yes")
    machine.server.signal("INT", change=26)
    interrupted = machine.run("up", "--yes")
    finished = machine.run("up", "--yes")

    assert killed.returncode == -9
    assert interrupted.returncode == 130
    assert interrupted.stdout.endswith(
        "Stopped; nothing is lost. The same command continues from here; teardown undoes it.\n"
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Traceback" not in killed.stderr + interrupted.stderr + finished.stderr
    record = tmp_path / "record" / "discord-sky.local.env"
    assert record.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in finished.stdout + record.read_text()
    assert "PRIVATE KEY" in str(machine.server.cloud.state["github"])  # where it belongs


def test_without_a_terminal_there_is_no_consent(machine: Machine) -> None:
    """It asks before it spends money, and takes no answer for a no."""
    done = machine.run("up")

    assert done.returncode == 1
    assert "107.26   US dollars a month" in done.stdout
    assert "Create it? There is nobody to answer; --yes confirms in advance." in done.stdout
    assert machine.server.cloud.changed == []


def test_all_programs_that_are_missing_or_too_old_are_named_at_once(machine: Machine) -> None:
    for name in ("az", "gh"):
        (machine.programs / name).unlink()
    (machine.programs / "flux").write_text("#!/bin/sh\necho flux: v2.7.3\n")

    for action in ("up", "teardown"):
        done = machine.run(action, "--yes")

        assert done.returncode == 1
        assert done.stdout.splitlines()[-4:] == [
            "az is not installed; 2.85.0 or newer is needed: https://aka.ms/installazurecli",
            "flux is 2.7.3; 2.9.0 or newer is needed: https://fluxcd.io/flux/cmd",
            "gh is not installed; 2.60.0 or newer is needed: https://cli.github.com",
            "Everything that set-up needs: clusters/azure/README.md#before-the-first-run",
        ]
        assert done.stderr == ""
    assert machine.server.cloud.changed == []


def test_a_program_that_disappears_later_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"gone is not installed: clusters/azure/README\.md#before"):
        Shell(print, {"gone": str(tmp_path / "gone")})(["gone"], None, {}, live=False)


def test_a_program_that_is_too_old_is_named(machine: Machine) -> None:
    (machine.programs / "flux").write_text("#!/bin/sh\necho flux: v2.7.3\n")

    done = machine.run("up", "--yes")

    assert done.returncode == 1
    assert "flux is 2.7.3; 2.9.0 or newer is needed: https://fluxcd.io" in done.stdout


def test_a_program_that_takes_long_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.azure.runner._STILL", 0.05)
    said: list[str] = []

    done = Shell(said.append)(["sleep", "0.3"], None, {}, live=False)

    assert done.code == 0
    assert said[0] == "  … 0 s"


def test_a_dry_run_needs_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh clone shows what it would do before anything is installed or logged in."""
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []

    codes = [
        main([action, "--dry-run"], folder=tmp_path, say=said.append)
        for action in ("up", "teardown")
    ]

    assert codes == [0, 0]
    assert "  az group create --name discord-sky" in "\n".join(said)
    assert list(tmp_path.iterdir()) == []
