"""`python -m bot`, which can record the functions that one message runs through.

SIGUSR1 starts the recording, SIGUSR2 writes it to the file in PROFILE as JSON: for each file of
bot/ the qualified names, in the order of their first call. What counts is what runs in the context
of the message: from the gateway's parser for it, then in the task that `on_message` runs in, and in
every task and callback that is started there. All else that the process does meanwhile (heartbeats,
renewals of a Lease, probes) has another context.
"""

import asyncio
import contextvars
import json
import os
import runpy
import signal
import sys
from pathlib import Path
from types import CodeType, FrameType

BOT = f"{Path.cwd() / 'bot'}{os.sep}"
GATEWAY = "WebSocket.received_message"  # begins to read the next event
PARSED = "tolerate.<locals>.create_message"  # in an event that is a message
HANDLER = "GatewayClient.on_message"

_of_message = contextvars.ContextVar("of_message", default=False)
_calls: dict[CodeType, None] = {}
_event: dict[CodeType, None] = {}  # what the gateway's task ran since its last event
_gateway: list[asyncio.Task[object] | None] = []


def _profile(frame: FrameType, event: str, _: object) -> None:
    code = frame.f_code
    if event != "call" or not code.co_filename.startswith(BOT):
        return
    if code.co_qualname == GATEWAY and not _of_message.get():
        _gateway[:] = [asyncio.current_task()]
        if not any(each.co_qualname == PARSED for each in _event):
            _event.clear()
    if code.co_qualname == HANDLER:
        _of_message.set(True)
    if _of_message.get():
        _calls.setdefault(code)
    elif _gateway and _running_task() is _gateway[0]:
        _event.setdefault(code)


def _running_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None


def _start(*_: object) -> None:
    sys.setprofile(_profile)


def _write(*_: object) -> None:
    sys.setprofile(None)
    found: dict[str, list[tuple[str, int]]] = {}
    for code in {**_event, **_calls}:
        path = code.co_filename.removeprefix(BOT)
        found.setdefault(path, []).append((code.co_qualname, code.co_firstlineno))
    done = Path(os.environ["PROFILE"])
    done.with_suffix(".part").write_text(json.dumps(found))
    done.with_suffix(".part").rename(done)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # as `python -m` has it
    signal.signal(signal.SIGUSR1, _start)
    signal.signal(signal.SIGUSR2, _write)
    runpy.run_module("bot", run_name="__main__", alter_sys=True)
