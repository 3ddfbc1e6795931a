"""The loop's certificates and kubeconfigs, made at each `up` and valid for a week."""

import base64
import datetime
import ipaddress
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.loop.supervisor import state

PKI = state.STATE / "pki"
CA = PKI / "ca.crt"
SERVICE_ACCOUNT_KEY = PKI / "service-account.key"

_LIFE = datetime.timedelta(days=7)  # nobody keeps a loop for longer; it is not renewed
_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


def pair(name: str) -> Pair:
    """Where the certificate and the key of NAME lie."""
    return Pair(PKI / f"{name}.crt", PKI / f"{name}.key")


def kubeconfig(name: str) -> Path:
    """Where the kubeconfig of component NAME lies."""
    return PKI / f"{name}.kubeconfig"


# User and group of each component's certificate. Kubernetes' own components have their rights
# from the API server's built-in roles; Flux's users get theirs in objects.py.
CLIENTS = {
    "admin": ("loop-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{state.NODE}", "system:nodes"),
    "apiserver-kubelet-client": ("apiserver-kubelet-client", "system:masters"),
    **{name: (f"flux:{name}", "") for name in state.FLUX_HEALTH},
    "coredns": ("system:coredns", ""),
    "secrets-store-csi-driver": ("csi:secrets-store-driver", ""),
}


def create() -> None:
    """Write the authority, every certificate, the ServiceAccount key and every kubeconfig."""
    PKI.mkdir(parents=True, mode=0o700)
    authority = _Authority()
    _write(CA, authority.pem)
    _write(SERVICE_ACCOUNT_KEY, _pem(rsa.generate_private_key(65537, 2048)))
    authority.serve(
        "kube-apiserver",
        ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"],
        [state.HOST, state.KUBERNETES_SERVICE, "127.0.0.1"],
    )
    authority.serve("kubelet-serving", [state.NODE], [state.HOST])
    authority.serve("azure", ["login.microsoftonline.com", "*.vault.azure.net"], [])
    for name, (user, group) in CLIENTS.items():
        authority.client(name, user, group)
        _write(kubeconfig(name), _kubeconfig(name).encode())
    _write(state.KUBECONFIG, kubeconfig("admin").read_bytes())


class _Authority:
    """A certificate authority whose key is never written down."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "discord-sky-loop")])
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def serve(self, name: str, names: list[str], addresses: list[str]) -> None:
        alternatives: list[x509.GeneralName] = [x509.DNSName(item) for item in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(item)) for item in addresses]
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        self._issue(name, subject, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, name: str, user: str, group: str) -> None:
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group:
            subject.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        self._issue(name, subject, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def _issue(
        self,
        name: str,
        subject: list[x509.NameAttribute[str]],
        purpose: x509.ObjectIdentifier,
        alternatives: list[x509.GeneralName],
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name(subject), key.public_key())
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        _write(pair(name).certificate, certificate.public_bytes(serialization.Encoding.PEM))
        _write(pair(name).key, _pem(key))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _LIFE)
            # Python 3.13 refuses a chain whose parts do not name their keys.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _kubeconfig(name: str) -> str:
    """Return a kubeconfig (JSON is YAML) that holds its certificates, so it can be copied."""

    def inline(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    cluster = {"server": state.API_URL, "certificate-authority-data": inline(CA)}
    user = {
        "client-certificate-data": inline(pair(name).certificate),
        "client-key-data": inline(pair(name).key),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "discord-sky-loop", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [
            {"name": "discord-sky-loop", "context": {"cluster": "discord-sky-loop", "user": name}}
        ],
        "current-context": "discord-sky-loop",
    }
    return json.dumps(document, indent=1) + "\n"
