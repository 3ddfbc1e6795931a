"""The CDN: attachments by their URL; every avatar is one grey dot."""

import base64
from typing import Final

from aiohttp import web

from tests.servers.discord.rest.base import state_of

_DOT: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgwCBmKh1SgAAAABJRU5ErkJggg=="
)


def routes() -> list[web.RouteDef]:
    """Return the routes of this module. They are outside /api: no token, no limits."""
    return [
        web.get("/attachments/{channel_id}/{attachment_id}/{filename}", attachment),
        web.get("/embed/avatars/{number}.png", avatar),
    ]


async def attachment(request: web.Request) -> web.Response:
    """GET a file; 404 if its URL has expired, or the file does not exist or has been dropped."""
    wanted, cdn = request.match_info["attachment_id"], state_of(request).cdn
    file = cdn.get(int(wanted)) if wanted.isdigit() else None
    if file is None or not cdn.accepts(request.raw_path.partition("?")[0], request.query):
        return web.Response(status=404, text="This content is no longer available.")
    kind, data = file
    return web.Response(body=data, headers={"Content-Type": kind})


async def avatar(_request: web.Request) -> web.Response:
    """GET any default avatar."""
    return web.Response(body=_DOT, content_type="image/png")
