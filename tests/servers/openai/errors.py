"""A refusal, before it gets the form of a dialect."""

from typing import Any

MASK_HEAD, MASK_TAIL, MASK_LEAST = 7, 4, 12


class ApiError(Exception):
    """Refuses a request; `kind` selects the dialect's form, `values` fill it in."""

    def __init__(self, kind: str, message: str = "", **values: Any) -> None:
        super().__init__(message or kind)
        self.kind = kind
        self.values = {"message": message, "param": None, "code": None, **values}


def masked(key: str) -> str:
    """Mask a key as OpenAI does in its 401: both ends and stars (so never log that message)."""
    if len(key) < MASK_LEAST:
        return "*" * len(key)
    hidden = "*" * (len(key) - MASK_HEAD - MASK_TAIL)
    return f"{key[:MASK_HEAD]}{hidden}{key[-MASK_TAIL:]}"
