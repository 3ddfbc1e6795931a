"""`python -m tests.loop.people.chat` as a person uses it, with a bot that streams its answer."""

import asyncio
import io
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import Bot
from tests.servers.discord.library import discord
from tests.servers.discord.screen import Screen, rows
from tests.servers.discord.server import DiscordServer

REPOSITORY = Path(__file__).parents[3]


class Streaming(Bot):
    """A bot that answers word by word, by edits, and knows the message that it replies to."""

    async def on_message(self, message: discord.Message) -> None:
        """Answer."""
        if message.author.bot:
            return
        self.heard.append(message.content)
        replied = message.reference is not None
        reply = await message.reply("one")
        await reply.edit(content="one two")
        await reply.edit(content=f"one 2 {'again' if replied else 'first'}")


@pytest.fixture
async def bot(people: DiscordControl) -> AsyncIterator[Streaming]:  # noqa: ARG001  it checks at the end
    async with Streaming().running() as bot:
        yield bot


async def _chat(server: DiscordServer, *arguments: str, typed: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.loop.people.chat", "--control", server.control_url),
        *("--settled", "0.4", "--patience", "5", *arguments),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(typed.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_one_question_is_answered(bot: Streaming, server: DiscordServer) -> None:
    assert await _chat(server, "hello") == (0, "Sky: one 2 first\n", "")
    assert bot.heard == [f"<@{server.state.world.bot.id}> hello"]


async def test_piped_lines_are_a_conversation(bot: Streaming, server: DiscordServer) -> None:
    typed = "hello\n\nmore\n/dm\nsecret\n/help\n/fly\n/channel nowhere\n/quit\nnever said\n"

    code, out, err = await _chat(server, "--as", "hana", "--channel", "#stars", typed=typed)

    assert code == 1  # for the channel that does not exist
    assert "There is no channel 'nowhere'" in err
    assert out.startswith("Hana: hello\nSky: one 2 first\nHana: more\nSky: one 2 again\n")
    assert "You are Hana in a private conversation." in out
    assert out.count("/channel NAME") == 2
    assert [each.rpartition(" ")[2] for each in bot.heard] == ["hello", "more", "secret"]


async def test_a_bot_that_is_away_is_said(server: DiscordServer) -> None:
    code, out, err = await _chat(server, "--patience", "0.2", "anyone?")

    assert (code, out) == (1, "")
    assert "The bot is not connected" in err
    assert "No answer within 0 s." in err


@pytest.mark.parametrize("user", ["Nobody", "Sky"])
async def test_only_people_of_this_world_can_be_played(server: DiscordServer, user: str) -> None:
    code, _, err = await _chat(server, "--as", user, "x")

    assert code == 1
    assert f"There is no user {user!r}; there are Ada, Bram" in err


async def test_a_server_that_is_down_is_said_with_the_remedy(server: DiscordServer) -> None:
    code, _, err = await _chat(server, "--control", "http://127.0.0.1:9", "x")

    assert code == 1
    assert "`make loop-" in err
    assert len(err.splitlines()) == 1


async def _until(terminal: int, end: str) -> str:
    """Read the terminal's output until it contains a text."""
    seen = ""
    async with asyncio.timeout(10):
        while not seen.endswith(end):
            read = await asyncio.to_thread(os.read, terminal, 4096)
            seen += read.decode().replace("\r\n", "\n")
    return seen


async def test_at_a_terminal_the_answer_grows(bot: Streaming, server: DiscordServer) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.loop.people.chat", "--control", server.control_url),
        *("--settled", "0.4"),
        cwd=REPOSITORY,
        env={**os.environ, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = await _until(ours, "Ada: ")
    os.write(ours, b"hello\n")
    seen += await _until(ours, "first\nAda: ")
    os.write(ours, b"\x04")
    code = await asyncio.wait_for(process.wait(), 10)
    os.close(ours)

    assert code == 0
    assert "You are Ada in #general." in seen
    assert "Sky: one two" in seen
    assert "\x1b[JSky: one 2 first" in seen
    assert bot.is_ready()


def test_rows_count_wide_and_combining_characters() -> None:
    assert rows("", 10) == 1
    assert rows("x" * 10, 10) == 1
    assert rows("x" * 11 + "\n\n", 10) == 4
    assert rows("船" * 6, 10) == 2
    assert rows("e\u0301" * 10, 10) == 1


def test_the_screen_appends_where_it_can_and_redraws_where_it_must() -> None:
    out = io.StringIO()
    screen = Screen(out, live=True)

    for text in ("a", "ab", "ab", "xy\nz", "x"):
        screen.show(text)
    screen.end()

    assert out.getvalue() == "ab\r\x1b[Jxy\nz\r\x1b[1A\x1b[Jx\n"


async def test_a_slash_command_is_used_from_the_terminal(
    bot: Streaming, server: DiscordServer
) -> None:
    @bot.tree.command(description="Ask")
    async def sky(interaction: discord.Interaction, topic: str) -> None:
        await interaction.response.send_message(f"asks: {topic}", ephemeral=topic == "hush")
        if topic != "hush":
            quoted = await interaction.original_response()
            assert isinstance(interaction.channel, discord.TextChannel)
            await interaction.channel.send("clouds", reference=quoted.to_reference())

    await bot.tree.sync()

    code, out, err = await _chat(server, typed="/sky what rains?\n/sky hush\n")

    assert (code, err) == (0, "")
    assert "Sky: asks: what rains?\nSky: clouds\n" in out
    assert "Sky (only you see this): asks: hush\n" in out
