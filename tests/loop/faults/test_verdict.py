"""A row fails for each reason that it must fail for; tested on figures, without a loop."""

from dataclasses import replace

import pytest

from tests.loop.faults.__main__ import GROUPS, chosen
from tests.loop.faults.evidence import Series, moment
from tests.loop.faults.fault_case import FaultCase, FaultContext
from tests.loop.faults.result import Result
from tests.loop.faults.runner import leads, wrong
from tests.loop.scenarios.outcome import Fate, Tally

WELL = Fate("q", asked=10.0, answers=1, first=11.0, whole=12.0, told="", shown="words")
LOST = replace(WELL, whole=None)
TWICE = replace(WELL, answers=2)
TOLD = replace(WELL, whole=None, told="model_busy")


async def _nothing(_: FaultContext) -> float:
    return 0.0


ENTRY = FaultCase(
    "row", _nothing, "a row", metric="moved_total", log="said so", told=("model_busy",), tells=True
)
HOLDS = Result(ENTRY, Tally((WELL, TOLD)), back=1.0, moved={"moved_total,kind=x": 1.0})


def _problems(result: Result, *messages: str) -> list[str]:
    return wrong(result, list(messages or ("the bot said so",)))


def test_a_row_in_which_all_is_as_it_must_be_holds() -> None:
    assert _problems(HOLDS) == []


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (replace(HOLDS, tally=Tally((LOST, TOLD))), "lost"),
        (replace(HOLDS, tally=Tally((TWICE, TOLD))), "2 answers"),
        (replace(HOLDS, back=30.5), "back after 30.5 s"),
        (replace(HOLDS, moved={"another_total": 1.0}), "no series 'moved_total'"),
        (replace(HOLDS, tally=Tally((WELL,))), "nobody was told model_busy"),
        (replace(HOLDS, tally=Tally((replace(TOLD, told="cut_short"), TOLD))), "told cut_short"),
    ],
)
def test_each_thing_that_must_not_be_fails_the_row(result: Result, said: str) -> None:
    [problem] = _problems(result)

    assert said in problem


def test_a_line_that_is_not_in_the_log_fails_the_row() -> None:
    assert _problems(HOLDS, "something else") == ["no line 'said so' in the log"]


def test_a_line_that_must_not_be_in_the_log_fails_the_row() -> None:
    entry = replace(ENTRY, never="lost")

    assert _problems(replace(HOLDS, entry=entry)) == []
    assert _problems(replace(HOLDS, entry=entry), "said so", "lease lost") == [
        "'lost' is in the log"
    ]


def test_a_pod_that_waits_for_its_lease_or_cannot_reach_it_is_not_one_that_leads() -> None:
    """The next row would count how long the one before has silenced the bot."""
    speaking, unreachable = (
        "discord_sky_speaking,shard=0",
        "discord_sky_lease_unreachable_seconds,shard=0",
    )

    assert leads({speaking: 1.0, unreachable: 0.0})
    assert not leads({speaking: 0.0, unreachable: 0.0})
    assert not leads({speaking: 1.0, unreachable: 3.0})
    assert not leads({})


def test_a_new_process_begins_to_count_at_nothing_and_kubernetes_does_not() -> None:
    restarts = "kube_pod_container_status_restarts_total"
    start = "process_start_time_seconds"
    before = Series({"pod": {start: 1.0, "a_total": 5.0, restarts: 1.0}})
    same = Series({"pod": {start: 1.0, "a_total": 6.0, restarts: 1.0}})
    new = Series({"pod": {start: 2.0, "a_total": 6.0, restarts: 2.0}})

    assert same.moved_since(before) == {"a_total": 1.0}
    assert new.moved_since(before) == {"a_total": 6.0, restarts: 1.0}


@pytest.mark.parametrize("digits", ["", ".5", ".500000000"])
def test_containerds_stamps_have_as_many_digits_as_they_need(digits: str) -> None:
    assert moment(f"1970-01-01T00:01:00{digits}Z") == 60.0 + float(f"0{digits or '.0'}")


def test_rows_are_chosen_by_name_and_by_group_and_each_once() -> None:
    every = [entry for entries in GROUPS.values() for entry in entries]

    assert chosen([]) == every
    assert len({entry.name for entry in every}) == len(every)
    assert chosen(["node", "pod-killed", "clock-jumps"])[-1].name == "clock-jumps"
    assert len(chosen(["node", "pod-killed"])) == len(GROUPS["node"])
    with pytest.raises(KeyError):
        chosen(["no-such-row"])
