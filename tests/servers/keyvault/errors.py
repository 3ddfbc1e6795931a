"""Errors with Azure's own texts, as far as a client or a person reads them."""

import uuid
from datetime import UTC, datetime

from aiohttp import web


class Refused(Exception):
    """An error response: its status, its body, and the code that clients evaluate."""

    def __init__(
        self, status: int, code: str, body: dict[str, object], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self._body = body
        self._headers = headers or {}

    def response(self) -> web.Response:
        """Return the HTTP response."""
        return web.json_response(self._body, status=self.status, headers=self._headers)


class Unanswered(Exception):
    """The connection is to be closed without a response."""


def vault(
    status: int, code: str, message: str, inner: str = "", headers: dict[str, str] | None = None
) -> Refused:
    """Return an error of Key Vault."""
    error: dict[str, object] = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return Refused(status, inner or code, {"error": error}, headers)


def bad_parameter(message: str) -> Refused:
    """Return Key Vault's error for an invalid request."""
    return vault(400, "BadParameter", message)


def not_found(name: str, version: str = "") -> Refused:
    """Return Key Vault's error for a secret that does not exist or was deleted."""
    which = f"{name}/{version}" if version else name
    return vault(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {which} was not found in this key vault. If you recently deleted "
        "this secret you may be able to recover it using the correct recovery command.",
    )


def disabled(operation: str) -> Refused:
    """Return Key Vault's error for a disabled version."""
    message = f"Operation {operation} is not allowed on a disabled secret."
    return vault(403, "Forbidden", message, "SecretDisabled")


def deleted(name: str) -> Refused:
    """Return Key Vault's error for a new version of a deleted secret."""
    return vault(
        409,
        "Conflict",
        f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be "
        "reused; in this state, the secret can only be recovered or purged.",
        "ObjectIsDeletedButRecoverable",
    )


def forbidden(caller: str, action: str, vault_name: str, name: str) -> Refused:
    """Return Key Vault's error for a caller whose roles do not allow ACTION."""
    resource = f"vaults/{vault_name}" + (f"/secrets/{name}" if name else "")
    return vault(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation time."
        f"\r\nCaller: {caller}\r\nAction: '{action}'\r\nResource: '{resource}'\r\n"
        "Assignment: (not found)\r\nDecisionReason: null \r\n"
        f"Vault: {vault_name};location=loop\r\n",
        "ForbiddenByRbac",
    )


def unauthorized(tenant: str, message: str, error: str = "") -> Refused:
    """Return the challenge: where to get a token, and for what."""
    challenge = (
        f'Bearer authorization="https://login.microsoftonline.com/{tenant}", '
        'resource="https://vault.azure.net"'
    )
    if error:
        challenge += f', error="invalid_token", error_description="{error}"'
    return vault(401, "Unauthorized", message, headers={"WWW-Authenticate": challenge})


def entra(
    number: int, message: str, *, error: str = "invalid_client", status: int = 401
) -> Refused:
    """Return an error of the token endpoint; clients read `error` and `error_codes`."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    trace, correlation = uuid.uuid4(), uuid.uuid4()
    said = f"AADSTS{number}: {message} Trace ID: {trace} Correlation ID: {correlation}"
    body: dict[str, object] = {
        "error": error,
        "error_description": f"{said} Timestamp: {now}",
        "error_codes": [number],
        "timestamp": now,
        "trace_id": str(trace),
        "correlation_id": str(correlation),
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    return Refused(status, f"AADSTS{number}", body)
