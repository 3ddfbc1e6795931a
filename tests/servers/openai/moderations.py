"""POST /v1/moderations, small: text that says `[[flag=violence]]` is flagged for violence."""

import re
from typing import Annotated, Any

from pydantic import Field

from .errors import ApiError
from .validation import Strict

FLAG = re.compile(r"\[\[flag=([a-z/-]+)\]\]")
NAMES = """
    harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm
    self-harm/intent self-harm/instructions sexual sexual/minors violence violence/graphic
"""
CATEGORIES = NAMES.split()


class ModerationRequest(Strict):
    """The body: text, or texts; images are not served."""

    input: str | Annotated[list[str], Field(min_length=1)]
    model: str = "omni-moderation-latest"


def moderate(body: ModerationRequest) -> dict[str, Any]:
    """Give a verdict for each text."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    return {
        "id": "modr-000000000000",
        "model": body.model,
        "results": [_verdict(text) for text in texts],
    }


def _verdict(text: str) -> dict[str, Any]:
    flags = set(FLAG.findall(text))
    if not flags <= set(CATEGORIES):
        raise ApiError(400, f"Unknown category in [[flag=…]]: {sorted(flags)}.", code="directive")
    return {
        "flagged": bool(flags),
        "categories": {name: name in flags for name in CATEGORIES},
        "category_scores": {name: 0.97 if name in flags else 0.0001 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
