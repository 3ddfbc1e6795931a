"""The loop's Azure as Azure's own library reaches it from this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.identity import ClientAssertionCredential, ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from tests.loop.cluster import pki
from tests.loop.supervisor import state

_SCOPE = "https://vault.azure.net/.default"


def way() -> dict[str, Any]:
    """Return what leads a client to the stand-in; the terminal's own proxy is not the loop's."""
    return {
        "proxies": {"https": f"http://{state.VAULT_PROXY}"},
        "connection_verify": str(pki.CA),
        "use_env_settings": False,
    }


@contextmanager
def operator() -> Iterator[SecretClient]:
    """Open the vault as a person who may write: with the role Key Vault Secrets Officer."""
    known = json.loads(state.TENANT_FILE.read_text())
    (who,) = [one for one in known["identities"] if one["name"] == "operator"]
    secret = who["client_secret"]
    with (
        ClientSecretCredential(state.TENANT, who["client_id"], secret, **way()) as credential,
        SecretClient(state.VAULT_URL, credential, **way()) as vault,
    ):
        yield vault


def as_bot(assertion: str) -> str:
    """Exchange a ServiceAccount's token for one of the bot's. Raises ClientAuthenticationError."""
    credential = ClientAssertionCredential(
        state.TENANT, state.BOT_CLIENT, lambda: assertion, **way()
    )
    with credential:
        return credential.get_token(_SCOPE).token
