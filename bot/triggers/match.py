"""Whether a message calls the bot, and with which words. Pure: values in, values out."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bot.triggers.access_policy import Denial

if TYPE_CHECKING:
    from bot.domain.messages import Message
    from bot.settings.schema import ThreadsSettings
    from bot.triggers.access_policy import AccessPolicy


TriggerKind = Literal[
    "mention", "reply", "direct", "command", "ambient", "slash", "menu", "post", "thread"
]
IgnoreReason = Literal["self", "system", "not_called", "bots_in_a_row"] | Denial

_IMAGE = "image"
_OPTIONS = re.compile(r"\(([^()\n]{0,100})\)")


@dataclass(frozen=True, slots=True)
class Trigger:
    """A call of the bot: how it was called, and the text without the mention or command.

    `persona` is the persona that was named, if any; `image` says whether a picture is wanted.
    """

    how: TriggerKind
    prompt: str
    persona: str | None = None
    image: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """The bot stays silent, and why."""

    reason: IgnoreReason


@dataclass(frozen=True, slots=True)
class TriggerRules:
    """What the settings say about calling."""

    command: str
    lists: AccessPolicy
    threads: ThreadsSettings


def match(message: Message, *, me: int, rules: TriggerRules) -> Trigger | Ignored:
    """Return whether the bot, whose user id is `me`, answers `message`.

    An explicit command takes precedence over the other ways of calling.
    """
    if message.asked is not None:  # the lists were consulted before it was quoted
        return called(message, me=me, command=rules.command) or Ignored("bot")
    if message.author.id == me:
        return Ignored("self")
    if not message.ordinary:
        return Ignored("system")
    denial = rules.lists.denies(message.author, message.place, direct=message.direct)
    if denial is not None:
        return Ignored(denial)
    return addressed(message, me=me, rules=rules) or Ignored("not_called")


def addressed(message: Message, *, me: int, rules: TriggerRules) -> Trigger | None:
    """Read why the bot answers `message`, regardless of the lists; None if it does not.

    It is called, or it is where no call is needed: a new forum post, a conversation in a thread.
    """
    explicit = called(message, me=me, command=rules.command)
    if explicit is not None or message.author.bot:
        return explicit  # what another bot writes in a thread is never meant for this one
    if message.begins_post and rules.threads.mode(message.place.channels) == "forum":
        return Trigger("post", message.text.strip())
    return Trigger("thread", message.text.strip()) if message.continues else None


def may_continue(message: Message, *, me: int, rules: TriggerRules) -> bool:
    """Whether a message without a call is in a thread in which none may be needed.

    Those are the threads that the bot opened for a call, and the posts of a forum that it answers.
    """
    settings = rules.threads
    if message.thread_of is None or message.begins_post or settings.without_call == "never":
        return False
    if message.author.bot or not message.ordinary or message.asked is not None:
        return False
    mode = settings.mode(message.place.channels)
    own = message.thread_owner == me if mode == "on_call" else message.title is not None
    return mode != "off" and own and called(message, me=me, command=rules.command) is None


def opens_thread(message: Message, trigger: Trigger, rules: TriggerRules) -> bool:
    """Whether the answer to a call goes into a thread on it. A thread has no threads."""
    if trigger.how == "ambient" or message.direct or message.thread_of is not None:
        return False
    return rules.threads.mode(message.place.channels) == "on_call"


def called(message: Message, *, me: int, command: str) -> Trigger | None:
    """Read how `message` calls the bot, regardless of its author; None if it does not."""
    if message.asked is not None:
        if message.asked.by != me:
            return None  # another bot quotes what it was asked
        how: TriggerKind = "slash" if message.replies_to is None else "menu"
        return Trigger(how, message.text, message.asked.persona, message.asked.image)
    asked = after_command(message.text, command)
    if asked is not None:
        return asked
    prompt = without_mention(message.text, me, message.own_role)
    if message.direct:
        return Trigger("direct", prompt)
    if message.replied_author_id == me:
        return Trigger("reply", prompt)
    mentioned = me in message.names or message.own_role is not None
    return Trigger("mention", prompt) if mentioned else None


def after_command(text: str, command: str) -> Trigger | None:
    """Read `!sky`, `!sky topic`, `!sky(persona) topic`, `!sky(image) topic` or `!sky(a, b) topic`.

    None where `text` does not begin with the command.
    """
    words = text.lstrip()
    if words[: len(command)].casefold() != command.casefold():
        return None
    rest = words[len(command) :]
    persona, image = None, False
    if options := _OPTIONS.match(rest):
        rest = " " + rest[options.end() :]
        for option in filter(None, map(str.strip, options[1].split(","))):
            if option.casefold() == _IMAGE:
                image = True
            else:
                persona = option
    if rest and not rest[0].isspace() and rest[0] != "(":
        return None  # another word that only begins alike: !skyline
    return Trigger("command", rest.strip(), persona, image)


def without_mention(text: str, me: int, own_role: int | None = None) -> str:
    """`text` without the mentions of the bot at its start and end; those inside are words.

    A mention of its managed role is one of the bot.
    """
    calls = {f"<@{me}>", f"<@!{me}>", f"<@&{own_role}>"}
    text = text.strip()
    while (end := text.find(">") + 1) and text[:end] in calls:
        text = text[end:].lstrip(_AFTER_MENTION)
    while (begin := text.rfind("<")) >= 0 and text[begin:] in calls:
        text = text[:begin].rstrip()
    return text


_AFTER_MENTION = string.whitespace + ",:"
