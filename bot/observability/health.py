"""The HTTP port: /livez for the event loop, /readyz for whether the bot can answer, /metrics.

Liveness is the event loop and nothing else: an outage of Discord or of the model is no reason for a
restart, which would only spend one of the day's logins.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from bot.domain.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.observability.metrics import Metrics
    from bot.settings.schema import HttpSettings


@contextlib.asynccontextmanager
async def serving(
    http: HttpSettings, metrics: Metrics, not_ready: Callable[[], str | None]
) -> AsyncIterator[int]:
    """Serve on `http` for as long as the block lasts, and yield the port.

    `not_ready` says why the bot cannot answer now, or None. Raises BadSettings if the port is not
    available.
    """

    async def handle(request: web.BaseRequest) -> web.Response:
        match request.path:
            case "/livez":
                return web.Response(text="alive\n")
            case "/readyz":
                reason = not_ready()
                return web.Response(text=f"{reason or 'ready'}\n", status=503 if reason else 200)
            case "/metrics":
                return web.Response(
                    body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"}
                )
        return web.Response(text="Here are /livez, /readyz and /metrics.\n", status=404)

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, http.host, http.port)
        try:
            await site.start()
        except OSError as error:
            place = f"{http.host}:{http.port}"
            remedy = "Set another with SKY_HTTP__HOST and SKY_HTTP__PORT."
            raise BadSettings([f"cannot listen on {place} ({error.strerror}). {remedy}"]) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
