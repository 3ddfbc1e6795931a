"""`make secret`: set a new version of a secret in the loop's vault, as a person would in Azure.

    make secret NAME=openai-api-key                       asks for the value, without echo
    make secret NAME=openai-api-key VALUE=- < new-key     reads it from standard input
    make secret NAME=discord-token VALUE=- ARGS=--disabled

In production: `az keyvault secret set --vault-name NAME --name openai-api-key --file new-key`.
"""

import argparse
import getpass
import sys
from collections.abc import Sequence

from azure.core.exceptions import AzureError
from azure.keyvault.secrets import SecretClient

from tests.loop.cluster import azure
from tests.loop.supervisor import state


def main(argv: Sequence[str] | None = None) -> int:
    """Set the version and say which it is. Return 0, or 1 with a sentence."""
    parser = argparse.ArgumentParser(
        prog="make secret", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", help="discord-token or openai-api-key")
    parser.add_argument("value", nargs="?", default="", help="- for standard input")
    parser.add_argument("--disabled", action="store_true", help="set it and disable it")
    options = parser.parse_args(argv)
    if options.value not in {"", "-"}:
        print(
            "A value on the command line is seen by everyone on this machine: leave VALUE out, "
            "or write VALUE=- and give it on standard input.",
            file=sys.stderr,
        )
        return 1
    try:
        state.load()
        value = _read(options)
        with azure.operator() as vault:
            _set(vault, options.name, value, enabled=not options.disabled)
    except (state.LoopDown, AzureError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    return 0


def _read(options: argparse.Namespace) -> str:
    if options.value == "-":
        return sys.stdin.read()
    return getpass.getpass(f"new value of {options.name}: ")


def _set(vault: SecretClient, name: str, value: str, *, enabled: bool) -> None:
    version = vault.set_secret(name, value, enabled=enabled, content_type="text/plain").properties
    print(f"{name} has the new version {version.version} in {state.VAULT_URL}")
    print("The driver writes it into the pod within seconds; a refused one is asked for sooner.")


if __name__ == "__main__":
    sys.exit(main())
