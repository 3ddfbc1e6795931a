"""`up`: look first, then start the supervisor and say what it does until the loop is up."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.loop.cluster import git_server
from tests.loop.supervisor import cleanup, leftovers, lock, ports, preflight, state

CHECKOUT = Path(__file__).resolve().parents[3]


def up(without: str) -> int:
    """Bring the loop up; return the exit code. WITHOUT lists stand-ins to leave out."""
    began = time.monotonic()
    left_out, problems = preflight.left_out(without)
    problems += [*preflight.root()]
    if problems:
        return refuse(problems)
    try:
        held = lock.take()
    except lock.Held:
        return already(state.read(), left_out)
    with held:
        problems = [
            *preflight.tools(),
            *preflight.programs(),
            *preflight.history(CHECKOUT),
            *preflight.kernel(),
            *preflight.disk(),
        ]
        if problems:
            return refuse(problems)
        if not _clean_old_loop():
            return 1
        problems = [
            *preflight.networking(),
            *preflight.network(),
            *preflight.proxy_tables(),
            *preflight.addresses(ports.needed(left_out)),
        ]
        if problems:
            return refuse(problems)
        _mention(left_out)
        return _start(held, left_out, began)


def refuse(problems: list[str]) -> int:
    """Tell the problems and return the exit code."""
    for problem in problems:
        print(f"✗ {problem}", file=sys.stderr)
    print("Nothing was changed.", file=sys.stderr)
    return 1


def already(loop: state.Loop | None, left_out: frozenset[str]) -> int:
    """Say who runs the loop; that is well only when it is this checkout's and as asked for."""
    if loop is None or not loop.alive:
        return refuse(["Another `up` or `down` is at work on this machine: wait for its end."])
    if loop.checkout != CHECKOUT:
        other = f"The loop of {loop.checkout} is {loop.phase} on this machine"
        remedy = f"run `make -C {loop.checkout} loop-down` first"
        return refuse([f"{other}, and there can be only one: {remedy}."])
    if loop.phase != "up":
        return refuse([f"The loop is {loop.phase}: `make loop-status` shows how far it is."])
    if loop.left_out != left_out:
        now, asked = _names(loop.left_out), _names(left_out)
        sentence = f"The loop is up and leaves out {now}; you ask to leave out {asked}"
        return refuse([f"{sentence}: run `make loop-down` first."])
    print("The loop is up already: `make loop-status` shows it.")
    return 0


def _names(left_out: frozenset[str]) -> str:
    return ", ".join(sorted(left_out)) or "nothing"


def _clean_old_loop() -> bool:
    """Remove what a killed loop left; return whether nothing is left of it."""
    if not leftovers.find():
        return True
    old = state.read()
    whose = f"the loop of {old.checkout}" if old else "an earlier loop"
    print(f"{whose[0].upper()}{whose[1:]} was killed and left something behind; cleaning up:")
    left = cleanup.clean(lambda text: print(f"  {text}"))
    for line in left.lines():
        print(f"✗ could not remove {line}", file=sys.stderr)
    return not left


def _mention(left_out: frozenset[str]) -> None:
    if left_out:
        print(f"Left out: {_names(left_out)}.")
    if changed := git_server.uncommitted(CHECKOUT):
        print(f"Note: the loop's Git gets HEAD; {len(changed)} uncommitted changes are not in it.")


def _start(held: socket.socket, left_out: frozenset[str], began: float) -> int:
    """Start the supervisor and repeat what it says until the loop is up or has failed."""
    state.LOGS.mkdir(parents=True)
    state.RUN.mkdir()
    leftovers.note_fixed_paths()
    reading, writing = os.pipe()
    print("Starting the loop. Each line is said when that part serves.")
    with (state.LOGS / "supervisor.log").open("ab") as log:
        subprocess.Popen(  # it outlives this process, on purpose
            [
                *(sys.executable, "-m", "tests.loop.supervisor.supervisor"),
                *("--checkout", CHECKOUT),
                *("--without", ",".join(sorted(left_out))),
                *("--progress", str(writing)),
                *("--lock", str(held.fileno())),
            ],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, state.MARKER: secrets.token_hex(8)},
            start_new_session=True,
            pass_fds=(writing, held.fileno()),
        )
    os.close(writing)
    try:
        code = _follow(reading)
    except KeyboardInterrupt:
        print("\nThe loop goes on starting: `make loop-status` shows it, `make loop-down` ends it.")
        return 130
    if code == 0:
        print(f"The loop is up after {time.monotonic() - began:.1f} s.")
        print(f"  export KUBECONFIG={state.KUBECONFIG}")
        print("  make loop-status   every process and address; make loop-down takes it down")
    return code


def _follow(reading: int) -> int:
    for line in _lines(reading):
        if "end" not in line:
            print(line["say"], flush=True)
        elif line["end"] == 0:
            return 0
        else:
            return _failed()
    loop = state.read()
    if loop is None or loop.phase == "stopping":
        print("The loop was taken down while it was starting.", file=sys.stderr)
        return 1
    print("The supervisor ended while the loop was starting:", file=sys.stderr)
    print((state.LOGS / "supervisor.log").read_text()[-2000:], file=sys.stderr)
    return _failed()


def _failed() -> int:
    """Remove what was started, keep the logs, and say so."""
    left = cleanup.clean(lambda _: None)
    for line in left.lines():
        print(f"✗ could not remove {line}", file=sys.stderr)
    print(f"Everything was taken down again; all logs are in {state.LAST_LOGS}.", file=sys.stderr)
    return 1


def _lines(reading: int) -> Iterator[dict[str, object]]:
    with os.fdopen(reading) as pipe:
        for line in pipe:
            yield json.loads(line)
