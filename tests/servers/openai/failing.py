"""What a fault does to a request, before or instead of an answer."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from . import errors
from .answers import Answer
from .errors import ApiError
from .records import Fault, FaultKind
from .stream import BREAKS, forever, reset

REFUSAL = "I'm sorry, but I can't help with that."
DEFAULT_RETRY_AFTER = 1.0


# The faults that are an HTTP error, as a function of the fault, the model and the key.
HTTP_ERRORS: dict[FaultKind, Callable[[Fault, str, str], ApiError]] = {
    FaultKind.UNAUTHORIZED: lambda _fault, _model, key: errors.wrong_key(key),
    FaultKind.FORBIDDEN: lambda *_: errors.forbidden(),
    FaultKind.MODEL_NOT_FOUND: lambda _fault, model, _key: errors.model_not_found(model),
    FaultKind.CONTEXT_LENGTH: lambda *_: errors.context_length(),
    FaultKind.RATE_LIMIT: lambda fault, model, _key: errors.rate_limit(
        model, DEFAULT_RETRY_AFTER if fault.retry_after is None else fault.retry_after
    ),
    FaultKind.QUOTA: lambda *_: errors.quota(),
    FaultKind.SERVER_ERROR: lambda *_: errors.server_error(),
    FaultKind.UNAVAILABLE: lambda fault, _model, _key: errors.unavailable(fault.retry_after),
    FaultKind.BAD_GATEWAY: lambda *_: errors.ProxyError(),
}


async def fail_at_once(fault: Fault, model: str, request: web.Request) -> None:
    """Fail instead of answering; returns where the fault belongs into the answer."""
    if fault.kind in HTTP_ERRORS:
        key = request.headers["Authorization"].partition(" ")[2].strip()
        raise HTTP_ERRORS[fault.kind](fault, model, key)
    if fault.kind is FaultKind.TIMEOUT:
        await forever()
    if fault.kind is FaultKind.DROP:
        reset(request)
        raise ConnectionResetError("as the fault asks")


async def fail_whole(fault: Fault | None, answer: Answer, request: web.Request) -> str:
    """Say how an answer without a stream ends; faults of streams become their like."""
    await asyncio.sleep(answer.first + answer.delay * max(len(answer.pieces) - 1, 0))
    if fault is None or fault.kind not in BREAKS:
        return "incomplete" if answer.truncated else "completed"
    if fault.kind in {FaultKind.INCOMPLETE, FaultKind.CONTENT_FILTER}:
        return fault.kind.value
    if fault.kind is FaultKind.STALL:
        await forever()
    if fault.kind in {FaultKind.CUT, FaultKind.RESET}:
        reset(request)
        raise ConnectionResetError("as the fault asks")
    if fault.kind is FaultKind.FAILED and request.path == "/v1/responses":
        return "failed"
    raise errors.server_error()
