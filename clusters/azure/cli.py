"""The command line and its help."""

from __future__ import annotations

import argparse

from clusters.azure.state import NAME

_ABOUT = """\
Take an empty Azure subscription to a running bot: create what the bot needs in Azure, in the
cluster and on GitHub before Flux takes over. "On Azure" in README.md walks you through it.

  up         create whatever is missing; check what exists and leave it alone
  teardown   remove what up created, and nothing else
  doctor     check every link from the cluster to the bot's answer; name the first broken one
             and how to fix it
"""
_MORE = """\
You can stop up and teardown at any time and run them again. With --dry-run they print every
command and run none. They ask before they create or remove anything.

To use an existing cluster or registry, name it; it is used as it is. Naming one that does not
exist is an error, unless you ask for it to be created under that name:
  python -m clusters.azure up --cluster my-aks --registry myregistry
  python -m clusters.azure up --cluster my-aks --make-cluster

Your choices and the ids that set-up found are kept in clusters/azure/NAME.local.env, next to a
kubeconfig of its own.
Exit codes: 0 everything exists (or is gone), 1 something is wrong, 2 bad command line, 130 stopped.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    main = argparse.ArgumentParser(
        prog="python -m clusters.azure",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = main.add_subparsers(dest="action", metavar="ACTION", required=True)
    common = _common()
    _add_up(actions.add_parser("up", parents=[common], help="create whatever is missing"))
    actions.add_parser("teardown", parents=[common], help="remove what up created")
    # The doctor has a command line of its own, parsed before this one: doctor/command.py.
    actions.add_parser("doctor", add_help=False, help="find out what does not work, and why")
    return main


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--name", default=NAME, help="name of this set-up; other names derive from it (%(default)s)"
    )
    common.add_argument(
        "--subscription", metavar="ID", help="Azure subscription (default: az's current one)"
    )
    common.add_argument(
        "--group", metavar="NAME", help="resource group (default: the set-up's name)"
    )
    common.add_argument("--cluster", metavar="NAME", help="existing AKS cluster")
    common.add_argument("--cluster-group", metavar="NAME", help="resource group of the cluster")
    common.add_argument("--registry", metavar="NAME", help="existing container registry")
    common.add_argument("--registry-group", metavar="NAME", help="resource group of the registry")
    common.add_argument("--vault", metavar="NAME", help="name of the Key Vault")
    common.add_argument(
        "--repository", metavar="OWNER/NAME", help="GitHub repository (default: this checkout's)"
    )
    common.add_argument("--dry-run", action="store_true", help="print every command, run none")
    common.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    return common


def _add_up(up: argparse.ArgumentParser) -> None:
    up.add_argument("--location", metavar="REGION", help="Azure region (eastus)")
    for thing in ("cluster", "registry"):
        up.add_argument(
            f"--make-{thing}",
            action="store_const",
            const="yes",
            help=f"create the {thing} that --{thing} names if it does not exist",
        )
    up.add_argument("--node-size", metavar="SIZE", help="VM size of the node (Standard_D2s_v5)")
    up.add_argument(
        "--tight", action="store_true", help="continue even if the node has little capacity left"
    )
    up.add_argument(
        "--upgrade-channel",
        choices=("stable", "patch", "none"),
        help="what Azure upgrades Kubernetes to by itself (stable)",
    )
    up.add_argument(
        "--maintenance-window",
        metavar="'DAY HH:MM'",
        help="weekly, four hours, in UTC or with an offset ('Sunday 03:00')",
    )
    up.add_argument(
        "--authorized-ranges",
        metavar="CIDR,...",
        help="the only addresses that reach the cluster's API server (default: all)",
    )
    up.add_argument(
        "--ruleset",
        action="store_const",
        const="yes",
        help="protect main on GitHub: pull requests with passing checks, no force push",
    )
    up.add_argument(
        "--discord-webhook",
        metavar="FILE",
        help="report deployments and failures to the Discord webhook in FILE",
    )
    up.add_argument(
        "--status-token",
        metavar="FILE",
        help="set commit statuses on GitHub with the token in FILE",
    )
    up.add_argument(
        "--dispatch-token",
        metavar="FILE",
        help="go back in Git from a version that fails; the token in FILE tells GitHub of it",
    )
    up.add_argument(
        "--ci-subject",
        metavar="SUBJECT",
        help="subject of main's OIDC tokens, if the repository has a template of its own",
    )
