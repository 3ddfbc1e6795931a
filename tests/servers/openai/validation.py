"""Turns pydantic's findings into OpenAI's 400s: one error, the first, with its `param`."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from .errors import ApiError

Model = TypeVar("Model", bound="Strict")


class Strict(BaseModel):
    """A part of a request: no unknown fields, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def parse(model: type[Model], body: Any) -> Model:
    """Check a request's body; raises ApiError 400."""
    if not isinstance(body, dict):
        raise ApiError(400, "We expected the body of your request to be a JSON object.")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise refusal(error.errors()) from error


def refusal(findings: Sequence[ErrorDetails]) -> ApiError:
    """Make the error of the first finding; unknown parameters come first, as with OpenAI."""
    unknown = [f for f in findings if f["type"] == "extra_forbidden"]
    finding = (unknown or list(findings))[0]
    where = place(finding["loc"])
    message, code = describe(finding, where)
    return ApiError(400, message, code=code, param=where)


def place(loc: Sequence[int | str]) -> str:
    """Write ("input", 0, "user", "content") as "input[0].content".

    What follows an index in `loc` is the tag of a union's member, not a field.
    """
    parts: list[str] = []
    after_index = False
    for step in loc:
        if isinstance(step, int):
            parts[-1:] = [f"{parts[-1] if parts else ''}[{step}]"]
        elif not after_index:
            parts.append(step)
        after_index = isinstance(step, int)
    return ".".join(parts)


def describe(  # noqa: PLR0911 - a table with a row for each kind of finding
    finding: ErrorDetails, where: str
) -> tuple[str, str]:
    """Say one finding in OpenAI's words, with its code."""
    context = finding.get("ctx", {})
    given = finding["input"]
    match finding["type"]:
        case "extra_forbidden":
            return f"Unknown parameter: '{where}'.", "unknown_parameter"
        case "missing" | "union_tag_not_found":
            return f"Missing required parameter: '{where}'.", "missing_required_parameter"
        case "union_tag_invalid":
            known = context["expected_tags"]
            return (
                f"Invalid value: '{context['tag']}' in '{where}'. Supported values are: {known}.",
                "invalid_value",
            )
        case "literal_error":
            known = context["expected"]
            return f"Invalid value: {given!r}. Supported values are: {known}.", "invalid_value"
        case "value_error":
            return str(context["error"]), "invalid_value"
        case kind if kind.endswith("_type"):
            expected = kind.removesuffix("_type")
            actual = type(given).__name__
            return (
                f"Invalid type for '{where}': expected {expected}, but got {actual} instead.",
                "invalid_type",
            )
        case _:
            return f"Invalid '{where}': {finding['msg']}.", "invalid_value"
