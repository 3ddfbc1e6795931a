"""A ServiceAccount's token instead of a secret: verified with its cluster's keys."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt

from . import errors
from .clock import Clock
from .directory import SKEW
from .records import Identity

# Given an issuer, fetch its key set (RFC 7517).
FetchKeys = Callable[[str], Awaitable[dict[str, Any]]]
_AGAIN = 1.0  # seconds between two fetches for an unknown key


class Assertions:
    """Verifies tokens of federated issuers; fetches their keys when one is unknown."""

    def __init__(self, fetch: FetchKeys, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[tuple[str, str], jwt.PyJWK] = {}
        self._fetched = float("-inf")

    async def check(self, identity: Identity, assertion: str) -> None:
        """Check that IDENTITY trusts the issuer and subject of ASSERTION. Raises Refused."""
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            raise errors.entra(50027, f"JWT token is invalid or malformed ({error}).") from None
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        self._match(identity, issuer, subject, claims.get("aud"))
        key = await self._key(issuer, str(header.get("kid", "")))
        try:
            jwt.decode(
                assertion,
                key.key,
                ["RS256"],
                options={
                    "verify_aud": False,  # matched above
                    "verify_exp": False,  # checked below, with our own clock
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["exp", "iat", "iss", "sub", "aud"],
                },
            )
        except jwt.PyJWTError as error:
            message = f"Assertion failed signature validation. [Reason - {error}.]"
            raise errors.entra(50013, message) from None
        now = self._clock.now()
        begins = float(claims.get("nbf", claims["iat"]))
        if not begins - SKEW <= now <= float(claims["exp"]) + SKEW:
            raise errors.entra(
                700024,
                "Client assertion is not within its valid time range. Current time: "
                f"{_stamp(now)}, assertion valid from {_stamp(begins)}, "
                f"expiry time of assertion {_stamp(float(claims['exp']))}.",
            )

    def _match(self, identity: Identity, issuer: str, subject: str, audience: object) -> None:
        """Find the federated credential for these three. Raises Refused with the first mismatch."""
        audiences = audience if isinstance(audience, list) else [audience]
        trusted = [one for one in identity.federations if one.issuer == issuer]
        if not trusted:
            raise _no_match(700211, f"issuer '{issuer}'")
        trusted = [one for one in trusted if one.subject == subject]
        if not trusted:
            raise _no_match(700213, f"subject '{subject}'")
        if not any(one.audience in audiences for one in trusted):
            raise _no_match(700212, f"audience '{', '.join(map(str, audiences))}'")

    async def _key(self, issuer: str, key_id: str) -> jwt.PyJWK:
        if (issuer, key_id) not in self._keys and time.monotonic() - self._fetched > _AGAIN:
            try:
                found = jwt.PyJWKSet.from_dict(await self._fetch(issuer))
            except (OSError, jwt.PyJWTError) as error:
                message = f"The key set of the issuer '{issuer}' could not be read ({error})."
                raise errors.entra(50166, message, error="server_error", status=500) from None
            self._fetched = time.monotonic()
            self._keys |= {(issuer, str(key.key_id)): key for key in found.keys}
        if (issuer, key_id) not in self._keys:
            reason = f"The key '{key_id}' was not found"
            raise errors.entra(
                50013, f"Assertion failed signature validation. [Reason - {reason}.]"
            )
        return self._keys[issuer, key_id]


def _no_match(number: int, what: str) -> errors.Refused:
    return errors.entra(
        number,
        f"No matching federated identity record found for presented assertion {what}. Check your "
        "federated identity credential Subject, Audience and Issuer against the presented "
        "assertion.",
    )


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
