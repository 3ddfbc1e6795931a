"""Ask the supervisor to do something to one process: for tests, benchmarks and people.

    from tests.loop import control
    control.kill("etcd")         # as a crash; it is started again by itself
    control.wait("etcd")         # until it serves
    control.stop("registry")     # and it stays down until control.start("registry")
    control.lose("registry")     # the same, as when its machine is lost
    control.freeze("openai")     # hangs without closing anything, until control.thaw("openai")

Each call returns when it is done; `start`, `restart` and `wait` when the process is ready.
"""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Mapping

from tests.loop.supervisor import state
from tests.loop.supervisor.process import Child

ACTIONS = ("start", "stop", "restart", "kill", "lose", "freeze", "thaw", "wait")


class Refused(RuntimeError):
    """The supervisor did not do it; the message says why."""


def start(name: str, timeout: float = 60) -> None:
    """Start a stopped process and wait until it is ready."""
    request("start", name, timeout)


def stop(name: str, timeout: float = 60) -> None:
    """End a process (TERM, then KILL) and keep it down."""
    request("stop", name, timeout)


def restart(name: str, timeout: float = 60) -> None:
    """Stop and start."""
    request("restart", name, timeout)


def kill(name: str, timeout: float = 60) -> None:
    """KILL a process and return when it has ended; the supervisor starts it again."""
    request("kill", name, timeout)


def lose(name: str, timeout: float = 60) -> None:
    """KILL a process and keep it down: it says goodbye to nobody."""
    request("lose", name, timeout)


def freeze(name: str, timeout: float = 60) -> None:
    """Stop a process where it is (SIGSTOP): it answers nobody and closes nothing."""
    request("freeze", name, timeout)


def thaw(name: str, timeout: float = 60) -> None:
    """Let a frozen process go on."""
    request("thaw", name, timeout)


def wait(name: str, timeout: float = 60) -> None:
    """Wait until a process that crashed or starts is ready."""
    request("wait", name, timeout)


def request(action: str, name: str, timeout: float = 60) -> None:
    """Send one request and wait for its answer. Raises LoopDown, Refused, TimeoutError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(state.CONTROL_SOCKET))
            connection.sendall(json.dumps({"do": action, "to": name}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or '"the supervisor went away"')
    except (FileNotFoundError, ConnectionError) as error:
        raise state.LoopDown("no supervisor answers: `make loop-up` starts the loop") from error
    if answer != "done":
        raise Refused(answer)


async def serve(children: Mapping[str, Child]) -> asyncio.Server:
    """Answer requests, from root only, until the event loop ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await _obey(children, await reader.readline())
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, state.CONTROL_SOCKET)
    state.CONTROL_SOCKET.chmod(0o600)
    return server


async def _obey(children: Mapping[str, Child], line: bytes) -> str:
    try:
        wanted = json.loads(line)
        action, name = wanted["do"], wanted["to"]
    except (ValueError, KeyError, TypeError):
        return "a request is one line of JSON: {do, to}"
    child = children.get(name)
    if child is None:
        return f"there is no process {name!r}; there are: {', '.join(children)}"
    if action not in ACTIONS:
        return f"there is no action {action!r}; there are: {', '.join(ACTIONS)}"
    await _do(child, action)
    return "done"


async def _do(child: Child, action: str) -> None:
    match action:
        case "start":
            await child.start()
        case "stop":
            await child.stop()
        case "restart":
            await child.stop()
            await child.start()
        case "kill":
            await child.kill()
        case "lose":
            await child.lose()
        case "freeze":
            child.signal(signal.SIGSTOP)
        case "thaw":
            child.signal(signal.SIGCONT)
        case "wait":
            await child.ready()
