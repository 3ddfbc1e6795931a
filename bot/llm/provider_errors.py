"""What a provider's failures mean: each becomes one class of errors.py, with no text of theirs."""

from __future__ import annotations

import contextlib
import json
import math
from typing import TYPE_CHECKING, Any

import aiohttp

from bot.domain.errors import (
    BadPicture,
    CutShort,
    Filtered,
    KeyRefused,
    ModelBusy,
    ModelDown,
    ModelMissing,
    ModelSlow,
    OutOfRoom,
    QuotaSpent,
    RequestRefused,
    Retried,
    SkyError,
    ToolMissing,
    TooMuchText,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai

    from bot.domain.model_request import Usage


_BY_CODE: dict[str, type[SkyError]] = {
    "insufficient_quota": QuotaSpent,
    "billing_hard_limit_reached": QuotaSpent,
    "rate_limit_exceeded": ModelBusy,
    "context_length_exceeded": TooMuchText,
    "string_above_max_length": TooMuchText,
    "content_filter": Filtered,
    "content_policy_violation": Filtered,
    "invalid_prompt": Filtered,
    "bio_policy": Filtered,
    "misalignment_policy_violation": Filtered,
    "model_not_found": ModelMissing,
    "invalid_api_key": KeyRefused,
    "server_error": ModelDown,
    "moderation_blocked": Filtered,
    "image_content_policy_violation": Filtered,
    **dict.fromkeys(
        (
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "invalid_image_mode",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
        ),
        BadPicture,
    ),
}
_BY_STATUS: dict[int, type[SkyError]] = {
    401: KeyRefused,
    403: ModelMissing,
    404: ModelMissing,
    408: ModelSlow,
    409: ModelBusy,
    413: TooMuchText,
    429: ModelBusy,
}
_SERVER_ERRORS = 500
_GATEWAY_TIMEOUTS = frozenset({504, 524})  # nobody knows what the model behind it has done
_TOOLS = frozenset({"tools", "tool_choice", "max_tool_calls"})


@contextlib.contextmanager
def mapped() -> Iterator[None]:
    """Turn what the library raises inside the block into errors of our tree."""
    import openai  # noqa: PLC0415  # loaded late, see model.py

    try:
        yield
    except openai.APIConnectionError as error:
        raise _connection(error) from error
    except openai.APIStatusError as error:
        raise _status(error) from error
    except openai.APIError as error:  # an error inside the stream
        raise by_code(error.code) from error
    except json.JSONDecodeError as error:
        raise ModelDown("an event that is not JSON") from error


def _connection(error: openai.APIConnectionError) -> SkyError:
    import httpx2  # noqa: PLC0415  # loaded late, see model.py
    import openai  # noqa: PLC0415

    timed_out = isinstance(error, openai.APITimeoutError)
    if timed_out and not _broke(error):
        found: SkyError = ModelSlow("no answer in time")
    else:
        found = ModelDown("the connection broke" if timed_out else "no connection")
    unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    found.unbilled = isinstance(error.__cause__, unsent)
    return found


def _broke(error: BaseException) -> bool:
    """Whether a "timeout" was none: the library names aiohttp's broken connections so as well."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, aiohttp.ClientError):
        cause = cause.__cause__
    return cause is not None and not isinstance(cause, TimeoutError)


def _status(error: openai.APIStatusError) -> SkyError:
    status = error.status_code
    kind = _BY_CODE.get(error.code or "") or _BY_STATUS.get(status)
    if kind is None and error.param in _TOOLS:
        kind = ToolMissing
    if kind is None:
        kind = ModelDown if status >= _SERVER_ERRORS else RequestRefused
    message = f"status {status}, code {_plain(error.code)}"
    if issubclass(kind, Retried):
        found: SkyError = kind(message, after=_seconds(error.response.headers.get("retry-after")))
    else:
        found = kind(message)
    found.unbilled = status not in _GATEWAY_TIMEOUTS
    return found


def by_code(code: object) -> SkyError:
    """The error for a code that came inside a stream."""
    return _BY_CODE.get(str(code), ModelDown)(f"code {_plain(code)}")


def part(event: Any, key: str) -> Any:
    """Read `key` of an event, None if it has none; raises ModelDown if it is no JSON object."""
    if not isinstance(event, dict):
        raise ModelDown("an event that is not an object")
    return event.get(key)


def raise_for_event(kind: object, event: Any) -> None:
    """Raise if an event of the Responses API, of this kind, ends the answer badly."""
    match kind:
        case "response.incomplete":
            details = part(part(event, "response"), "incomplete_details") or {}
            raise _incomplete(part(details, "reason"))
        case "response.failed":
            error = part(part(event, "response"), "error") or {}
            raise by_code(part(error, "code"))
        case "error":
            raise by_code(part(event, "code"))


def raise_for_finish(reason: str, usage: Usage) -> None:
    """Raise if Chat Completions' `finish_reason` is not the end of an answer."""
    kinds: dict[str, type[SkyError]] = {"length": OutOfRoom, "content_filter": Filtered}
    if reason in kinds:
        error = kinds[reason](f"finish_reason {reason}")
        error.usage = usage
        raise error


def _incomplete(reason: str | None) -> SkyError:
    if reason == "max_output_tokens":
        return OutOfRoom("incomplete: max_output_tokens")
    if reason == "content_filter":
        return Filtered("incomplete: content_filter")
    return CutShort(f"incomplete: {_plain(reason)}")


def _plain(code: object) -> str:
    """A code that may stand in a log: a short name, or that it is none."""
    text = str(code)
    return text if len(text) <= 64 and text.replace("_", "").isalnum() else "unnamed"  # noqa: PLR2004


def _seconds(value: str | None) -> float | None:
    """The seconds of a Retry-After header; None for a date or nonsense."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
