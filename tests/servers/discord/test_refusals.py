"""Requests that Discord, or Cloudflare in front of it, refuses, with the original codes."""

import asyncio
import io

import pytest

from tests.servers.discord.control import ControlError, DiscordControl
from tests.servers.discord.harness import Bot, Rest
from tests.servers.discord.library import discord
from tests.servers.discord.server import DiscordServer


async def test_automod_blocks_new_words_and_edited_ones(people: DiscordControl, rest: Rest) -> None:
    await people.block_words("Kraken")
    said = await people.say("general", "tell me")
    path = f"/channels/{said.channel_id}/messages"
    _, sent = await rest("POST", path, {"content": "a calm sea"})

    new = await rest("POST", path, {"content": "the kraken"})
    edit = await rest("PATCH", f"{path}/{sent['id']}", {"content": "the KRAKEN wakes"})
    embed = await rest("POST", path, {"embeds": [{"title": "kraken"}]})
    title = await rest("POST", f"{path}/{said.id}/threads", {"name": "Kraken"})
    await people.block_words()
    free = await rest("PATCH", f"{path}/{sent['id']}", {"content": "the kraken"})

    refused = (400, {"message": "Message was blocked by automatic moderation", "code": 200000})
    assert new == edit == embed == refused
    assert title[1]["code"] == 200001
    assert free[0] == 200


async def test_a_message_opens_an_archived_thread_and_not_a_locked_one(
    people: DiscordControl, rest: Rest
) -> None:
    thread = await people.add_channel("aside", parent="general", author="Bram")
    path = f"/channels/{thread.id}/messages"
    _, sent = await rest("POST", path, {"content": "first"})
    await people.change_channel("aside", archived=True)

    edit = await rest("PATCH", f"{path}/{sent['id']}", {"content": "changed"})
    reaction = await rest("PUT", f"{path}/{sent['id']}/reactions/%F0%9F%91%8D/@me")
    opened = await rest("POST", path, {"content": "second"})
    world = await people.world()
    await people.change_channel("aside", locked=True)
    locked = await rest("POST", path, {"content": "third"})
    await people.change_channel("aside", archived=True)
    both = await rest("POST", path, {"content": "fourth"})

    assert [each[1]["code"] for each in (edit, reaction)] == [50083, 50083]
    assert opened[0] == 200
    assert not next(each for each in world.channels if each.id == thread.id).archived
    assert (locked[0], locked[1]["code"]) == (403, 160005)
    assert (both[0], both[1]["code"]) == (400, 50083)
    with pytest.raises(ControlError, match="Thread is archived"):
        await people.say("aside", "me neither", author="Bram")


async def test_a_message_has_one_thread_and_a_server_a_number_of_active_ones(
    people: DiscordControl, rest: Rest
) -> None:
    said = await people.say("general", "how?")
    path = f"/channels/{said.channel_id}/messages"
    await people.set(active_threads=1)

    odd = await rest("POST", f"{path}/{said.id}/threads", {"name": "x", "auto_archive_duration": 5})
    unnamed = await rest("POST", f"{path}/{said.id}/threads", {"name": ""})
    first = await rest("POST", f"{path}/{said.id}/threads", {"name": "how"})
    second = await rest("POST", f"{path}/{said.id}/threads", {"name": "how"})
    other = await people.say("general", "and why?")
    too_many = await rest("POST", f"{path}/{other.id}/threads", {"name": "why"})
    await people.change_channel(said.id, archived=True)
    freed = await rest("POST", f"{path}/{other.id}/threads", {"name": "why"})
    within = await people.say(other.id, "because")
    nested = await rest("POST", f"/channels/{other.id}/messages/{within.id}/threads", {"name": "x"})
    _, shown = await rest("GET", f"{path}/{said.id}")

    assert [each[1]["code"] for each in (odd, unnamed)] == [50035, 50035]
    assert (first[0], first[1]["id"]) == (201, said.id)
    assert (second[0], second[1]["code"]) == (400, 160004)
    assert (too_many[0], too_many[1]["code"]) == (400, 160006)
    assert freed[0] == 201
    assert nested[1]["code"] == 50024
    assert shown["flags"] == 1 << 5
    assert shown["thread"]["id"] == said.id


async def test_messages_do_not_go_into_categories_and_forums(
    people: DiscordControl, rest: Rest
) -> None:
    await people.add_channel("inside", category="Hall")
    forum = await people.add_channel("ideas", kind="forum")
    hall = next(each for each in (await people.world()).channels if each.name == "Hall")
    voice = await people.add_channel("bridge", kind="voice")

    codes = [
        (await rest("POST", f"/channels/{each.id}/messages", {"content": "hi"}))[1].get("code")
        for each in (hall, forum, voice)
    ]
    thread = await rest("POST", f"/channels/{voice.id}/threads", {"name": "aside", "type": 11})

    assert codes == [50008, 40058, None]
    assert thread[1]["code"] == 50024


async def test_slow_mode_is_for_people_and_not_for_bots(people: DiscordControl, rest: Rest) -> None:
    await people.change_channel("general", slowmode=60)
    said = await people.say("general", "one", author="Bram")
    with pytest.raises(ControlError, match="slowmode"):
        await people.say("general", "two", author="Bram")
    await people.say("general", "one", author="Chiyo")

    path = f"/channels/{said.channel_id}/messages"
    sent = [(await rest("POST", path, {"content": "quick"}))[0] for _ in range(2)]

    assert sent == [200, 200]


async def test_edits_of_old_messages_are_few(
    server: DiscordServer, people: DiscordControl, rest: Rest
) -> None:
    await people.set(old_edits_per_minute=1)
    said = await people.say("general", "hi")
    path = f"/channels/{said.channel_id}/messages"
    _, sent = await rest("POST", path, {"content": "hello"})
    clock = server.state.world.clock
    server.state.world.clock = lambda: clock() + 4000
    first = await rest("PATCH", f"{path}/{sent['id']}", {"content": "a"})
    status, body, headers = await rest.full("PATCH", f"{path}/{sent['id']}", {"content": "b"})

    assert first[0] == 200
    assert (status, body["code"]) == (429, 30046)
    assert 0 < body["retry_after"] <= 60
    assert int(headers["Retry-After"]) >= 1


async def test_too_many_direct_messages_have_a_code_of_their_own(
    people: DiscordControl, rest: Rest
) -> None:
    ada = next(user.id for user in (await people.world()).users if user.name == "Ada")
    answers = [await rest("POST", "/users/@me/channels", {"recipient_id": ada}) for _ in range(11)]

    assert (answers[-1][0], answers[-1][1]["code"]) == (429, 40003)


async def test_an_injected_refusal_names_what_is_wrong_with_which_field(
    people: DiscordControl, rest: Rest
) -> None:
    unknown = {"code": "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "message": "Unknown message"}
    errors = {"message_reference": {"_errors": [unknown]}}
    said = await people.say("general", "hi")
    await people.fault(
        "rest", "error", status=400, code=50035, message="Invalid Form Body", errors=errors
    )

    refused = await rest("POST", f"/channels/{said.channel_id}/messages", {"content": "hello"})

    body = {"message": "Invalid Form Body", "code": 50035, "errors": errors}
    assert refused == (400, body)


@pytest.mark.parametrize("status", [400, 403, 502, 503])
async def test_cloudflares_page_is_html_and_not_discords(
    people: DiscordControl, status: int
) -> None:
    async with Bot().running() as bot:
        await people.fault("rest", "status", status=status, html=True, message="Oops", count=9)
        with pytest.raises(discord.HTTPException) as refused:
            await bot.http.get_user(1)

    assert refused.value.response.headers["Content-Type"].startswith("text/html")
    assert refused.value.response.headers["Server"] == "cloudflare"
    assert "Via" not in refused.value.response.headers
    assert "Cloudflare Ray ID" in refused.value.text


async def test_cloudflares_rate_limit_has_no_via_and_grows_while_it_is_ignored(
    people: DiscordControl, rest: Rest
) -> None:
    fault = {"edge": True, "grows": True, "seconds": 900, "retry_after": 30}
    await people.fault("rest", "rate_limit", **fault)

    status, body, headers = await rest.full("GET", "/users/@me")
    again = await rest("GET", "/users/@me")
    await people.end_faults()
    await people.fault("rest", "rate_limit", **(fault | {"retry_after": 0.3}))
    await rest("GET", "/users/@me")
    await asyncio.sleep(0.35)
    waited = await rest("GET", "/users/@me")

    assert (status, body["retry_after"], headers["Retry-After"]) == (429, 30, "30")
    assert not {"Via", "X-RateLimit-Scope", "X-RateLimit-Global"} & set(headers)
    assert again[0] == 429
    assert 30 < again[1]["retry_after"] <= 60
    assert waited[0] == 200


async def test_an_interaction_may_come_without_its_channel(people: DiscordControl) -> None:
    heard: list[discord.Interaction] = []

    class Listening(Bot):
        async def on_interaction(self, interaction: discord.Interaction) -> None:
            heard.append(interaction)
            await interaction.response.send_message("here")

    async with Listening().running() as bot:
        await bot.http.bulk_upsert_global_commands(
            bot.application_id or 0, [{"name": "sky", "description": "Ask", "type": 1}]
        )
        pressed = await people.invoke("sky", omit=["channel"])
        await people.wait_interaction(pressed.id)

    assert heard[0].channel is None
    assert heard[0].channel_id is None or str(heard[0].channel_id) == pressed.channel_id


async def test_new_files_need_the_permission_in_an_edit_as_well(people: DiscordControl) -> None:
    channel = await people.add_channel("no-files", deny=["attach_files"])
    async with Bot().running() as bot:
        place = bot.get_partial_messageable(int(channel.id))
        sent = await place.send("words")
        with pytest.raises(discord.Forbidden) as new:
            await place.send(file=discord.File(io.BytesIO(b"chart"), "chart.txt"))
        with pytest.raises(discord.Forbidden) as added:
            await sent.add_files(discord.File(io.BytesIO(b"chart"), "chart.txt"))

        assert (new.value.code, added.value.code) == (50013, 50013)
        await sent.edit(content="other words", attachments=[])
