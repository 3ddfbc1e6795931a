"""The command `make status`: who leads, versions, answers, money, deploys and alerts."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys

from rich.console import Console

from clusters.azure import state
from clusters.kubectl import Kubectl
from clusters.status.page import as_json, page, show_live
from clusters.status.reader import Reader

_MORE = """\
It needs kubectl only, and changes nothing. The kubeconfig is the one that --kubeconfig names, else
$KUBECONFIG, else the set-up's own (clusters/azure/NAME.local.kubeconfig), else kubectl's default
one. Without a terminal, or with --once, it prints the page once; rates are then those since the
bot's process began, and on the live page those of the last minute. An alert that is shown fulfils
its rule now; Prometheus waits for the rule's time before it notifies anybody.

Exit codes: 0 everything was read, 1 something could not be read, 2 for a wrong command line.
"""


def main(arguments: list[str]) -> int:
    """Show the status; return the exit code."""
    options = _parser().parse_args(arguments)
    kubeconfig = options.kubeconfig or state.own_kubeconfig(options.name)
    reader = Reader(Kubectl(kubeconfig, options.context))
    console = Console(highlight=False)
    live = console.is_terminal and not console.is_dumb_terminal
    if live and not options.once and not options.json:
        show_live(reader, console, options.every)
        return 0
    status, _ = reader.read()
    if options.json:
        sys.stdout.write(f"{as_json(status)}\n")
    else:
        console.print(page(status))
    return 1 if status.problems else 0


def _seconds(text: str) -> float:
    value = math.nan
    with contextlib.suppress(ValueError):
        value = float(text)
    if not 1 <= value <= 3600:  # noqa: PLR2004  # NaN as well
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 3600")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clusters.status",
        description="Show who leads, versions, answers a minute, money, last deploys and alerts.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="print the page once")
    parser.add_argument("--json", action="store_true", help="print JSON, once")
    parser.add_argument(
        "--every", type=_seconds, default=5.0, metavar="SECONDS", help="how often to read again (5)"
    )
    parser.add_argument("--name", default=state.NAME, help="name of the set-up (%(default)s)")
    parser.add_argument("--kubeconfig", default="", metavar="FILE", help="kubeconfig to use")
    parser.add_argument("--context", default="", metavar="NAME", help="context to use")
    return parser


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
