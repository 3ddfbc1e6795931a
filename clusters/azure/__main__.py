"""Composition root: arguments and record -> runner -> up, teardown or doctor -> exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from clusters.azure.cli import parser
from clusters.azure.doctor.command import main as doctor
from clusters.azure.runner import Execute, Runner, Shell, Stop
from clusters.azure.state import (
    FOLDER,
    from_arguments,
    from_record,
    load_record,
    named,
    record_path,
)
from clusters.azure.teardown import teardown
from clusters.azure.up import up

_ACTIONS = {"up": up, "teardown": teardown}
_GO_ON = "\nStopped; nothing is lost. The same command continues from here; teardown undoes it."


def main(
    arguments: Sequence[str],
    *,
    execute: Execute | None = None,
    folder: Path = FOLDER,
    say: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Do what the command line says and return the exit code. Tests pass in the rest."""
    if arguments[:1] == ["doctor"]:
        return doctor(list(arguments[1:]))
    chosen = parser().parse_args(arguments)
    output = say or _say
    try:
        file = record_path(chosen.name, folder)
        before = load_record(file)
        values = {
            **from_record(before),
            **from_arguments(chosen),
            "NAME": chosen.name,
            "KUBECONFIG": str(folder / f"{chosen.name}.local.kubeconfig"),
        }
        runner = Runner(
            values=values,
            execute=execute or Shell(output),
            say=output,
            sleep=sleep,
            dry_run=chosen.dry_run,
            tight=getattr(chosen, "tight", False),
            named=named(from_arguments(chosen), before),
        )
        _ACTIONS[chosen.action](runner, file, (lambda _: True) if chosen.yes else _asked)
    except Stop as stop:
        output(f"\n{stop}")
        return 1
    except KeyboardInterrupt:
        output(_GO_ON)
        return 130
    output(_ending(chosen.action, dry=chosen.dry_run))
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - its output


def _asked(question: str) -> bool:
    if not sys.stdin.isatty():
        raise Stop(f"{question} There is nobody to answer; --yes confirms in advance.")
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _ending(action: str, *, dry: bool) -> str:
    if dry:
        return "\nNothing was run."
    if action == "teardown":
        return "\nGone."
    return "\nThe bot is running. From here on: merge deploys, git revert rolls back."


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:  # `… --dry-run | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
