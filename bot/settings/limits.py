"""The settings of limits and money; limits/ acts on them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.settings.base import Section

PerHour = Annotated[int, Field(ge=0, le=1_000_000)]
PerAnswer = Annotated[int, Field(ge=1, le=20)]
Money = Annotated[float, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=0.9)]


class Limits(Section):
    """How many calls are answered in any 60 minutes (0: no limit), and what one answer may do.

    Who is over a limit is told once, with when to come back; then the bot is silent.
    """

    user_per_hour: PerHour = Field(default=0, description="Calls of one person, wherever")
    channel_per_hour: PerHour = Field(
        default=0, description="Calls in one channel or thread, whoever calls"
    )
    server_per_hour: PerHour = Field(default=0, description="Calls in one server, whoever calls")
    reserve: Share = Field(
        default=0.2,
        description="The share of a channel's and a server's calls that is kept for people who "
        "call; the bot joins in unasked only below it",
    )
    searches: PerAnswer = Field(
        default=3, description="Web searches for one answer, where a persona may search"
    )
    drawings: PerAnswer = Field(
        default=1, description="Pictures drawn for one answer; with searches the sum counts"
    )


class Price(Section):
    """What a model costs: money per million tokens."""

    input: Money = Field(description="Of tokens that the model reads")
    cached_input: Money | None = Field(
        default=None, description="Of those it has read before; as `input` where it is not given"
    )
    output: Money = Field(description="Of tokens that it writes, thinking included")


# As price lists had them in the first half of 2026. They change: the provider's own list counts.
_PRICES = {
    "gpt-5": Price(input=1.25, cached_input=0.125, output=10),
    "gpt-5-mini": Price(input=0.25, cached_input=0.025, output=2),
    "gpt-5-nano": Price(input=0.05, cached_input=0.005, output=0.4),
    "gpt-4.1": Price(input=2, cached_input=0.5, output=8),
    "gpt-4.1-mini": Price(input=0.4, cached_input=0.1, output=1.6),
    "gpt-4o": Price(input=2.5, cached_input=1.25, output=10),
    "gpt-4o-mini": Price(input=0.15, cached_input=0.075, output=0.6),
}


class Budget(Section):
    """What may be spent in a day and in a month (UTC). 0 is no bound; what is spent is counted."""

    daily: Money = Field(default=0, description="The most money in a day, from midnight UTC")
    monthly: Money = Field(default=0, description="The most money in a calendar month, UTC")
    reserve: Share = Field(
        default=0.2,
        description="The share of both that is kept for people who call; the bot joins in unasked "
        "only below it",
    )
    currency: str = Field(
        default="USD", pattern=r"^[A-Z]{3}$", description="What the prices are in"
    )
    image: Money = Field(default=0.04, description="The price of one generated image")
    search: Money = Field(default=0.01, description="The price of one web search")
    moderation: Money = Field(
        default=0,
        description="The price of a million tokens that the moderation reads; OpenAI's is free",
    )
    prices: dict[str, Price] = Field(
        default=_PRICES,
        description="The price table, a table for each model: `input`, `cached_input` and `output` "
        "per million tokens. A model that is not in it is counted at the dearest price",
    )
