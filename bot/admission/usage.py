"""Who used what this month, and what it cost, as far as that is known. Pure.

For one answer (`Meter`): what the small line below it says. For a month (`UsageLedger`): the sums
of each person and channel, which `/usage` shows. They are counted only if `usage.enabled`, because
they are data about people. Months are UTC's. A thread counts as its channel.

A shard's sums are kept in its Lease, like the budget's. That has room for a few rows: those that
cost most are written by name, the others are added up for each server, and come back from there as
the one row `OTHERS`.

Nothing unknown is taken to be free. A model without a price has tokens and no cost, and an answer
whose process has not reported yet what it used counts as `lost` for the next one.
"""

from __future__ import annotations

import json
import logging
import math
import re
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from bot.admission.budget import cost, price_of
from bot.domain.messages import shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bot.domain.messages import Message
    from bot.domain.model_request import Usage
    from bot.settings.schema import BudgetSettings, Settings

log = logging.getLogger(__name__)


UNPROMPTED: Final = 0  # instead of a person: what the bot said although nobody called it
OTHERS: Final = -1  # instead of a person or channel: those that are not kept by name
_DIRECT: Final = 0  # instead of a server
_ELSEWHERE: Final = -1  # instead of a server: those that not even a row of others is kept for
_KEPT = 2000  # rows in memory; of more, the smaller half is added up
_MICRO = 1_000_000  # money is counted in millionths
_BELIEVED = 10**15  # more than any number that was counted
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MARKDOWN = re.compile(r"([\\*_~`|<>\[\]()#:@])")
_MODEL_SHOWN = 40  # characters of a model's name


@dataclass(slots=True)
class Amount:
    """What some answers used, with money in millionths; the cost of `lost` of them is unknown.

    `estimated` means that the provider did not report all of it, `unpriced` that a model without a
    price was asked, `partial` that more of it may be in the row of the others.
    """

    answers: int = 0
    money: int = 0
    read: int = 0
    written: int = 0
    images: int = 0
    searches: int = 0
    lost: int = 0
    estimated: bool = False
    unpriced: bool = False
    partial: bool = False

    def add(self, other: Amount) -> None:
        """Add another amount to this one."""
        self.answers += other.answers
        self.money += other.money
        self.read += other.read
        self.written += other.written
        self.images += other.images
        self.searches += other.searches
        self.lost += other.lost
        self.estimated |= other.estimated
        self.unpriced |= other.unpriced
        self.partial |= other.partial

    @property
    def nothing(self) -> bool:
        """Whether nothing was used."""
        return self.size == (0, 0, 0) and not self.images and not self.searches and not self.lost

    @property
    def size(self) -> tuple[int, int, int]:
        """What amounts are compared by: money, then tokens, then answers."""
        return self.money, self.read + self.written, self.answers


_Rows: TypeAlias = dict[tuple[int, int], Amount]  # by server, then by person or channel


def total(amounts: Iterable[Amount]) -> Amount:
    """Add amounts up."""
    whole = Amount()
    for each in amounts:
        whole.add(each)
    return whole


def amount_of(usage: Usage, budget: BudgetSettings) -> Amount:
    """Return what one request used. Tokens of a model without a price have no cost, not none."""
    if usage.moderated:
        money = cost(usage, budget)
        return Amount(money=_millionths(money), estimated=money > 0)
    if price_of(usage.model, budget.prices) is not None:
        tokens, unpriced = usage, False
    elif usage.images and not usage.output:  # of the Images API: its tokens are in the price
        tokens, unpriced = replace(usage, input=0, cached_input=0), False
    else:
        tokens, unpriced = usage, bool(usage.input or usage.output)
    priced = replace(usage, input=0, cached_input=0, output=0) if unpriced else tokens
    return Amount(
        money=_millionths(cost(priced, budget)),
        read=tokens.input,
        written=tokens.output,
        images=usage.images,
        searches=usage.searches,
        estimated=usage.estimated,
        unpriced=unpriced,
    )


def _millionths(money: float) -> int:
    return math.ceil(round(money * _MICRO, 3))  # what costs something is never nothing


def cost_text(amount: Amount, currency: str, *, brief: bool = False) -> str:
    """Say what an amount cost, and what is not known of that; `brief` says only that it is more."""
    unknown = []
    if amount.unpriced:
        unknown.append("a model without a price")
    if amount.lost:
        unknown.append(f"{amount.lost} answer{'' if amount.lost == 1 else 's'} not accounted for")
    if unknown and not amount.money:
        return "cost unknown" if brief else f"cost unknown ({' and '.join(unknown)})"
    money = amount.money / _MICRO
    shown = f"{money:.4f}" if 0 < money < 0.1 else f"{money:,.2f}"  # noqa: PLR2004  # cents
    if amount.money and not float(shown.replace(",", "")):
        shown = "less than 0.0001"
    about = "about " if amount.estimated and shown[0].isdigit() else ""
    if not unknown:
        return f"{about}{shown} {currency}"
    more = "more" if brief else f"the unknown cost of {' and '.join(unknown)}"
    return f"{about}{shown} {currency} and {more}"


def tokens_text(amount: Amount) -> str:
    """Say how many tokens an amount is, and what else was made."""
    about = "about " if amount.estimated else ""
    parts = [f"{about}{amount.read:,} tokens read and {amount.written:,} written"]
    for number, name in ((amount.images, "picture"), (amount.searches, "search")):
        if number:
            parts.append(f"{number:,} {name}{_plural(name) if number > 1 else ''}")
    return ", ".join(parts)


def _plural(name: str) -> str:
    return "es" if name.endswith("ch") else "s"


@dataclass(eq=False, slots=True)
class Meter:
    """What one answer uses. `person` and `channel` are the rows that it is added to, by server."""

    budget: BudgetSettings
    ledger: UsageLedger | None = None
    shard: int = 0
    person: tuple[int, int] | None = None
    channel: tuple[int, int] | None = None
    total: Amount = field(default_factory=Amount)
    models: list[str] = field(default_factory=list)

    def charge(self, usage: Usage) -> None:
        """Count a request."""
        amount = amount_of(usage, self.budget)
        self.total.add(amount)
        if not usage.moderated and usage.model not in self.models:
            self.models.append(usage.model)
        self._add(amount)

    def lose(self) -> None:
        """Note that what is used from now on cannot be counted."""
        self._add(Amount(lost=1))

    def end(self) -> None:
        """Note that nothing more is used."""
        if self.ledger is not None:
            self.ledger.close(self)

    @property
    def line(self) -> str:
        """The line to show below the answer; empty where no model was asked."""
        if not self.models:
            return ""
        names = (each[:_MODEL_SHOWN] for each in self.models[-2:])
        shown = ", ".join(_MARKDOWN.sub(r"\\\1", " ".join(each.split())) for each in names)
        cost = cost_text(self.total, self.budget.currency)
        return f"{shown} · {tokens_text(self.total)} · {cost}"

    def _add(self, amount: Amount) -> None:
        if self.ledger is not None:
            self.ledger.add(self, amount)


@dataclass(slots=True)
class _Sums:
    """One shard's sums of one month, counted `since` then (seconds since 1970)."""

    month: str
    since: int
    people: _Rows = field(default_factory=dict)
    channels: _Rows = field(default_factory=dict)
    open: set[Meter] = field(default_factory=set)

    def add(self, meter: Meter, amount: Amount) -> None:
        """Add an amount to the rows of an answer."""
        for rows, key in ((self.people, meter.person), (self.channels, meter.channel)):
            if key is not None:
                _row(rows, key).add(amount)

    @property
    def progress(self) -> tuple[int, int, int]:
        """What only grows while a shard is counted: of two states, the later one has more."""
        whole = total(self.people.values())
        used = whole.read + whole.written + whole.money + whole.images + whole.searches
        return whole.answers, used, -whole.lost


def _row(rows: _Rows, key: tuple[int, int]) -> Amount:
    found = rows.get(key)
    if found is None:
        if len(rows) >= _KEPT:
            kept = _folded(rows, _KEPT // 2)
            rows.clear()
            rows.update(kept)
        found = rows[key] = Amount(partial=_has_others(rows, key[0]))
    return found


def _has_others(rows: Mapping[tuple[int, int], Amount], guild: int) -> bool:
    return (guild, OTHERS) in rows or (_ELSEWHERE, OTHERS) in rows


def _folded(rows: _Rows, most: int) -> _Rows:
    """Keep the `most` largest rows; add up the others by server, `most` rows of those as well."""

    def largest_first(some: _Rows) -> list[tuple[int, int]]:
        return sorted(some, key=lambda key: some[key].size, reverse=True)

    named = {key: row for key, row in rows.items() if key[1] != OTHERS}
    kept = {key: replace(named[key]) for key in largest_first(named)[:most]}
    others: _Rows = {}
    for key, row in rows.items():
        if key not in kept:
            others.setdefault((key[0], OTHERS), Amount()).add(row)
    elsewhere = others.pop((_ELSEWHERE, OTHERS), None)
    ranked = largest_first(others)
    for key in ranked[most:]:
        elsewhere = elsewhere or Amount()
        elsewhere.add(others.pop(key))
    if elsewhere is not None:
        others[_ELSEWHERE, OTHERS] = elsewhere
    return kept | others


@dataclass(frozen=True, slots=True)
class OwnUsage:
    """What one person used this month: in one server (or directly), and in all places.

    `since` is when counting began (seconds since 1970), if that was after the month did. `unread`
    is the number of shards of which nothing is known.
    """

    here: Amount
    everywhere: Amount
    since: int | None
    unread: int = 0


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """What was used in one server this month, by person and by channel; `since` as in OwnUsage."""

    people: Mapping[int, Amount]
    channels: Mapping[int, Amount]
    since: int | None
    partial: bool = False


class UsageLedger:
    """The sums of people and channels this month. A HandoverState, which is empty if disabled."""

    name = "usage"

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._budget = settings.budget
        self._enabled = settings.usage.enabled
        self._shown = settings.reply.cost_line
        self._most = settings.usage.rows
        self._shards = settings.discord.shards
        self._clock = clock
        self._months: dict[int, _Sums] = {}

    def begin(self, message: Message, by: int | None) -> Meter | None:
        """Count an answer to `message`, and measure it, unless nobody wants to know what it uses.

        `by` is the person who asked for it; None: nobody did.
        """
        if not self._enabled:
            return Meter(self._budget) if self._shown else None
        guild = message.guild_id or _DIRECT
        channel = message.thread_of or message.channel_id
        meter = Meter(
            self._budget,
            self,
            shard_of(message.guild_id, self._shards),
            person=(guild, UNPROMPTED if by is None else by),
            channel=None if message.guild_id is None else (guild, channel),
        )
        sums = self._sums(meter.shard)
        sums.open.add(meter)
        sums.add(meter, Amount(answers=1))
        return meter

    def add(self, meter: Meter, amount: Amount) -> None:
        """Add what an answer used."""
        self._sums(meter.shard).add(meter, amount)

    def close(self, meter: Meter) -> None:
        """End an answer: what it used is known."""
        self._sums(meter.shard).open.discard(meter)

    def own(self, person: int, guild_id: int | None) -> OwnUsage:
        """Return what one person used."""
        guild = guild_id or _DIRECT
        here, everywhere, since = Amount(), Amount(), []
        self._sums(shard_of(guild_id, self._shards))
        months = [self._sums(shard) for shard in self._months]
        for sums in months:
            since.append(self._late(sums))
            servers = {key[0] for key in sums.people}
            for server in servers | {guild}:
                row = sums.people.get((server, person))
                row = row or Amount(partial=_has_others(sums.people, server))
                everywhere.add(row)
                if server == guild:
                    here.add(row)
        late = max((each for each in since if each is not None), default=None)
        return OwnUsage(here, everywhere, late, max(0, self._shards - len(months)))

    def server(self, guild_id: int) -> ServerUsage:
        """Return what was used in one server."""
        sums = self._sums(shard_of(guild_id, self._shards))

        def of(rows: _Rows) -> dict[int, Amount]:
            return {key[1]: row for key, row in rows.items() if key[0] == guild_id}

        partial = (_ELSEWHERE, OTHERS) in sums.people
        return ServerUsage(of(sums.people), of(sums.channels), self._late(sums), partial)

    def dump(self, shard: int) -> str:
        """See HandoverState. The cost of answers that have not ended is unknown to the next one."""
        if not self._enabled:
            return ""
        sums = self._sums(shard)
        told = _Sums(
            sums.month,
            sums.since,
            {key: replace(row) for key, row in sums.people.items()},
            {key: replace(row) for key, row in sums.channels.items()},
        )
        for meter in sums.open:
            told.add(meter, Amount(lost=1))
        return json.dumps(
            {
                "month": told.month,
                "since": told.since,
                "people": _written(_folded(told.people, self._most)),
                "channels": _written(_folded(told.channels, self._most)),
            },
            separators=(",", ":"),
        )

    def load(self, shard: int, text: str) -> None:
        """See HandoverState. What this process counted after that was written stays."""
        if not self._enabled or not text:
            return
        try:
            kept = json.loads(text)
            people, channels = _read(kept["people"]), _read(kept["channels"])
            found = _Sums(str(kept["month"]), int(kept["since"]), people, channels)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            log.warning("usage annotation cannot be read", extra={"shard": shard})
            return
        month, begins = self._month()
        if found.month < month:  # counted all the time since then
            found = _Sums(month, begins)
        mine = self._months.get(shard)
        if found.month == month and (
            mine is None or mine.month != month or mine.progress <= found.progress
        ):
            self._months[shard] = found

    def _sums(self, shard: int) -> _Sums:
        month, begins = self._month()
        sums = self._months.get(shard)
        if sums is None or sums.month != month:
            sums = _Sums(month, begins if sums else int(self._clock()))
            self._months[shard] = sums
        return sums

    def _late(self, sums: _Sums) -> int | None:
        return sums.since if sums.since > self._month()[1] else None

    def _month(self) -> tuple[str, int]:
        now = datetime.fromtimestamp(self._clock(), UTC)
        begins = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return f"{now:%Y-%m}", int(begins.timestamp())


def _written(rows: _Rows) -> dict[str, str]:
    """Write rows compactly: for each server, its rows, each as numbers to the base of 36."""
    servers: dict[str, list[str]] = {}
    for (guild, who), row in sorted(rows.items()):
        *numbers, estimated, unpriced, partial = astuple(row)
        flags = estimated + 2 * unpriced + 4 * partial
        words = " ".join(_base36(each) for each in (who, *numbers, flags))
        while words.endswith(" 0"):
            words = words[:-2]
        servers.setdefault(_base36(guild), []).append(words)
    return {guild: ";".join(each) for guild, each in servers.items()}


def _read(servers: Mapping[str, str]) -> _Rows:
    """Read what `_written` wrote; raises ValueError."""
    rows: _Rows = {}
    for guild, text in servers.items():
        for row in text.split(";"):
            who, *numbers = (int(word, 36) for word in row.split(" "))
            if not all(0 <= each <= _BELIEVED for each in numbers):
                raise ValueError("a number that was not counted")
            numbers += [0] * (8 - len(numbers))
            answers, money, read, written, images, searches, lost, flags = numbers
            amount = Amount(answers, money, read, written, images, searches, lost)
            amount.estimated, amount.unpriced, amount.partial = (bool(flags & n) for n in (1, 2, 4))
            rows[int(guild, 36), who] = amount
    return rows


def _base36(number: int) -> str:
    digits, rest = "", abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
    return f"-{digits}" if number < 0 else digits
