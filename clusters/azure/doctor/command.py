"""The command `doctor`: gather the facts, check the links, exit with 1 if one is broken."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from clusters.azure import state
from clusters.azure.doctor.links import diagnose, first_broken
from clusters.azure.doctor.probes import Collector
from clusters.azure.doctor.report import as_json, as_text
from clusters.kubectl import Kubectl

# The values of the record that remedies name.
_NAMES = ("NAME", "RESOURCE_GROUP", "AKS_NAME", "AKS_RESOURCE_GROUP")
ABOUT = "Check every link from the cluster to the bot's answer; name the first broken one."
_MORE = """\
It needs kubectl only. The kubeconfig is the one that --kubeconfig names, else $KUBECONFIG, else the
set-up's own (clusters/azure/NAME.local.kubeconfig), else kubectl's default one; the first line says
which context of which one was used. The doctor reads objects, conditions and events, asks the bot's
/readyz and /metrics through a port-forward, and reads the end of its log. With a token of the bot's
ServiceAccount (`kubectl create token`) it asks Entra and the vault, as the bot does, for the state
of the two secrets, never their values. If you are logged in with az, it also checks identities,
federated credentials, roles and tags; with gh, the workflows, the rules for main, and whether what
runs was built from what main has now. It changes nothing.

Exit codes: 0 nothing is known to be broken, 1 a link is broken, 2 for a wrong command line.
"""


def main(arguments: list[str]) -> int:
    """Run the doctor; return the exit code."""
    options = _parser().parse_args(arguments)
    for name in ("azure", "msal"):  # what they warn about is a link's result
        logging.getLogger(name).setLevel(logging.CRITICAL)
    known = state.load_record(state.record_path(options.name, state.FOLDER))
    names = {key: known[key] for key in _NAMES if key in known}
    if options.name != state.NAME:
        names["NAME"] = options.name
    own = state.own_kubeconfig(options.name)
    kubeconfig = options.kubeconfig or own
    facts = Collector(
        Kubectl(kubeconfig, options.context),
        passive=options.passive,
        names=names,
        source=_source(options.kubeconfig, own),
    ).facts()
    if options.facts:
        options.facts.write_text(facts.model_dump_json(indent=1) + "\n")
    links = diagnose(facts)
    shown = as_json(links, facts) if options.json else as_text(links, facts)
    if kubeconfig and not options.json:
        shown += f"\n\nkubectl and flux use the same cluster after: export KUBECONFIG={kubeconfig}"
    sys.stdout.write(f"{shown}\n")
    return 1 if first_broken(links) else 0


def _source(given: str, own: str) -> str:
    """Say whose kubeconfig it is, without a path: facts may be shown to others."""
    if given:
        return "of --kubeconfig"
    if own:
        return "of the set-up's own kubeconfig"
    return "of $KUBECONFIG" if "KUBECONFIG" in os.environ else "of kubectl's default kubeconfig"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clusters.azure doctor",
        description=ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--name", default=state.NAME, help="name of the set-up (%(default)s)")
    parser.add_argument(
        "--kubeconfig", default="", metavar="FILE", help="kubeconfig to use (default: see below)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--context", default="", metavar="NAME", help="context of the kubeconfig to use"
    )
    parser.add_argument(
        "--passive",
        action="store_true",
        help="look at the cluster only; ask neither the vault nor az nor gh",
    )
    parser.add_argument(
        "--facts",
        type=Path,
        metavar="FILE",
        help="write what was seen to FILE, without any credential",
    )
    return parser
