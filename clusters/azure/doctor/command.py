"""`doctor`: look, tell, and end with 1 if something is broken."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clusters.azure.doctor import show
from clusters.azure.doctor.chain import diagnose, first_broken
from clusters.azure.doctor.collect import Collector
from clusters.azure.doctor.kubectl import Kubectl

ABOUT = "Walk from the cluster to the bot's answer, and name the first broken link with its remedy."
_MORE = """\
kubectl is enough: its current context is looked at. It reads objects, conditions and events, asks
the bot's /readyz and /metrics through a port-forward, and reads the end of its log. It also asks
Entra and the vault as the bot does, with a token of the bot's ServiceAccount (`kubectl create
token`), for the state of the two secrets, never their values. Where somebody is logged in with az,
it compares identities, federated credentials and roles too. It changes nothing.

Exit codes: 0 nothing is known to be broken, 1 a link is broken, 2 for a wrong command line.
"""


def main(arguments: list[str]) -> int:
    """Run it; return the exit code."""
    options = _parser().parse_args(arguments)
    collector = Collector(Kubectl(options.context), passive=options.passive)
    facts = collector.facts()
    if options.facts:
        options.facts.write_text(facts.model_dump_json(indent=1) + "\n")
    links = diagnose(facts)
    shown = show.as_json(links, facts) if options.json else show.as_text(links, facts)
    sys.stdout.write(f"{shown}\n")
    return 1 if first_broken(links) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clusters.azure doctor",
        description=ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.add_argument("--context", default="", metavar="NAME", help="of the kubeconfig")
    parser.add_argument(
        "--passive", action="store_true", help="only look at the cluster; ask neither vault nor az"
    )
    parser.add_argument(
        "--facts", type=Path, metavar="FILE", help="write what was seen; no credential is in it"
    )
    return parser
