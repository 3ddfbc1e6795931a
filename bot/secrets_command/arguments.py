"""The command line of `secrets`, and the help that teaches it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

SECRETS = ("discord-token", "openai-api-key")

_ABOUT = """\
Look at the bot's two secrets in Azure Key Vault, and change them while it runs.

  check    each secret: there, enabled, not expired, accepted by its service, used by the bot
  set      the first value, or a new one
  rotate   the same with each step told, for a secret that is in use
  undo     the value before, as a new version
"""
_MORE = """\
A value is typed at a prompt that does not show it, or comes on standard input; it is never on the
command line. It is tried against Discord or the model's provider first: what is refused is not set.
Then the command waits until the running bot reports the new value's digest in its metrics. It
reaches them through `kubectl port-forward`, or at --metrics-url; --no-bot does without.

Who you are: the pod's workload identity where AZURE_FEDERATED_TOKEN_FILE is set, otherwise whoever
is logged in with `az login`. check needs the role "Key Vault Secrets User" on the vault, the others
"Key Vault Secrets Officer"; if one is missing, the command says who lacks which.

Examples:
  python -m bot secrets check --vault https://my-vault.vault.azure.net
  python -m bot secrets rotate discord-token --vault https://my-vault.vault.azure.net
  pass show openai | python -m bot secrets set openai-api-key --no-bot

The same by hand, without the trying and the waiting:
  az keyvault secret set --vault-name my-vault --name discord-token --file FILE --encoding utf-8
Exit codes: 0 all is well, 1 something is not, 2 for settings that cannot be used.
"""
_DEFAULT_DAYS, _DEFAULT_WAIT = 90, 300.0


def add(commands: Any) -> None:
    """Add `secrets` to the subparsers `commands`."""
    parser = commands.add_parser(
        "secrets",
        help="check, set, rotate or undo the secrets in Azure Key Vault",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command="secrets")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    common, changing = _common(), _changing()
    actions.add_parser("check", parents=[common], help="say how the secrets are")
    for name, meaning in (
        ("set", "set a value"),
        ("rotate", "exchange a value, step by step"),
        ("undo", "set the value before again"),
    ):
        action = actions.add_parser(name, parents=[common, changing], help=meaning)
        action.add_argument("secret", choices=SECRETS, metavar="SECRET", help=" or ".join(SECRETS))


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--vault", metavar="URL", help="https://my-vault.vault.azure.net")
    common.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the settings file"
    )
    common.add_argument("--metrics-url", metavar="URL", help="where the running bot's metrics are")
    common.add_argument(
        "--namespace", default="discord-sky", help="for kubectl port-forward (%(default)s)"
    )
    common.add_argument("--no-bot", action="store_true", help="do not look at the running bot")
    return common


def _changing() -> argparse.ArgumentParser:
    changing = argparse.ArgumentParser(add_help=False)
    changing.add_argument(
        "--expires-in",
        type=int,
        metavar="DAYS",
        default=_DEFAULT_DAYS,
        help="when the version expires (%(default)s); 0 for never",
    )
    changing.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        default=_DEFAULT_WAIT,
        help="how long to wait for the bot (%(default)s)",
    )
    changing.add_argument(
        "--unchecked", action="store_true", help="set it although its service did not accept it"
    )
    return changing
