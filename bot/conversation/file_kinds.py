"""What a file is, by its own bytes: names and declared types can be anything."""

from __future__ import annotations

_TAIL = 4096  # some programs write on after a picture's end
_RIFF_HEADER = 8


def picture_type(data: bytes) -> str | None:
    """Give the media type of a picture that models look at; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def is_whole(data: bytes) -> bool:
    """Whether a picture has its end. One that broke off on its way has not."""
    tail = data[-_TAIL:]
    match picture_type(data):
        case "image/png":
            return b"IEND" in tail
        case "image/jpeg":
            return b"\xff\xd9" in tail
        case "image/gif":
            return b";" in tail[-64:]
        case "image/webp":
            return len(data) >= int.from_bytes(data[4:8], "little") + _RIFF_HEADER
    return False


def plain_text(data: bytes) -> str | None:
    """Read a text file; None for anything else."""
    coding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = data.decode(coding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
