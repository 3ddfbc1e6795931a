"""The command line, and the help that teaches it."""

from __future__ import annotations

import argparse

from clusters.azure.state import NAME

_ABOUT = """\
From an empty subscription to a running bot: what has to exist in Azure, in the cluster and on
GitHub before Flux takes over. README.md, "On Azure", goes through it.

  up         make what is missing; what is there is checked and left alone
  teardown   remove what up made, and nothing else
  doctor     walk from the cluster to the bot's answer, name the first broken link with its remedy
"""
_MORE = """\
The first two can be stopped at any moment and run again. They take --dry-run, which prints every
command and runs none. You are asked before anything is made and before anything is removed.

An existing cluster or registry is used as it is: name it. One that is named and is not there is an
error, unless you say that it is to be made under that name.
  python -m clusters.azure up --cluster my-aks --registry myregistry
  python -m clusters.azure up --cluster my-aks --make-cluster

What was chosen and learned is in clusters/azure/NAME.local.env, beside it a kubeconfig of its own.
Exit codes: 0 all is there (or gone), 1 something is not, 2 for a wrong command line, 130 stopped.
"""


def parser() -> argparse.ArgumentParser:
    """Make the parser."""
    main = argparse.ArgumentParser(
        prog="python -m clusters.azure",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = main.add_subparsers(dest="action", metavar="ACTION", required=True)
    common = _common()
    _up(actions.add_parser("up", parents=[common], help="make what is missing"))
    actions.add_parser("teardown", parents=[common], help="remove what up made")
    # It has a command line of its own, read before this one: doctor/command.py.
    actions.add_parser("doctor", add_help=False, help="say what does not work, and why")
    return main


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--name", default=NAME, help="of this set-up; names and tags come from it (%(default)s)"
    )
    common.add_argument("--subscription", metavar="ID", help="else the one that az has chosen")
    common.add_argument("--group", metavar="NAME", help="resource group (the set-up's name)")
    common.add_argument("--cluster", metavar="NAME", help="existing AKS cluster")
    common.add_argument("--cluster-group", metavar="NAME", help="its resource group")
    common.add_argument("--registry", metavar="NAME", help="existing container registry")
    common.add_argument("--registry-group", metavar="NAME", help="its resource group")
    common.add_argument("--vault", metavar="NAME", help="Key Vault")
    common.add_argument("--repository", metavar="OWNER/NAME", help="else this checkout's")
    common.add_argument("--dry-run", action="store_true", help="print every command, run none")
    common.add_argument("--yes", action="store_true", help="do not ask")
    return common


def _up(up: argparse.ArgumentParser) -> None:
    up.add_argument("--location", metavar="REGION", help="Azure region (eastus)")
    for thing in ("cluster", "registry"):
        up.add_argument(
            f"--make-{thing}",
            action="store_const",
            const="yes",
            help=f"make the one that --{thing} names, if it is not there",
        )
    up.add_argument("--node-size", metavar="SIZE", help="of the one node (Standard_D2s_v5)")
    up.add_argument("--tight", action="store_true", help="go on although the node has little room")
    up.add_argument(
        "--discord-webhook", metavar="FILE", help="tell deploys and failures at the address in it"
    )
    up.add_argument(
        "--status-token", metavar="FILE", help="mark commits on GitHub with the token in it"
    )
    up.add_argument(
        "--ci-subject", metavar="SUBJECT", help="of main's OIDC tokens, for a template of your own"
    )
