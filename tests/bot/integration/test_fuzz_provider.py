"""Whatever a provider streams: one final state, a true sentence, and money for what was used.

SKY_FUZZ_STREAMS says how many streams there are, SKY_FUZZ_SEED repeats a run.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from bot.domain.errors import SkyError

from .answers import Seen, buttons
from .conftest import FreshStage
from .odd_streams import FILTER, LENGTH, WORD, Api, Facts, OddStream, make
from .scenario import Scene
from .scenario import scene as open_scene

USUAL = 240
NUMBER = int(os.environ.get("SKY_FUZZ_STREAMS", USUAL))
# As in test_fuzz.py: the suite's run is always the same, a longer one looks for what is new.
SEED = int(os.environ.get("SKY_FUZZ_SEED") or (7 if NUMBER <= USUAL else time.time_ns() % 10**9))
BATCH = 24
SILENT = 3.0  # seconds: longer than the bot waits
WITHIN = 0.3  # of the tokens that were sent and shown
PRICES = {"input": 100_000, "output": 500_000}  # for each token: 0.1, and 0.5
PROMPT = "You are Sky, who answers what people ask with a few words, as well as it can. " * 3
TOOLS = 'tools = ["web_search", "image_generation"]'

# What a sentence claims: the label of its error, and what has to be in some stream then.
NAMED = {
    "filtered": {*FILTER, "invalid_prompt"},
    "out_of_room": LENGTH,
    "only_reasoning": LENGTH,  # its end, and nothing that can be read before it
    "model_busy": {"rate_limit_exceeded", "429"},
    "quota_spent": {"insufficient_quota"},
    "key_refused": {"invalid_api_key"},
    "too_much_text": {"context_length_exceeded"},
}
SHOWS_TEXT = {"cut_short", "out_of_room"}  # "for the rest", "I will go on"
SHOWS_NONE = {"model_down", "model_slow", "nothing_said", "only_reasoning"}


@dataclass
class OddProvider:
    """A provider that answers the first requests of a question oddly, and the others well."""

    rngs: dict[str, Random] = field(default_factory=dict)  # by the model, so that a seed repeats
    odd: dict[str, int] = field(default_factory=dict)  # how many are left, by the model
    sent: dict[str, list[tuple[OddStream, float]]] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send the next stream for a question; a clean one where there is no other."""
        body = await request.json()
        model = body["model"]
        api: Api = "responses" if "input" in body else "chat"
        odd = self.odd.get(model, 0)
        stream = make(self.rngs[model], api, clean=odd < 1, tools=bool(body.get("tools")))
        self.odd[model] = odd - 1
        read = sum(map(len, _texts(body))) / 4
        self.sent.setdefault(model, []).append((stream, read))
        if stream.page:
            return web.Response(text="<html>odd</html>", content_type="text/html")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for text in stream.sent(round(read)):
            await response.write(f"data: {text}\n\n".encode())
        if stream.ending == "aborted" and request.transport is not None:
            request.transport.abort()
        elif stream.ending == "silent":
            await asyncio.sleep(SILENT)
        return response


def _texts(body: Any) -> list[str]:
    """Give every text that a request carries."""
    said = [body.get("instructions") or "", *(body.get("input") or body.get("messages"))]
    return [each if isinstance(each, str) else str(each["content"]) for each in said]


@asynccontextmanager
async def running(provider: OddProvider) -> AsyncIterator[str]:
    """Serve on loopback; gives the address."""
    app = web.Application()
    app.router.add_post("/v1/{way:.*}", provider.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def personas(folder: Path) -> str:
    """Write one persona for each question of a batch: its money is told by its model's name."""
    folder.mkdir()
    for number in range(BATCH):
        text = f'name = "P{number}"\nprompt = "{PROMPT}"\nmodel = "m-{number}"\n{TOOLS}\n'
        (folder / f"p{number}.toml").write_text(text)
    return str(folder)


@pytest.mark.timeout(300 + NUMBER)
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_whatever_a_provider_streams_ends_once_truly_and_is_paid_for(
    fresh: FreshStage, tmp_path: Path, api: Api
) -> None:
    print(f"SKY_FUZZ_STREAMS={NUMBER} SKY_FUZZ_SEED={SEED}")
    provider = OddProvider()
    async with running(provider) as address:
        stage = fresh(
            SKY_OPENAI__BASE_URL=address,
            SKY_OPENAI__API=api,
            SKY_OPENAI__ATTEMPTS="2",
            SKY_OPENAI__SILENCE_SECONDS="1",
            SKY_OPENAI__BREAKER_FAILURES="0",
            SKY_BUDGET__PRICES=json.dumps({f"m-{n}": PRICES for n in range(BATCH)}),
            SKY_CONVERSATION__HISTORY="0",
            SKY_PERSONAS__DIRECTORY=personas(tmp_path / "personas"),
        )
        async with open_scene(stage) as scene:
            await scene.bot.ready()
            places = [
                (await scene.discord.add_channel(f"odd-{api}-{n}")).name for n in range(BATCH)
            ]
            wrong: list[str] = []
            for number in range(-(-NUMBER // 2 // BATCH)):
                wrong += await batch(scene, provider, places, f"{SEED} {api} {number}")

    assert not wrong, f"seed {SEED}, {len(wrong)} wrong:\n" + "\n".join(wrong[:20])


async def batch(scene: Scene, provider: OddProvider, places: Sequence[str], seed: str) -> list[str]:
    """Let as many ask at once as there are models; gives what is wrong."""
    models = [f"m-{n}" for n in range(BATCH)]
    provider.rngs = {model: Random(f"{seed} {model}") for model in models}
    provider.sent.clear()
    provider.odd = {model: rng.choice([1, 1, 1, 2]) for model, rng in provider.rngs.items()}
    spent = [await money(scene, model) for model in models]
    ended = await scene.bot.metric("answers_total")
    asked = [
        await scene.say(f"!sky(p{number}) what is it?", where=place)
        for number, place in enumerate(places)
    ]
    await scene.bot.until_metric("answers_total", ended + BATCH, seconds=120)
    wrong: list[str] = []
    if await scene.bot.metric("answers_total") != ended + BATCH:
        wrong.append("more answers ended than there were questions")
    for model, question, before in zip(models, asked, spent, strict=True):
        sent = provider.sent.get(model, [])
        seen = await scene.seen(question)
        found = [*judged(seen, sent), *paid(await money(scene, model) - before, seen, sent)]
        if found:
            story = [(each.ending, each.events[-4:]) for each, _ in sent]
            wrong.append(f"{'; '.join(found)}\n  shown: {seen.text[-200:]!r}\n  sent: {story}")
    return wrong


async def money(scene: Scene, model: str) -> float:
    """Give what answers of a model have cost."""
    return await scene.bot.metric("spent_money_total", model=model)


def judged(seen: Seen, sent: list[tuple[OddStream, float]]) -> list[str]:
    """Say what is wrong with what a person sees."""
    facts = [stream.facts for stream, _ in sent]
    text, label = shown(seen), said(seen)
    words = WORD.findall(text)
    every = [word for each in facts for word in each.words]
    pictures = sum(len(part.attachments) for part in seen.parts)
    labels = [sorted(buttons(part)) for part in seen.parts]
    wrong = {
        "not in its final state": labels != [[]] * (len(labels) - 1) + [["Again"]],
        "shows what was not sent": not is_subsequence(words, every),
        "shows more pictures than were sent": pictures > sum(each.pictures for each in facts),
    }
    if label is None:
        missing = set(facts[-1].words) - set(words)
        wrong["half an answer is shown as a whole one"] = not facts[-1].ended
        wrong["words are missing from a whole answer"] = bool(missing)
        wrong["nothing is shown as an answer"] = not text and not pictures
    else:
        wrong |= claimed(label, facts, anything=bool(text or pictures))
    return [what for what, is_so in wrong.items() if is_so]


def claimed(label: str, facts: list[Facts], *, anything: bool) -> dict[str, bool]:
    """Say what is untrue in a sentence, where `anything` of the answer is shown or not."""
    named = {name for each in facts for name in [*each.reasons, *each.codes]}
    return {
        f"{label}, although the last stream was good": facts[-1].clean,
        f"{label} is not about streams": label not in {*NAMED, *SHOWS_TEXT, *SHOWS_NONE},
        f"{label}, which nothing in {named} says": not NAMED.get(label, named) & named
        and label in NAMED,
        f"{label}, although nothing is shown": label in SHOWS_TEXT and not anything,
        f"{label}, although something is shown": label in SHOWS_NONE and anything,
    }


def paid(spent: float, seen: Seen, sent: list[tuple[OddStream, float]]) -> list[str]:
    """Say whether the money is about that of the tokens that were sent and shown."""
    if any(stream.facts.misled for stream, _ in sent):
        return []
    written = 5 * len(shown(seen)) / 4
    # What comes after the end is paid for, too, where the provider counts it.
    told = 5 * sum(len(stream.facts.text) for stream, _ in sent) / 4
    most = (sum(read for _, read in sent) + max(told, written)) / 10
    # Whether a page came from the provider or from somebody before it, nobody knows.
    least = (sum(read for stream, read in sent if not stream.page) + written) / 10
    right = (1 - WITHIN) * least <= spent <= (1 + WITHIN) * most
    return [] if right else [f"costs {spent:.1f} and not {least:.1f} to {most:.1f}"]


def shown(seen: Seen) -> str:
    """Give the text of an answer, without what is said about it."""
    text = seen.bare.text
    for sentence in SENTENCES:
        text = text.replace(sentence, "")
    return text.strip()


def said(seen: Seen) -> str | None:
    """Give the label of the error whose sentence a person reads."""
    labels = (label for sentence, label in SENTENCES.items() if sentence in seen.text)
    return next(labels, None)


def is_subsequence(some: list[str], every: list[str]) -> bool:
    """Say whether all of `some` are in `every`, in that order."""
    rest = iter(every)
    return all(word in rest for word in some)


def _kinds(kind: type[SkyError]) -> list[type[SkyError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in _kinds(below))]


SENTENCES = {each.sentence: each.label for each in reversed(_kinds(SkyError))}
