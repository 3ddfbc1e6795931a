"""The tenant: its identities, their roles in the vault, and their access tokens."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import errors
from .clock import Clock
from .records import Identity, Role

LOGIN = "https://login.microsoftonline.com"
VAULT_AUDIENCE = "https://vault.azure.net"
# The audiences of tokens: Key Vault, and Azure OpenAI by its two names.
AUDIENCES = (
    VAULT_AUDIENCE,
    "https://cognitiveservices.azure.com",
    "https://ai.azure.com",
)
SKEW = 300  # seconds of clock skew that Entra and Key Vault tolerate

# The data actions of Azure's built-in roles that concern secrets.
_ACTIONS = "Microsoft.KeyVault/vaults/secrets"
_READ = frozenset({"getSecret", "readMetadata"})
_WRITE = frozenset({"setSecret", "update", "delete", "recover", "purge", "backup", "restore"})
ALLOWED = {Role.USER: _READ, Role.OFFICER: _READ | _WRITE}


@dataclass
class Directory:
    """The tenant and its identities; signs access tokens and verifies them."""

    tenant: str
    clock: Clock
    key: rsa.RSAPrivateKey
    identities: dict[str, Identity] = field(default_factory=dict)  # by client id
    token_seconds: int = 3599

    @property
    def issuer(self) -> str:
        """The issuer of access tokens, in the version 1 format."""
        return f"https://sts.windows.net/{self.tenant}/"

    @property
    def key_id(self) -> str:
        """The id of the signing key."""
        numbers = self.key.public_key().public_numbers()
        return hashlib.sha256(str(numbers.n).encode()).hexdigest()[:27]

    def keys(self) -> dict[str, Any]:
        """Return the public key as a key set."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.key_id, "use": "sig"}]}

    def named(self, name: str) -> Identity | None:
        """Return the identity with that name of ours."""
        return next((one for one in self.identities.values() if one.name == name), None)

    def put(self, identity: Identity) -> None:
        """Add an identity, or replace the one with its client id."""
        self.identities[identity.client_id] = identity

    def object_id(self, client_id: str) -> str:
        """Return the id of the identity's service principal, which is not its client id."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.tenant}/{client_id}"))

    def issue(self, identity: Identity, audience: str) -> dict[str, Any]:
        """Return the token endpoint's answer for a verified identity."""
        now = int(self.clock.now())
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + self.token_seconds,
            "appid": identity.client_id,
            "oid": self.object_id(identity.client_id),
            "sub": self.object_id(identity.client_id),
            "tid": self.tenant,
            "ver": "1.0",
        }
        token = jwt.encode(claims, self.key, "RS256", headers={"kid": self.key_id})
        seconds = self.token_seconds
        return {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        }

    def bearer(self, header: str | None) -> Identity:
        """Return the identity of an Authorization header. Raises Refused (the challenge)."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            message = "AKV10000: Request is missing a Bearer or PoP token."
            raise errors.unauthorized(self.tenant, message)
        try:
            claims = jwt.decode(
                token,
                self.key.public_key(),
                ["RS256"],
                issuer=self.issuer,
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise self._invalid(f"AKV10032: Invalid issuer or signature ({error}).") from None
        if claims["aud"] != VAULT_AUDIENCE:
            found = (
                f"AKV10022: Invalid audience. Expected {VAULT_AUDIENCE}, found: {claims['aud']}."
            )
            raise self._invalid(found)
        now = self.clock.now()
        if not claims["nbf"] - SKEW <= now <= claims["exp"] + SKEW:
            raise self._invalid("AKV10046: The token's lifetime is not valid: it has expired.")
        identity = self.identities.get(claims["appid"])
        if identity is None:
            raise self._invalid("AKV10032: The caller is not of this tenant.")
        return identity

    def authorize(self, identity: Identity, action: str, vault: str, name: str = "") -> None:
        """Check the roles of IDENTITY. Raises Refused."""
        if any(action in ALLOWED[role] for role in identity.roles):
            return
        client, oid = identity.client_id, self.object_id(identity.client_id)
        caller = f"appid={client};oid={oid};iss={self.issuer}"
        verb = {"getSecret": "getSecret", "setSecret": "setSecret"}.get(action, action)
        raise errors.forbidden(caller, f"{_ACTIONS}/{verb}/action", vault, name)

    def check_secret(self, identity: Identity, secret: str) -> None:
        """Compare a client secret. Raises Refused."""
        wanted = identity.client_secret
        if not wanted or not hmac.compare_digest(wanted.encode(), secret.encode()):
            raise errors.entra(
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is "
                f"the client secret value, for a secret added to app '{identity.client_id}'.",
            )

    def _invalid(self, message: str) -> errors.Refused:
        return errors.unauthorized(self.tenant, message, message)


def signing_key(file: Path) -> rsa.RSAPrivateKey:
    """Return the tenant's signing key; created once, so that tokens survive a restart."""
    if file.exists():
        found = serialization.load_pem_private_key(file.read_bytes(), None)
        assert isinstance(found, rsa.RSAPrivateKey)
        return found
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.touch(mode=0o600)
    file.write_bytes(pem)
    return key
