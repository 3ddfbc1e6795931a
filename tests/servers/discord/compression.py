"""Transport compression of the gateway: one context a connection, one flush a payload."""

import zlib
from typing import Final, Protocol

import zstandard


class Encoder(Protocol):
    """Turns a payload into one WebSocket message: text when str, binary when bytes."""

    def __call__(self, text: str) -> str | bytes:
        """The message for this payload."""


def plain(text: str) -> str:
    """No compression: JSON as text."""
    return text


def zlib_stream() -> Encoder:
    """Each payload ends with Z_SYNC_FLUSH (00 00 ff ff), by which clients know its end."""
    context = zlib.compressobj(level=1)

    def encode(text: str) -> bytes:
        return context.compress(text.encode()) + context.flush(zlib.Z_SYNC_FLUSH)

    return encode


def zstd_stream() -> Encoder:
    """One zstd frame for the connection; each message is one whole payload."""
    context = zstandard.ZstdCompressor(level=1).compressobj()

    def encode(text: str) -> bytes:
        return context.compress(text.encode()) + context.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    return encode


NAMES: Final = (None, "zlib-stream", "zstd-stream")


def encoder(name: str | None) -> Encoder:
    """A fresh encoder for the `compress` of a gateway address; ValueError for an unknown one."""
    if name is None:
        return plain
    if name == "zlib-stream":
        return zlib_stream()
    if name == "zstd-stream":
        return zstd_stream()
    msg = f"no such transport compression: {name!r}; one of {NAMES}"
    raise ValueError(msg)
