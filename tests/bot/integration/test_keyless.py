"""Azure OpenAI: with Entra's tokens and no key anywhere, and with a key of its own."""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import jwt
from aiohttp import web

from tests.servers.keyvault.harness import BOT, Harness

from .conftest import FreshStage
from .scenario import scene as open_scene
from .servers import Servers
from .with_key_vault import vaulted

AUDIENCE = "https://cognitiveservices.azure.com"
BASE = "/openai/v1"
Admit = Callable[[Mapping[str, str]], bool]


@asynccontextmanager
async def door(servers: Servers, admit: Admit) -> AsyncIterator[str]:
    """Run what Azure has in front of the model: it looks at a request's headers."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        if not admit(request.headers):
            error = {"code": "401", "message": "Access denied due to invalid subscription key."}
            return web.json_response({"error": error}, status=401)
        headers = {"Authorization": f"Bearer {servers.key}", "Content-Type": "application/json"}
        url = servers.openai.url + request.path.removeprefix(BASE)
        async with session.post(url, data=await request.read(), headers=headers) as answer:
            response = web.StreamResponse(headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response

    app = web.Application()
    app.router.add_post(BASE + "/{path:.*}", pass_on)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{BASE}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def azure_openai(azure: Harness, servers: Servers, shown: list[str]) -> AsyncIterator[str]:
    """Run a door in front of the OpenAI server that opens to tokens of Entra alone."""
    public = azure.server.directory.key.public_key()

    def admit(headers: Mapping[str, str]) -> bool:
        token = headers["Authorization"].removeprefix("Bearer ")
        shown.append(jwt.decode(token, public, ["RS256"], audience=AUDIENCE)["appid"])
        return True

    async with door(servers, admit) as url:
        yield url


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
            await story.scene.bot.logged("no token from Entra", error="identity_expired")
            (azure.folder / "expired").write_text(azure.token())

            await story.scene.answer(await story.scene.call("in time"))

            assert len(told.parts) == 1


async def test_a_key_of_azures_own_is_taken_and_its_exchange_is_followed(
    servers: Servers, fresh: FreshStage
) -> None:
    """Azure's v1 API takes its keys as bearers, as OpenAI's own client sends them."""
    first, second = (secrets.token_hex(16) for _ in range(2))  # of the form that Azure's have
    good, shown = [first], []

    def admit(headers: Mapping[str, str]) -> bool:
        shown.append(headers["Authorization"].removeprefix("Bearer "))
        return shown[-1] in good

    async with door(servers, admit) as url:
        settings = {"SKY_OPENAI__AUTH": "key", "SKY_OPENAI__BASE_URL": url}
        stage = fresh(key=first, **settings)
        await stage.bot.ready()
        async with open_scene(stage) as scene:
            answer = await scene.answer(await scene.call("with a key of Azure's"))
            good[:] = [second]
            stage.api_key.swap(second)
            await scene.answer(await scene.call("and with its other one"))

    assert len(answer.parts) == 1
    assert (shown[0], shown[-1]) == (first, second)
    assert set(shown) == {first, second}
