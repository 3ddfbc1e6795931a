"""What people, other bots and webhooks post, as a discord.py client and plain REST see it."""

import aiohttp
import pytest

from tests.servers.discord.control import ControlError, DiscordControl
from tests.servers.discord.harness import Bot, Rest, wired
from tests.servers.discord.library import discord
from tests.servers.discord.server import DiscordServer

PICTURE = ("map.png", "image/png", b"\x89PNG")


async def fetched(bot: Bot, people: DiscordControl, message_id: str) -> discord.Message:
    """Return the message as REST returns it to a discord.py client."""
    said = await people.message(message_id)
    channel = bot.get_channel(int(said.channel_id))
    assert isinstance(channel, discord.abc.Messageable)
    return await channel.fetch_message(int(message_id))


async def test_other_bots_and_webhooks_post_embeds_and_people_cannot(
    people: DiscordControl,
) -> None:
    await people.add_user("Weather", bot=True)
    await people.add_webhook("Harbour news")
    embed = {
        "title": "Gale",
        "description": "from the west",
        "fields": [{"name": "a", "value": "b"}],
    }
    async with Bot().running() as bot:
        by_bot = await people.say("general", "", author="Weather", embeds=[embed])
        by_hook = await people.say("general", "late", author="Harbour news", embeds=[embed])
        first = await fetched(bot, people, by_bot.id)
        second = await fetched(bot, people, by_hook.id)
        with pytest.raises(ControlError, match="people cannot post embeds"):
            await people.say("general", "", embeds=[embed])

    assert (first.embeds[0].title, first.embeds[0].fields[0].value) == ("Gale", "b")
    assert (second.webhook_id, second.author.display_name) == (
        int(by_hook.author_id),
        "Harbour news",
    )
    assert second.author.discriminator == "0000"


async def test_previews_come_as_an_update_that_is_no_edit(
    server: DiscordServer, people: DiscordControl, http: aiohttp.ClientSession
) -> None:
    async with wired(server, http) as wire:
        await wire.identify()
        await wire.until("GUILD_CREATE")
        said = await people.say("general", "https://example.org/a")
        await people.unfurl(said.id, {"title": "A", "url": "https://example.org/a"})
        update = (await wire.until("MESSAGE_UPDATE"))["d"]

    assert update["embeds"] == [{"type": "link", "title": "A", "url": "https://example.org/a"}]
    assert update["edited_timestamp"] is None


async def test_a_poll_may_have_no_end_and_may_have_results(
    people: DiscordControl, rest: Rest
) -> None:
    asked = {
        "question": "Where to?",
        "answers": ["Harbour", {"text": "Hill", "emoji": {"name": "⛰"}}],
    }
    endless = await people.say("general", "", poll=asked | {"expiry": None}, mention_bot=False)
    done = await people.say("general", "", poll=asked | {"votes": [2, 0], "finalized": True})

    path = f"/channels/{endless.channel_id}/messages"
    _, first = await rest("GET", f"{path}/{endless.id}")
    _, second = await rest("GET", f"{path}/{done.id}")

    assert first["poll"]["expiry"] is None
    assert [a["poll_media"]["text"] for a in first["poll"]["answers"]] == ["Harbour", "Hill"]
    assert "results" not in first["poll"]
    assert second["poll"]["expiry"]
    assert second["poll"]["results"] == {
        "is_finalized": True,
        "answer_counts": [{"id": 1, "count": 2, "me_voted": False}],
    }


async def test_stickers_and_voice_messages_are_seen_and_forwarded_but_polls_are_not(
    people: DiscordControl,
) -> None:
    voice = ("voice-message.ogg", "audio/ogg", b"OggS")
    async with Bot().running() as bot:
        stuck = await people.say("general", "", stickers=[{"name": "Wave"}], mention_bot=False)
        spoken = await people.say(
            "general", "", files=[voice], voice_seconds=3.5, mention_bot=False
        )
        poll = await people.say("general", "", poll={"question": "?", "answers": ["a"]})
        forwards = [
            await fetched(bot, people, (await people.say("weather", "see", forward=each.id)).id)
            for each in (stuck, spoken)
        ]
        heard = await fetched(bot, people, spoken.id)
        with pytest.raises(ControlError, match="Invalid Form Body"):
            await people.say("weather", "", forward=poll.id)

    assert heard.flags.voice
    assert heard.attachments[0].duration == 3.5
    assert forwards[0].message_snapshots[0].stickers[0].name == "Wave"
    assert forwards[1].message_snapshots[0].attachments[0].is_voice_message()


async def test_a_forum_post_is_a_thread_whose_first_message_has_its_id(
    people: DiscordControl,
) -> None:
    await people.add_channel("ideas", kind="forum")
    async with Bot().running() as bot:
        post = {"content": "a lighthouse", "attachments": []}
        thread = await people.add_channel("Build one", parent="ideas", author="Bram", post=post)
        inside = await people.say(thread.id, "why?", author="Chiyo")
        starter = await fetched(bot, people, thread.id)
        answer = await people.wait_answer(inside.id)
        forum = bot.get_channel(starter.channel.parent_id or 0)  # type: ignore[union-attr]  # a thread has one
        assert isinstance(forum, discord.ForumChannel)

    assert (starter.id, starter.channel.id, starter.content) == (
        int(thread.id),
        int(thread.id),
        "a lighthouse",
    )
    assert answer.channel_id == thread.id
    with pytest.raises(ControlError, match="non-text channel"):
        await people.say("ideas", "not in a post")
    with pytest.raises(ControlError, match="a forum's thread has a post"):
        await people.add_channel("empty", parent="ideas")


async def test_channels_of_each_kind_are_told_apart_and_take_messages(
    people: DiscordControl,
) -> None:
    kinds = {"voice": discord.VoiceChannel, "stage": discord.StageChannel}
    async with Bot().running() as bot:
        for kind, expected in kinds.items():
            there = await people.add_channel(f"{kind}-room", kind=kind)
            asked = await people.say(there.id, "hello")
            await people.wait_answer(asked.id)
            assert isinstance(bot.get_channel(int(there.id)), expected)
        news = await people.add_channel("news", kind="announcement")
        thread = await people.add_channel("about it", parent="news")
        await people.wait_answer((await people.say(thread.id, "hello")).id)
        channel = bot.get_channel(int(news.id))
        assert isinstance(channel, discord.TextChannel)
        assert channel.is_news()


async def test_a_thread_on_a_message_begins_with_discords_own_message_about_it(
    people: DiscordControl, rest: Rest
) -> None:
    asked = await people.say("general", "start one")
    thread = await people.add_channel("aside", parent="general", on=asked.id)

    _, (starter,) = await rest("GET", f"/channels/{thread.id}/messages")
    reply = {"content": "no", "message_reference": {"message_id": starter["id"]}}
    status, refused = await rest("POST", f"/channels/{thread.id}/messages", reply)

    assert (starter["type"], starter["referenced_message"]["content"]) == (21, asked.content)
    assert (status, refused["code"]) == (400, 50035)
    code = refused["errors"]["message_reference"]["_errors"][0]["code"]
    assert code == "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE"


async def test_only_its_members_see_a_private_thread(people: DiscordControl) -> None:
    thread = await people.add_channel("secret", parent="general", private=True, members=["Bram"])

    await people.say(thread.id, "psst", author="Bram")
    with pytest.raises(ControlError, match="Missing Permissions"):
        await people.say(thread.id, "let me in", author="Chiyo")


async def test_an_event_has_the_nickname_and_history_has_not(
    server: DiscordServer, people: DiscordControl, http: aiohttp.ClientSession, rest: Rest
) -> None:
    await people.change_member("Bram", nick="Captain")
    async with wired(server, http) as wire:
        await wire.identify()
        await wire.until("GUILD_CREATE")
        said = await people.say("general", "ahoy", author="Bram")
        event = (await wire.until("MESSAGE_CREATE"))["d"]
    _, read = await rest("GET", f"/channels/{said.channel_id}/messages/{said.id}")

    assert event["member"]["nick"] == "Captain"
    assert "member" not in read
    assert read["author"]["global_name"] == "Bram"


async def test_who_is_in_a_timeout_reads_and_does_not_write(people: DiscordControl) -> None:
    await people.change_member("Bram", timeout=60)
    with pytest.raises(ControlError, match="Missing Permissions"):
        await people.say("general", "let me speak", author="Bram")

    await people.change_member("Bram", timeout=None)
    await people.say("general", "thanks", author="Bram")


async def test_the_bot_has_a_managed_role_that_people_can_mention(people: DiscordControl) -> None:
    own = await people.managed_role()
    async with Bot().running() as bot:
        said = await people.say("general", f"<@&{own}> hello", mention_bot=False)
        heard = await fetched(bot, people, said.id)
        role = bot.guilds[0].self_role

    assert role is not None
    assert str(role.id) == own
    assert heard.role_mentions == [role]
    assert said.pings == ()


async def test_a_role_is_pinged_by_those_who_may_and_as_allowed_mentions_says(
    people: DiscordControl, rest: Rest
) -> None:
    crew = await people.add_role("Crew", ["Bram"])
    deny = [{"role": "@everyone", "deny": ["mention_everyone"]}]
    await people.change_channel("weather", overwrites=deny)
    said = await people.say("weather", f"<@&{crew}>", author="Bram")
    loud = await people.say("general", f"<@&{crew}>", author="Bram")
    path, text = f"/channels/{loud.channel_id}/messages", {"content": f"<@&{crew}>"}
    _, silent = await rest("POST", path, text | {"allowed_mentions": {"parse": []}})
    _, named = await rest("POST", path, text | {"allowed_mentions": {"roles": [crew]}})

    assert (said.pings_roles, loud.pings_roles) == ((), (crew,))
    assert (silent["mention_roles"], named["mention_roles"]) == ([], [crew])


async def test_a_role_can_be_denied_a_channel_that_is_open_to_others(
    people: DiscordControl,
) -> None:
    await people.add_role("Guests", ["Bram"])
    await people.change_channel(
        "weather", overwrites=[{"role": "Guests", "deny": ["view_channel"]}]
    )

    await people.say("weather", "clear", author="Chiyo")
    with pytest.raises(ControlError, match="Missing Permissions"):
        await people.say("weather", "may I?", author="Bram")


async def test_another_bots_response_to_a_command_says_who_asked(people: DiscordControl) -> None:
    await people.add_user("Dice", bot=True)
    async with Bot().running() as bot:
        command = {"name": "roll", "user": "Bram"}
        said = await people.say("general", "4", author="Dice", command=command, mention_bot=False)
        heard = await fetched(bot, people, said.id)

    assert heard.type is discord.MessageType.chat_input_command
    assert heard.interaction_metadata is not None
    assert heard.interaction_metadata.user.display_name == "Bram"


async def test_an_edit_may_add_a_mention(people: DiscordControl) -> None:
    said = await people.say("general", "hello", mention_bot=False)
    edited = await people.edit(said.id, "hello", mention_bot=True)

    assert said.pings == ()
    assert edited.pings == ((await people.world()).bot.id,)


async def test_the_address_of_a_file_expires_and_later_payloads_carry_a_fresh_one(
    people: DiscordControl, rest: Rest, http: aiohttp.ClientSession
) -> None:
    said = await people.say("general", "look", files=[PICTURE])
    path = f"/channels/{said.channel_id}/messages/{said.id}"
    _, before = await rest("GET", path)
    await people.expire_files()
    _, after = await rest("GET", path)
    await people.set(attachment_seconds=0.0)
    _, late = await rest("GET", path)

    old, fresh, expired = (each["attachments"][0]["url"] for each in (before, after, late))
    bare = fresh.partition("?")[0]
    results = []
    for url in (old, fresh, expired, bare, fresh.replace("map.png", "other.png")):
        async with http.get(url) as response:
            results.append((response.status, await response.read()))
    gone = (404, b"This content is no longer available.")
    assert results == [gone, (200, PICTURE[2]), gone, gone, gone]
    assert {"ex", "is", "hm"} <= set(fresh.partition("?")[2].replace("=", "&").split("&"))
