"""Commands and menus: acknowledged within three seconds, by the pod that speaks.

A question gets a visible response that quotes it. That response is the question from then on: the
gateway hears it like any message, and the answer replies to it. So rollouts, crashes and gaps are
treated as they are for messages. All other answers are for the one who asked, and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.commands import catalog, screens
from bot.commands.quoting import Quoted, quote
from bot.discord import invocation
from bot.errors import UnknownPersona
from bot.limits.hourly import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.discord.invocation import Invocation
    from bot.errors import SkyError
    from bot.lists import Lists
    from bot.messages import Message
    from bot.metrics import Metrics
    from bot.personas.cast import Cast
    from bot.settings.schema import Settings

log = logging.getLogger(__name__)

_WAIT_TO_SPEAK = 2.4  # of Discord's three seconds: the one that speaks may just be going
_LOOK = 0.05
_LOOK_LONG, _LONGEST_PAUSE = 1.0, 300.0  # seconds, for telling Discord of the commands
_CHOICES = 25  # Discord's limit
_TOPICS = 500  # remembered until their response comes back through the gateway
_LATE, _TAKEN = 10062, 40060  # Discord's codes
_TRANSIENT = (aiohttp.ClientError, OSError, TimeoutError, discord.HTTPException)
_UNKNOWN = "I don't know this command any more. Type `/` to see those that I have."


class Topics:
    """Who asked what, in full, until the gateway brings the response that quotes it."""

    def __init__(self) -> None:
        self._topics: OrderedDict[int, Invocation] = OrderedDict()

    def keep(self, asked: Invocation) -> None:
        """Remember a question."""
        self._topics[asked.id] = asked
        if len(self._topics) > _TOPICS:
            self._topics.popitem(last=False)

    def whole(self, message: Message) -> Message:
        """Return `message` with all words that were asked and who asked, where it quotes them."""
        asked = self._topics.pop(message.asked.interaction_id, None) if message.asked else None
        if asked is None:
            return message
        topic = asked.text(catalog.TOPIC)
        return replace(message, text=topic, author=asked.author, role_ids=asked.role_ids)


@dataclass(frozen=True, slots=True)
class House:
    """What the commands need of the bot.

    `speaks`: whether this process answers in a server now, or directly (None).
    `status`: what `/sky-status` shows.
    `refusal`: why a question would be turned away now, by limits, budget or a flood; None if not.
    """

    settings: Settings
    lists: Lists
    cast: Cast
    metrics: Metrics
    speaks: Callable[[int | None], bool]
    status: Callable[[], str]
    refusal: Callable[[Caller], SkyError | None]


class Interactions:
    """Answers what Discord's commands and menus ask for."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.topics = Topics()
        self._introduced = False

    async def introduce(self, client: discord.Client) -> None:
        """Tell Discord of the commands, once in this process's life, as soon as it speaks."""
        pause = _LOOK_LONG
        while not self._introduced and not client.is_closed():
            if self._house.speaks(None):
                try:
                    changed = await _sync(client)
                except _TRANSIENT as error:
                    log.warning("commands not synced", extra={"error": type(error).__name__})
                    pause = min(pause * 2, _LONGEST_PAUSE)
                else:
                    self._introduced = True
                    log.info("commands synced", extra={"changed": changed})
                    return
            await asyncio.sleep(pause)

    async def receive(self, interaction: discord.Interaction) -> None:
        """Acknowledge one, if this process speaks or begins to in time."""
        kind = interaction.type.name
        try:
            outcome = await self._respond(interaction)
        except discord.HTTPException as error:
            outcome = {_LATE: "late", _TAKEN: "acknowledged_elsewhere"}.get(error.code, "failed")
            if outcome != "acknowledged_elsewhere":
                what = {"kind": kind, "status": error.status, "code": error.code}
                log.warning("interaction not acknowledged", extra=what)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            outcome = "failed"
            what = {"kind": kind, "error": type(error).__name__}
            log.warning("interaction not acknowledged", extra=what)
        self._house.metrics.interactions.labels(kind, outcome).inc()

    async def _respond(self, interaction: discord.Interaction) -> str:
        until = time.monotonic() + _WAIT_TO_SPEAK
        while not self._house.speaks(interaction.guild_id):
            if time.monotonic() > until:
                return "not_speaking"
            await asyncio.sleep(_LOOK)
        match interaction.type:
            case discord.InteractionType.application_command:
                return await self._command(interaction)
            case discord.InteractionType.autocomplete:
                return await self._complete(interaction)
        return "unknown"

    async def _complete(self, interaction: discord.Interaction) -> str:
        typed = invocation.read(interaction).typed
        found = [
            discord.app_commands.Choice(name=persona.name, value=key)
            for key, persona in self._house.cast.like(typed)
        ]
        await interaction.response.autocomplete(found[:_CHOICES])
        return "completed"

    async def _command(self, interaction: discord.Interaction) -> str:
        asked = invocation.read(interaction)
        if asked.name in {catalog.ASK, catalog.MENU}:
            return await self._question(interaction, asked)
        text, outcome = self._screen(asked)
        await _whisper(interaction, text)
        return outcome

    def _screen(self, asked: Invocation) -> tuple[str, str]:
        house = self._house
        text, outcome = _UNKNOWN, "unknown"
        match asked.name:
            case catalog.HELP:
                text, outcome = screens.help_text(house.settings), "shown"
            case catalog.PRIVACY:
                text, outcome = screens.privacy_text(house.settings, house.cast), "shown"
            case "persona list":
                text, outcome = screens.cast_text(house.cast, asked.place), "shown"
            case "persona show":
                try:
                    persona = house.cast.named(asked.text("persona"))
                    text, outcome = screens.persona_text(persona), "shown"
                except UnknownPersona as error:
                    text, outcome = error.sentence, error.label
            case catalog.STATUS if asked.manages:
                text, outcome = house.status(), "shown"
            case catalog.STATUS:
                text, outcome = "This is for those who manage this server.", "not_allowed"
        return text, outcome

    async def _question(self, interaction: discord.Interaction, asked: Invocation) -> str:
        house = self._house
        barred = house.lists.bars(asked.author, asked.place, direct=asked.direct)
        if barred is not None:
            await _whisper(interaction, screens.barred_text(barred))
            return barred
        if asked.lacking:
            await _whisper(interaction, screens.lacking_text(asked.lacking))
            return "may_not_speak"
        if asked.name == catalog.MENU and asked.target is None:
            await _whisper(interaction, "I can't see that message.")
            return "no_target"
        name, persona = asked.text("persona"), house.cast.at(asked.place)
        try:
            persona = house.cast.named(name) if name else persona
        except UnknownPersona as error:
            await _whisper(interaction, error.sentence)
            return error.label
        refused = house.refusal(Caller(asked.author.id, asked.channel_id, asked.guild_id))
        if refused is not None:  # each time, for Discord wants an answer and nobody else sees it
            await _whisper(interaction, refused.sentence)
            return refused.label
        topic, image = asked.text(catalog.TOPIC), bool(asked.options.get("image"))
        self.topics.keep(asked)
        quoted = Quoted(topic, persona.name, image=image, target=asked.target)
        await interaction.response.send_message(
            quote(asked.author.name, quoted, (asked.guild_id, asked.channel_id)),
            allowed_mentions=discord.AllowedMentions.none(),
            suppress_embeds=True,
        )
        return "asked"


async def _whisper(interaction: discord.Interaction, text: str) -> None:
    await interaction.response.send_message(
        text, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
    )


async def _sync(client: discord.Client) -> bool:
    """Tell Discord of the commands where it has others; says whether it had."""
    application = client.application_id or 0
    if not catalog.differ(await client.http.get_global_commands(application)):
        return False
    await client.http.bulk_upsert_global_commands(application, list(catalog.ALL))
    return True
