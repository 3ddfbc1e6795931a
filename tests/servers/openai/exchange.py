"""One request and its response: checked, failed where told, answered whole or as a stream."""

import json
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import errors
from .answers import Answer
from .chat_request import ChatRequest
from .chat_shape import ChatShape
from .directives import Directives
from .errors import ApiError
from .failing import REFUSAL, fail_at_once, fail_whole
from .keys import digest
from .moderations import ModerationRequest, moderate
from .pictures import ImagesRequest, drawn
from .records import Asked, Endpoint, Fault, FaultKind, Record
from .responses_request import ResponsesRequest
from .responses_shape import ResponsesShape
from .stream import Stream
from .validation import parse

if TYPE_CHECKING:
    from .api import Api


class Exchange:
    """One request; its record is kept up to date at each step."""

    def __init__(self, api: "Api", request: web.Request, record: Record) -> None:
        self._api = api
        self._request = request
        self._record = record

    def _note(self, **changes: Any) -> None:
        self._record = self._api.book.note(self._record, **changes)

    def _headers(self) -> dict[str, str]:
        return {
            "x-request-id": self._record.id,
            "openai-version": "2020-10-01",
            "openai-processing-ms": "1",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-reset-requests": "6ms",
        }

    def refuse(self, error: ApiError) -> web.Response:
        """Answer with an error."""
        self._note(status=error.status, error=error.message, ending="refused", ended_at=time.time())
        headers = {**self._headers(), **error.headers}
        if isinstance(error, errors.ProxyError):
            return web.Response(text=error.message, content_type="text/html", status=error.status)
        return web.json_response(error.body(), status=error.status, headers=headers)

    def gone(self) -> None:
        """Write down that the connection broke, unless the exchange was over by then."""
        if self._record.ending == "open":
            ours = self._record.fault is FaultKind.DROP
            ending = FaultKind.DROP.value if ours else "gone"
            self._note(ending=ending, ended_at=time.time())

    async def serve(self, endpoint: Endpoint) -> web.StreamResponse:
        """Answer, or raise ApiError."""
        given = self._request.headers.get("Authorization", "").partition(" ")[2].strip()
        self._note(key=digest(given) if given else None)
        self._api.authorize(self._request)
        if endpoint == "responses":
            return await self._answer(parse(ResponsesRequest, await self._json()))
        if endpoint == "chat":
            return await self._answer(parse(ChatRequest, await self._json()))
        if endpoint == "images":
            return await self._draw(parse(ImagesRequest, await self._json()))
        await self._fail(self._api.fault(endpoint, "", Directives()), "")
        if endpoint == "moderations":
            return self._whole(moderate(parse(ModerationRequest, await self._json())))
        if endpoint == "models":
            return self._whole(self._models())
        raise errors.unknown_address(self._request.method, self._request.path)

    async def _json(self) -> Any:
        body = await self._request.read()
        self._note(read_at=time.time())
        try:
            return json.loads(body)
        except ValueError as error:
            message = "We could not parse the JSON body of your request."
            raise ApiError(400, message) from error

    def _models(self) -> dict[str, Any]:
        listed = [
            {"id": name, "object": "model", "created": 1735689600, "owned_by": "system"}
            for name in self._api.models
        ]
        name = self._request.path.removeprefix("/v1/models").strip("/")
        if not name:
            return {"object": "list", "data": listed}
        found = next((each for each in listed if each["id"] == name), None)
        if found is None:
            raise errors.model_not_found(name)
        return found

    async def _answer(self, body: ResponsesRequest | ChatRequest) -> web.StreamResponse:
        asked = body.asked()
        self._note(asked=asked)
        if asked.model not in self._api.models:
            raise errors.model_not_found(asked.model)
        directives = Directives.of(asked.last_user_text)
        fault = self._api.fault(self._record.endpoint, asked.last_user_text, directives)
        await self._fail(fault, asked.model)
        answer = self._api.answer(asked, self._record.number, directives)
        refusal = fault is not None and fault.kind is FaultKind.REFUSAL
        if refusal:
            answer = answer.model_copy(update={"pieces": (REFUSAL,), "truncated": False})
        if isinstance(body, ResponsesRequest):
            shape: ResponsesShape | ChatShape = ResponsesShape(
                self._record.number, body, asked, directives, refusal=refusal
            )
            if ResponsesShape.silent(asked):
                answer = answer.model_copy(update={"pieces": (), "truncated": False})
        else:
            shape = ChatShape(self._record.number, asked, refusal=refusal)
        return await self._send(asked, shape, answer, fault)

    async def _draw(self, body: ImagesRequest) -> web.Response:
        asked = body.asked()
        self._note(asked=asked)
        if asked.model not in self._api.models:
            raise errors.model_not_found(asked.model)
        directives = Directives.of(asked.last_user_text)
        await self._fail(self._api.fault("images", asked.last_user_text, directives), asked.model)
        return self._whole(drawn())

    async def _fail(self, fault: Fault | None, model: str) -> None:
        if fault is None:
            return
        self._note(fault=fault.kind)
        await fail_at_once(fault, model, self._request)

    async def _send(
        self,
        asked: Asked,
        shape: ResponsesShape | ChatShape,
        answer: Answer,
        fault: Fault | None,
    ) -> web.StreamResponse:
        if not asked.stream:
            reason = await fail_whole(fault, answer, self._request)
            return self._whole(shape.whole(answer.text, reason), answer.text, reason)
        headers = {**self._headers(), "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        self._note(status=response.status)
        ending = await Stream(self._request, response, shape, self._note).send(answer, fault)
        if self._record.ending == "open":
            self._note(ending=ending, ended_at=time.time())
        return response

    def _whole(
        self, body: dict[str, Any], text: str = "", reason: str = "completed"
    ) -> web.Response:
        now = time.time()
        self._note(
            status=200,
            text=text,
            chunks=int(bool(text)),
            first_text_at=now if text else None,
            ending=reason,
            ended_at=now,
        )
        return web.json_response(body, headers=self._headers())
