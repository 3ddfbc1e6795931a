"""One provider's dialect through each case, as a person sees it on Discord.

test_dialects.py runs every dialect through the bot's pipeline in process; here the whole bot stands
between one of them and Discord, so that what is asserted there is what a message shows.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator

import pytest

from bot.domain.errors import CutShort, KeyRefused, ModelBusy, OutOfRoom, QuotaSpent, SkyError
from tests.servers.openai import dialect
from tests.servers.openai.chat import THOUGHT
from tests.servers.openai.control import DialectChoice, Fault, FaultKind
from tests.servers.openai.pictures import DOT

from .answers import Seen, buttons
from .environment import Stage
from .environment import stage as set_stage
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import servers as run_servers
from .test_dialects import BLIND, HALF, SAY, SPOKEN

NAME = "mistral"  # it refuses most: two optional parameters, pictures, an answer that goes on
LOADED = dialect.load(NAME)
BLIND_MODEL = next(each for each in LOADED.models if not each.pictures).names[0]
THINKER = next(each for each in LOADED.models if each.reasons).names[0]
PRICE = {"input": 1.0, "output": 1.0}  # for a million tokens
PART = SPOKEN[: 2 * len(SPOKEN) // 6]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a bot whose provider is not exactly OpenAI."""
    directory = tmp_path_factory.mktemp("dialect")
    personas = directory / "personas"
    personas.mkdir()
    (personas / "thinker.toml").write_text(
        f'name = "Thinker"\nprompt = "You think."\nmodel = "{THINKER}"\n'
    )
    (personas / "warm.toml").write_text('name = "Warm"\nprompt = "Be."\ntemperature = 0.3\n')
    settings = {
        "SKY_OPENAI__API": "chat",
        "SKY_OPENAI__MODEL": BLIND_MODEL,
        "SKY_BUDGET__PRICES": json.dumps({BLIND_MODEL: PRICE, THINKER: PRICE}),
        "SKY_PERSONAS__DIRECTORY": str(personas),
        "SKY_CONVERSATION__HISTORY": "20",
    }
    with run_servers(directory) as both, set_stage(both, directory, **settings) as started:
        yield started


@pytest.fixture
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    """A channel of its own, and the dialect as it usually is."""
    await stage.bot.ready()
    async with open_scene(stage) as opened:
        await opened.openai.clear()
        await opened.openai.speak(DialectChoice(name=NAME))
        yield opened
        await opened.openai.speak(DialectChoice(name="openai"))


class Counted:
    """What the metrics have counted since the test began: requests and answers by outcome."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._before: dict[tuple[str, str], float] = {}

    async def begin(self, *outcomes: str) -> None:
        """Note where the counters stand."""
        for name in ("answers_total", "model_requests_total"):
            for outcome in outcomes:
                self._before[name, outcome] = await self._scene.bot.metric(name, outcome=outcome)

    async def since(self) -> dict[tuple[str, str], float]:
        """Give by how much each has grown, without those that have not."""
        grown = {
            (name, outcome): await self._scene.bot.metric(name, outcome=outcome) - before
            for (name, outcome), before in self._before.items()
        }
        return {key: value for key, value in grown.items() if value}


async def shown(scene: Scene, question: str) -> Seen:
    """Wait for the complete answer: the one with the button to ask again."""
    return await scene.until(
        question, lambda seen: bool(seen.parts) and "Again" in buttons(seen.parts[-1]), 30
    )


def below(sentence: str) -> str:
    """How a sentence stands below an answer."""
    return f"\n-# {sentence}"


ANSWERED = {("answers_total", "complete"): 1, ("model_requests_total", "complete"): 1}


async def test_a_plain_question(scene: Scene) -> None:
    counted = Counted(scene)
    await counted.begin("complete")

    seen = await shown(scene, await scene.call(f"hello {SAY}"))

    assert seen.text == SPOKEN
    assert await counted.since() == ANSWERED


async def test_four_speakers(scene: Scene) -> None:
    counted = Counted(scene)
    await counted.begin("complete")
    for name in ("Ada", "Bram", "Chiyo", "Dara"):
        await scene.discord.say(scene.place, f"{name} is here", name, mention_bot=False)

    seen = await shown(scene, await scene.call(f"who is here? {SAY}", by="Bram"))

    assert seen.text == SPOKEN
    assert await counted.since() == ANSWERED


async def test_a_picture_that_it_cannot_take(scene: Scene) -> None:
    counted = Counted(scene)
    await counted.begin("complete")
    picture = [("a.png", "image/png", b64decode(DOT))]

    seen = await shown(scene, await scene.call(f"look {SAY}", files=picture))

    assert seen.text == SPOKEN + below(BLIND)
    assert await counted.since() == ANSWERED


async def test_too_long_a_history(scene: Scene) -> None:
    counted = Counted(scene)
    await counted.begin("complete", "too_much_text")
    await scene.openai.speak(DialectChoice(name=NAME, context=1500))
    for number in range(18):
        text = f"{number} " * 300
        await scene.discord.say(scene.place, text, ("Ada", "Bram")[number % 2], mention_bot=False)

    seen = await shown(scene, await scene.call(f"and now? {SAY}"))

    grown = await counted.since()
    assert seen.text == SPOKEN + below(HALF)
    assert grown["answers_total", "complete"] == 1
    assert grown["model_requests_total", "too_much_text"] >= 1


async def test_a_refused_parameter(scene: Scene) -> None:
    counted = Counted(scene)
    await counted.begin("complete")
    await scene.openai.speak(DialectChoice(name=NAME, refuses=("temperature",)))

    for words in ("first", "second"):
        seen = await shown(scene, await scene.call(f"!sky(warm) {words} {SAY}"))
        assert seen.text == SPOKEN

    assert (await counted.since())["answers_total", "complete"] == 2


FAULTS: dict[str, tuple[Fault, type[SkyError], str, int]] = {
    "out of credit": (Fault(kind=FaultKind.QUOTA), QuotaSpent, "", 1),
    "rate limit": (Fault(kind=FaultKind.RATE_LIMIT, retry_after=0.01), ModelBusy, "", 2),
    "cut stream": (Fault(kind=FaultKind.CUT, after=2, count=1), CutShort, PART, 1),
    "length end": (Fault(kind=FaultKind.INCOMPLETE, after=2, count=1), OutOfRoom, PART, 1),
}


@pytest.mark.parametrize(("fault", "error", "text", "requests"), FAULTS.values(), ids=FAULTS)
async def test_what_fails_is_told(
    scene: Scene, fault: Fault, error: type[SkyError], text: str, requests: int
) -> None:
    counted = Counted(scene)
    await counted.begin("complete", error.label)
    await scene.openai.inject(fault)

    seen = await shown(scene, await scene.call(f"hello {SAY}"))

    assert seen.text == (text.rstrip() + below(error.sentence) if text else error.sentence)
    assert await counted.since() == {
        ("answers_total", error.label): 1,
        ("model_requests_total", error.label): requests,
    }


async def test_no_usage(scene: Scene) -> None:
    first = await scene.call(f"how much? {SAY}")
    before = await scene.bot.metric("spent_money_total", model=BLIND_MODEL)
    await shown(scene, first)
    told = await scene.bot.metric("spent_money_total", model=BLIND_MODEL) - before
    await scene.openai.speak(DialectChoice(name=NAME, usage="never"))

    seen = await shown(scene, await scene.call(f"how much? {SAY}", where="#general"))

    estimated = await scene.bot.metric("spent_money_total", model=BLIND_MODEL) - before - told
    assert seen.text == SPOKEN
    assert told > 0
    assert estimated > 0


async def test_reasoning(scene: Scene) -> None:
    seen = await shown(scene, await scene.say(f"!sky(thinker) think {SAY}"))

    assert seen.text == SPOKEN
    assert THOUGHT[:12] not in seen.text


async def test_an_empty_stream(scene: Scene) -> None:
    counted = Counted(scene)
    await counted.begin("complete", "model_down")
    await scene.openai.inject(Fault(kind=FaultKind.EMPTY, count=1))

    seen = await shown(scene, await scene.call(f"hello {SAY}"))

    assert seen.text == SPOKEN
    assert await counted.since() == {**ANSWERED, ("model_requests_total", "model_down"): 1}


async def test_a_refused_key(scene: Scene) -> None:
    """The last one: the key stays refused."""
    counted = Counted(scene)
    await counted.begin("complete", "key_refused")
    await scene.openai.inject(Fault(kind=FaultKind.UNAUTHORIZED))

    seen = await shown(scene, await scene.call(f"hello {SAY}"))

    assert seen.text == KeyRefused.sentence
    grown = await counted.since()
    assert grown["answers_total", "key_refused"] == 1
    assert ("answers_total", "complete") not in grown
