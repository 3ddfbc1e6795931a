"""Checks a request's body against the types of the `openai` library, with OpenAI's messages.

The library's TypedDicts define what the API accepts. Also checked: the fields that this server
supports, the ranges that the API reference documents, and the parts that each role may have.
"""

import re
import types
from collections.abc import Hashable, Iterable, Mapping
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from openai.types import ImageGenerateParams, ModerationCreateParams
from openai.types.chat import completion_create_params
from openai.types.responses import (
    EasyInputMessageParam,
    ResponseInputFileParam,
    ResponseInputImageParam,
    ResponseInputTextParam,
    ResponseOutputRefusalParam,
    ResponseOutputTextParam,
    WebSearchToolParam,
    response_create_params,
    tool_param,
)
from openai.types.responses.response_input_param import Message
from openai.types.shared_params import ResponseFormatText
from typing_extensions import get_type_hints, is_typeddict

from .errors import ApiError

Body = dict[str, Any]

# What each endpoint supports; anything else is refused as an unknown parameter.
_SHARED = {
    *("model", "stream", "stream_options", "temperature", "top_p", "store", "metadata", "user"),
    *("safety_identifier", "prompt_cache_key", "service_tier"),
}
_CHAT = {
    *("messages", "max_tokens", "max_completion_tokens", "presence_penalty", "frequency_penalty"),
    *("n", "seed", "response_format", "reasoning_effort", "verbosity", *_SHARED),
}
_RESPONSES = {
    *("input", "instructions", "max_output_tokens", "reasoning", "text", "truncation", "tools"),
    *("tool_choice", "prompt_cache_retention", "max_tool_calls", *_SHARED),
}
_SCHEMAS: dict[str, tuple[Any, set[str], set[str]]] = {  # type, supported fields, required fields
    "chat": (completion_create_params.CompletionCreateParamsBase, _CHAT, {"model", "messages"}),
    "responses": (response_create_params.ResponseCreateParamsBase, _RESPONSES, {"model", "input"}),
    "images": (
        ImageGenerateParams,
        {"model", "prompt", "n", "size", "quality", "user"},
        {"model", "prompt"},
    ),
    "moderations": (ModerationCreateParams, {"model", "input"}, {"input"}),
}
# The supported members of a union: the library's types include everything that OpenAI has.
_ITEM = EasyInputMessageParam | Message
_INPUT = ResponseInputTextParam | ResponseInputImageParam | ResponseInputFileParam
_OUTPUT = ResponseOutputTextParam | ResponseOutputRefusalParam
_ROLES = ("system", "developer", "user", "assistant")
_NARROWED: dict[str, Any] = {
    "stream": bool | None,
    "responses.input": str | list[_ITEM],
    "tools": list[WebSearchToolParam | tool_param.ImageGeneration] | None,
    "response_format": ResponseFormatText | None,
    "n": Literal[1] | None,
}
_DEFAULTED = {"detail", "annotations", "summary"}  # optional in the API, required in the types
_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "max_tokens": (1, float("inf")),
    "max_completion_tokens": (1, float("inf")),
    "max_output_tokens": (16, float("inf")),
    "max_tool_calls": (1, float("inf")),
}
_LENGTHS = {  # for a text, a list or an object
    "messages": (1, 4096),
    "input": (1, 10_000_000),
    "prompt": (1, 32_000),
    "name": (1, 64),
    "metadata": (0, 16),
    "safety_identifier": (0, 64),
    "prompt_cache_key": (0, 64),
}
_NAME = re.compile(r"[^\s<|\\/>]+")
_IMAGES = ("https://", "http://", "data:image/")
_SCALARS = {str: "string", int: "integer", float: "decimal", bool: "boolean"}


def check(endpoint: str, body: Any) -> Body:
    """Check the body and return it; raises ApiError 400 for the first error in it."""
    if not isinstance(body, dict):
        raise ApiError("invalid", "We expected the body of your request to be a JSON object.")
    kind, served, required = _SCHEMAS[endpoint]
    hints = _hints(kind)
    unknown = sorted(set(body) - served)
    if unknown:
        raise _unknown(unknown[0])
    _need(body, required, "")
    for name, value in body.items():
        kind = _NARROWED.get(f"{endpoint}.{name}") or _NARROWED.get(name) or hints[name]
        _check(value, kind, where=name)
    return body


def _hints(kind: Any) -> dict[str, Any]:
    if is_typeddict(kind):
        return get_type_hints(kind, include_extras=True)
    return {name: hint for each in get_args(kind) for name, hint in _hints(each).items()}


def _check(value: Any, *kinds: Any, where: str) -> None:
    """Check that a value has one of the types; `where` is its path in the body."""
    choices = [choice for kind in kinds for choice in _choices(kind)]
    if value is None and type(None) in choices:
        return
    _check_form(value, [each for each in choices if each is not type(None)], where)
    _check_bounds(value, where.rpartition(".")[2], where)


def _check_form(value: Any, choices: list[Any], where: str) -> None:
    literals = [word for each in choices if get_origin(each) is Literal for word in get_args(each)]
    lists = [each for each in choices if _is_list(each)]
    objects = [each for each in choices if is_typeddict(each)]
    if isinstance(value, list) and lists:
        for index, item in enumerate(value):
            _check(item, *(get_args(each)[0] for each in lists), where=f"{where}[{index}]")
    elif isinstance(value, dict) and objects:
        _check_object(value, objects, where)
    elif isinstance(value, str) and literals and str not in choices and value not in literals:
        raise _invalid_value(f"{value!r}", literals, where)
    elif not (isinstance(value, Hashable) and value in literals) and not any(
        _is_scalar(value, each) for each in choices
    ):
        raise _wrong_type(value, choices, where)


def _is_scalar(value: Any, kind: Any) -> bool:
    """Return whether a value without nested values has that type."""
    if kind is object or get_origin(kind) is dict:
        return kind is object or isinstance(value, dict)
    if isinstance(value, bool) or kind not in _SCALARS:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _check_object(value: Body, choices: list[Any], where: str) -> None:
    """Check an object against the type that its `role` or `type` selects."""
    fitting = [each for each in choices if _tagged(value, _hints(each))]
    if not fitting:
        given = value.get("role", value.get("type"))
        raise _invalid_value(f"{given!r}", sorted(_tags(choices)), where)
    hints = _hints(fitting[0])
    if "role" in hints:
        given = value.get("role")
        if given not in _ROLES:
            raise _invalid_value(f"{given!r}", _ROLES, where)
        if fitting[0] in get_args(_ITEM):
            parts: Any = _OUTPUT if given == "assistant" else _INPUT
            hints = {**hints, "content": str | list[parts]}
            hints["status"] = Literal["in_progress", "completed", "incomplete"] | None
            hints["id"] = str
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise _unknown(f"{where}.{unknown[0]}")
    required = {name for name, hint in hints.items() if get_origin(hint) is Required}
    _need(value, {*required, *({"content"} & set(hints))} - _optional(value), f"{where}.")
    for name, inner in value.items():
        _check(inner, hints[name], where=f"{where}.{name}")


def _optional(value: Body) -> set[str]:
    refused = {"content"} if value.get("role") == "assistant" and "refusal" in value else set()
    return {*_DEFAULTED, "type", *refused}


def _tagged(value: Body, hints: Mapping[str, Any]) -> bool:
    for tag in ("role", "type"):
        allowed = [word for each in _choices(hints.get(tag, object)) for word in get_args(each)]
        if allowed and tag in value and value[tag] not in allowed:
            return False
    return True


def _tags(choices: Iterable[Any]) -> set[str]:
    found = set()
    for each in choices:
        hints = _hints(each)
        for kind in _choices(hints.get("role", hints.get("type", object))):
            found |= {str(word) for word in get_args(kind)}
    return found


def _check_bounds(value: Any, name: str, where: str) -> None:
    if name in _RANGES and isinstance(value, int | float):
        low, high = _RANGES[name]
        if not low <= value <= high:
            message = f"Invalid '{where}': expected a value from {low:g} to {high:g}."
            raise ApiError("invalid", message, param=where, code="invalid_value")
    if name in _LENGTHS and isinstance(value, str | list | dict):
        low, high = _LENGTHS[name]
        if not low <= len(value) <= high:
            message = f"Invalid '{where}': expected a length from {low} to {high}."
            raise ApiError("invalid", message, param=where, code="invalid_value")
    if name == "name" and isinstance(value, str) and not _NAME.fullmatch(value):
        message = f"Invalid '{where}': string does not match pattern. Expected {_NAME.pattern!r}."
        raise ApiError("invalid", message, param=where, code="invalid_value")
    if name in {"image_url", "url"} and isinstance(value, str) and not value.startswith(_IMAGES):
        message = "Invalid 'image_url'. Expected a valid URL or a base64 data URL."
        raise ApiError("invalid", message, param=where, code="invalid_value")


def _choices(kind: Any) -> list[Any]:
    """Return the possible types of a value, with unions and wrappers resolved."""
    origin = get_origin(kind)
    if origin in {Required, NotRequired, Annotated}:
        return _choices(get_args(kind)[0])
    if origin in {Union, types.UnionType}:
        return [choice for each in get_args(kind) for choice in _choices(each)]
    return [kind]


def _is_list(kind: Any) -> bool:
    origin = get_origin(kind)
    if getattr(origin, "__name__", "") == "SequenceNotStr":  # the library's own type
        return True
    return isinstance(origin, type) and origin is not dict and issubclass(list, origin)


def _need(value: Body, required: set[str], prefix: str) -> None:
    for name in sorted(required - set(value)):
        where = f"{prefix}{name}"
        message = f"Missing required parameter: '{where}'."
        raise ApiError("invalid", message, param=where, code="missing_required_parameter")


def _unknown(where: str) -> ApiError:
    return ApiError("unknown_parameter", f"Unknown parameter: '{where}'.", param=where)


def _invalid_value(given: str, known: Iterable[Any], where: str) -> ApiError:
    values = ", ".join(f"'{each}'" for each in known)
    message = f"Invalid value: {given}. Supported values are: {values}."
    return ApiError("invalid", message, param=where, code="invalid_value")


def _wrong_type(value: Any, choices: list[Any], where: str) -> ApiError:
    expected = " or ".join(sorted({_SCALARS.get(each, "object") for each in choices}))
    actual = type(value).__name__
    message = f"Invalid type for '{where}': expected {expected}, but got {actual} instead."
    return ApiError("invalid", message, param=where, code="invalid_type")


def knows(endpoint: str, name: str) -> bool:
    """Return whether a field of this name is supported."""
    return name in _SCHEMAS[endpoint][1]
