"""Explain a configuration in plain words, and point out valid but suspicious settings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.admission.budget import cost, dearest, most_before_reading, price_of
from bot.domain.model_request import Usage
from bot.domain.text import summarize_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.personas.persona import PersonaRegistry
    from bot.settings.schema import Settings


_HTTPS = 443
_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_EXAMPLE = (1000, 300)  # tokens read and written: a short conversation and its answer


def summarize(settings: Settings, personas: PersonaRegistry) -> Iterator[str]:
    """Yield a line for each topic that people ask about."""
    yield f"model: {_model(settings)}"
    yield f"called: {_called(settings)}"
    yield f"personas: {_personas(settings, personas)}"
    yield f"threads: {_threads(settings)}"
    yield f"answers: {_answers(settings)}"
    yield f"limits: {_limits(settings)}"
    yield f"budget: {_budget(settings)}"
    yield f"one answer: at most {_most(settings, personas):.2f} {settings.budget.currency}"
    yield f"usage: {_usage(settings)}"
    yield f"documents: {_documents(settings)}"
    yield f"links: {_links(settings)}"
    yield f"safety: {_safety(settings)}"
    yield f"summaries: {_summaries(settings)}"


def notes(settings: Settings, personas: PersonaRegistry) -> Iterator[str]:
    """Yield notes about settings that are valid but probably not intended."""
    budget = settings.budget
    safe = dearest(budget.prices)
    for model, user in _models(settings, personas).items():
        if price_of(model, budget.prices) is None:
            yield (
                f"{user}: {model!r} is not in budget.prices, so it is charged at the highest price "
                f"there, {safe.input:g} and {safe.output:g} {budget.currency} per million tokens. "
                f'Add it: [budget.prices."{model}"] with input and output.'
            )
    if budget.daily and budget.monthly and budget.daily > budget.monthly:
        yield "budget.daily: is more than budget.monthly, so only budget.monthly has an effect."
    bound = min(filter(None, [budget.daily, budget.monthly]), default=0)
    if 0 < bound < (most := _most(settings, personas)):
        yield (
            f"budget: one answer can cost {most:.2f} {budget.currency}, which is more than "
            f"{bound:g}, so answers are given one at a time. Lower openai.max_output_tokens, "
            "conversation.max_tokens or [limits] searches and drawings, or raise the budget."
        )
    yield from _unread_links(settings)
    yield from _dropped(settings)
    barred = sorted(
        {each for each, mode in settings.threads.channels.items() if mode != "off"}
        & {*settings.access.block_channels}
    )
    for name in barred:
        yield (
            f"threads.channels: {name!r} is also in access.block_channels, so nothing is answered "
            "there. Remove it from one of them."
        )
    if settings.openai.fallback_model == settings.openai.model:
        yield "openai.fallback_model: is openai.model itself, so there is nothing to fall back to."

    if settings.openai.api == "chat":
        for key, persona in personas:
            if persona.tools:
                yield (
                    f"persona {key!r}: {', '.join(persona.tools)} is run by the provider over the "
                    "Responses API only, so it is left out with openai.api = 'chat'."
                )


def _documents(settings: Settings) -> str:
    files = settings.files
    if not files.document_pages:
        return "not read"
    return (
        f"at most {files.document_pages} pages and {files.document_characters:,} characters of "
        f"each, for at most {files.document_seconds:g} s"
    )


def _unread_links(settings: Settings) -> Iterator[str]:
    links, conversation = settings.links, settings.conversation
    if not links.pages and (links.allow_hosts or links.block_hosts):
        yield "links: has lists of sites, but links.pages is 0, so no page is read."
    if links.pages and links.tokens >= conversation.max_tokens:
        yield (
            f"links.tokens: is {links.tokens}, and conversation.max_tokens is "
            f"{conversation.max_tokens}, so long pages leave no room for earlier messages."
        )


def _dropped(settings: Settings) -> Iterator[str]:
    """Yield each address that the NetworkPolicy in Git blocks."""
    for key, port in outgoing(settings).items():
        if port != _HTTPS:
            yield (
                f"{key}: is at port {port}. In the cluster the NetworkPolicy allows connections to "
                f"port {_HTTPS} and silently drops others, until "
                "apps/discord-sky/network-policy.yaml, or a patch of it, opens that port."
            )


def outgoing(settings: Settings) -> dict[str, int]:
    """Return the port of each address that the bot connects to, by the setting that names it.

    An address of the machine itself is left out: no network policy stands before that.
    """
    addresses = {
        "discord.api_url": settings.discord.api_url,
        "discord.gateway_url": settings.discord.gateway_url,
        "openai.base_url": settings.openai.base_url,
        "credentials.keyvault_url": settings.credentials.keyvault_url or "",
    }
    parts = {key: urlsplit(address) for key, address in addresses.items() if address}
    return {
        key: address.port or _DEFAULT_PORTS[address.scheme]
        for key, address in parts.items()
        if address.hostname not in _THIS_MACHINE
    }


def _models(settings: Settings, personas: PersonaRegistry) -> dict[str, str]:
    """Each model in use, and the setting that names it."""
    asked = {settings.openai.model: "openai.model"}
    if settings.openai.fallback_model:
        asked.setdefault(settings.openai.fallback_model, "openai.fallback_model")
    for key, persona in personas:
        if persona.model:
            asked.setdefault(persona.model, f"persona {key!r}")
    return asked


def _model(settings: Settings) -> str:
    openai = settings.openai
    way = {"responses": "the Responses API", "chat": "Chat Completions"}[openai.api]
    fallback = f", {openai.fallback_model} while that is down" if openai.fallback_model else ""
    key = "a token of the pod's Azure identity" if openai.auth == "entra" else "an API key"
    return (
        f"{openai.model}{fallback}, at {urlsplit(openai.base_url).hostname} through {way} with "
        f"{key}; an answer has at most {openai.max_output_tokens} tokens"
    )


def _called(settings: Settings) -> str:
    access, ambient = settings.access, settings.ambient
    set_lists = [
        f"{name} ({_quoted(getattr(access, name))})"
        for name in type(access).model_fields
        if name.startswith(("allow_", "block_")) and getattr(access, name)
    ]
    ways = ["by mention", "by reply", f"with {settings.discord.command}", "with /sky"]
    ways += ["in direct messages"] if access.direct_messages else []
    who = f"restricted by {', '.join(set_lists)}" if set_lists else "by everyone, everywhere"
    joins = f"joins in unprompted in {len(ambient.channels)} channels" if ambient.channels else ""
    return "; ".join(
        filter(None, [f"{', '.join(ways)}; {who}", joins or "never joins in unprompted"])
    )


def _quoted(entries: tuple[str, ...]) -> str:
    """Show enough entries of a list to notice a misspelt one; quoted, as people wrote them."""
    return summarize_list([repr(each) for each in entries])


def _personas(settings: Settings, personas: PersonaRegistry) -> str:
    names = ", ".join(key for key, _ in personas)
    chosen = settings.personas
    other = len(chosen.channels) + len(chosen.servers)
    more = f", other ones in {other} places" if other else ""
    return f"{names}; {chosen.default} answers{more}"


def _threads(settings: Settings) -> str:
    threads = settings.threads
    named = {
        mode: _quoted(tuple(name for name, of in threads.channels.items() if of == mode))
        for mode in ("on_call", "forum")
    }
    told = [f"a call opens one in {named['on_call']}"] if named["on_call"] else []
    told += [f"new posts are answered in {named['forum']}"] if named["forum"] else []
    if not told:
        return "none are opened, and no posts are answered"
    told.append(
        {
            "alone": "in them no call is needed while one person writes",
            "always": "in them no call is needed",
            "never": "in them a call is needed",
        }[threads.without_call]
    )
    return "; ".join(told)


def _answers(settings: Settings) -> str:
    reply = settings.reply
    long = {
        "parts": "a long one continues in more messages",
        "file": f"from {reply.long_from} messages on, it is sent as a file",
        "thread": f"from {reply.long_from} messages on, it continues in a thread",
    }[reply.long]
    buttons = "with Stop and Again buttons" if reply.buttons else "without buttons"
    return f"{buttons}; {long}; more than {reply.previews} links have no previews"


def _limits(settings: Settings) -> str:
    limits = settings.limits
    per_hour = {
        "a person": limits.user_per_hour,
        "a channel": limits.channel_per_hour,
        "a server": limits.server_per_hour,
    }
    told = [f"{who} {most} an hour" for who, most in per_hour.items() if most]
    return f"{', '.join(told) or 'none per hour'}; {settings.work.in_flight} answers at once"


def _most(settings: Settings, personas: PersonaRegistry) -> float:
    """The most that one answer can cost, with any persona."""
    return max(most_before_reading(settings, persona, image=True) for _, persona in personas)


def _budget(settings: Settings) -> str:
    budget, model = settings.budget, settings.openai.model
    bounds = {"a day": budget.daily, "a month": budget.monthly}
    told = [f"{most:g} {budget.currency} {period}" for period, most in bounds.items() if most]
    given, made = _EXAMPLE
    example = cost(Usage(model, input=given, output=made), budget)
    return (
        f"{' and '.join(told) or 'no limit, only counted'}; an answer of {given} tokens read and "
        f"{made} written costs {example:.5f} {budget.currency}"
    )


def _usage(settings: Settings) -> str:
    usage = settings.usage
    counted = "not counted by person or channel"
    if usage.enabled:
        counted = f"/usage is offered; {usage.rows} people and channels are kept by themselves"
    line = "its cost" if settings.reply.cost_line else "nothing about its cost"
    return f"{counted}; below an answer: {line}"


def _summaries(settings: Settings) -> str:
    summary, currency = settings.summary, settings.budget.currency
    if not summary.messages:
        return "off"
    most = f"at most {summary.most_cost:g} {currency}" if summary.most_cost else "no limit of cost"
    excluded = f", not of {_quoted(summary.block_channels)}" if summary.block_channels else ""
    return (
        f"of up to {summary.messages} messages for the person who uses /summary{excluded}; {most}, "
        f"and they are asked from {summary.ask_from:g} {currency} on"
    )


def _links(settings: Settings) -> str:
    links = settings.links
    if not links.pages:
        return "pages that people link to are not read"
    where = f"only of {_quoted(links.allow_hosts)}" if links.allow_hosts else "of any public site"
    but = f", not of {_quoted(links.block_hosts)}" if links.block_hosts else ""
    return f"at most {links.pages} pages for an answer, {links.tokens} tokens in all, {where}{but}"


def _safety(settings: Settings) -> str:
    safety = settings.safety
    words = f"{len(safety.banned_words)} banned words" if safety.banned_words else "no banned words"
    checked = {
        "off": "no moderation",
        "input": "questions are moderated",
        "output": "answers are moderated",
        "both": "questions and answers are moderated",
    }[safety.moderation]
    return f"{checked}, {words}; nobody is ever pinged"
