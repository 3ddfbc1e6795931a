"""The vault as a person reaches it who may write: Azure's own library, led to the stand-in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from tests.loop import pki, state


@contextmanager
def operator() -> Iterator[SecretClient]:
    """Open the loop's vault with the role Key Vault Secrets Officer."""
    known = json.loads(state.TENANT_FILE.read_text())
    (who,) = [one for one in known["identities"] if one["name"] == "operator"]
    way = {
        "proxies": {"https": f"http://{state.VAULT_PROXY}"},
        "connection_verify": str(pki.CA),
        "use_env_settings": False,  # the terminal's proxy is not the loop's
    }
    with (
        ClientSecretCredential(state.TENANT, who["client_id"], who["client_secret"], **way) as whom,
        SecretClient(state.VAULT_URL, whom, **way) as vault,
    ):
        yield vault
