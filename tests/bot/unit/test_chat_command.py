"""A conversation in a terminal."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.admission.admission_control import AdmissionControl
from bot.cli.chat import ChatServices, ChatSession
from bot.context.attachments import AttachmentReader
from bot.domain.errors import ModelDown, NothingSaid, UnknownPersona
from bot.domain.messages import Picture
from bot.observability.metrics import Metrics
from bot.personas.persona import Persona, PersonaRegistry
from bot.settings.schema import LimitsSettings, PersonasSettings, Settings
from tests.bot.unit.fakes import FakeFileSource, FakeModel, open_guard

PIRATE = Persona("Captain", "You are Captain.", greeting="Ahoy!")


@dataclass
class Terminal:
    """A talk, and what is on the screen."""

    model: FakeModel = field(default_factory=FakeModel)
    limits: LimitsSettings = field(default_factory=LimitsSettings)
    screen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings, metrics = Settings(limits=self.limits), Metrics()
        means = ChatServices(
            settings,
            AttachmentReader(FakeFileSource(), settings.files),
            self.model,
            AdmissionControl(settings, metrics),
            open_guard(settings, metrics),
        )
        self.talk = ChatSession(
            means, PersonaRegistry({"pirate": PIRATE}, PersonasSettings()), self.screen.append
        )

    @property
    def text(self) -> str:
        """All that is on the screen."""
        return "".join(self.screen)


async def test_what_was_said_before_is_read_again_and_forgotten_when_that_is_asked_for() -> None:
    person = Terminal()

    await person.talk.say("hello")
    await person.talk.say("and again")
    person.talk.forget()
    await person.talk.say("who was that?")

    assert [len(ask.turns) for ask in person.model.asked] == [1, 3, 1]
    assert person.text.count("An answer.\n[Sky: 0.0") == 3


async def test_again_asks_the_same_with_the_same_before_it() -> None:
    person = Terminal()
    await person.talk.again()
    await person.talk.say("hello")
    await person.talk.say("and you?")

    await person.talk.again()

    assert person.text.startswith("Nothing was answered yet.")
    assert person.model.asked[2].turns == person.model.asked[1].turns


async def test_another_persona_goes_on_with_the_conversation() -> None:
    person = Terminal()
    await person.talk.say("hello")

    person.talk.name("Captain")
    await person.talk.say("and you?")
    with pytest.raises(UnknownPersona):
        person.talk.name("nobody")

    assert "You are Captain." in person.model.asked[1].instructions
    assert len(person.model.asked[1].turns) == 3
    assert "pirate           Captain" in person.talk.everybody()


async def test_the_model_is_told_the_time_that_it_is() -> None:
    person = Terminal()

    before = datetime.now(UTC).replace(second=0, microsecond=0)
    await person.talk.say("what day is it?")

    (turn,) = person.model.asked[0].turns
    told = re.match(r"You \((.*)\): ", turn.text)
    assert told is not None
    at = datetime.strptime(told[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert before <= at <= datetime.now(UTC)


async def test_a_failure_is_a_sentence_with_what_the_log_would_say() -> None:
    person = Terminal(FakeModel("", failure=ModelDown("status 503")))

    await person.talk.say("hello")

    assert person.text == f"[{ModelDown.sentence} (model_down: status 503)]\n\n"


@pytest.mark.parametrize("blank", ["", "\u200b", " " * 4500])
async def test_an_answer_that_shows_nothing_is_a_sentence(blank: str) -> None:
    person = Terminal(FakeModel(blank))

    await person.talk.say("hello")

    assert person.text == f"[{NothingSaid.sentence} (nothing_said)]\n\n"


async def test_a_limit_tells_a_time_that_a_terminal_shows() -> None:
    person = Terminal(limits=LimitsSettings(user_per_hour=1))
    await person.talk.say("one")

    await person.talk.say("two")

    assert "Try again at " in person.text
    assert "<t:" not in person.text
    assert len(person.model.asked) == 1


@pytest.mark.parametrize("text", ["Here.", ""])
def test_a_picture_is_a_file(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    person = Terminal(FakeModel(text, pictures=(Picture("gull.png", b"\x89PNG"),)))

    asyncio.run(person.talk.say("draw a gull"))

    (path,) = tmp_path.glob("sky-*/gull.png")
    assert path.read_bytes() == b"\x89PNG"
    assert f"[The picture is in {path}]" in person.text
    assert "nothing_said" not in person.text
