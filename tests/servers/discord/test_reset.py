"""A server that several bots use one after another returns to its initial state completely."""

from dataclasses import asdict
from typing import Any

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import Bot, Rest
from tests.servers.discord.library import discord
from tests.servers.discord.server import DiscordServer


def first_state(server: DiscordServer) -> dict[str, Any]:
    """Return the whole state except join times and the counters of ids and events."""
    state = server.state
    guilds = [asdict(each) for each in state.world.guilds.values()]
    for guild in guilds:
        for member in guild["members"].values():
            del member["joined"]
    return {
        "users": [asdict(each) for each in state.world.users.values()],
        "guilds": guilds,
        "channels": [asdict(each) for each in state.world.channels.values()],
        "webhooks": dict(state.world.webhooks),
        "settings": state.settings,
        "counts": state.counts.report(),
        "answers": state.counts.answers(),
        "identifies left": state.identifies_left(),
        "faults": dict(state.faults.active),
        "sessions": dict(state.sessions.by_id),
        "commands": dict(state.commands),
        "nonces": dict(state.nonces),
        "odd messages": dict(state.odd_messages),
        "automod": state.blocked_words,
    }


async def change_everything(people: DiscordControl) -> str:
    """Change a server as scenarios do; return the id of the last message."""
    said = await people.say("general", "before the bot came", files=[("a.txt", "text/plain", b"a")])
    await people.say("dm", "and privately")
    await people.change_member("Bram", nick="Captain", timeout=600)
    await people.add_role("crew", ["Chiyo"], allow=["manage_messages"], mentionable=True)
    await people.add_user("Zoe")
    await people.open_webhook("relay", "general")
    await people.open_dms("Hana", to_bot=False)
    await people.add_channel("voices", kind="voice", category="loud")
    await people.add_channel("a thread", parent="general", on=said.id)
    await people.add_guild("Elsewhere", channels=2, members=3, roles=2, emojis=1)
    everyone = [{"role": "@everyone", "deny": ["send_messages"]}]
    await people.change_channel("maps", name="charts", overwrites=everyone, slowmode=60, topic="?")
    await people.remove_channel("kites")
    await people.block_words("kraken")
    await people.set_odd({said.id: {"content": 1}})
    await people.set(requests_per_second=1, nonce_seconds=1)
    return said.id


async def test_whatever_was_done_to_it_a_reset_server_is_a_new_one(
    server: DiscordServer, rest: Rest, people: DiscordControl
) -> None:
    beginning = first_state(server)
    bot = Bot()

    @bot.tree.command(description="Says something")
    async def ping(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("pong")

    async with bot.running():
        await bot.tree.sync()
        said = await change_everything(people)
        await people.fault("rest", "status", seconds=600)
        await people.fault("gateway", "no_ack", on="always", seconds=600)
        await people.accept_token("another")
        await people.fault("listener", "refuse", seconds=600)

    await people.reset()

    assert first_state(server) == beginning
    status, me = await rest("GET", "/users/@me")  # with the initial token
    assert (status, me["username"]) == (200, "Sky")
    assert int((await people.say("kites", "after")).id) > int(said)


async def test_a_bot_that_comes_after_a_reset_finds_what_the_first_one_found(
    people: DiscordControl,
) -> None:
    async with Bot().running() as bot:
        first = await people.say("general", "hello")
        await people.wait_answer(first.id)
        await people.change_member("Bram", nick="Captain")
    await people.reset()

    async with Bot().running() as bot:
        assert [guild.name for guild in bot.guilds] == ["Sky Harbour"]
        question = await people.say("general", "hello", author="Bram")
        await people.wait_answer(question.id)
        (answer,) = await people.answers(question.id)
        assert answer.content.startswith("re: ")
        assert await people.answers(first.id) == ()
