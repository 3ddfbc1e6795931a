"""The servers on free loopback ports, with their own CA and their own cluster.

For tests that need no loop. `environment` has the variables that a client needs, in the test's
own process or in another; `token(...)` signs tokens as a cluster's API server would.
"""

import datetime
import ipaddress
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .control import VaultControl
from .records import Federation, Identity, Role
from .server import Settings, VaultServer

ISSUER = "https://cluster.example"
AUDIENCE = "api://AzureADTokenExchange"
SUBJECT = "system:serviceaccount:discord-sky:discord-sky-bot"
TENANT = "00000000-0000-0000-0000-000000000001"
VAULT = "test-vault"
VAULT_URL = f"https://{VAULT}.vault.azure.net"
BOT = Identity(
    name="bot",
    client_id="00000000-0000-0000-0000-000000000002",
    roles=(Role.USER,),
    federations=(Federation(issuer=ISSUER, subject=SUBJECT),),
)
OPERATOR = Identity(
    name="operator",
    client_id="00000000-0000-0000-0000-000000000004",
    roles=(Role.OFFICER,),
    client_secret="made-up-for-the-tests",  # noqa: S106 - as it says
)


@dataclass
class Harness:
    """The running servers, and a cluster's signing key."""

    folder: Path
    authority: Path
    server: VaultServer
    control: VaultControl
    cluster_key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(65537, 2048)
    )

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a client finds and trusts the servers."""
        return {
            "HTTPS_PROXY": f"http://{self.server.proxy}",
            "NO_PROXY": "localhost,127.0.0.1",
            "SSL_CERT_FILE": str(self.authority),
            "REQUESTS_CA_BUNDLE": str(self.authority),
        }

    @property
    def trust(self) -> dict[str, str]:
        """The options of an aio client if aiohttp was imported before `environment` was set.

        aiohttp creates its TLS context when it is imported.
        """
        return {"connection_verify": str(self.authority)}

    @property
    def workload(self) -> dict[str, str]:
        """The variables of the bot's identity as in its pod, with a freshly signed token."""
        file = self.folder / "azure-identity-token"
        file.write_text(self.token())
        return {
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": BOT.client_id,
            "AZURE_FEDERATED_TOKEN_FILE": str(file),
            "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        }

    def token(
        self,
        *,
        subject: str = SUBJECT,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        age: float = 0,
        seconds: float = 3600,
        key: rsa.RSAPrivateKey | None = None,
    ) -> str:
        """Sign a ServiceAccount's token that is `age` seconds old and valid for `seconds`."""
        now = time.time() - age
        claims = {
            "aud": [audience],
            "iss": issuer,
            "sub": subject,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + seconds),
        }
        return jwt.encode(claims, key or self.cluster_key, "RS256", headers={"kid": "cluster"})

    def cluster_keys(self) -> dict[str, Any]:
        """Return what the cluster's /openid/v1/jwks would return."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.cluster_key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": "cluster", "use": "sig", "alg": "RS256"}]}


@asynccontextmanager
async def running(folder: Path, secrets: dict[str, str] | None = None) -> AsyncIterator[Harness]:
    """Run the servers with their files in FOLDER, with BOT, OPERATOR and SECRETS in them."""
    authority, certificate, key = _certificates(folder)
    harness: Harness

    async def fetch(_issuer: str) -> dict[str, Any]:
        return harness.cluster_keys()

    settings = Settings(TENANT, VAULT, folder / "vault", certificate, key)
    server = VaultServer(settings, fetch)
    server.seed([BOT, OPERATOR], secrets or {})
    async with server, VaultControl(server.control) as control:
        harness = Harness(folder, authority, server, control)
        yield harness


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write a CA, and a certificate for Azure's names with its key."""
    now = datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def builder(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            # Python 3.13 refuses a chain without key identifiers.
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                critical=False,
            )
        )

    authority = (
        builder(authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_certificate_signing(), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [
        x509.DNSName("login.microsoftonline.com"),
        x509.DNSName("*.vault.azure.net"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "azure")]), key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    files = folder / "authority.crt", folder / "azure.crt", folder / "azure.key"
    pem = serialization.Encoding.PEM
    files[0].write_bytes(authority.public_bytes(pem))
    files[1].write_bytes(certificate.public_bytes(pem))
    files[2].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _certificate_signing() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
