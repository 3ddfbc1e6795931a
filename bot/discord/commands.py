"""Slash commands and message menus: their registration with Discord, and their handling.

https://discord.com/developers/docs/interactions/application-commands#application-command-object

The pod that leads the shard acknowledges a command within three seconds. A question gets a visible
response that quotes it. From then on that response is the question: the gateway delivers it like
any message, and the answer replies to it, so rollouts, crashes and gaps are handled as for
messages. All other responses are visible only to the person who used the command.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import discord

from bot.admission.hourly_limits import Caller
from bot.answers.summary import SummarySpan
from bot.discord import command_replies as texts
from bot.discord import converters, permissions
from bot.discord.command_replies import QuotedQuestion, quote
from bot.discord.rest import edit_arguments, message_arguments
from bot.domain.bounded import BoundedDict
from bot.domain.errors import DiscordDown, UnknownPersona
from bot.domain.messages import Button, Message, Post
from bot.domain.text import sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bot.admission.usage import UsageLedger
    from bot.answers.summary import Summaries
    from bot.domain.errors import SkyError
    from bot.domain.messages import Author, Location
    from bot.observability.metrics import Metrics
    from bot.personas.persona import PersonaRegistry
    from bot.settings.schema import Settings
    from bot.triggers.access_policy import AccessPolicy

log = logging.getLogger(__name__)


ASK, PERSONA, STATUS, HELP, PRIVACY = "sky", "persona", "sky-status", "help", "privacy"
USAGE = "usage"
SUMMARY, FROM_HERE = "summary", "Summarize from here"
TOPIC = "topic"
MENU = "Ask Sky"
LONGEST_TOPIC = 4000

_CHAT_INPUT, _MESSAGE_MENU = 1, 3
_SUBCOMMAND, _STRING, _INTEGER, _BOOLEAN, _CHANNEL = 1, 3, 4, 5, 7
_READABLE = [0, 2, 5, 10, 11, 12, 13]  # channels and threads that have messages of their own
_LONGEST_HOURS = 720
_SERVERS, _DIRECT = 0, 1
_MANAGE_SERVER = str(1 << 5)
_EVERYWHERE: Final = {"integration_types": [0], "contexts": [_SERVERS, _DIRECT]}


def _command(name: str, description: str, *options: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": _CHAT_INPUT,
        "name": name,
        "description": description,
        "options": list(options),
        **_EVERYWHERE,
        **more,
    }


def _option(kind: int, name: str, description: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "description": description, **more}


_WHO = _option(_STRING, "persona", "The persona that answers", autocomplete=True)

ALL: Final = (
    _command(
        ASK,
        "Ask something",
        _option(_STRING, TOPIC, "Your question", required=True, max_length=LONGEST_TOPIC),
        _WHO,
        _option(_BOOLEAN, "image", "Answer with a picture"),
    ),
    _command(
        PERSONA,
        "My personas",
        _option(_SUBCOMMAND, "list", "List my personas, and show which one answers here"),
        _option(_SUBCOMMAND, "show", "Show one persona", options=[{**_WHO, "required": True}]),
    ),
    _command(
        STATUS,
        "The bot's status, for people who manage this server",
        default_member_permissions=_MANAGE_SERVER,
        contexts=[_SERVERS],
    ),
    _command(HELP, "How to call me"),
    _command(PRIVACY, "What I send where, and what is kept"),
    _command(USAGE, "What you asked of me this month, and what that cost"),
    _command(
        SUMMARY,
        "Summarize what was said since your last message, for you alone",
        _option(
            _INTEGER,
            "hours",
            "The last so many hours instead",
            min_value=1,
            max_value=_LONGEST_HOURS,
        ),
        _option(_CHANNEL, "channel", "Another channel or thread", channel_types=_READABLE),
        contexts=[_SERVERS],
    ),
    {"type": _MESSAGE_MENU, "name": FROM_HERE, **_EVERYWHERE, "contexts": [_SERVERS]},
    {"type": _MESSAGE_MENU, "name": MENU, **_EVERYWHERE},  # it may have no description
)

# Discord's defaults for missing fields.
_DEFAULTS: Final[dict[str, Any]] = {
    "description": "",
    "options": [],
    "required": False,
    "autocomplete": False,
    "default_member_permissions": None,
    "nsfw": False,
}
_COMPARED: Final = (
    *("type", "name", "description", "options", "required", "autocomplete", "max_length"),
    *("min_value", "max_value", "channel_types"),
    *("default_member_permissions", "nsfw", "contexts", "integration_types"),
)


def offered(settings: Settings) -> list[dict[str, Any]]:
    """Return the commands that are offered with these settings."""
    off = set[str]() if settings.usage.enabled else {USAGE}
    off |= set() if settings.summary.messages else {SUMMARY, FROM_HERE}
    return [each for each in ALL if each["name"] not in off]


def differ(theirs: Iterable[Mapping[str, Any]], ours: Iterable[Mapping[str, Any]] = ALL) -> bool:
    """Return whether the commands registered with Discord differ from ours."""
    return sorted(map(_essence, theirs), key=repr) != sorted(map(_essence, ours), key=repr)


def _essence(command: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the fields that we define; Discord adds ids, versions and translations."""
    essence = {}
    for key in _COMPARED:
        value = command.get(key)
        value = _DEFAULTS.get(key) if value is None else value
        if key == "options":
            value = [_essence(option) for option in value or ()]
        if key in {"contexts", "integration_types", "channel_types"} and value is not None:
            value = sorted(value)
        essence[key] = value
    return essence


_INVOCATION_SUBCOMMAND = 1


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command that somebody used: what, by whom, where, and the permissions there.

    `name` is the command with its subcommand. `lacking` are the permissions without which the bot
    cannot answer in that channel, by their names in Discord. `target` is a menu's message.
    """

    id: int
    name: str
    author: Author
    place: Location
    channel_id: int
    guild_id: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    typed: str = ""  # what is in the option that is being completed
    lacking: tuple[str, ...] = ()
    manages: bool = False
    target: int | None = None
    role_ids: tuple[int, ...] | None = None

    @property
    def direct(self) -> bool:
        """Whether it was used in a direct message."""
        return self.guild_id is None

    def text(self, option: str) -> str:
        """Return an option's text; empty where it was not given."""
        return sanitize(str(self.options.get(option) or "")).strip()


def read(interaction: discord.Interaction) -> Invocation:
    """Convert discord.py's interaction to an Invocation."""
    data: Mapping[str, Any] = interaction.data or {}
    name, options = str(data.get("name", "")), list(data.get("options") or ())
    if options and options[0].get("type") == _INVOCATION_SUBCOMMAND:
        name, options = f"{name} {options[0]['name']}", list(options[0].get("options") or ())
    return Invocation(
        id=interaction.id,
        name=name,
        author=converters.author(interaction.user),
        place=converters.place(interaction.channel, interaction.guild),
        channel_id=interaction.channel_id or 0,
        guild_id=interaction.guild_id,
        options={option["name"]: option.get("value") for option in options},
        typed=next((str(option["value"]) for option in options if option.get("focused")), ""),
        lacking=tuple(_lacking(interaction)),
        manages=interaction.permissions.manage_guild or interaction.permissions.administrator,
        target=_target(data, interaction.channel_id),
        role_ids=converters.role_ids(interaction.user),
    )


def _lacking(interaction: discord.Interaction) -> Iterable[str]:
    mine = interaction.app_permissions
    if mine.administrator or interaction.guild_id is None:
        return
    in_thread = isinstance(interaction.channel, discord.Thread)
    needed = {
        "View Channel": mine.view_channel,
        "Send Messages": mine.send_messages or in_thread,
        "Send Messages in Threads": mine.send_messages_in_threads or not in_thread,
        "Read Message History": mine.read_message_history,
    }
    yield from (name for name, granted in needed.items() if not granted)


def _target(data: Mapping[str, Any], channel_id: int | None) -> int | None:
    """Return the message that a menu was opened on, if it is in the channel where that was."""
    found = (data.get("resolved") or {}).get("messages") or {}
    message = found.get(str(data.get("target_id")))
    if message is None or str(message.get("channel_id")) != str(channel_id):
        return None
    return int(message["id"])


_WAIT_TO_SPEAK = 2.4  # of Discord's three seconds: the leader may just be handing over
_LOOK = 0.05
_LOOK_LONG, _LONGEST_PAUSE = 1.0, 300.0  # seconds, for telling Discord of the commands
_CHOICES = 25  # Discord's limit
_TOPICS = 500  # remembered until their response comes back through the gateway
_LATE, _TAKEN, _EXPIRED = 10062, 40060, 10015  # Discord's codes
_SCREEN_PAUSES = (0.5, 2.0)
_TRANSIENT = (aiohttp.ClientError, OSError, TimeoutError, discord.HTTPException)
_UNKNOWN = "I don't have this command any more. Type `/` to see my commands."


class Topics:
    """The full text and author of a question, until the gateway delivers the quoting response."""

    def __init__(self) -> None:
        self._topics: BoundedDict[int, Invocation] = BoundedDict(_TOPICS)

    def keep(self, asked: Invocation) -> None:
        """Remember a question."""
        self._topics[asked.id] = asked

    def whole(self, message: Message) -> Message:
        """Return `message` with the full question and its author if it quotes a question."""
        asked = self._topics.pop(message.asked.interaction_id, None) if message.asked else None
        if asked is None:
            return message
        topic = asked.text(TOPIC)
        return replace(message, text=topic, author=asked.author, role_ids=asked.role_ids)


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What the commands need of the bot.

    `leads`: whether this process answers in a server now, or directly (None).
    `status`: what `/sky-status` shows.
    `refusal`: why a question would be turned away now, by limits, budget or a flood; None if not.
    `usage`: who used what.
    """

    settings: Settings
    lists: AccessPolicy
    personas: PersonaRegistry
    metrics: Metrics
    leads: Callable[[int | None], bool]
    status: Callable[[], str]
    refusal: Callable[[Caller], SkyError | None]
    usage: UsageLedger
    summaries: Summaries | None = None


class CommandHandler:
    """Answers what Discord's commands and menus ask for."""

    def __init__(self, context: CommandContext) -> None:
        self._context = context
        self.topics = Topics()
        self._introduced = False

    async def introduce(self, client: discord.Client) -> None:
        """Register the commands with Discord, once per process, as soon as it leads."""
        pause = _LOOK_LONG
        while not self._introduced and not client.is_closed():
            if self._context.leads(None):
                try:
                    changed = await _sync(client, offered(self._context.settings))
                except _TRANSIENT as error:
                    log.warning("command sync failed", extra={"error": type(error).__name__})
                    pause = min(pause * 2, _LONGEST_PAUSE)
                else:
                    self._introduced = True
                    log.info("commands synced", extra={"changed": changed})
                    return
            await asyncio.sleep(pause)

    async def receive(self, interaction: discord.Interaction) -> None:
        """Respond to an interaction if this process leads the shard, or does so in time."""
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
        self._context.metrics.interactions.labels(kind, outcome).inc()

    async def _respond(self, interaction: discord.Interaction) -> str:
        until = time.monotonic() + _WAIT_TO_SPEAK
        while not self._context.leads(interaction.guild_id):
            if time.monotonic() > until:
                return "not_speaking"
            await asyncio.sleep(_LOOK)
        match interaction.type:
            case discord.InteractionType.application_command:
                return await self._command(interaction)
            case discord.InteractionType.autocomplete:
                return await self._complete(interaction)
            case discord.InteractionType.component:
                return await self._confirmed(interaction)
        return "unknown"

    async def _complete(self, interaction: discord.Interaction) -> str:
        typed = read(interaction).typed
        found = [
            discord.app_commands.Choice(name=persona.name, value=key)
            for key, persona in self._context.personas.like(typed)
        ]
        await interaction.response.autocomplete(found[:_CHOICES])
        return "completed"

    async def _command(self, interaction: discord.Interaction) -> str:
        asked = read(interaction)
        if asked.name in {ASK, MENU}:
            return await self._question(interaction, asked)
        if asked.name in {SUMMARY, FROM_HERE} and self._context.settings.summary.messages:
            return await self._summary(interaction, asked)
        if asked.name == USAGE and self._context.settings.usage.enabled:
            text, outcome = self._usage(interaction, asked), "shown"
        else:
            text, outcome = self._screen(asked)
        await _whisper(interaction, text)
        return outcome

    def _screen(self, asked: Invocation) -> tuple[str, str]:
        context = self._context
        text, outcome = _UNKNOWN, "unknown"
        match asked.name:
            case name if name == HELP:
                text, outcome = texts.help_text(context.settings), "shown"
            case name if name == PRIVACY:
                text, outcome = texts.privacy_text(context.settings, context.personas), "shown"
            case "persona list":
                text, outcome = texts.persona_list_text(context.personas, asked.place), "shown"
            case "persona show":
                try:
                    persona = context.personas.named(asked.text("persona"))
                    text, outcome = texts.persona_text(persona), "shown"
                except UnknownPersona as error:
                    text, outcome = error.sentence, error.label
            case name if name == STATUS and asked.manages:
                text, outcome = context.status(), "shown"
            case name if name == STATUS:
                text, outcome = (
                    "Only people who manage this server may use this.",
                    "not_allowed",
                )
        return text, outcome

    def _usage(self, interaction: discord.Interaction, asked: Invocation) -> str:
        """Say what a person used, and to one who manages the server what everybody there did."""
        usage, currency = self._context.usage, self._context.settings.budget.currency
        text = texts.usage_text(usage.own(asked.author.id, asked.guild_id), currency, asked.direct)
        if asked.guild_id is None or not asked.manages:
            return text
        server = usage.server(asked.guild_id)
        visible = {
            channel
            for channel in server.channels
            if permissions.may_view(interaction.guild, channel, asked.author.id, asked.role_ids)
        }
        return texts.usage_table(text, server, visible, currency)

    async def _question(self, interaction: discord.Interaction, asked: Invocation) -> str:
        context = self._context
        denial = context.lists.denies(asked.author, asked.place, direct=asked.direct)
        if denial is not None:
            await _whisper(interaction, texts.denial_text(denial))
            return denial
        if asked.lacking:
            await _whisper(interaction, texts.lacking_text(asked.lacking))
            return "may_not_speak"
        if asked.name == MENU and asked.target is None:
            await _whisper(interaction, "I can't see that message.")
            return "no_target"
        name, persona = asked.text("persona"), context.personas.at(asked.place)
        try:
            persona = context.personas.named(name) if name else persona
        except UnknownPersona as error:
            await _whisper(interaction, error.sentence)
            return error.label
        refused = context.refusal(Caller(asked.author.id, asked.channel_id, asked.guild_id))
        if refused is not None:  # every time: Discord requires a response, and only they see it
            await _whisper(interaction, refused.sentence)
            return refused.label
        topic, image = asked.text(TOPIC), bool(asked.options.get("image"))
        self.topics.keep(asked)
        quoted = QuotedQuestion(topic, persona.name, image=image, target=asked.target)
        await interaction.response.send_message(
            quote(asked.author.name, quoted, (asked.guild_id, asked.channel_id)),
            allowed_mentions=discord.AllowedMentions.none(),
            suppress_embeds=True,
        )
        return "asked"

    async def _summary(self, interaction: discord.Interaction, asked: Invocation) -> str:
        context, caller = self._context, _caller(interaction, asked)
        assert context.summaries is not None
        denial = context.lists.denies(asked.author, asked.place, direct=asked.direct)
        if denial is not None:
            await _whisper(interaction, texts.denial_text(denial))
            return denial
        if asked.name == FROM_HERE and asked.target is None:
            await _whisper(interaction, "I can't see that message.")
            return "no_target"
        refused = context.refusal(Caller(asked.author.id, asked.channel_id, asked.guild_id))
        if refused is not None:
            await _whisper(interaction, refused.sentence)
            return refused.label
        channel_id = int(asked.text("channel") or asked.channel_id)
        hours = asked.options.get("hours")
        span = SummarySpan(caller, channel_id, None, asked.id)
        if asked.target is not None:
            span = replace(span, after=asked.target - 1)
        elif hours:
            span = SummarySpan.hours(caller, channel_id, int(hours))
        await interaction.response.defer(ephemeral=True, thinking=True)
        return await context.summaries.write(span, _EphemeralScreen(interaction))

    async def _confirmed(self, interaction: discord.Interaction) -> str:
        """Write a summary whose price somebody was told, after a press of the button below it."""
        context, asked = self._context, read(interaction)
        custom_id = str(dict[str, Any](interaction.data or {}).get("custom_id", ""))
        span = SummarySpan.of_button(custom_id, _caller(interaction, asked))
        if span is None or context.summaries is None:
            return "unknown"
        if not context.settings.summary.messages:
            await _whisper(interaction, _UNKNOWN)
            return "unknown"
        refused = context.refusal(Caller(asked.author.id, asked.channel_id, asked.guild_id))
        if refused is not None:
            await _whisper(interaction, refused.sentence)
            return refused.label
        await interaction.response.edit_message(**_shown("Reading…"))
        return await context.summaries.write(span, _EphemeralScreen(interaction))


def _caller(interaction: discord.Interaction, asked: Invocation) -> Message:
    """Stand for the person: a message of theirs, where they are."""
    place = interaction.channel
    return Message(
        asked.id,
        asked.channel_id,
        asked.author,
        "",
        asked.guild_id,
        place=asked.place,
        role_ids=asked.role_ids,
        thread_of=place.parent_id if isinstance(place, discord.Thread) else None,
    )


def _shown(text: str, button: str | None = None) -> dict[str, Any]:
    buttons = (Button("Summarize", button),) if button else ()
    arguments = edit_arguments(Post(text, buttons), None)
    del arguments["attachments"]
    return arguments


class _EphemeralScreen:
    """A SummaryScreen: the response to a command or button, which only that person sees."""

    def __init__(self, interaction: discord.Interaction) -> None:
        self._interaction = interaction

    async def show(self, text: str, button: str | None = None) -> None:
        for pause in (*_SCREEN_PAUSES, None):
            try:
                await self._interaction.edit_original_response(**_shown(text, button))
            except _TRANSIENT as error:
                if pause is None or getattr(error, "code", 0) == _EXPIRED:
                    raise DiscordDown(type(error).__name__) from error
                await asyncio.sleep(pause)
            else:
                return

    async def add(self, text: str) -> None:
        more = message_arguments(Post(text, previews=False))
        try:  # once: a second attempt could show it twice
            await self._interaction.followup.send(ephemeral=True, **more)
        except _TRANSIENT as error:
            raise DiscordDown(type(error).__name__) from error


async def _whisper(interaction: discord.Interaction, text: str) -> None:
    await interaction.response.send_message(
        text, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
    )


async def _sync(client: discord.Client, commands: list[dict[str, Any]]) -> bool:
    """Register the commands with Discord if they differ; return whether they did."""
    application = client.application_id or 0
    if not differ(await client.http.get_global_commands(application), commands):
        return False
    await client.http.bulk_upsert_global_commands(application, commands)
    return True
