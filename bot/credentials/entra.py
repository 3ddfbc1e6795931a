"""The bot's identity in Azure, and the model provider's key as a token of that identity.

The identity is the pod's workload identity, or the account that is logged in with `az`. With
`openai.auth = "entra"` the key is a token: nothing is stored anywhere.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from bot.credentials import keyvault
from bot.credentials.credential import digest
from bot.domain.errors import CredentialMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import AccessToken
    from azure.identity.aio import AzureCliCredential, WorkloadIdentityCredential

log = logging.getLogger(__name__)


_AZ_SECONDS = 30  # `az` is slow to start
_WORKLOAD = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")


def is_workload(environ: Mapping[str, str]) -> bool:
    """Return whether the environment names a workload identity."""
    return all(environ.get(name) for name in _WORKLOAD)


def credential(
    environ: Mapping[str, str], **options: Any
) -> WorkloadIdentityCredential | AzureCliCredential:
    """Create the credential that the environment asks for; loads Azure's libraries."""
    from azure.identity import aio  # noqa: PLC0415  # 19 MiB that most bots never need

    if is_workload(environ):
        client, tenant, file = (environ[name] for name in _WORKLOAD)
        return aio.WorkloadIdentityCredential(
            client_id=client, tenant_id=tenant, token_file_path=file, retry_total=0, **options
        )
    return aio.AzureCliCredential(process_timeout=_AZ_SECONDS)


_SECONDS = 10.0
_RENEWED_SECONDS = 30.0  # a token this young was refused for another reason
_SOON = 300.0  # seconds before its end that a token is exchanged for another


class EntraKey:
    """An Entra token with the interface of a Credential."""

    patient = False
    usable = True  # a token is fetched when it is needed
    needed_for = 0.0

    def __init__(self, scope: str, environ: Mapping[str, str], **options: Any) -> None:
        self._scope = scope
        self._options = options
        self._environ = environ
        self._identity: WorkloadIdentityCredential | AzureCliCredential | None = None
        self._token: AccessToken | None = None
        self._renewed = -_RENEWED_SECONDS
        self._one = asyncio.Lock()

    async def current(self) -> str:
        """Return a token that is valid for a while; raises CredentialMissing."""
        async with self._one:
            if self._token is None or time.time() > self._token.expires_on - _SOON:
                self._token = await self._asked()
            return self._token.token

    def accept(self, value: str, asked: float = 0.0) -> None:
        """See Credential."""

    def refuse(self, value: str) -> None:
        """Drop a token that was refused, so that another is fetched."""
        if self._token is not None and self._token.token == value:
            self._token = None

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109  # as Credential
        """Fetch a new token at once; says whether it differs from `than`."""
        del timeout
        if self._token is None and time.monotonic() - self._renewed < _RENEWED_SECONDS:
            return False
        await self.close()  # the library keeps a token until it expires
        try:
            return await self.current() != than
        except CredentialMissing:
            return False

    async def close(self) -> None:
        """Close the connections; they are opened again when needed."""
        identity, self._identity = self._identity, None
        if identity is not None:
            await identity.close()

    async def _asked(self) -> AccessToken:
        await asyncio.to_thread(keyvault.load)
        try:
            async with asyncio.timeout(_SECONDS):
                if self._identity is None:
                    self._identity = credential(self._environ, **self._options)
                token = await self._identity.get_token(self._scope)
        except Exception as error:
            trouble = keyvault.trouble_of(error)
            await self.close()
            if trouble is None:
                raise
            what = {"error": trouble.label, "detail": trouble.detail}
            log.warning("no token from Entra", extra=what)
            if self._token is not None and time.time() < self._token.expires_on:
                return self._token
            raise CredentialMissing(str(trouble)) from error
        self._renewed = time.monotonic()
        what = {"credential": "openai", "source": "entra", "sha256": digest(token.token)}
        log.info("credential read", extra=what)
        return token
