"""The registry protocol, against distribution itself."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.loop.image_controllers.harness import free_port, push_image
from tests.loop.image_controllers.registry import (
    ImageNameError,
    Registry,
    RegistryError,
    Repository,
    parse_image,
)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_tags_come_page_by_page(registry: str, session: aiohttp.ClientSession) -> None:
    for number in range(5):
        await push_image(registry, "bot", f"main-{number}")

    found = await Registry(session, page=2).tags(Repository(registry, "bot", insecure=True), 5)

    assert sorted(found) == [f"main-{number}" for number in range(5)]


async def test_a_digest_is_read_without_the_manifest(
    registry: str, session: aiohttp.ClientSession
) -> None:
    digest = await push_image(registry, "bot", "main-1")

    assert (
        await Registry(session).digest(Repository(registry, "bot", insecure=True), "main-1", 5)
        == digest
    )


async def test_what_is_not_there_is_said(registry: str, session: aiohttp.ClientSession) -> None:
    client, bot = Registry(session), Repository(registry, "bot", insecure=True)

    with pytest.raises(RegistryError, match=r"404.*NAME_UNKNOWN"):
        await client.tags(bot, 5)
    await push_image(registry, "bot", "main-1")
    with pytest.raises(RegistryError, match="404"):
        await client.digest(bot, "main-2", 5)


async def test_a_registry_that_is_down_is_said(session: aiohttp.ClientSession) -> None:
    nobody = Repository(f"127.0.0.1:{free_port()}", "bot", insecure=True)

    with pytest.raises(RegistryError, match="bot"):
        await Registry(session).tags(nobody, 5)


async def test_plain_http_only_where_it_was_asked_for(
    registry: str, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(RegistryError):
        await Registry(session).tags(Repository(registry, "bot", insecure=False), 5)


@pytest.mark.parametrize(
    ("image", "canonical"),
    [
        ("10.244.0.1:5000/discordskybot", "10.244.0.1:5000/discordskybot"),
        ("example.azurecr.io/team/bot", "example.azurecr.io/team/bot"),
        ("localhost/bot", "localhost/bot"),
        ("alpine", "index.docker.io/library/alpine"),
        ("team/bot", "index.docker.io/team/bot"),
    ],
)
def test_names_are_spelled_out(image: str, canonical: str) -> None:
    assert parse_image(image, insecure=False).canonical == canonical


@pytest.mark.parametrize(
    "image",
    ["", "https://a.b/c", "a.b/c:tag", "a.b/c@sha256:1", "a.b/C", "a.b/", "a b.c/d", "a.b/c//d"],
)
def test_names_that_cannot_be_scanned(image: str) -> None:
    with pytest.raises(ImageNameError):
        parse_image(image, insecure=False)
