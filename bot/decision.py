"""Whether a message calls the bot, and with which words. Pure: values in, values out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bot.messages import Message

How = Literal["mention", "reply", "direct", "command"]
Why = Literal["self", "bot", "system", "not_called"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The bot was called: in which way, and the words that are left without the call itself."""

    how: How
    prompt: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """The bot stays silent, and why."""

    reason: Why


def decide(message: Message, *, me: int, command: str) -> Answer | Ignore:
    """Say whether the bot, whose user id is `me`, answers `message`.

    Bots are never answered, so two of them cannot talk each other into a loop. An explicit command
    wins over the other ways of calling, because it says best what is meant.
    """
    if message.author.id == me:
        return Ignore("self")
    if message.author.bot:
        return Ignore("bot")
    if not message.ordinary:
        return Ignore("system")
    return _called(message, me, command) or Ignore("not_called")


def _called(message: Message, me: int, command: str) -> Answer | None:
    topic = after_command(message.text, command)
    if topic is not None:
        return Answer("command", topic)
    prompt = without_mention(message.text, me)
    if message.direct:
        return Answer("direct", prompt)
    if message.replied_author_id == me:
        return Answer("reply", prompt)
    return Answer("mention", prompt) if me in message.names else None


def after_command(text: str, command: str) -> str | None:
    """What follows the command at the start of `text` (maybe nothing); None without a command."""
    words = text.lstrip()
    if words[: len(command)].casefold() != command.casefold():
        return None
    rest = words[len(command) :]
    if rest and not rest[0].isspace():
        return None  # another word that only begins alike: !skyline
    return rest.strip()


def without_mention(text: str, me: int) -> str:
    """`text` without the mentions of the bot at its start and end; those inside are words."""
    mention = rf"<@!?{me}>"
    text = re.sub(rf"^\s*(?:{mention}[\s,:]*)+", "", text)
    return re.sub(rf"(?:\s*{mention})+\s*$", "", text).strip()
