"""Texts that the bot shows on Discord: the visible response to a command, help, privacy, status.

The response to a command quotes the question, and the answer replies to it. Everyone in the channel
sees it, and another process finds the question in it: `unquote` reads back what `quote` wrote.

    -# Ada asks Pirate for a picture:
    >>> a ship at sea

Each text fits into one message. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.admission.usage import OTHERS, UNPROMPTED, Amount, cost_text, tokens_text, total
from bot.domain.text import summarize_list

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from bot.admission.usage import OwnUsage, ServerUsage
    from bot.domain.messages import Location
    from bot.personas.persona import Persona, PersonaRegistry
    from bot.settings.schema import Settings, ThreadMode


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
    """Format a question; `place` holds the ids of the server (None: direct) and the channel."""
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
    """Parse what `quote` wrote; None if `text` is something else."""
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
    """Explain how to call the bot and what else it can do."""
    command = settings.discord.command
    usage = "- `/usage`: what you used this month\n" if settings.usage.enabled else ""
    return (
        "**How to call me**\n"
        "- mention me, reply to me, or send me a direct message\n"
        f"- `/sky`, or `{command} topic`: I answer in this channel\n"
        f"- `{command}(persona) topic`: another persona answers; `/persona list` shows them\n"
        f"- `{command}(image) topic`: a picture, if the model can make one\n"
        "- Apps, Ask Sky in a message's menu: I answer that message\n"
        f"{_help_on_threads(settings)}{_attaching(settings)}{_linking(settings)}{usage}"
        f"{_summary_help(settings)}\n"
        "To continue, reply to my answer: I remember the chain of replies. "
        "`/privacy` tells you what I send where."
    )


def _attaching(settings: Settings) -> str:
    if not settings.files.document_pages:
        return ""
    return "- attach a document (PDF, Word, Excel, PowerPoint): I read its text\n"


def _help_on_threads(settings: Settings) -> str:
    """Say what is different where threads are in use."""
    modes, lines = _modes(settings), []
    if "on_call" in modes:
        lines.append("- in some channels I open a thread on your question and answer there\n")
    if "forum" in modes:
        lines.append("- in some forums I answer each new post\n")
    if modes and settings.threads.without_call != "never":
        alone = settings.threads.without_call == "alone"
        when = ", until somebody else writes there" if alone else ""
        lines.append(f"- in these threads and posts you need not mention me{when}\n")
    return "".join(lines)


def _summary_help(settings: Settings) -> str:
    if not settings.summary.messages:
        return ""
    return (
        "- `/summary`: what was said since your last message, in the last `hours`, or in another "
        "`channel`, for you alone; Apps, Summarize from here: from that message on\n"
    )


def _linking(settings: Settings) -> str:
    most = settings.links.pages
    if not most:
        return ""
    pages = "the page" if most == 1 else f"up to {most} pages"
    return f"- a link in your question, or in the message that you reply to: I read {pages}\n"


def privacy_text(settings: Settings, personas: PersonaRegistry) -> str:
    """Explain what is sent where and what is kept, with these settings."""
    provider = urlsplit(settings.openai.base_url).hostname
    around = (
        f" (or the newest {settings.conversation.history} of the channel, if it continues none)"
        if settings.conversation.history
        else ""
    )
    lines = [
        "**What I send where**",
        (
            "- Discord sends me every message in the channels that I can see. To follow "
            "conversations, I keep the newest ones in memory until I restart."
        ),
        (
            f"- When somebody calls me, I send that message, the messages that it continues{around}"
            f" and their attachments to the language model at **{provider}**, with the names "
            "shown in Discord. I ask it to store nothing; its own terms say what it keeps."
        ),
        *_moderated(settings, provider),
        *_opening(settings),
        *_searching(settings, personas),
        *_joining(settings),
        *_in_threads(settings),
        *_counting(settings),
        *_summarizing(settings),
        (
            "- My log contains ids, times and outcomes, but no messages and no names. Across "
            "restarts I keep the ids of messages that I answered in the last minute, the ids of "
            "direct message channels, and what answers cost."
        ),
        (
            "- If you delete your message, I forget it. I can't take back what was already sent to "
            "the model."
        ),
    ]
    return "\n".join(lines)


def _moderated(settings: Settings, provider: str | None) -> list[str]:
    what = {
        "off": "",
        "input": "Questions",
        "output": "Answers",
        "both": "Questions and answers",
    }[settings.safety.moderation]
    return [f"- {what} are checked by the moderation service at **{provider}**."] if what else []


def _opening(settings: Settings) -> list[str]:
    opens = (
        "- I open pages that a question, or what it replies to, links to. The model gets their "
        "text; the sites learn nothing about you."
    )
    return [opens] if settings.links.pages else []


def _searching(settings: Settings, personas: PersonaRegistry) -> list[str]:
    """Name the personas that may search the web; none can over Chat Completions."""
    names = [persona.name for _, persona in personas if "web_search" in persona.tools]
    if not names or settings.openai.api == "chat":
        return []
    who = summarize_list([f"**{name}**" for name in names])
    told = (
        f"- Where {who} answers, the model may search the web. Its search terms, which may contain "
        "your words, go to its provider's web search."
    )
    return [told]


def _joining(settings: Settings) -> list[str]:
    joins = (
        "- In some channels I may join in unprompted; the latest messages there then go to the "
        "model too."
    )
    return [joins] if settings.ambient.channels else []


def _counting(settings: Settings) -> list[str]:
    counts = (
        "- Until a month (UTC) ends, I keep the ids of people and channels with how many answers, "
        "tokens, pictures and searches they used and what that cost, without any words. `/usage` "
        "shows people their own, and those who manage a server that of everyone in it."
    )
    return [counts] if settings.usage.enabled else []


_ROWS = 8  # people, and channels, that `/usage` shows of a server
_NOT_BILLED = "-# Calculated with the prices in my settings. The provider's bill may differ."


def usage_text(own: OwnUsage, currency: str, direct: bool) -> str:  # noqa: FBT001
    """Say what a person used this month."""
    here = "in direct messages" if direct else "in this server"
    remarks = [_NOT_BILLED]
    if own.since is not None:
        remarks.append(f"-# Counted since <t:{own.since}:f>.")
    if own.everywhere.partial:
        remarks.append(
            "-# There may be more: when I restart, people who used little are added up together."
        )
    if own.unread:
        remarks.append("-# What you used in some other servers is not known to me now.")
    return "\n".join(
        [
            "**What you used this month** (UTC)",
            f"- {here}: {_amount_text(own.here, currency)}",
            f"- everywhere: {_amount_text(own.everywhere, currency)}",
            *remarks,
        ]
    )


def usage_table(text: str, server: ServerUsage, visible: AbstractSet[int], currency: str) -> str:
    """Add what everybody in a server used. Channels that are not `visible` are not named."""
    head = [text, f"**This server**: {_amount_text(total(server.people.values()), currency)}"]
    since = f"-# Counted since <t:{server.since}:f>."
    if server.since is not None and since not in text:
        head.append(since)
    if server.partial:
        head.append(
            "-# There may be more: when I restart, servers that used little are added up together."
        )
    people, channels = dict(server.people), dict(server.channels)
    unprompted = people.pop(UNPROMPTED, Amount())
    others, other_channels = people.pop(OTHERS, Amount()), channels.pop(OTHERS, Amount())
    hidden = total(channels.pop(key) for key in set(channels) - visible)
    for most in range(_ROWS, -1, -1):
        shown, rest = _largest(people, most)
        by_person = [
            *(_row(f"<@{key}>", row, currency) for key, row in shown),
            _row("nobody, I joined in", unprompted, currency),
            _row("all others", total([others, rest]), currency),
        ]
        shown, rest = _largest(channels, most)
        by_channel = [
            *(_row(f"<#{key}>", row, currency) for key, row in shown),
            _row("channels that you can't see", hidden, currency),
            _row("all others", total([other_channels, rest]), currency),
        ]
        lines = [*head, "**By person**", *by_person, "**By channel**", *by_channel]
        table = "\n".join(filter(None, lines))
        if len(table) <= _LONGEST:
            break
    return table


def _largest(rows: Mapping[int, Amount], most: int) -> tuple[list[tuple[int, Amount]], Amount]:
    """Return the largest rows, and the sum of all others."""
    ranked = sorted(rows.items(), key=lambda each: each[1].size, reverse=True)
    return ranked[:most], total(row for _, row in ranked[most:])


def _row(name: str, row: Amount, currency: str) -> str:
    """Show a row of a table; nothing where nothing was used."""
    if row.nothing:
        return ""
    return f"- {name}: {_answers(row)}, {cost_text(row, currency, brief=True)}"


def _amount_text(amount: Amount, currency: str) -> str:
    if amount.nothing:
        return "nothing"
    return f"{_answers(amount)}, {tokens_text(amount)}: {cost_text(amount, currency)}"


def _answers(amount: Amount) -> str:
    return f"{amount.answers:,} answer{'' if amount.answers == 1 else 's'}"


def _in_threads(settings: Settings) -> list[str]:
    modes = _modes(settings)
    lines = []
    if "forum" in modes:
        lines.append("- In some forums, every new post goes to the model: I answer it.")
    if modes and settings.threads.without_call != "never":
        when = (
            "" if settings.threads.without_call == "always" else " while nobody else writes there"
        )
        lines.append(
            "- In a thread that I opened, or a forum post that I answered, your messages go to the "
            f"model without a mention{when}."
        )
    return lines


def _modes(settings: Settings) -> set[ThreadMode]:
    return {*settings.threads.channels.values()} - {"off"}


def _summarizing(settings: Settings) -> list[str]:
    told = (
        f"- `/summary` sends up to {settings.summary.messages} messages of a channel that its user "
        "can read to the model; I keep none of them, nor the summary."
    )
    return [told] if settings.summary.messages else []


def persona_list_text(personas: PersonaRegistry, place: Location) -> str:
    """List all personas and say which one answers here."""
    here = personas.at(place)
    lines = [f"**{here.name}** answers here. Available personas:"]
    for key, persona in personas:
        line = f"- `{key}`" + (f", {persona.name}" if persona.name.casefold() != key else "")
        if sum(map(len, lines)) + len(line) > _SCREENS_LONGEST:
            lines.append("- … and more")
            break
        lines.append(line)
    return "\n".join(lines)


def persona_text(persona: Persona) -> str:
    """Show one persona: its instructions, and what differs from the settings."""
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
    """Show how the bot is doing: one line per fact."""
    return "\n".join(["**Status**", *(f"- {name}: {fact}" for name, fact in facts.items())])


def leads_text(leads: int, shards: int) -> str:
    """Say whether this process may answer, or for how many of several shards."""
    if shards > 1:
        return f"of {leads} of {shards} shards"
    return "yes" if leads else "no"


def counts_text(counts: Mapping[str, float]) -> str:
    """List counts by what was counted, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,.0f}" for name, count in ordered) or "none"


def rate_text(count: float, seconds: float) -> str:
    """Show a count as a rate since the start."""
    return f"{count * 60 / seconds:.1f}" if seconds >= 1 else "not known yet"


def spent_text(spent: float, budget: float) -> str:
    """Show what was spent, and of how much; a budget of 0 means no limit."""
    return f"{spent:.2f}" + (f" of {budget:.2f}" if budget else ", no budget")


def denial_text(why: str) -> str:
    """Explain why the bot does not answer somebody."""
    ask = "Whoever runs this bot has configured it that way."
    return {
        "place": f"I don't answer in this channel. {ask}",
        "direct_messages": f"I don't answer in direct messages. {ask}",
        "person": f"I can't answer you here. {ask}",
        "bot": f"I don't answer bots. {ask}",
    }[why]


def lacking_text(permissions: tuple[str, ...]) -> str:
    """Explain which permissions the bot is missing in a channel, and who can grant them."""
    names = ", ".join(f"**{name}**" for name in permissions)
    return (
        f"I can't answer in this channel, because I'm missing these permissions: {names}. "
        "Someone who manages this server can grant them: Edit Channel, Permissions, then my role."
    )
