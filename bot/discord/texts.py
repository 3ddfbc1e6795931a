"""The visible response to a command: it quotes the question, and the answer replies to it.

It is the question as everybody in the channel sees it, and as a successor of this process finds it,
so what was asked can be read back from it. Pure.

    -# Ada asks Pirate for a picture:
    >>> a ship at sea

What the bot says about itself, to the one who asked. Pure; each text fits into one message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.domain.text import summarize_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.messages import Location
    from bot.personas.persona import Persona
    from bot.personas.registry import PersonaRegistry
    from bot.settings.schema import Settings


_LONGEST = 2000  # Discord's limit for a message
_CUT = "…"
_MARKDOWN = re.compile(r"([\\*_~`|<>\[\]()#])")
_PICTURE = " for a picture"
_HEAD = re.compile(
    rf"-# .* asks (?P<persona>.{{1,32}}?)(?P<image>{_PICTURE})?"
    r"(?: about https://discord\.com/channels/(?:@me|\d+)/\d+/(?P<target>\d+))?:"
)


@dataclass(frozen=True, slots=True)
class QuotedQuestion:
    """What was asked: the words (perhaps cut), of whom, for what, about which message."""

    topic: str
    persona: str
    image: bool = False
    target: int | None = None


def quote(asker: str, quoted: QuotedQuestion, place: tuple[int | None, int]) -> str:
    """Write a question down; `place` are the ids of server (None: direct) and channel."""
    name = _MARKDOWN.sub(r"\\\1", " ".join(asker.split()))
    about = ""
    if quoted.target is not None:
        server = place[0] or "@me"
        about = f" about https://discord.com/channels/{server}/{place[1]}/{quoted.target}"
    picture = _PICTURE if quoted.image else ""
    head = f"-# {name} asks {quoted.persona}{picture}{about}:"
    if not quoted.topic:
        return head
    room = _LONGEST - len(head) - len("\n>>> ")
    topic = quoted.topic
    if len(topic) > room:
        topic = topic[: room - len(_CUT)] + _CUT
    return f"{head}\n>>> {topic}"


def unquote(text: str) -> QuotedQuestion | None:
    """Read a question back; None where `text` was not written by `quote`."""
    head, _, body = text.partition("\n")
    found = _HEAD.fullmatch(head)
    if found is None or not (body.startswith(">>> ") or not body):
        return None
    target = int(found["target"]) if found["target"] else None
    topic = body.removeprefix(">>> ").strip()
    return QuotedQuestion(topic, found["persona"], image=bool(found["image"]), target=target)


_SCREENS_LONGEST = 1900
_SHOWN = 600  # characters of a persona's prompt


def help_text(settings: Settings) -> str:
    """How the bot is called, and what else there is."""
    command = settings.discord.command
    return (
        "**How to call me**\n"
        "- mention me, reply to me, or write to me directly\n"
        f"- `/sky`, or `{command} topic`: I answer in this channel\n"
        f"- `{command}(persona) topic`: somebody else answers; `/persona list` says who\n"
        f"- `{command}(image) topic`: a picture, where the model can make one\n"
        "- a message's menu, Apps, Ask Sky: I answer to that message\n\n"
        "To go on, reply to my answer: the chain of replies is what I remember. "
        "`/privacy` says what I send where."
    )


def privacy_text(settings: Settings, personas: PersonaRegistry) -> str:
    """What is sent where, and what is kept. It says what these settings do, and nothing more."""
    provider = urlsplit(settings.openai.base_url).hostname
    around = (
        f", or the newest {settings.conversation.history} of the channel where it continues none"
        if settings.conversation.history
        else ""
    )
    lines = [
        "**What I send where**",
        (
            "- Discord sends me every message in the channels that I can see. I keep the newest in "
            "memory, to follow conversations, until I am restarted."
        ),
        (
            f"- When somebody calls me, that message, the messages that it continues{around}, and "
            f"what is attached to them go to the language model at **{provider}**, with the names "
            "shown in Discord. I ask it to store nothing; its own terms say what it keeps."
        ),
        *_moderated(settings, provider),
        *_searching(settings, personas),
        *_joining(settings),
        (
            "- My log has ids, times and outcomes: no words, no names. Kept beyond a restart are "
            "ids of messages that I answered in the last minute and of direct channels, and the "
            "money that answers cost."
        ),
        "- Delete your message and I forget it. What was sent to the model was sent.",
    ]
    return "\n".join(lines)


def _moderated(settings: Settings, provider: str | None) -> list[str]:
    what = {
        "off": "",
        "input": "Questions",
        "output": "Answers",
        "both": "Questions and answers",
    }[settings.safety.moderation]
    return [f"- {what} are checked by the moderation at **{provider}**."] if what else []


def _searching(settings: Settings, personas: PersonaRegistry) -> list[str]:
    """Who may search the web; over Chat Completions nobody can."""
    names = [persona.name for _, persona in personas if "web_search" in persona.tools]
    if not names or settings.openai.api == "chat":
        return []
    who = summarize_list([f"**{name}**" for name in names])
    told = (
        f"- Where {who} answers, the model may search the web: what it searches for, which may be "
        "words of yours, goes to the web search of its provider."
    )
    return [told]


def _joining(settings: Settings) -> list[str]:
    joins = "- In some channels I may join in; what was said there last then goes to the model too."
    return [joins] if settings.ambient.channels else []


def persona_list_text(personas: PersonaRegistry, place: Location) -> str:
    """Everybody that the bot can be, and who answers here."""
    here = personas.at(place)
    lines = [f"Here answers **{here.name}**. There are:"]
    for key, persona in personas:
        line = f"- `{key}`" + (f", {persona.name}" if persona.name.casefold() != key else "")
        if sum(map(len, lines)) + len(line) > _SCREENS_LONGEST:
            lines.append("- and more")
            break
        lines.append(line)
    return "\n".join(lines)


def persona_text(persona: Persona) -> str:
    """One persona: what it is told to be, and what differs for it."""
    prompt = persona.instructions
    prompt = prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}…"
    different = {
        "model": persona.model,
        "temperature": persona.temperature,
        "reasoning effort": persona.effort,
        "tools": ", ".join(persona.tools) or None,
    }
    small = ", ".join(f"{name} {value}" for name, value in different.items() if value is not None)
    return f"**{persona.name}**\n>>> {prompt}" + (f"\n-# {small}" if small else "")


def status_text(facts: Mapping[str, str]) -> str:
    """How the bot is doing: one line for each fact."""
    return "\n".join(["**How I am doing**", *(f"- {name}: {fact}" for name, fact in facts.items())])


def denial_text(why: str) -> str:
    """Why the bot does not answer somebody, and what they can do."""
    ask = "The people who run me have set it so."
    return {
        "place": f"I don't answer in this channel. {ask}",
        "direct_messages": f"I don't answer in direct messages. {ask}",
        "person": f"I may not answer you here. {ask}",
        "bot": f"I don't answer bots. {ask}",
    }[why]


def lacking_text(permissions: tuple[str, ...]) -> str:
    """Why the bot cannot answer in a channel, and who can mend that."""
    names = ", ".join(f"**{name}**" for name in permissions)
    return (
        f"I can't answer in this channel, because here I lack: {names}. Whoever manages this "
        "server can give it to me: Edit Channel, Permissions, then my role."
    )
