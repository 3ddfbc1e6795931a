r"""Directives: what a test writes into a user's message to control the answer.

    tell me about owls [[chunks=20 delay=0.1 length=5000 fence=1]]

Only the last `[[…]]` of the newest user text counts. Values with spaces are quoted; in quotes,
\n is a new line and \" a quote. README.md has the table. An unknown name, or a value of
the wrong type, is refused with 400, so that a mistake in a test does not go unnoticed.
"""

import re
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from .errors import ApiError
from .records import FaultKind, UsageKind, Value

DIRECTIVE = re.compile(r"\[\[\s*((?:[a-z_]+\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s\]\"]+)\s*)+)\]\]")
PAIR = re.compile(r"([a-z_]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\]\"]+))")
ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\"}


class Directives(Value):
    """What the newest user text demands of its answer; everything is optional."""

    text: str | None = None
    length: Annotated[int, Field(ge=1, le=200_000)] | None = None
    fence: Annotated[int, Field(ge=0, le=50)] = 0
    chunks: Annotated[int, Field(ge=1, le=10_000)] | None = None
    delay: Annotated[float, Field(ge=0, le=60)] | None = None
    first: Annotated[float, Field(ge=0, le=600)] | None = None
    search: Annotated[int, Field(ge=0, le=20)] = 0
    calls: Annotated[int, Field(ge=1, le=100)] = 1
    draw: Annotated[int, Field(ge=0, le=1)] = 0
    usage: UsageKind | None = None
    fault: FaultKind | None = None
    after: Annotated[int, Field(ge=0)] = 3
    retry_after: Annotated[float, Field(ge=0)] | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """Read the last directive in a text; raises ApiError 400 if it is invalid."""
        found = DIRECTIVE.findall(text)
        if not found:
            return cls()
        values: dict[str, Any] = {}
        for name, quoted, bare in PAIR.findall(found[-1]):
            values[name] = bare or re.sub(r"\\.", _unescaped, quoted)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            what = f"The directive [[{found[-1]}]] was not understood: {first['loc']}"
            raise ApiError("invalid", f"{what}: {first['msg']}.", code="directive") from error


def _unescaped(match: re.Match[str]) -> str:
    return ESCAPES.get(match[0], match[0])


def without(text: str) -> str:
    """Return a text without directives, with white space collapsed to single spaces."""
    return " ".join(DIRECTIVE.sub(" ", text).split())
