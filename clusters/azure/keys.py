"""A deploy key's two halves, made in memory: the private one is never in a file of this machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

# GitHub publishes it on docs.github.com, "GitHub's SSH key fingerprints".
KNOWN_HOSTS = (
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`public` as in authorized_keys, `private` as ssh-keygen writes it."""

    public: str
    private: str = field(repr=False)


def new_pair() -> KeyPair:
    """Make an ed25519 pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(public.decode(), private.decode())
