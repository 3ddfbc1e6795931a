"""A provider that takes Entra's tokens: no key anywhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import jwt
from aiohttp import web

from tests.loop.vault_server.harness import BOT, Harness

from .conftest import FreshStage
from .servers import Servers
from .vaulted import vaulted

AUDIENCE = "https://cognitiveservices.azure.com"


@asynccontextmanager
async def azure_openai(azure: Harness, servers: Servers, shown: list[str]) -> AsyncIterator[str]:
    """Run a door in front of OpenAI's stand-in that opens to tokens of Entra alone."""
    public = azure.server.directory.key.public_key()

    async def pass_on(request: web.Request) -> web.StreamResponse:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, public, ["RS256"], audience=AUDIENCE)
        shown.append(claims["appid"])
        headers = {"Authorization": f"Bearer {servers.key}", "Content-Type": "application/json"}
        url = servers.openai.url + request.path.removeprefix("/openai/v1")
        async with session.post(url, data=await request.read(), headers=headers) as answer:
            response = web.StreamResponse(headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response

    app = web.Application()
    app.router.add_post("/{path:.*}", pass_on)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/openai/v1"
        finally:
            await runner.cleanup()


async def test_a_token_of_the_pods_identity_is_the_key(
    azure: Harness, servers: Servers, fresh: FreshStage
) -> None:
    shown: list[str] = []
    async with azure_openai(azure, servers, shown) as url:
        settings = {"SKY_OPENAI__AUTH": "entra", "SKY_OPENAI__BASE_URL": url}
        async with vaulted(azure, fresh, key="-", **settings) as story:
            await story.scene.bot.ready()

            answer = await story.scene.answer(await story.scene.call("without a key"))
            await story.scene.answer(await story.scene.call("and again"))

            assert len(answer.parts) == 1
            assert shown == [BOT.client_id] * 2
            tokens = [r for r in await azure.control.requests() if r.operation == "token"]
            assert len(tokens) == 1


async def test_entra_out_of_reach_is_told_and_passes(
    azure: Harness, servers: Servers, fresh: FreshStage
) -> None:
    async with azure_openai(azure, servers, []) as url:
        settings = {
            "SKY_OPENAI__AUTH": "entra",
            "SKY_OPENAI__BASE_URL": url,
            "AZURE_FEDERATED_TOKEN_FILE": str(azure.folder / "expired"),
        }
        (azure.folder / "expired").write_text(azure.token(age=7200))
        async with vaulted(azure, fresh, key="-", **settings) as story:
            await story.scene.bot.ready()
            first = await story.scene.call("too late")
            told = await story.scene.until(first, lambda seen: "refused" in seen.text)
            await story.scene.bot.logged("Entra gives no token", error="identity_expired")
            (azure.folder / "expired").write_text(azure.token())

            await story.scene.answer(await story.scene.call("in time"))

            assert len(told.parts) == 1
