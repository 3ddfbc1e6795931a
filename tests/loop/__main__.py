"""The one-machine loop's commands: `python -m tests.loop up`, `status`, `down` and the others."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence

_EPILOG = """\
up       looks first and says what is missing; then starts everything, as far as possible at once.
         What is up stays up when this terminal closes. What crashes is started again and counted.
status   every process, every address, the kubeconfig, what is left out, the pods.
logs     without a name: lists them. After `down`, the last loop's logs.
down     ends everything and removes every trace but the last logs; says what it removed.
         Works after any accident.

To see how something behaves when a part fails:
  kill etcd            as a crash: the supervisor starts it again
  stop registry        and it stays down until `start registry`
  lose registry        the same, but it ends as if its machine was lost
  freeze openai        hangs without closing a connection, until `thaw openai`

LOOP_WITHOUT=discord,openai leaves these out, so that other programs take their place: addresses
and credentials are in `status`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is where an older one is told so
        print("The loop needs Python 3.11 or newer: PYTHON=python3.11 make setup.", file=sys.stderr)
        return 1
    arguments = _parser().parse_args(argv)
    # Imported here, so an older Python meets the sentence above and not a SyntaxError.
    from tests.loop.supervisor import control, down, state, status, up  # noqa: PLC0415

    commands: dict[str, Callable[[], int]] = {
        "up": lambda: up.up(os.environ.get("LOOP_WITHOUT", "")),
        "down": down.down,
        "status": status.status,
        "logs": lambda: status.logs(arguments.name, follow=arguments.follow),
    }
    if arguments.command in {"status", "logs"}:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    if command := commands.get(arguments.command):
        return command()
    try:
        control.request(arguments.command, arguments.name)
    except (state.LoopDown, control.Refused, TimeoutError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    print(f"{arguments.name}: {arguments.command} is done")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.loop",
        description="A real Kubernetes cluster with Flux, as processes on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start the loop")
    commands.add_parser("status", help="show what runs and where")
    commands.add_parser("down", help="end the loop and remove every trace but the last logs")
    logs = commands.add_parser("logs", help="list the logs, or show one")
    logs.add_argument("name", nargs="?", default="", help="a process")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it grows")
    for name, what in {
        "kill": "crash one process; it is started again",
        "stop": "end one process and keep it down",
        "lose": "crash one process and keep it down",
        "start": "start a stopped process",
        "restart": "stop and start one process",
        "freeze": "make one process hang",
        "thaw": "let a frozen process go on",
        "wait": "wait until one process is ready",
    }.items():
        commands.add_parser(name, help=what).add_argument("name", help="a process")
    return parser


if __name__ == "__main__":
    sys.exit(main())
