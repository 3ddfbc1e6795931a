"""The control listener: loopback only, no authentication. It never shows a value or a token."""

from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from .book import Book
from .clock import Clock as Now
from .directory import Directory
from .faults import Faults
from .records import Clock, Fault, Identity, Lifetime

T = TypeVar("T")


class ControlApp:
    """Controls the servers, and reports what happened."""

    def __init__(self, clock: Now, faults: Faults, book: Book, directory: Directory) -> None:
        self._clock = clock
        self._faults = faults
        self._book = book
        self._directory = directory

    def app(self) -> web.Application:
        """Build the application."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/faults", self._list),
                web.post("/faults", self._begin),
                web.delete("/faults", self._clear),
                web.put("/clock", self._set_clock),
                web.put("/token-lifetime", self._set_lifetime),
                web.get("/identities", self._identities),
                web.put("/identities", self._put_identity),
                web.get("/requests", self._requests),
                web.delete("/requests", self._forget),
                web.get("/counts", self._counts),
                web.get("/events", self._events),
            ]
        )
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _list(self, _: web.Request) -> web.Response:
        return _write(self._faults.list())

    async def _begin(self, request: web.Request) -> web.Response:
        return _write(self._faults.begin(await _read(request, TypeAdapter(Fault))))

    async def _clear(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response({})

    async def _set_clock(self, request: web.Request) -> web.Response:
        self._clock.offset = (await _read(request, TypeAdapter(Clock))).offset
        return web.json_response({})

    async def _set_lifetime(self, request: web.Request) -> web.Response:
        wanted = await _read(request, TypeAdapter(Lifetime))
        self._directory.token_seconds = wanted.seconds
        return web.json_response({})

    async def _identities(self, _: web.Request) -> web.Response:
        shown = [
            one.model_copy(update={"client_secret": ""})
            for one in self._directory.identities.values()
        ]
        return _write(shown)

    async def _put_identity(self, request: web.Request) -> web.Response:
        """Add or replace an identity; an empty client secret keeps the existing one."""
        wanted = await _read(request, TypeAdapter(Identity))
        known = self._directory.identities.get(wanted.client_id)
        if known is not None and not wanted.client_secret:
            wanted = wanted.model_copy(update={"client_secret": known.client_secret})
        self._directory.put(wanted)
        return web.json_response({})

    async def _requests(self, _: web.Request) -> web.Response:
        return _write(self._book.records())

    async def _forget(self, _: web.Request) -> web.Response:
        self._book.forget()
        return web.json_response({})

    async def _counts(self, _: web.Request) -> web.Response:
        return _write(self._book.counts())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send every existing record, then each new one, one JSON object per line."""
        response = web.StreamResponse()
        response.content_type = "application/x-ndjson"
        await response.prepare(request)
        try:
            async for record in self._book.watch():
                await response.write(record.model_dump_json().encode() + b"\n")
        except ConnectionResetError:
            return response
        return response


async def _read(request: web.Request, adapter: TypeAdapter[T]) -> T:
    try:
        return adapter.validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def _write(value: BaseModel | list[Any]) -> web.Response:
    shown = TypeAdapter(type(value)).dump_json(value).decode()
    return web.json_response(text=shown)
