"""Pictures: those in a request are validated, generated ones are one grey dot."""

import base64
import binascii
from typing import Any

from .errors import ApiError

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgwCBmKh1SgAAAABJRU5ErkJggg=="
BEGINNINGS = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "webp": (b"RIFF",),
}
ENDS = {"png": b"IEND\xaeB`\x82", "jpeg": b"\xff\xd9", "gif": b";", "webp": b""}
MAX_BYTES = 20 * 2**20


def look(url: str, param: str) -> None:
    """Refuse a data URL without a valid picture of its declared type; raises ApiError 400."""
    if not url.startswith("data:"):
        return  # a real provider fetches it; no test needs that
    head, _, encoded = url.partition(",")
    kind = head.removeprefix("data:image/").removesuffix(";base64")
    if kind not in BEGINNINGS:
        raise _refused("unsupported_image_media_type", "is of a type that is not supported", param)
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("invalid_base64_image", "is not base64", param) from error
    if len(data) > MAX_BYTES:
        raise _refused("image_too_large", "is too large", param)
    if not data.startswith(BEGINNINGS[kind]) or not data.endswith(ENDS[kind]):
        raise _refused("image_parse_error", "could not be read", param)


def _refused(code: str, what: str, param: str) -> ApiError:
    return ApiError("invalid", f"The image {what}.", code=code, param=param)


def drawn() -> dict[str, Any]:
    """Return the whole response of POST /v1/images/generations."""
    return {
        "created": 1735689600,
        "data": [{"b64_json": DOT}],
        "output_format": "png",
        "usage": {"input_tokens": 12, "output_tokens": 272, "total_tokens": 284},
    }
