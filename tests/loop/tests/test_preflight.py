"""Each accident is told in a sentence with its remedy, before anything is changed."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loop.supervisor import lock, ports, preflight, state, up
from tests.tools import packages


def test_a_user_who_is_not_root_is_told_to_use_sudo() -> None:
    (said,) = preflight.root(user=1000)

    assert said.endswith("run the same command with sudo, or as root.")
    assert list(preflight.root(user=0)) == []


def test_tools_that_are_not_built_are_named_with_the_command_that_builds_them() -> None:
    (said,) = preflight.tools(["no-such-tool"])

    assert said.startswith("These tools are not built: no-such-tool")
    assert said.endswith("Run `make tools`.")


def test_missing_packages_are_named_with_the_command_that_installs_them() -> None:
    lacking = [packages.Package("lighttpd", ("lighttpd",), "serves Git over HTTP")]

    (said,) = preflight.programs(lacking)

    assert "lighttpd (serves Git over HTTP)" in said
    assert list(preflight.programs([])) == []


def test_a_taken_port_is_named_with_what_needs_it_and_who_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        (said,) = preflight.addresses({f"127.0.0.1:{port}": "etcd"})

    name = Path("/proc/self/comm").read_text().strip()
    assert said == (
        f"127.0.0.1:{port}, which etcd needs, is taken by {name} (pid {os.getpid()}): end it first."
    )


def test_a_port_taken_on_every_address_is_taken_on_the_bridge_too() -> None:
    """The bridge's address does not exist yet when the ports are asked for."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 - what is tested
        taken.listen()
        address = f"10.244.0.1:{taken.getsockname()[1]}"

        assert list(ports.taken([address])) == [address]

    assert list(ports.taken([address])) == []


def test_ports_of_what_is_left_out_are_not_asked_for() -> None:
    needed = ports.needed(frozenset({"discord"}))

    assert state.DISCORD_LISTEN not in needed
    assert needed[state.OPENAI_LISTEN] == "openai"


def test_a_bridge_that_is_not_ours_is_told_with_its_remedy() -> None:
    (said,) = preflight.network(routes="[]", links=json.dumps([{"ifname": "sky0"}]))

    assert said == (
        "There is a network link sky0 that is not the loop's: rename it or remove it "
        "(`ip link delete sky0`)."
    )


@pytest.mark.parametrize(
    ("route", "needs"),
    [
        ("10.244.0.0/24", "10.244.0.0/24"),
        ("10.244.0.128/25", "10.244.0.0/24"),
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("10.0.0.1", "10.0.0.0/24"),
    ],
)
def test_networks_in_use_are_told_with_who_uses_them(route: str, needs: str) -> None:
    routes = json.dumps([{"dst": route, "dev": "tun0"}])

    (said,) = preflight.network(routes=routes, links="[]")

    assert said == (
        f"{route} is routed to tun0, and the loop needs {needs}: take that link down while the "
        "loop is up."
    )


def test_wider_networks_are_no_hindrance() -> None:
    routes = json.dumps([{"dst": "default"}, {"dst": "10.0.0.0/8", "dev": "tun0"}])

    assert list(preflight.network(routes=routes, links="[]")) == []


def test_another_cluster_s_kube_proxy_is_told() -> None:
    (said,) = preflight.proxy_tables("table ip filter\ntable ip kube-proxy\n")

    assert "stop that cluster first" in said
    assert list(preflight.proxy_tables("table ip filter\n")) == []


def test_a_full_disk_is_told_with_how_much_is_needed(tmp_path: Path) -> None:
    (said,) = preflight.disk(tmp_path, wanted=2**70)

    assert said.startswith(f"{tmp_path} has ")
    assert said.endswith("make room there.")
    assert list(preflight.disk(tmp_path, wanted=1)) == []


def test_what_the_kernel_lacks_is_told() -> None:
    said = list(preflight.kernel("nodev\ttmpfs\n\text4\n", {"memory", "cpuset"}))

    assert said[0] == "The kernel has no overlay file system loaded: run `modprobe overlay`."
    assert said[1].startswith("No cgroup hierarchy offers cpuset, memory: mount them")
    assert list(preflight.kernel("nodev\toverlay\n", set())) == []


def test_links_and_tables_that_the_kernel_refuses_are_told(tmp_path: Path) -> None:
    refuses = tmp_path / "unshare"
    refuses.write_text("#!/bin/sh\necho Operation not permitted >&2\nexit 1\n")
    refuses.chmod(0o755)

    (said,) = preflight.networking(path=str(tmp_path))

    assert said.startswith(
        "The kernel refuses a bridge, a veth pair or an nft table (Operation not permitted): load"
    )


def test_a_folder_without_a_commit_is_told(tmp_path: Path) -> None:
    (said,) = preflight.history(tmp_path)

    assert said == f"{tmp_path} is no Git checkout with a commit: clone the repository, or commit."


def test_a_shallow_clone_is_told_how_to_get_its_history(tmp_path: Path) -> None:
    """Image tags are numbered by the history."""
    deep, shallow = tmp_path / "deep", tmp_path / "shallow"
    person = ["-c", "user.name=a person", "-c", "user.email=person@example.invalid"]
    subprocess.run(["git", "init", "--quiet", deep], check=True)
    for message in ("One", "Two"):
        commit = ["commit", "--quiet", "--allow-empty", "-m", message]
        subprocess.run(["git", "-C", deep, *person, *commit], check=True)
    origin = f"file://{deep}"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", origin, shallow], check=True)

    (said,) = preflight.history(shallow)

    assert "`git fetch --unshallow`" in said
    assert list(preflight.history(deep)) == []


def test_an_unknown_name_in_loop_without_is_told_with_the_nearest() -> None:
    names, problems = preflight.left_out("discord, opnai")

    assert names == {"discord", "opnai"}
    assert problems == [
        (
            "LOOP_WITHOUT names 'opnai' (did you mean openai?). Only these can be left out: "
            "image-reflector-controller, image-automation-controller, notification-controller, "
            "discord, openai, vault, github, azure-provider, secrets-store-csi-driver, "
            "csi-registrar."
        )
    ]


def test_all_problems_are_told_at_once_and_that_nothing_was_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert up.refuse(["One.", "Two."]) == 1
    assert capsys.readouterr().err == "✗ One.\n✗ Two.\nNothing was changed.\n"


def test_an_older_python_is_told_which_one_is_needed() -> None:
    """Tried with the version pretended, because every Python here is new enough."""
    program = (
        "import sys; sys.version_info = (3, 9); from tests.loop import __main__ as m; "
        "sys.exit(m.main(['up']))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr.startswith("The loop needs Python 3.11 or newer")


def test_two_at_once_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second sees the lock held, and the kernel frees it with its holder."""
    monkeypatch.setattr(state, "LOCK", f"\0discord-sky-loop-test-{os.getpid()}")
    with lock.take(), pytest.raises(lock.Held):
        lock.take()

    lock.take().close()


def _running(checkout: Path, left_out: frozenset[str] = frozenset()) -> state.Loop:
    pid = os.getpid()
    return state.Loop(
        "id", checkout, "up", pid, state.start_ticks(pid), 0.0, left_out, processes={}
    )


def test_the_loop_of_another_checkout_is_named_with_the_command_that_ends_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert up.already(_running(Path("/home/other/sky")), frozenset()) == 1

    assert "run `make -C /home/other/sky loop-down` first" in capsys.readouterr().err


def test_this_checkout_s_own_loop_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert up.already(_running(up.CHECKOUT), frozenset()) == 0

    assert "is up already" in capsys.readouterr().out


def test_a_loop_that_leaves_out_something_else_is_not_what_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert up.already(_running(up.CHECKOUT, frozenset({"openai"})), frozenset()) == 1

    assert "leaves out openai; you ask to leave out nothing" in capsys.readouterr().err
