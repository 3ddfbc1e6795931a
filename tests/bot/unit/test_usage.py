"""Who used what this month: bounded, kept over restarts, and never taken to be free."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.admission.usage import (
    OTHERS,
    UNPROMPTED,
    Amount,
    Meter,
    ServerUsage,
    UsageLedger,
    amount_of,
    cost_text,
    total,
)
from bot.discord.command_replies import usage_table, usage_text
from bot.domain.messages import Author, Message
from bot.domain.model_request import Usage, completed
from bot.settings.schema import BudgetSettings, Price, Settings

PRICES = {"small": Price(input=1, cached_input=0.1, output=4)}
NOVEMBER = datetime(2026, 11, 12, 12, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, 0, 1, tzinfo=UTC).timestamp()
BUDGET = BudgetSettings(prices=PRICES)
LIMIT = 2000


class Clock:
    """The time, as a test sets it."""

    now = NOVEMBER

    def __call__(self) -> float:
        """Return seconds since 1970."""
        return self.now


def ledger(clock: Clock | None = None, *, enabled: bool = True, **more: Any) -> UsageLedger:
    usage = {"enabled": enabled, "rows": more.pop("rows", 40)}
    configured = Settings.model_validate({"budget": BUDGET, "usage": usage, **more})
    return UsageLedger(configured, clock or Clock())


def message(guild: int | None = 1, channel: int = 7, **more: Any) -> Message:
    return Message(99, channel, Author(5, "Ada"), "hello", guild_id=guild, **more)


def use(book: UsageLedger, by: int | None = 5, tokens: int = 1_000_000, **where: Any) -> Meter:
    meter = began(book, by, **where)
    meter.charge(Usage("small", input=tokens))
    meter.end()
    return meter


def began(book: UsageLedger, by: int | None = 5, **where: Any) -> Meter:
    meter = book.begin(message(**where), by)
    assert meter is not None
    return meter


def handed(
    before: UsageLedger, clock: Clock | None = None, shard: int = 0, **more: Any
) -> UsageLedger:
    after = ledger(clock, **more)
    after.load(shard, before.dump(shard))
    return after


def test_what_a_person_used_is_counted_here_and_everywhere() -> None:
    book = ledger()
    use(book)
    use(book, guild=2)
    use(book, guild=None)
    use(book, by=6)

    own = book.own(5, 1)

    assert own.here == Amount(answers=1, money=1_000_000, read=1_000_000)
    assert own.everywhere.answers == 3
    assert book.own(5, None).here.answers == 1


def test_a_thread_counts_as_its_channel_and_a_direct_message_as_none() -> None:
    book = ledger()
    use(book, channel=70, thread_of=7)
    use(book, guild=None, channel=8)

    assert book.server(1).channels.keys() == {7}
    assert not book.server(0).channels


def test_joining_in_is_nobodys_and_the_channels() -> None:
    book = ledger()
    use(book, by=None)

    assert book.own(5, 1).everywhere.nothing
    assert book.server(1).people.keys() == {UNPROMPTED}
    assert book.server(1).channels[7].money == 1_000_000


@pytest.mark.parametrize(
    ("usage", "amount"),
    [
        (Usage("small", 100, 50, 10), Amount(money=95, read=100, written=10)),
        (Usage("unheard-of", 100, 0, 10), Amount(read=100, written=10, unpriced=True)),
        (
            Usage("unheard-of", 100, 0, 10, searches=1),
            Amount(money=10_000, read=100, written=10, searches=1, unpriced=True),
        ),
        (Usage("painter", 100, images=1), Amount(money=40_000, images=1)),
        (Usage("judge", moderated=100), Amount()),
        (Usage("small", 1), Amount(money=1, read=1)),
    ],
    ids=["priced", "unpriced", "a search of an unpriced", "images API", "moderation", "tiny"],
)
def test_a_request_costs_what_is_known(usage: Usage, amount: Amount) -> None:
    assert amount_of(usage, BUDGET) == amount


def test_what_the_provider_does_not_tell_is_marked() -> None:
    told = completed(Usage("small", 100, 0, 10), 120, "words", 100)
    silent = completed(Usage("small"), 120, "some words", 100)

    assert not told.estimated
    assert silent.estimated
    assert cost_text(amount_of(silent, BUDGET), "USD").startswith("about 0.000")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount(money=1_234_560_000), "1,234.56 USD"),
        (Amount(money=1_234), "0.0012 USD"),
        (Amount(money=3), "less than 0.0001 USD"),
        (Amount(money=1_234, estimated=True), "about 0.0012 USD"),
        (Amount(read=5, unpriced=True), "cost unknown (a model without a price)"),
        (Amount(lost=1), "cost unknown (1 answer not accounted for)"),
        (
            Amount(money=500_000, unpriced=True, lost=2),
            (
                "0.50 USD and the unknown cost of a model without a price"
                " and 2 answers not accounted for"
            ),
        ),
        (Amount(), "0.00 USD"),
    ],
)
def test_a_cost_is_told_with_what_is_not_known_of_it(amount: Amount, text: str) -> None:
    assert cost_text(amount, "USD") == text


def test_the_line_below_an_answer_names_models_tokens_and_cost() -> None:
    meter = Meter(BUDGET)
    assert meter.line == ""
    meter.charge(Usage("judge", moderated=10))
    assert meter.line == ""
    meter.charge(Usage("unheard_of", input=1_500, output=20))

    assert meter.line == (
        r"unheard\_of · 1,500 tokens read and 20 written · cost unknown (a model without a price)"
    )


def test_a_restart_keeps_the_sums() -> None:
    before = ledger()
    use(before)
    use(before, by=None)
    after = handed(before)
    use(after)

    assert after.own(5, 1).here == Amount(answers=2, money=2_000_000, read=2_000_000)
    assert after.server(1).people.keys() == {5, UNPROMPTED}


def test_an_answer_that_was_being_written_is_not_accounted_for_after_a_crash() -> None:
    before = ledger()
    began(before)

    assert before.own(5, 1).here.lost == 0
    assert handed(before).own(5, 1).here == Amount(answers=1, lost=1)


def test_what_is_given_back_is_not_accounted_for() -> None:
    book = ledger()
    began(book).lose()

    assert book.own(5, 1).here.lost == 1


def test_a_process_that_leads_again_keeps_what_it_finished_meanwhile() -> None:
    book = ledger()
    meter = began(book)
    noted = book.dump(0)
    meter.charge(Usage("small", input=10))
    meter.end()
    book.load(0, noted)

    assert book.own(5, 1).here == Amount(answers=1, money=10, read=10)


def test_a_later_state_of_another_process_replaces_an_earlier_one() -> None:
    book, other = ledger(), ledger()
    meter = began(other)
    book.load(0, other.dump(0))
    meter.charge(Usage("small", input=10))
    meter.end()
    book.load(0, other.dump(0))

    assert book.own(5, 1).here == Amount(answers=1, money=10, read=10)


def test_a_month_begins_with_nothing_and_is_known_from_its_start() -> None:
    clock = Clock()
    book = ledger(clock)
    use(book)
    assert book.own(5, 1).since == int(NOVEMBER)  # counted from then on
    noted = book.dump(0)
    clock.now = DECEMBER

    assert book.own(5, 1).everywhere.nothing
    assert book.own(5, 1).since is None
    successor = ledger(clock)
    successor.load(0, noted)
    assert successor.own(5, 1).everywhere.nothing
    assert successor.own(5, 1).since is None


def test_an_answer_that_ends_in_the_next_month_is_counted_there() -> None:
    clock = Clock()
    book = ledger(clock)
    meter = began(book)
    clock.now = DECEMBER
    meter.charge(Usage("small", input=10))
    meter.end()

    assert book.own(5, 1).here == Amount(money=10, read=10)


def test_each_shard_has_its_own_sums_and_those_of_unread_ones_are_not_known() -> None:
    other_shard = 1 << 22
    book = ledger(discord={"shards": 3})
    use(book, guild=other_shard)

    assert book.own(5, other_shard).unread == 2
    after = handed(book, shard=1, discord={"shards": 3})
    assert after.own(5, None).everywhere.answers == 1
    assert after.own(5, None).here.nothing
    assert after.own(5, None).unread == 1
    assert book.dump(0).count("5") == handed(book, discord={"shards": 3}).dump(0).count("5")


def test_only_those_who_used_most_are_kept_by_name() -> None:
    before = ledger(rows=10)
    for person in range(1, 31):
        use(before, by=person, tokens=person, channel=100 + person)

    after = handed(before, rows=10)

    assert after.server(1).people.keys() == {*range(21, 31), OTHERS}
    assert after.server(1).people[OTHERS].money == sum(range(1, 21))
    assert after.server(1).channels.keys() == {*range(121, 131), OTHERS}
    assert after.own(5, 1).here == Amount(partial=True)  # may be among the others
    assert not after.own(30, 1).here.partial
    use(after, by=5)
    assert after.own(5, 1).here.partial


def test_if_it_is_off_nothing_is_kept_and_what_was_kept_is_dropped() -> None:
    on, off = ledger(), ledger(enabled=False)
    use(on)
    off.load(0, on.dump(0))
    assert off.begin(message(), 5) is None
    shown = ledger(enabled=False, reply={"cost_line": True})
    use(shown)

    assert off.dump(0) == shown.dump(0) == ""
    assert off.own(5, 1).everywhere.nothing
    on.load(0, "")
    assert on.own(5, 1).here.answers == 1


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "{}",
        '{"month":"2026-11","since":1,"people":{"1":"5 -1"},"channels":{}}',
        '{"month":"2026-11","since":1,"people":{"1":"5 zzzzzzzzzzzzzzz"},"channels":{}}',
        '{"month":"2026-11","since":1,"people":{"1":"5 1 1 1 1 1 1 1 1 1"},"channels":{}}',
        '{"month":"2026-11","since":1e999,"people":{},"channels":{}}',
        '{"month":"2026-11","since":1,"people":[],"channels":{}}',
        '{"month":"2026-11","since":1,"people":{"1":5},"channels":{}}',
        '{"month":"2026-11","since":1,"people":{"1":""},"channels":{}}',
    ],
)
def test_an_annotation_that_cannot_be_read_changes_nothing(text: str) -> None:
    book = ledger()
    use(book)
    book.load(0, text)

    assert book.own(5, 1).here.answers == 1


AMOUNTS = st.builds(
    Amount,
    *[st.integers(0, 10**7), st.integers(0, 10**13), *[st.integers(0, 10**12)] * 2],
    *[st.integers(0, 10**6)] * 3,
    *[st.booleans()] * 3,
)
IDS = st.integers(10**16, 2**63)


@given(
    uses=st.lists(
        st.tuples(IDS, st.sampled_from([1, 2, 3, None]), st.integers(0, 10**6)), max_size=60
    )
)
@settings(max_examples=50)
def test_nothing_is_lost_or_counted_twice_by_a_restart(
    uses: list[tuple[int, int | None, int]],
) -> None:
    before = ledger(rows=10)
    for person, guild, tokens in uses:
        use(before, by=person, tokens=tokens, guild=guild, channel=person + 1)
    after = handed(before, rows=10)

    for guild in (1, 2, 3):
        was, now = before.server(guild), after.server(guild)
        assert total(was.people.values()).size == total(now.people.values()).size
        assert total(was.channels.values()).size == total(now.channels.values()).size
    assert handed(after, rows=10).dump(0) == after.dump(0)


def test_however_many_use_it_the_annotation_is_a_few_kilobytes() -> None:
    book = ledger()
    for number in range(12_000):
        use(
            book,
            by=10**18 + number * 10**14,
            guild=2 * 10**18 + number % 500 * 10**14,
            channel=3 * 10**18 + number * 10**14,
            tokens=10**8 + number,
        )

    kept = book.dump(0)
    assert len(kept) < 9000
    after = handed(book)
    assert total(after._months[0].people.values()).answers == 12_000


@given(
    people=st.dictionaries(IDS | st.sampled_from([UNPROMPTED, OTHERS]), AMOUNTS, max_size=40),
    channels=st.dictionaries(IDS | st.just(OTHERS), AMOUNTS, max_size=40),
    seen=st.sets(IDS),
    data=st.data(),
)
@settings(max_examples=100)
def test_the_table_fits_a_message_and_names_no_channel_that_is_not_seen(
    people: dict[int, Amount], channels: dict[int, Amount], seen: set[int], data: st.DataObject
) -> None:
    visible = set(data.draw(st.sets(st.sampled_from(sorted(channels))))) if channels else set()
    book = ledger()
    use(book)
    text = usage_text(book.own(5, 1), "USD", direct=False)

    table = usage_table(text, ServerUsage(people, channels, 1, partial=True), visible | seen, "USD")

    assert len(table) <= LIMIT
    for channel in channels.keys() - visible - seen:
        assert channel == OTHERS or f"<#{channel}>" not in table
