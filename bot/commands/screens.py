"""What the bot says about itself, to the one who asked. Pure; each text fits into one message."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.listing import first_few

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.messages import Place
    from bot.personas.cast import Cast
    from bot.personas.character import Persona
    from bot.settings.schema import Settings

_LONGEST = 1900
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


def privacy_text(settings: Settings, cast: Cast) -> str:
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
        *_searching(settings, cast),
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


def _searching(settings: Settings, cast: Cast) -> list[str]:
    """Who may search the web; over Chat Completions nobody can."""
    names = [persona.name for _, persona in cast if "web_search" in persona.tools]
    if not names or settings.openai.api == "chat":
        return []
    who = first_few([f"**{name}**" for name in names])
    told = (
        f"- Where {who} answers, the model may search the web: what it searches for, which may be "
        "words of yours, goes to the web search of its provider."
    )
    return [told]


def _joining(settings: Settings) -> list[str]:
    joins = "- In some channels I may join in; what was said there last then goes to the model too."
    return [joins] if settings.ambient.channels else []


def cast_text(cast: Cast, place: Place) -> str:
    """Everybody that the bot can be, and who answers here."""
    here = cast.at(place)
    lines = [f"Here answers **{here.name}**. There are:"]
    for key, persona in cast:
        line = f"- `{key}`" + (f", {persona.name}" if persona.name.casefold() != key else "")
        if sum(map(len, lines)) + len(line) > _LONGEST:
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


def barred_text(why: str) -> str:
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
