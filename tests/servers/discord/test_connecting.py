import discord
import pytest
from discord import utils

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import PATIENCE, Bot, ZlibContext
from tests.servers.discord.server import DiscordServer


@pytest.mark.parametrize("compression", ["zstd-stream", "zlib-stream"])
async def test_a_message_is_replied_to_and_the_reply_edited(
    people: DiscordControl, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    if compression == "zlib-stream":
        monkeypatch.setattr(utils, "_ActiveDecompressionContext", ZlibContext)
    assert compression == utils._ActiveDecompressionContext.COMPRESSION_TYPE

    async with Bot().running():
        asked = await people.say("general", "hello ⛵", author="Chiyo")
        answer = await people.wait_answer(asked.id, lambda m: m.revision == 1)

    bot = (await people.world()).bot
    assert answer.content == f"re: <@{bot.id}> hello ⛵!"
    assert [each.id for each in await people.answers(asked.id)] == [answer.id]
    counts = await people.counts()
    assert (counts.identifies, counts.messages_by_bot, counts.edits_by_bot) == (1, 1, 1)
    assert not counts.rate_limited


@pytest.mark.usefixtures("server")
async def test_the_seeded_world_is_the_same_for_everyone() -> None:
    async with Bot().running() as bot:
        (guild,) = bot.guilds
        names = [channel.name for channel in guild.text_channels]

        assert guild.name == "Sky Harbour"
        assert guild.member_count == 11
        assert names[0] == "general"
        assert len(names) == len(set(names)) == 25


async def test_direct_messages_work_without_a_mention(people: DiscordControl) -> None:
    async with Bot().running():
        asked = await people.say("dm", "psst", author="Bram", mention_bot=False)
        answer = await people.wait_answer(asked.id)

    assert answer.content == "re: psst"
    assert answer.channel == "@Bram"


@pytest.mark.parametrize(
    ("kind", "options", "identifies", "resumes"),
    [
        ("close", {"code": 4000}, 1, 1),
        ("reconnect", {}, 1, 1),
        ("invalid_session", {"resumable": True}, 1, 1),
        ("invalid_session", {"resumable": False}, 2, 0),
        ("close", {"code": 4009}, 2, 0),
    ],
)
async def test_a_client_comes_back(
    people: DiscordControl, kind: str, options: dict[str, int], identifies: int, resumes: int
) -> None:
    async with Bot().running(), people.events() as stream:
        await people.fault("gateway", kind, **options)
        await stream.event(lambda e: e.kind in ("resume", "identify"), PATIENCE)
        asked = await people.say("general", "still there?")
        await people.wait_answer(asked.id)

        counts = await people.counts()
        assert (counts.identifies, counts.resumes) == (identifies, resumes)
        assert counts.live_sessions == 1


async def test_what_was_said_during_a_cut_is_replayed_once(people: DiscordControl) -> None:
    async with Bot().running() as bot:
        await people.fault("gateway", "close", code=4000)
        asked = [await people.say("general", str(n), mention_bot=False) for n in range(3)]
        for each in asked:
            await people.wait_answer(each.id)

        assert bot.heard == ["0", "1", "2"]
        assert {len(by) for by in (await people.ledger()).values()} == {1}
        assert (await people.counts()).resumes == 1


async def test_a_changed_token_closes_the_session_with_4004(
    server: DiscordServer, people: DiscordControl
) -> None:
    async with Bot().running() as bot:
        await people.accept_token("another")
        assert bot.ended is not None
        with pytest.raises(discord.ConnectionClosed) as closed:
            await bot.ended

    assert closed.value.code == 4004
    assert server.state.sessions.by_id == {}


async def test_a_bad_token_is_refused_at_login(people: DiscordControl) -> None:
    bot = Bot()
    async with bot.running("wrong"):
        assert bot.ended is not None
        with pytest.raises(discord.LoginFailure):
            await bot.ended

    assert (await people.counts()).unauthorized == 1


async def test_privileged_intents_have_to_be_allowed(people: DiscordControl) -> None:
    bot = Bot(intents=discord.Intents.all())
    async with bot.running():
        assert bot.ended is not None
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.ended

    assert (await people.counts()).identifies_refused == {"4014": 1}


async def test_members_are_chunked_where_the_intent_is_allowed(people: DiscordControl) -> None:
    await people.set(privileged_intents=1 << 1 | 1 << 8 | 1 << 15)

    async with Bot(intents=discord.Intents.all()).running() as bot:
        assert {member.display_name for member in bot.guilds[0].members} >= {"Ada", "Jonas", "Sky"}
