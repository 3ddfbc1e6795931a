"""loop.json says what runs, and does not lie about what has died."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.loop.supervisor import cgroups, leftovers, state


@pytest.fixture(autouse=True)
def _own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LOOP_JSON", tmp_path / "loop.json")


def _loop(phase: str, pid: int, ticks: int) -> state.Loop:
    process = state.Process("etcd", "ready", pid=7, ticks=8, started=9.0, restarts=2)
    return state.Loop(
        id="abc",
        checkout=Path("/somewhere"),
        phase=phase,
        supervisor=pid,
        supervisor_ticks=ticks,
        started=1.5,
        left_out=frozenset({"openai"}),
        processes={"etcd": process},
        revision="main@sha1:abc",
    )


def test_what_is_written_is_read() -> None:
    loop = _loop("up", os.getpid(), state.start_ticks(os.getpid()))

    state.write(loop)

    assert state.load() == loop


def test_without_a_loop_the_remedy_is_named() -> None:
    with pytest.raises(state.LoopDown, match="`make loop-up` starts it"):
        state.load()


def test_a_killed_supervisor_is_noticed_even_when_its_pid_is_used_again() -> None:
    state.write(_loop("up", os.getpid(), ticks=1))

    with pytest.raises(state.LoopDown, match="the loop's supervisor was killed"):
        state.load()


def test_a_loop_that_still_starts_is_not_up() -> None:
    state.write(_loop("starting", os.getpid(), state.start_ticks(os.getpid())))

    with pytest.raises(state.LoopDown, match="the loop is starting"):
        state.load()


def test_mounts_of_ours_are_told_from_others_innermost_first() -> None:
    lines = [
        "1 0 8:1 / / rw - ext4 /dev/vda rw",
        "2 1 0:9 / /var/lib/discord-sky-loop/kubelet rw - tmpfs tmpfs rw",
        "3 2 0:9 / /var/lib/discord-sky-loop/kubelet/a\\040b rw - tmpfs tmpfs rw",
        "4 1 0:9 / /var/lib/discord-sky-loop-of-another rw - tmpfs tmpfs rw",
    ]

    assert leftovers.mounts("\n".join(lines)) == [
        "/var/lib/discord-sky-loop/kubelet/a b",
        "/var/lib/discord-sky-loop/kubelet",
    ]


def test_cgroups_of_both_versions_are_found() -> None:
    lines = [
        "1 0 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
        "2 0 0:2 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw",
        "3 0 0:3 / /tmp rw - tmpfs tmpfs rw",
        "4 0 0:2 / /tmp/chroot/sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw",
    ]

    first, second = cgroups.hierarchies("\n".join(lines))

    assert not first.unified
    assert {"cpu", "cpuacct"} <= first.options
    assert second.unified
    assert second.folder == Path("/sys/fs/cgroup/unified/discord-sky-loop")


def test_controllers_that_are_not_yet_enabled_are(tmp_path: Path) -> None:
    """On v2 the kubelet refuses a cgroup root without them."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma\n")
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu memory\n")

    cgroups.delegate(cgroups.Hierarchy(tmp_path, unified=True, options=frozenset()))

    assert control.read_text() == "+cpuset +io +pids"


def test_what_is_left_is_told_in_a_line_for_each_kind() -> None:
    pod = "9b80638a284fb2bc71551b19dc772a469ba5687629a0cac382e09101649b05d2"
    left = leftovers.Leftovers(
        processes=((12, 99, "etcd"), (13, 99, "kubelet")), mounts=(f"/run/{pod}/rootfs",)
    )

    assert left.lines() == ["2 processes: 12 etcd, 13 kubelet", "1 mount: /run/9b80638a…/rootfs"]
    assert not leftovers.Leftovers()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts something")
def test_an_empty_volume_in_the_place_of_our_folder_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the development container it is one, and `down` cannot remove it."""
    monkeypatch.setattr(state, "STATE", tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    try:
        assert tmp_path not in leftovers.files()
        (tmp_path / "loop.json").touch()
        assert tmp_path in leftovers.files()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
