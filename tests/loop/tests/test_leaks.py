"""B4: after all tests, no secret's value is anywhere but in the vault and in its files."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from lightkube import AsyncClient
from lightkube.resources.core_v1 import Pod, Secret

from tests.loop.scenarios import leaks
from tests.loop.scenarios.leaks import Leak, Search
from tests.loop.supervisor import state

VALUE = b"sk-loop-this-is-a-made-up-value"


@pytest.fixture
def search() -> Search:
    return Search({VALUE: "a key"})


@pytest.mark.parametrize("place", range(5))
def test_the_search_sees_a_value_in_base64_wherever_it_stands(search: Search, place: int) -> None:
    text = base64.b64encode(b"x" * place + VALUE + b"and more")

    assert Leak("there", "a key in base64") in set(search.data("there", text))


def test_the_search_sees_a_value_that_lies_across_two_chunks(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "_CHUNK", 16)
    (tmp_path / "log").write_bytes(b"a" * 10 + VALUE + b"b" * 10)

    with (tmp_path / "log").open("rb") as stream:
        assert list(search.stream("log", stream)) == [Leak("log", "a key")]


def test_the_search_sees_environments_and_command_lines(search: Search) -> None:
    program = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, VALUE.decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"KEY": VALUE.decode()},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # from here on it is the program that was asked for
        found = {leak.where.split(" (")[0] for leak in leaks.processes(search)}
        process.communicate()

    assert {where.split(" ")[0] for where in found} == {"cmdline", "environ"}


@pytest.mark.loop
@pytest.mark.timeout(240)
async def test_no_value_of_a_secret_is_anywhere_it_does_not_belong(
    loop: state.Loop, api: AsyncClient
) -> None:
    """Logs, metrics, environments, command lines, Kubernetes, Git and image layers."""
    assert loop.alive
    known = leaks.values()
    assert len(known) >= 3
    search = Search(known)
    addresses = [
        pod.status.podIP
        async for pod in api.list(Pod, namespace=state.BOT_NAMESPACE)
        if pod.status is not None and pod.status.podIP
    ]

    found = {*leaks.everywhere(search), *leaks.metrics(search, tuple(addresses))}

    assert found == set()


@pytest.mark.loop
async def test_no_kubernetes_secret_is_needed(loop: state.Loop, api: AsyncClient) -> None:
    assert loop.alive
    assert [one async for one in api.list(Secret, namespace=state.BOT_NAMESPACE)] == []
