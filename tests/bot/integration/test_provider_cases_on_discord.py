"""What people reported of providers, as a person sees it on Discord: one row for each report.

test_provider_cases.py asks the bot's pipeline in process, in more detail; here the process is the
one that operators run, so that an older one can be tried as well (SKY_BOT_CHECKOUT).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator

import pytest

from bot.domain.errors import Filtered, KeyRefused, ModelBusy, OnlyReasoning, OutOfRoom, QuotaSpent
from tests.servers.openai import dialect
from tests.servers.openai.control import DialectChoice, ScriptedAnswer
from tests.servers.openai.pictures import DOT

from .answers import Seen, buttons
from .environment import Stage
from .environment import stage as set_stage
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import servers as run_servers
from .test_dialects import BLIND, HALF, SAY, SPOKEN
from .test_provider_cases import JSON, PAGE, SSE, stream

HALF_SAID = "Half a "
PICTURE = [("a.png", "image/png", b64decode(DOT))]
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}


def error(status: int = 200, kind: str = JSON, **fields: object) -> tuple[str, int, str]:
    """Write a refusal; with status 200 it comes inside a stream."""
    text = json.dumps({"error": fields})
    return (text, status, kind) if status != 200 else (f"data: {text}\n\n", 200, SSE)


def note(text: str, sentence: str) -> str:
    """A sentence below a text, as Discord is given it."""
    return f"{text}\n-# {sentence}"


NO_CREDIT, FLAGGED = "Insufficient credits", "Input was flagged"
KEY_LIMIT = "Key limit exceeded (total limit)."
CONTEXT = "This model's maximum context length is 9 tokens."
# What the provider sends once or always, and what the message on Discord says in the end.
ROWS: dict[str, tuple[tuple[str, int, str], bool, str]] = {
    "b1": ((stream("<think>Hm.</think>\n\n", SPOKEN), 200, SSE), True, SPOKEN),
    "b2": (
        (
            stream({"content": [THINKING]}, {"content": [{"type": "text", "text": SPOKEN}]}),
            200,
            SSE,
        ),
        True,
        SPOKEN,
    ),
    "b3": ((stream(SPOKEN, finish=None), 200, SSE), True, SPOKEN),
    "b5": (error(400, message="`stream_options` is not supported with this model"), False, SPOKEN),
    "b6": (error(message="The model is not multimodal.", code=400), False, note(SPOKEN, BLIND)),
    "b7": (("Internal Server Error", 500, "text/plain"), False, note(SPOKEN, BLIND)),
    "b8": (("<html>413 Request Entity Too Large</html>", 413, PAGE), False, note(SPOKEN, BLIND)),
    "b9": (
        error(400, param="input_tokens", code=400, message=CONTEXT),
        False,
        note(SPOKEN, HALF),
    ),
    "b10": (
        error(413, type="tokens", code="rate_limit_exceeded", message="Request too large"),
        False,
        note(SPOKEN, HALF),
    ),
    "b11": (error(402, message=NO_CREDIT), True, QuotaSpent.sentence),
    "b12": (
        (stream(HALF_SAID, finish="MAX_TOKENS"), 200, SSE),
        True,
        note(HALF_SAID, OutOfRoom.sentence),
    ),
    "b13": ((stream(HALF_SAID, finish="error"), 200, SSE), False, HALF_SAID + SPOKEN),
    "b19 credit": (error(403, message=KEY_LIMIT, code=403), True, QuotaSpent.sentence),
    "b19 flagged": (error(403, message=FLAGGED, code=403), True, Filtered.sentence),
    "b20": (error(message="No.", code=429), True, ModelBusy.sentence),
    "b21": (
        (stream({"reasoning_content": "Hm. " * 9}, finish="length"), 200, SSE),
        True,
        OnlyReasoning.sentence,
    ),
    "b22": ((stream(f"b22 (2026-11-30 07:09): {SPOKEN}"), 200, SSE), True, SPOKEN),
    # the last one: the key stays refused
    "b20 key": (error(message="No.", code=401), True, KeyRefused.sentence),
}


# Two rows are about a dialect, and a model that it has.
SPOKEN_TO = {"b16": dialect.load("vllm").models[0].names[0], "b17": "gpt-4.1"}


def persona(row: str) -> str:
    """Name the persona of a row, which has a model of its own."""
    return row.replace(" ", "-")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a bot with a persona and a model for each row: what it learns of one stays there."""
    directory = tmp_path_factory.mktemp("rows")
    personas = directory / "personas"
    personas.mkdir()
    models = {name: f"gpt-4.1-{name}" for name in map(persona, ROWS)}
    for name, model in {**models, **SPOKEN_TO}.items():
        text = f'name = "{name}"\nprompt = "Be."\nmodel = "{model}"\n'
        (personas / f"{name}.toml").write_text(text)
    settings = {
        "SKY_OPENAI__API": "chat",
        "SKY_OPENAI__ATTEMPTS": "1",  # nothing helps because it is tried again
        "SKY_PERSONAS__DIRECTORY": str(personas),
        "SKY_CONVERSATION__HISTORY": "20",
    }
    with run_servers(directory) as both, set_stage(both, directory, **settings) as started:
        yield started


@pytest.fixture
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    """A channel of its own, in which two people have said something."""
    await stage.bot.ready()
    async with open_scene(stage) as opened:
        for name in ("Ada", "Bram", "Chiyo"):
            await opened.discord.say(opened.place, f"{name} is here", name, mention_bot=False)
        yield opened
        await opened.openai.script()
        await opened.openai.speak(DialectChoice(name="openai"))


async def shown(scene: Scene, question: str) -> Seen:
    """Wait for the complete answer: the one with the button to ask again."""
    return await scene.until(
        question, lambda seen: bool(seen.parts) and "Again" in buttons(seen.parts[-1]), 30
    )


@pytest.mark.parametrize(("text", "kind"), [("", SSE), ("<html>Maintenance</html>", PAGE)])
async def test_b14_an_answer_without_anything_in_it_is_asked_for_again(
    chat_scene: Scene, text: str, kind: str
) -> None:
    words = f"nothing as {kind}"
    sent = ScriptedAnswer(match=words, text=text, status=200, content_type=kind, count=1)
    await chat_scene.openai.script(sent)

    question = await chat_scene.call(f"{words} {SAY}")

    assert (await shown(chat_scene, question)).text == SPOKEN


async def test_b16_people_talk_where_roles_must_alternate(scene: Scene) -> None:
    await scene.openai.speak(DialectChoice(name="vllm", alternate=True))

    question = await scene.say(f"!sky(b16) who is here? {SAY}")

    assert (await shown(scene, question)).text == SPOKEN


async def test_b17_an_organization_that_may_not_stream_is_answered(scene: Scene) -> None:
    await scene.openai.speak(DialectChoice(name="openai", refuses=("stream",)))

    question = await scene.say(f"!sky(b17) look {SAY}")

    assert (await shown(scene, question)).text == SPOKEN


@pytest.mark.parametrize("row", ROWS)
async def test_a_person_reads_what_is_true(scene: Scene, row: str) -> None:
    (text, status, kind), always, expected = ROWS[row]
    sent = ScriptedAnswer(
        match="", text=text, status=status, content_type=kind, count=None if always else 1
    )
    await scene.openai.models(*(f"gpt-4.1-{persona(each)}" for each in ROWS))
    await scene.openai.script(sent)
    files = PICTURE if BLIND in expected else []

    question = await scene.say(f"!sky({persona(row)}) look {SAY}", files=files)

    assert (await shown(scene, question)).text == expected
