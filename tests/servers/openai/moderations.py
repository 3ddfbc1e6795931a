"""POST /v1/moderations, simplified: text with `[[flag=violence]]` is flagged for violence."""

import re
from typing import Any

from . import schema
from .errors import ApiError

FLAG = re.compile(r"\[\[flag=([a-z/-]+)\]\]")
NAMES = """
    harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm
    self-harm/intent self-harm/instructions sexual sexual/minors violence violence/graphic
"""
CATEGORIES = NAMES.split()


def moderate(body: Any) -> dict[str, Any]:
    """Return a verdict for each text; raises ApiError 400."""
    given = schema.check("moderations", body)["input"]
    texts = [given] if isinstance(given, str) else given
    if not all(isinstance(text, str) for text in texts):
        raise ApiError("invalid", "This test server does not moderate pictures.", param="input")
    return {
        "id": "modr-000000000000",
        "model": body.get("model", "omni-moderation-latest"),
        "results": [_verdict(text) for text in texts],
    }


def _verdict(text: str) -> dict[str, Any]:
    flags = set(FLAG.findall(text))
    if not flags <= set(CATEGORIES):
        message = f"Unknown category in [[flag=…]]: {sorted(flags)}."
        raise ApiError("invalid", message, code="directive")
    return {
        "flagged": bool(flags),
        "categories": {name: name in flags for name in CATEGORIES},
        "category_scores": {name: 0.97 if name in flags else 0.0001 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
