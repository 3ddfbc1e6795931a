"""The public listener: /v1 in the chosen dialect, for the accepted keys."""

import asyncio
import json
import time
from typing import Any

from aiohttp import web

from . import dialect
from .answers import Answer, compose
from .chat import ChatWriter
from .dialect import Dialect
from .directives import Directives
from .errors import ApiError, masked
from .keys import Keys, digest
from .moderations import moderate
from .pictures import drawn
from .records import DialectChoice, Endpoint, Fault, FaultKind, Record, ScriptedAnswer, UsageKind
from .requests import RequestReader
from .responses import ResponsesWriter
from .state import Behavior, RequestLog
from .stream import BREAKS, StreamSender, forever, reset

MAX_BODY = 32 * 2**20
REFUSAL = "I'm sorry, but I can't help with that."
DEFAULT_RETRY_AFTER = 1.0
ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/responses"): "responses",
    ("POST", "/v1/chat/completions"): "chat",
    ("POST", "/v1/images/generations"): "images",
    ("GET", "/v1/models"): "models",
    ("POST", "/v1/moderations"): "moderations",
}
# The faults that are refusals, with their kind in the dialect.
REFUSALS = {
    FaultKind.UNAUTHORIZED: "bad_key",
    FaultKind.FORBIDDEN: "forbidden",
    FaultKind.MODEL_NOT_FOUND: "model",
    FaultKind.CONTEXT_LENGTH: "context",
    FaultKind.RATE_LIMIT: "rate_limit",
    FaultKind.QUOTA: "credit",
    FaultKind.SERVER_ERROR: "server_error",
    FaultKind.UNAVAILABLE: "unavailable",
    FaultKind.BAD_GATEWAY: "bad_gateway",
}
PAGE = "<!doctype html><html><body><h1>Service under maintenance</h1></body></html>"


class Server:
    """What all requests share: keys, models, the dialect, behaviour, and the log of requests."""

    def __init__(self, keys: Keys, behavior: Behavior, log: RequestLog, name: str) -> None:
        self.keys = keys
        self.behavior = behavior
        self.log = log
        self._first_choice = DialectChoice(name=name)
        self.speak(self._first_choice)

    def reset(self) -> None:
        """Return to the initial state: dialect, keys, pace, no faults, no script, no records.

        The numbers of requests and faults continue.
        """
        self.speak(self._first_choice)
        self.keys.reset()
        self.behavior.reset()
        self.log.forget()

    def speak(self, choice: DialectChoice) -> None:
        """Use a dialect from now on; raises FileNotFoundError if it does not exist."""
        self.dialect: Dialect = dialect.load(choice.name)
        self.choice = choice
        self.models = self.dialect.model_names

    def app(self) -> web.Application:
        """Build the application."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        endpoint = ROUTES.get((request.method, request.path), "unknown")
        if request.method == "GET" and request.path.startswith("/v1/models/"):
            endpoint = "models"
        handler = RequestHandler(self, request, self.log.open(endpoint, request.path))
        try:
            return await handler.serve(endpoint)
        except ApiError as error:
            return await handler.refuse(error)
        except ConnectionResetError:  # by the client or a fault: nobody is left to write to
            handler.gone()
            return web.Response()
        except asyncio.CancelledError:
            handler.gone()
            raise


class RequestHandler:
    """One request and its response; its record is updated at each step."""

    def __init__(self, server: Server, request: web.Request, record: Record) -> None:
        self._server = server
        self._dialect = server.dialect
        self._request = request
        self._record = record
        self._streams = False  # whether a stream was requested

    def _update(self, **changes: Any) -> None:
        self._record = self._server.log.update(self._record, **changes)

    def _headers(self) -> dict[str, str]:
        return {
            "x-request-id": self._record.id,
            "openai-version": "2020-10-01",
            "openai-processing-ms": "1",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-reset-requests": "6ms",
        }

    async def refuse(self, error: ApiError) -> web.StreamResponse:
        """Answer with an error, in the dialect's form."""
        form, body, headers = self._dialect.tells(error)
        now = time.time()
        self._update(status=form.status, error=str(error), ending="refused", ended_at=now)
        if form.in_stream and self._streams:
            response = self._event_stream()
            await StreamSender.refuse(self._request, response, self._dialect, body)
            return response
        return web.Response(
            text=body,
            content_type=form.content_type,
            status=form.status,
            headers={**self._headers(), **headers},
        )

    def gone(self) -> None:
        """Record that the connection broke, unless the response had ended by then."""
        if self._record.ending == "open":
            ours = self._record.fault is FaultKind.DROP
            ending = FaultKind.DROP.value if ours else "gone"
            self._update(ending=ending, ended_at=time.time())

    async def serve(self, endpoint: Endpoint) -> web.StreamResponse:
        """Answer, or raise ApiError."""
        given = self._request.headers.get("Authorization", "").partition(" ")[2].strip()
        self._update(key=digest(given) if given else None)
        self._authorize()
        if endpoint not in self._dialect.apis:
            raise ApiError("not_found", method=self._request.method, path=self._request.path)
        if endpoint in {"responses", "chat", "images"}:
            return await self._answer(endpoint)
        await self._fail(self._fault(endpoint, "", Directives()), "")
        if endpoint == "moderations":
            return self._whole(moderate(await self._json()))
        return self._whole(self._models())

    def _authorize(self) -> None:
        scheme, _, key = self._request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise ApiError("no_key")
        if key.strip() not in self._server.keys.accepted():
            raise ApiError("bad_key", key=masked(key.strip()))

    async def _json(self) -> Any:
        body = await self._request.read()
        self._update(read_at=time.time())
        try:
            return json.loads(body)
        except ValueError as error:
            message = "We could not parse the JSON body of your request."
            raise ApiError("invalid", message) from error

    def _models(self) -> dict[str, Any]:
        listed = [
            {"id": name, "object": "model", "created": 1735689600, "owned_by": "system"}
            for name in self._server.models
        ]
        name = self._request.path.removeprefix("/v1/models").strip("/")
        if not name:
            return {"object": "list", "data": listed}
        found = next((each for each in listed if each["id"] == name), None)
        if found is None:
            raise ApiError("model", model=name)
        return found

    async def _answer(self, endpoint: Endpoint) -> web.StreamResponse:
        server = self._server
        body = await self._json()
        self._streams = isinstance(body, dict) and body.get("stream") is True
        asked = RequestReader(self._dialect, server.choice, server.models).read(endpoint, body)
        self._update(asked=asked)
        directives = Directives.of(asked.last_user_text)
        fault = self._fault(endpoint, asked.last_user_text, directives)
        await self._fail(fault, asked.model)
        if endpoint == "images":
            return self._whole(drawn())
        script = server.behavior.scripted(asked.last_user_text)
        if script is not None and script.status is not None:
            return await self._verbatim(script)
        pace = server.behavior.pace
        answer = compose(asked, self._record.number, directives, script, pace)
        refusal = fault is not None and fault.kind is FaultKind.REFUSAL
        if refusal:
            answer = answer.model_copy(update={"pieces": (REFUSAL,), "truncated": False})
        if fault is not None and fault.kind is FaultKind.ONLY_REASONING:
            answer = answer.model_copy(update={"pieces": (), "truncated": True})
        writer: ResponsesWriter | ChatWriter
        if endpoint == "responses":
            reasons = self._dialect.group(asked.model).reasons
            if server.choice.usage == "never":
                directives = directives.model_copy(update={"usage": UsageKind.NONE})
            writer = ResponsesWriter(
                self._record.number, body, asked, directives, reasons=reasons, refusal=refusal
            )
            if ResponsesWriter.silent(asked):
                answer = answer.model_copy(update={"pieces": (), "truncated": False})
        else:
            usage = server.choice.usage or self._dialect.streams.usage
            writer = ChatWriter(
                self._record.number,
                asked,
                self._dialect,
                directives,
                usage=usage,
                refusal=refusal,
            )
        if asked.stream:
            return await self._stream(writer, answer, fault)
        reason = await self._fail_whole(fault, answer)
        return self._whole(writer.whole(answer.text, reason), answer.text, reason)

    def _fault(self, endpoint: Endpoint, text: str, directives: Directives) -> Fault | None:
        """Return the fault that applies to a request, if any: injected, or from a directive."""
        injected = self._server.behavior.fault_for(endpoint, text)
        if injected is not None or directives.fault is None:
            return injected
        return Fault(
            kind=directives.fault, after=directives.after, retry_after=directives.retry_after
        )

    async def _fail(self, fault: Fault | None, model: str) -> None:
        """Fail instead of answering; return if the fault happens during the answer."""
        if fault is None:
            return
        self._update(fault=fault.kind)
        if fault.kind in REFUSALS:
            raise self._refusal(fault, model)
        if fault.kind is FaultKind.TIMEOUT:
            await forever()
        if fault.kind is FaultKind.DROP:
            reset(self._request)
            raise ConnectionResetError("closed by the fault")

    def _refusal(self, fault: Fault, model: str) -> ApiError:
        given = self._request.headers["Authorization"].partition(" ")[2].strip()
        after = DEFAULT_RETRY_AFTER if fault.retry_after is None else fault.retry_after
        silent = fault.retry_after is None and fault.kind is FaultKind.UNAVAILABLE
        return ApiError(
            REFUSALS[fault.kind],
            key=masked(given),
            model=model,
            param="messages" if self._record.endpoint == "chat" else "input",
            limit=128_000,
            tokens=200_000,
            retry_after="" if silent else f"{after:g}",
            retry_after_ms=f"{after * 1000:.0f}",
        )

    async def _fail_whole(self, fault: Fault | None, answer: Answer) -> str:
        """Apply a fault to an answer without a stream; stream faults become similar ones."""
        await asyncio.sleep(answer.first + answer.delay * max(len(answer.pieces) - 1, 0))
        usual = "incomplete" if answer.truncated else "completed"
        if fault is None or fault.kind not in BREAKS:
            return usual if fault is None else _WHOLE_ENDS.get(fault.kind, usual)
        if fault.kind in {FaultKind.INCOMPLETE, FaultKind.CONTENT_FILTER}:
            return fault.kind.value
        if fault.kind is FaultKind.STALL:
            await forever()
        if fault.kind in {FaultKind.CUT, FaultKind.RESET}:
            reset(self._request)
            raise ConnectionResetError("closed by the fault")
        if fault.kind is FaultKind.FAILED and self._record.endpoint == "responses":
            return "failed"
        raise ApiError("server_error")

    async def _stream(
        self, writer: ResponsesWriter | ChatWriter, answer: Answer, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None and fault.kind is FaultKind.HTML:
            self._update(status=200, ending=fault.kind.value, ended_at=time.time())
            return web.Response(text=PAGE, content_type="text/html", headers=self._headers())
        response = self._event_stream()
        self._update(status=response.status)
        sender = StreamSender(self._request, response, writer, self._dialect, self._update)
        ending = await sender.send(answer, fault)
        if self._record.ending == "open":
            self._update(ending=ending, ended_at=time.time())
        return response

    def _event_stream(self) -> web.StreamResponse:
        headers = {**self._headers(), "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        return response

    async def _verbatim(self, script: ScriptedAnswer) -> web.Response:
        await asyncio.sleep(script.first or 0)
        self._update(
            status=script.status, text=script.text, ending="verbatim", ended_at=time.time()
        )
        return web.Response(
            body=script.text.encode(),
            status=script.status or 200,
            content_type=script.content_type,
            headers=self._headers(),
        )

    def _whole(
        self, body: dict[str, Any], text: str = "", reason: str = "completed"
    ) -> web.Response:
        now = time.time()
        self._update(
            status=200,
            text=text,
            chunks=int(bool(text)),
            first_text_at=now if text else None,
            ending=reason,
            ended_at=now,
        )
        return web.json_response(body, headers=self._headers())


_WHOLE_ENDS = {
    kind: kind.value
    for kind in (FaultKind.FINISH_ERROR, FaultKind.FINISH_UNKNOWN, FaultKind.ONLY_REASONING)
}
