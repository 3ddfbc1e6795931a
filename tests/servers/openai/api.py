"""The public listener: /v1 as OpenAI serves it, for the accepted keys."""

import asyncio

from aiohttp import web

from . import errors, models
from .answers import Answer, compose
from .book import Book, Instructions
from .directives import Directives
from .errors import ApiError
from .exchange import Exchange
from .keys import Keys, digest
from .records import Asked, Endpoint, Fault

MAX_BODY = 32 * 2**20
ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/responses"): "responses",
    ("POST", "/v1/chat/completions"): "chat",
    ("POST", "/v1/images/generations"): "images",
    ("GET", "/v1/models"): "models",
    ("POST", "/v1/moderations"): "moderations",
}


class Api:
    """What every exchange shares: keys, models, what to do, and what happened."""

    def __init__(self, keys: Keys, instructions: Instructions, book: Book) -> None:
        self.models = list(models.DEFAULT_MODELS)
        self.keys = keys
        self.instructions = instructions
        self.book = book

    def app(self) -> web.Application:
        """Make the application."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        endpoint = ROUTES.get((request.method, request.path), "unknown")
        if request.method == "GET" and request.path.startswith("/v1/models/"):
            endpoint = "models"
        exchange = Exchange(self, request, self.book.open(endpoint, request.path))
        try:
            return await exchange.serve(endpoint)
        except ApiError as error:
            return exchange.refuse(error)
        except ConnectionResetError:  # by the client, or by a fault: there is nobody to write to
            exchange.gone()
            return web.Response()
        except asyncio.CancelledError:
            exchange.gone()
            raise

    def authorize(self, request: web.Request) -> str:
        """Give the key's digest; raises ApiError 401."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise errors.no_key()
        if key.strip() not in self.keys.accepted():
            raise errors.wrong_key(key.strip())
        return digest(key.strip())

    def answer(self, asked: Asked, number: int, directives: Directives) -> Answer:
        """Compose an answer."""
        script = self.instructions.scripted(asked.last_user_text)
        return compose(asked, number, directives, script, self.instructions.pace)

    def fault(self, endpoint: Endpoint, text: str, directives: Directives) -> Fault | None:
        """Take the fault that applies to a request, if any: injected, or by directive."""
        injected = self.instructions.fault_for(endpoint, text)
        if injected is not None or directives.fault is None:
            return injected
        return Fault(
            kind=directives.fault, after=directives.after, retry_after=directives.retry_after
        )
