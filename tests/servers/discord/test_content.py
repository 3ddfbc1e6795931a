import io

import aiohttp
import pytest

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import Bot, Rest
from tests.servers.discord.library import discord
from tests.servers.discord.server import DiscordServer


async def test_files_go_up_and_come_down_again(
    people: DiscordControl, http: aiohttp.ClientSession
) -> None:
    async with Bot().running() as bot:
        general = bot.guilds[0].text_channels[0]
        sent = await general.send("look", file=discord.File(io.BytesIO(b"chart"), "chart.txt"))
        assert await sent.attachments[0].read() == b"chart"
        shown = await people.message(str(sent.id))
        async with http.get(shown.attachments[0]["url"]) as response:
            assert await response.read() == b"chart"

        asked = await people.say("general", "read", files=[("a.png", "image/png", b"\x89PNG")])
        heard = await general.fetch_message(int(asked.id))
        assert heard.attachments[0].content_type == "image/png"
        assert await heard.attachments[0].read() == b"\x89PNG"


async def test_mentions_ping_only_whom_they_may(
    rest: Rest, people: DiscordControl, server: DiscordServer
) -> None:
    channel = str(next(iter(server.state.world.channels)))
    ada = next(user.id for user in (await people.world()).users if user.name == "Ada")
    said = await people.say("general", "hi", author="Ada")
    text = {"content": f"<@{ada}> @everyone", "message_reference": {"message_id": said.id}}
    path = f"/channels/{channel}/messages"

    _, silent = await rest("POST", path, text | {"allowed_mentions": {"parse": []}})
    _, loud = await rest("POST", path, text)

    assert said.pings == (str(server.state.world.bot.id),)
    assert (silent["mentions"], silent["mention_everyone"]) == ([], False)
    assert [each["id"] for each in loud["mentions"]] == [ada]
    assert loud["mention_everyone"] is True


async def test_threads_are_channels_below_channels(people: DiscordControl) -> None:
    async with Bot().running() as bot:
        asked = await people.say("general", "start one")
        general = bot.guilds[0].text_channels[0]
        thread = await (await general.fetch_message(int(asked.id))).create_thread(name="long talk")
        inside = await people.say("long talk", "in here")
        answer = await people.wait_answer(inside.id)

        assert answer.channel_id == str(thread.id) == asked.id
        await people.change_channel("long talk", archived=True, locked=True)
        with pytest.raises(discord.HTTPException) as refused:
            await thread.send("too late")
        assert refused.value.code == 50083
