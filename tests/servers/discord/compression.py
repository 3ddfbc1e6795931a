"""Transport compression of the gateway: one context per connection, one flush per payload."""

import zlib
from typing import Final, Protocol

import zstandard


class Encoder(Protocol):
    """Turns a payload into one WebSocket message: text if str, binary if bytes."""

    def __call__(self, text: str) -> str | bytes:
        """Encode a payload."""


def plain(text: str) -> str:
    """Return an encoder that does not compress: JSON as text."""
    return text


def zlib_stream() -> Encoder:
    """Return an encoder that ends each payload with Z_SYNC_FLUSH (00 00 ff ff)."""
    context = zlib.compressobj(level=1)

    def encode(text: str) -> bytes:
        return context.compress(text.encode()) + context.flush(zlib.Z_SYNC_FLUSH)

    return encode


def zstd_stream() -> Encoder:
    """Return an encoder with one zstd frame per connection; each message is one whole payload."""
    context = zstandard.ZstdCompressor(level=1).compressobj()

    def encode(text: str) -> bytes:
        return context.compress(text.encode()) + context.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    return encode


NAMES: Final = (None, "zlib-stream", "zstd-stream")


def encoder(name: str | None) -> Encoder:
    """Return a new encoder for the `compress` of a gateway URL; ValueError if it is unknown."""
    if name is None:
        return plain
    if name == "zlib-stream":
        return zlib_stream()
    if name == "zstd-stream":
        return zstd_stream()
    msg = f"unknown transport compression: {name!r}; known: {NAMES}"
    raise ValueError(msg)
