"""Who acknowledges a command, and when: the leader, within Discord's three seconds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import discord
import pytest

from bot.admission.usage import UsageLedger
from bot.discord import commands
from bot.discord.commands import CommandContext, CommandHandler, Invocation, Topics
from bot.domain.errors import OverLimit
from bot.domain.messages import Author, CommandOrigin, Location, Message
from bot.observability.metrics import Metrics
from bot.personas.persona import only_sky
from bot.settings.schema import AccessSettings, Settings, ThreadsSettings
from bot.triggers.access_policy import AccessPolicy
from bot.triggers.match import Ignored, Trigger, TriggerRules, called, match

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.errors import SkyError

ME = 7


@dataclass
class Response:
    """Takes what the bot responds; fails with `failure` if that is given."""

    failure: Exception | None = None
    said: list[str] = field(default_factory=list)
    hidden: list[bool] = field(default_factory=list)

    async def send_message(self, text: str, *, ephemeral: bool = False, **_: Any) -> None:
        """Keep it."""
        if self.failure is not None:
            raise self.failure
        self.said.append(text)
        self.hidden.append(ephemeral)


def used(name: str, response: Response) -> discord.Interaction:
    """Make what Discord reports of a command, as far as it is read."""
    everything = discord.Permissions.all()
    return cast(
        "discord.Interaction",
        SimpleNamespace(
            id=50,
            type=discord.InteractionType.application_command,
            data={"name": name, "options": [{"name": "topic", "type": 3, "value": "gulls"}]},
            user=SimpleNamespace(id=1, display_name="Ada", bot=False),
            channel=None,
            guild=None,
            guild_id=5,
            channel_id=10,
            permissions=discord.Permissions.none(),
            app_permissions=everything,
            response=response,
        ),
    )


def dispatcher(
    metrics: Metrics, leads: Callable[[], bool], refused: SkyError | None = None
) -> CommandHandler:
    context = CommandContext(
        Settings(),
        AccessPolicy(AccessSettings()),
        only_sky(),
        metrics,
        lambda _: leads(),
        lambda: "well",
        lambda _: refused,
        UsageLedger(Settings(), time.time),
    )
    return CommandHandler(context)


def count(metrics: Metrics, outcome: str) -> float:
    labels = {"kind": "application_command", "outcome": outcome}
    found = metrics.registry.get_sample_value("discord_sky_interactions_total", labels)
    return found or 0.0


async def test_the_one_that_speaks_quotes_the_question() -> None:
    metrics, response = Metrics(), Response()

    await dispatcher(metrics, lambda: True).receive(used("sky", response))

    assert response.said == ["-# Ada asks Sky:\n>>> gulls"]
    assert count(metrics, "asked") == 1


async def test_a_question_that_would_be_turned_away_is_told_so_in_private_each_time() -> None:
    metrics, response, refused = Metrics(), Response(), OverLimit("user", 1_800_000_000)
    made = dispatcher(metrics, lambda: True, refused)

    for _ in range(2):
        await made.receive(used("sky", response))

    assert response.said == [refused.sentence] * 2
    assert response.hidden == [True, True]
    assert "Try again <t:1800000000:R>." in refused.sentence
    assert count(metrics, "over_limit") == 2


async def test_the_one_that_only_listens_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_WAIT_TO_SPEAK", 0.1)
    metrics, response = Metrics(), Response()

    await dispatcher(metrics, lambda: False).receive(used("sky", response))

    assert response.said == []
    assert count(metrics, "not_speaking") == 1


async def test_the_one_that_begins_to_speak_in_time_takes_what_it_overheard() -> None:
    metrics, response = Metrics(), Response()
    begins = time.monotonic() + 0.2

    await dispatcher(metrics, lambda: time.monotonic() > begins).receive(used("sky", response))

    assert len(response.said) == 1


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(40060, "acknowledged_elsewhere"), (10062, "late"), (50035, "failed")],
)
async def test_a_refusal_is_counted_and_breaks_nothing(code: int, outcome: str) -> None:
    answer = SimpleNamespace(status=400, reason="")
    refusal = discord.HTTPException(cast("Any", answer), {"code": code, "message": "no"})
    metrics = Metrics()

    await dispatcher(metrics, lambda: True).receive(used("help", Response(refusal)))

    assert count(metrics, outcome) == 1


async def test_a_discord_that_is_gone_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()

    await dispatcher(metrics, lambda: True).receive(used("help", Response(OSError("gone"))))

    assert count(metrics, "failed") == 1
    assert "gulls" not in caplog.text


def quoted(topic: str, by: int = ME) -> Message:
    """The response as the gateway brings it, which knows the asker's name and no roles."""
    return Message(
        99,
        10,
        Author(1, "ada"),
        topic,
        guild_id=5,
        asked=CommandOrigin(by, 50, "Sky"),
        place=Location(("5",)),
    )


def test_the_whole_topic_and_who_asked_come_back_with_the_response() -> None:
    topics = Topics()
    asker = Author(1, "Ada", roles=("70", "pilots"))
    topics.keep(
        Invocation(50, "sky", asker, Location(), 10, 5, {"topic": "x" * 3000}, role_ids=(70,))
    )

    message = topics.whole(quoted("x…"))

    assert (message.text, message.author, message.role_ids) == ("x" * 3000, asker, (70,))
    assert topics.whole(quoted("x…")).text == "x…"  # once; a successor has what is quoted


def test_only_ones_own_response_is_a_question() -> None:
    rules = TriggerRules(
        "!sky", AccessPolicy(AccessSettings(allow_users=("2",))), ThreadsSettings()
    )

    assert match(quoted("hello"), me=ME, rules=rules) == Trigger("slash", "hello", "Sky")
    assert match(quoted("hello", by=8), me=ME, rules=rules) == Ignored("bot")
    assert called(quoted("!sky hello", by=8), me=ME, command="!sky") is None


class Application:
    """Discord's commands of an application, through discord.py's client as far as it is used."""

    application_id = 1

    def __init__(self, has: list[dict[str, Any]], failures: int = 0) -> None:
        self.has, self.failures, self.asked, self.told = has, failures, 0, 0
        self.http = self

    def is_closed(self) -> bool:
        """Never."""
        return False

    async def get_global_commands(self, _application: int) -> list[dict[str, Any]]:
        """List them."""
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise OSError("gone")
        return self.has

    async def bulk_upsert_global_commands(
        self, _application: int, payload: list[dict[str, Any]]
    ) -> None:
        """Replace them."""
        self.told += 1
        self.has = payload


async def introduced(
    application: Application, monkeypatch: pytest.MonkeyPatch, leads: Callable[[], bool]
) -> CommandHandler:
    monkeypatch.setattr(commands, "_LOOK_LONG", 0.01)
    made = dispatcher(Metrics(), leads)
    await asyncio.wait_for(made.introduce(cast("discord.Client", application)), 5)
    return made


async def test_discord_is_told_of_the_commands_when_it_has_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Application([{"type": 1, "name": "sing", "description": "x"}])
    made = await introduced(other, monkeypatch, lambda: True)
    assert {command["name"] for command in other.has} >= {"sky", "help"}

    await made.introduce(cast("discord.Client", other))  # a second login of the same process
    assert (other.asked, other.told) == (1, 1)

    same = Application(other.has)
    await introduced(same, monkeypatch, lambda: True)
    assert (same.asked, same.told) == (1, 0)


async def test_only_the_one_that_speaks_tells_discord(monkeypatch: pytest.MonkeyPatch) -> None:
    application = Application([])
    looks = iter([False] * 5)

    await introduced(application, monkeypatch, lambda: next(looks, True))

    assert (application.told, list(looks)) == (1, [])


async def test_telling_discord_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    application = Application([], failures=2)

    await introduced(application, monkeypatch, lambda: True)

    assert (application.asked, application.told) == (3, 1)
