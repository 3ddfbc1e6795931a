"""`down` leaves the machine as it was, whatever happened to the loop (these run last)."""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lightkube.resources.core_v1 import Pod

from tests.loop.cluster import flux_operator, kube
from tests.loop.fixtures import command, loop_is_up
from tests.loop.supervisor import cgroups, leftovers, state
from tests.tools import tool
from tests.tools.families import FLUX

pytestmark = [pytest.mark.loop, pytest.mark.timeout(300)]

# Where programs of a node like to leave something, whatever they are told.
_PLACES = (
    "/etc/cni",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/kubernetes",
    "/run/netns",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)


@pytest.fixture
def no_loop(loop_was_up: bool) -> Iterator[None]:  # noqa: FBT001 - a fixture's value
    """No loop, before and after. A person's own is not taken down for a test."""
    if loop_was_up:
        pytest.skip("a loop was up before the tests: `make loop-down` first to run this one")
    command("down")
    assert not leftovers.find()
    yield
    command("down")


def _machine() -> dict[str, list[str]]:
    """What a person would list before and after."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    sockets = Path("/proc/net/unix").read_text().splitlines()[1:]
    paths = [line.split()[7] for line in sockets if len(line.split()) > 7]
    return {
        "mounts": sorted(line.split(" ", 3)[3] for line in mounts),
        "namespaces": _output("lsns", "--noheadings", "--type=net", "--output=NS").split(),
        "links": [link["ifname"] for link in json.loads(_output("ip", "-json", "link", "show"))],
        "routes": _output("ip", "route", "show", "table", "all").splitlines(),
        "tables": _output("nft", "list", "tables").splitlines(),
        "cgroups": [str(item.folder) for item in cgroups.hierarchies() if item.folder.exists()],
        "sockets": sorted(
            path
            for path in paths
            if ("sky" in path or "containerd" in path) and "/pytest-" not in path  # of other tests
        ),
        "places": [str(path) for place in _PLACES for path in Path(place).rglob("*")],
        "sysctls": [Path("/proc/sys/net/ipv4/ip_forward").read_text()],
    }


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _up() -> None:
    started = command("up")
    assert started.returncode == 0, started.stdout + started.stderr


def _down() -> str:
    ended = command("down")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _kill_supervisor() -> None:
    descriptor = os.pidfd_open(state.load().supervisor)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    select.select([descriptor], [], [], 10)
    os.close(descriptor)


@pytest.mark.usefixtures("no_loop")
def test_down_leaves_nothing_behind() -> None:
    before = _machine()
    _up()

    said = _down()

    assert "Nothing is left" in said
    assert not leftovers.find()
    assert _machine() == before


@pytest.mark.usefixtures("no_loop")
def test_down_leaves_nothing_behind_after_the_supervisor_was_killed() -> None:
    before = _machine()
    _up()
    _kill_supervisor()

    said = _down()

    assert "Nothing is left" in said
    assert _machine() == before


@pytest.mark.usefixtures("no_loop")
def test_up_after_a_killed_supervisor_cleans_up_and_says_so() -> None:
    _up()
    first = state.load().id
    _kill_supervisor()

    again = command("up")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "was killed and left something behind; cleaning up" in again.stdout
    assert state.load().id != first


async def _half_installed() -> None:
    """Let the operator begin to install Flux; return when the first pod is being started."""
    async with kube.async_client() as api, asyncio.timeout(60):
        await flux_operator.apply(api, flux_operator.instance(state.load().checkout))
        while not [pod async for pod in api.list(Pod, namespace=state.FLUX_NAMESPACE)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("no_loop")
def test_down_leaves_nothing_of_an_installation_of_flux_that_was_cut_off() -> None:
    before = _machine()
    _up()
    flux_operator.push_images(FLUX)
    with flux_operator.operator():
        asyncio.run(_half_installed())
        _kill_supervisor()

        said = _down()  # the operator still runs

    assert "Nothing is left" in said
    assert not leftovers.find()
    assert _machine() == before


@contextmanager
def _half_up() -> Iterator["subprocess.Popen[str]"]:
    """Yield an `up` whose etcd serves and whose API server does not yet."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.loop", "up"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as starting:
        assert starting.stdout
        for line in starting.stdout:
            if "etcd ready" in line:
                break
        yield starting


@pytest.mark.usefixtures("no_loop")
def test_up_cleans_up_when_its_supervisor_is_killed_in_the_middle() -> None:
    before = _machine()
    with _half_up() as starting:
        loop = state.read()
        assert loop

        os.kill(loop.supervisor, signal.SIGKILL)

        assert starting.wait(20) == 1
        assert "Everything was taken down again" in (starting.stdout or sys.stdin).read()
    assert _machine() == before


@pytest.mark.usefixtures("no_loop")
def test_a_ctrl_c_leaves_the_loop_starting_and_down_ends_it() -> None:
    before = _machine()
    with _half_up() as starting:
        starting.send_signal(signal.SIGINT)

        assert starting.wait(20) == 130
        assert "The loop goes on starting" in (starting.stdout or sys.stdin).read()
    loop = state.read()
    assert loop
    assert loop.alive
    _down()
    assert _machine() == before


@pytest.mark.usefixtures("no_loop")
def test_down_in_the_middle_of_up_ends_both() -> None:
    before = _machine()
    with _half_up() as starting:
        _down()

        assert starting.wait(20) == 1
    assert not loop_is_up()
    assert _machine() == before


@pytest.mark.usefixtures("no_loop")
def test_what_is_left_out_is_not_started_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP_WITHOUT", "discord,openai,image-automation-controller")
    _up()

    said = command("status")

    assert said.returncode == 0
    assert "left out: discord, image-automation-controller, openai" in said.stdout
    left_out = {"discord", "openai", "image-automation-controller"}
    assert not left_out & set(state.load().processes)


@pytest.mark.usefixtures("no_loop")
def test_a_second_up_finds_the_first() -> None:
    _up()

    second = command("up")

    assert second.returncode == 0
    assert "The loop is up already" in second.stdout


@pytest.mark.usefixtures("no_loop")
def test_a_taken_port_stops_up_before_anything_is_changed() -> None:
    before = _machine()
    host, _, port = state.ETCD.rpartition(":")
    with socket.create_server((host, int(port))):
        refused = command("up")

    assert refused.returncode == 1
    assert f"{state.ETCD}, which etcd needs, is taken by" in refused.stderr
    assert refused.stderr.endswith("Nothing was changed.\n")
    assert _machine() == before


@pytest.mark.usefixtures("no_loop")
def test_a_program_that_crashes_while_starting_is_said_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tools' folder is replaced by one whose etcd is broken."""
    before = _machine()
    for entry in tool("etcd").parents[2].iterdir():
        (tmp_path / "tools").mkdir(exist_ok=True)
        (tmp_path / "tools" / entry.name).symlink_to(entry)
    folder = tmp_path / "tools" / tool("etcd").parents[1].name
    folder.unlink()
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "etcd").write_text("#!/bin/sh\necho the disk is broken\nexit 3\n")
    (folder / "bin" / "etcd").chmod(0o755)
    monkeypatch.setenv("SKY_CACHE", str(tmp_path))

    failed = command("up")

    assert failed.returncode == 1
    assert "The loop did not come up: etcd ended with 3" in failed.stdout
    assert "    the disk is broken" in failed.stdout
    assert (state.LAST_LOGS / "etcd.log").read_text().startswith("the disk is broken")
    assert _machine() == before


@pytest.mark.usefixtures("no_loop")
def test_down_without_a_loop_says_so() -> None:
    assert "nothing is left of one" in _down()


def test_what_runs_in_a_machine_within_this_one_is_not_ours() -> None:
    """A second loop in namespaces of its own is left alone; one beside us is found."""
    marked = {**os.environ, state.MARKER: "test"}
    waits = (sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()")
    apart = ("unshare", "--pid", "--fork", "--kill-child", *waits)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": marked}
    with (
        subprocess.Popen(waits, **pipes) as beside,  # type: ignore[call-overload]
        subprocess.Popen(apart, **pipes) as outer,  # type: ignore[call-overload]
    ):
        for each in (beside, outer):
            each.stdout.readline()
        inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
        found = {pid for pid, _, _ in leftovers.processes()}
        for each in (beside, outer):
            each.stdin.close()

    assert beside.pid in found
    assert inner not in found
