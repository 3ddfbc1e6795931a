"""The control listener: loopback only, no authentication; README.md has its table."""

import asyncio
import json
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from .records import DialectChoice, Fault, Pace, ScriptedAnswer
from .server import Server

T = TypeVar("T")


class ControlApp:
    """Controls the server, and reports what happened."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def app(self) -> web.Application:
        """Build the application."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.post("/reset", self._reset),
                web.get("/keys", self._keys),
                web.put("/keys", self._replace_keys),
                web.get("/models", self._models),
                web.put("/models", self._replace_models),
                web.get("/dialect", self._dialect),
                web.put("/dialect", self._choose_dialect),
                web.put("/pace", self._pace),
                web.put("/script", self._script),
                web.get("/faults", self._faults),
                web.post("/faults", self._inject),
                web.delete("/faults", self._clear),
                web.delete("/faults/{id}", self._clear),
                web.get("/counts", self._counts),
                web.get("/requests", self._requests),
                web.delete("/requests", self._forget),
                web.get("/events", self._events),
            ]
        )
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _reset(self, _: web.Request) -> web.Response:
        self._server.reset()
        return web.json_response({})

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(sorted(self._server.keys.accepted()))

    async def _replace_keys(self, request: web.Request) -> web.Response:
        self._server.keys.replace(await _read(request, TypeAdapter(list[str])))
        return await self._keys(request)

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response(self._server.models)

    async def _replace_models(self, request: web.Request) -> web.Response:
        self._server.models = await _read(request, TypeAdapter(list[str]))
        return await self._models(request)

    async def _dialect(self, _: web.Request) -> web.Response:
        return _write(self._server.choice)

    async def _choose_dialect(self, request: web.Request) -> web.Response:
        choice = await _read(request, TypeAdapter(DialectChoice))
        try:
            self._server.speak(choice)
        except FileNotFoundError as error:
            raise web.HTTPNotFound(text=f"There is no dialect {choice.name}.") from error
        return _write(choice)

    async def _pace(self, request: web.Request) -> web.Response:
        self._server.behavior.pace = await _read(request, TypeAdapter(Pace))
        return _write(self._server.behavior.pace)

    async def _script(self, request: web.Request) -> web.Response:
        answers = await _read(request, TypeAdapter(list[ScriptedAnswer]))
        self._server.behavior.script(answers)
        return _write_all(answers)

    async def _faults(self, _: web.Request) -> web.Response:
        return _write_all(self._server.behavior.faults())

    async def _inject(self, request: web.Request) -> web.Response:
        fault = await _read(request, TypeAdapter(Fault))
        return _write(self._server.behavior.inject(fault))

    async def _clear(self, request: web.Request) -> web.Response:
        name = request.match_info.get("id")
        if not self._server.behavior.clear(name) and name is not None:
            raise web.HTTPNotFound(text=f"There is no fault {name}; GET /faults lists them.")
        return web.json_response({})

    async def _counts(self, _: web.Request) -> web.Response:
        return _write(self._server.log.counts())

    async def _requests(self, request: web.Request) -> web.Response:
        return _write_all(self._server.log.records(request.query.get("match")))

    async def _forget(self, _: web.Request) -> web.Response:
        self._server.log.forget()
        return web.json_response({})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        try:
            async for record in self._server.log.watch():
                await response.write(f"data: {record.model_dump_json()}\n\n".encode())
        except (ConnectionResetError, asyncio.CancelledError):
            return response
        return response


async def _read(request: web.Request, adapter: TypeAdapter[T]) -> T:
    try:
        return adapter.validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def _write(value: BaseModel) -> web.Response:
    return web.json_response(text=value.model_dump_json())


def _write_all(values: list[Any]) -> web.Response:
    return web.json_response(text=json.dumps([v.model_dump(mode="json") for v in values]))
