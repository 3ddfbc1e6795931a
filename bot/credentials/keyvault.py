"""Azure Key Vault through Azure's own libraries, which are imported when they are first needed.

They cost 19 MiB and a quarter of a CPU-second, so a bot or a command that never asks a vault does
without them. Unlike Discord's and OpenAI's clients they honour HTTPS_PROXY, NO_PROXY and
SSL_CERT_FILE. Every failure is a VaultTrouble whose label is one of REMEDIES: what the operator has
to do.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bot.credentials import entra
from bot.domain.errors import SkyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from azure.core.exceptions import HttpResponseError
    from azure.keyvault.secrets import SecretProperties
    from azure.keyvault.secrets.aio import SecretClient


REMEDIES = {
    "missing": "The vault has no such secret, or it was deleted: set it, or recover it.",
    "disabled": "The newest version of the secret is disabled: enable it, or set a new one.",
    "denied": "The identity may not do this: it lacks a role on the vault.",
    "firewall": "The vault's firewall does not let this address in.",
    "no_identity": "There is no identity to ask with: run `az login`, or set AZURE_CLIENT_ID, "
    "AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE as apps/discord-sky does.",
    "identity_expired": "Entra refused the pod's token as not valid now: it expired, or clocks "
    "disagree. The kubelet renews the file; compare the node's clock.",
    "identity_refused": "Entra refused the identity: compare the federated credential's issuer, "
    "subject and audience, the tenant and the client id.",
    "busy": "The vault has too many requests, or is failing.",
    "unreachable": "There is no connection to the vault or to Entra: look at DNS, proxy, egress.",
    "slow": "The vault did not answer in time.",
    "not_a_vault": "The address is not that of a Key Vault: look at credentials.keyvault_url.",
    "exists_deleted": "A deleted secret has this name: recover it first.",
    "refused": "The vault refused the request.",
}


class VaultTrouble(SkyError):
    """A request to Key Vault failed; `detail` is a code, or who lacks which permission."""

    def __init__(self, label: str, detail: str = "") -> None:
        super().__init__(f"{REMEDIES[label]} {detail}".strip())
        self.label = label
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret, without its value; times are Unix seconds."""

    id: str
    created: float = 0.0
    expires: float | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Secret:
    """A value and its version."""

    value: str = field(repr=False)
    version: Version


class Vault(Protocol):
    """What the running bot needs of a vault. All methods raise VaultTrouble."""

    async def read(self, name: str) -> Secret:
        """Read the newest version's value."""

    async def look(self, name: str) -> Version:
        """Look at the newest version without its value."""

    async def close(self) -> None:
        """Close the connections."""


_SECONDS = 10.0  # for one request, including its token
_CONNECT_SECONDS, _READ_SECONDS = 3, 9
_SCOPE = "https://vault.azure.net/.default"
_FORBIDDEN, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 403, 409, 429, 500
_INNER = {
    "SecretDisabled": "disabled",
    "ForbiddenByFirewall": "firewall",
    "ForbiddenByConnection": "firewall",
}


class AzureVault:
    """One vault, accessed with the identity that entra.py finds. See keyvault.Vault."""

    def __init__(
        self, url: str, environ: Mapping[str, str], seconds: float = _SECONDS, **options: Any
    ) -> None:
        """Pass `options` to Azure's libraries as well: tests set their authority that way."""
        self.url = url
        self._environ = environ
        self._seconds = seconds
        self._options = options
        self._making = asyncio.Lock()
        self._client: SecretClient | None = None
        self._identity: Any = None

    async def read(self, name: str) -> Secret:
        """See Vault."""
        async with self._asking() as client:
            found = await client.get_secret(name)
            return Secret(found.value or "", _version(found.properties))

    async def read_version(self, name: str, version: str) -> Secret:
        """Read the value of one version."""
        async with self._asking() as client:
            found = await client.get_secret(name, version)
            return Secret(found.value or "", _version(found.properties))

    async def look(self, name: str) -> Version:
        """See Vault."""
        versions = await self.versions(name)
        if not versions:
            raise VaultTrouble("missing")
        return versions[0]

    async def versions(self, name: str) -> list[Version]:
        """List all versions, the newest first."""
        async with self._asking() as client:
            listed = client.list_properties_of_secret_versions(name)
            found = [_version(properties) async for properties in listed]
        return sorted(found, key=lambda version: version.created, reverse=True)

    async def put(
        self, name: str, value: str, *, expires: datetime | None, content_type: str
    ) -> Version:
        """Set a new version."""
        async with self._asking() as client:
            made = await client.set_secret(
                name, value, expires_on=expires, content_type=content_type
            )
            return _version(made.properties)

    async def who(self) -> str:
        """Return the identity in the access token: a person or an application."""
        async with self._asking():
            token = await self._identity.get_token(_SCOPE)
        claims = _claims(token.token)
        person = claims.get("upn") or claims.get("unique_name")
        return str(person or f"application {claims.get('appid', 'unknown')}")

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, identity, self._client, self._identity = self._client, self._identity, None, None
        if client is not None:
            await client.close()
        if identity is not None:
            await identity.close()

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[SecretClient]:
        """Give the client, and turn what it raises inside the block into VaultTrouble."""
        try:
            async with asyncio.timeout(self._seconds):
                async with self._making:  # both secrets are read at the same moment
                    if self._client is None:
                        await asyncio.to_thread(load)
                        self._identity = entra.credential(self._environ, **self._options)
                        self._client = self._made()
                    client = self._client
                yield client
        except Exception as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise
            if trouble.label.startswith(("identity", "no_identity")):
                # The libraries keep the pod's token for ten minutes: start over with the file's.
                await self.close()
            raise trouble from error

    def _made(self) -> SecretClient:
        from azure.keyvault.secrets.aio import SecretClient  # noqa: PLC0415  # see above

        return SecretClient(
            self.url,
            self._identity,
            retry_total=0,  # no SDK retries: the caller retries with its own backoff
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            **self._options,
        )


def load() -> None:
    """Import the libraries in a thread, so that the event loop goes on."""
    import azure.identity.aio  # noqa: PLC0415  # see above
    import azure.keyvault.secrets.aio  # noqa: PLC0415, F401


def _version(properties: SecretProperties) -> Version:
    return Version(
        id=properties.version or "",
        created=properties.created_on.timestamp() if properties.created_on else 0.0,
        expires=properties.expires_on.timestamp() if properties.expires_on else None,
        enabled=properties.enabled is not False,
    )


def _claims(token: str) -> dict[str, Any]:
    """Return a JWT's claims, unverified: they are shown to the person whose token it is."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def trouble_of(error: Exception) -> VaultTrouble | None:  # noqa: PLR0911  # a table
    """Return what a failure of Azure's libraries means; None if it is a bug of the bot."""
    from azure.core import exceptions as azure  # noqa: PLC0415  # see above

    if isinstance(error, VaultTrouble):
        return error
    match error:
        case TimeoutError():
            return VaultTrouble("slow")
        case azure.ResourceNotFoundError():
            return VaultTrouble("missing")
        case azure.ClientAuthenticationError():
            return _identity_trouble(error)
        case azure.HttpResponseError():
            return _answer_trouble(error)
        case azure.ServiceRequestError() | azure.ServiceResponseError() | OSError():
            return VaultTrouble("unreachable", type(error).__name__)
        case azure.AzureError():
            return VaultTrouble("refused", type(error).__name__)
        case ValueError() if "challenge" in str(error) or "vault" in str(error):
            return VaultTrouble("not_a_vault")
    return None


def _identity_trouble(error: Exception) -> VaultTrouble:
    """Return what is wrong with the identity, by the number of Entra's or the vault's error."""
    number = re.search(r"AADSTS(\d+)", str(error))
    code = number[0] if number else type(error).__name__
    if type(error).__name__ == "CredentialUnavailableError":
        return VaultTrouble("no_identity")
    if code in {"AADSTS700024", "AADSTS500133"} or "expired" in str(error).lower():
        return VaultTrouble("identity_expired", code)
    return VaultTrouble("identity_refused", code)


def _answer_trouble(error: HttpResponseError) -> VaultTrouble:
    status = error.status_code or 0
    inner = _inner_code(error)
    if status == _FORBIDDEN:
        return VaultTrouble(_INNER.get(inner, "denied"), _caller(str(error)))
    if status == _CONFLICT:
        return VaultTrouble("exists_deleted", inner)
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        return VaultTrouble("busy", f"status {status}")
    return VaultTrouble("refused", f"status {status} {inner}".strip())


def _inner_code(error: HttpResponseError) -> str:
    """Return the innermost code of a response, as in `{"error": {"innererror": {"code": …}}}`."""
    said: Any = error.error
    inner = getattr(said, "innererror", None) or {}
    return str(inner.get("code") or getattr(said, "code", "") or "")


def _caller(said: str) -> str:
    """Return who lacks which permission, from the vault's message: ids and the action's name."""
    ids = re.search(r"appid=([0-9a-fA-F-]+)(?:;oid=([0-9a-fA-F-]+))?", said)
    action = re.search(r"Action: '(?:[\w.]+/)*(\w+)/action'", said)
    who = f"application {ids[1]}" + (f", object {ids[2]}" if ids[2] else "") if ids else ""
    return "; ".join(part for part in (who, f"action {action[1]}" if action else "") if part)
