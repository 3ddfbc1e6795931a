"""The judge of a load sees what is lost and what is doubled; here the test itself is the bot."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from bot.discord import commands
from bot.domain.errors import ModelBusy
from tests.bot.integration.servers import Servers, servers
from tests.loop.scenarios.outcome import Fate, Tally
from tests.loop.scenarios.steady import Steady, watching


@dataclass
class Stage:
    """A load that is asked by hand, and the bot's own way to Discord and the model."""

    load: Steady
    servers: Servers
    http: aiohttp.ClientSession
    model: AsyncOpenAI

    async def asked(self) -> str:
        """Ask something, quickly answered by the model."""
        return await self.load.ask("general", "Ada", "[[chunks=2]]")

    async def thought(self, question: str) -> str:
        """Let the model answer; return its text."""
        words = (await self.load.discord.message(question)).content
        answer = await self.model.responses.create(model="gpt-5-mini", input=words)
        return answer.output_text

    async def me(self) -> str:
        """Give the bot's own id."""
        return (await self.load.discord.world()).bot.id

    async def discord(self, method: str, path: str, body: Any = None) -> Any:
        """Ask Discord's REST API as the bot; gives the answer's JSON, where there is one."""
        url = f"{self.servers.discord.api_url}/{path}"
        headers = {"Authorization": f"Bot {self.servers.token}"}
        async with self.http.request(method, url, json=body, headers=headers) as answered:
            assert answered.status in {200, 204}, await answered.text()
            return await answered.json() if answered.status == 200 else None

    async def reply(self, question: str, text: str) -> str:
        """Reply as the bot; return the message's path."""
        place = (await self.load.discord.message(question)).channel_id
        said = {"content": text, "message_reference": {"message_id": question}}
        made = await self.discord("POST", f"channels/{place}/messages", said)
        return f"channels/{place}/messages/{made['id']}"

    async def edit(self, message: str, text: str) -> None:
        """Edit as the bot."""
        await self.discord("PATCH", message, {"content": text})

    async def delete(self, message: str) -> None:
        """Delete as the bot."""
        await self.discord("DELETE", message)

    async def judged(self, question: str) -> Fate:
        """Give the fate once nothing more happens."""
        await self.load.settled(quiet=0.5)
        return self.load.fate(question)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Both servers and nobody connected."""
    with servers(tmp_path) as both:
        async with (
            watching(both.discord.control_url, both.openai.control_url) as load,
            aiohttp.ClientSession() as http,
            AsyncOpenAI(api_key=both.key, base_url=both.openai.url, max_retries=0) as model,
        ):
            yield Stage(load, both, http, model)


async def test_a_question_without_an_answer_is_lost(stage: Stage) -> None:
    fate = await stage.judged(await stage.asked())

    assert fate.lost
    assert not fate.doubled
    assert str(Tally((fate,))).startswith("1 asked, 0 answered, 1 lost, 0 doubled")


async def test_half_an_answer_is_none_and_the_whole_counts_from_its_last_edit(
    stage: Stage,
) -> None:
    question = await stage.asked()
    text = await stage.thought(question)
    message = await stage.reply(question, text[:20])
    half = await stage.judged(question)

    await stage.edit(message, text)
    fate = await stage.judged(question)

    assert half.lost
    assert not fate.lost
    assert fate.first is not None
    assert fate.asked < fate.first < (fate.whole or 0)
    assert 0 < fate.delay < 30


async def test_two_answers_are_a_double_even_if_one_is_only_begun(stage: Stage) -> None:
    question = await stage.asked()
    text = await stage.thought(question)
    await stage.reply(question, text[:20])
    second = await stage.reply(question, text)
    doubled = await stage.judged(question)

    await stage.delete(second)
    fate = await stage.judged(question)

    assert doubled.doubled
    assert not fate.doubled


async def test_the_same_answer_twice_in_one_message_is_not_the_answer(stage: Stage) -> None:
    question = await stage.asked()
    text = await stage.thought(question)
    await stage.reply(question, f"{text}\n{text}")

    assert (await stage.judged(question)).lost


async def test_a_true_sentence_of_failure_is_a_fate_of_its_own(stage: Stage) -> None:
    question = await stage.asked()
    await stage.reply(question, ModelBusy.sentence)

    fate = await stage.judged(question)

    assert fate.told == "model_busy"
    assert not fate.lost
    assert Tally((fate,)).told == {"model_busy": 1}


async def test_a_command_that_nobody_acknowledges_is_told_by_discord_itself(stage: Stage) -> None:
    await stage.discord("PUT", f"applications/{await stage.me()}/commands", list(commands.ALL))

    await stage.load.command("general", "Ada", "[[chunks=2]]")
    tally = await stage.load.settled(quiet=5)

    assert tally.told == {"not_acknowledged": 1}
    assert tally.lost == ()
