"""No task of the bot fails unseen."""

from __future__ import annotations

import ast
import asyncio
import logging
from pathlib import Path

import pytest

from bot.domain.errors import NothingSaid
from bot.observability import tasks
from bot.observability.metrics import Metrics

BOT = Path(__file__).parents[3] / "bot"
STARTERS = {"create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe", "eager_start"}


def failures(name: str) -> float:
    """Read how many failures of a task a scraper sees."""
    series = "discord_sky_task_failures_total"
    return Metrics().registry.get_sample_value(series, {"task": name}) or 0.0


def test_tasks_are_started_in_one_module() -> None:
    """A task that is started elsewhere has nobody who sees it fail."""
    started = {
        f"{path.relative_to(BOT)}: {ast.unparse(node)}"
        for path in BOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if _name(node) in STARTERS
    }

    assert {each.partition(":")[0] for each in started} == {"observability/tasks.py"}


def _name(node: ast.AST) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.ImportFrom(module="asyncio", names=names):
            return next((each.name for each in names if each.name in STARTERS), "")
    return ""


async def test_a_failure_that_nobody_awaits_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    before = failures("test_fails")
    await asyncio.wait([tasks.start(fail(), "test_fails")])
    await asyncio.sleep(0)

    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "task failed")
    assert vars(record)["task"] == "test_fails"
    assert failures("test_fails") == before + 1


async def test_an_answer_to_somebody_who_waits_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise NothingSaid

    ended = tasks.start(fail(), "test_tells")
    stopped = tasks.start(asyncio.sleep(60), "test_tells")
    stopped.cancel()
    await asyncio.wait([ended, stopped])
    await asyncio.sleep(0)

    assert not caplog.records
    assert failures("test_tells") == 0


async def test_a_loop_that_fails_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_FIRST_PAUSE", 0.001)
    began = 0

    async def work() -> None:
        nonlocal began
        began += 1
        if began < 4:
            raise KeyError("one that nobody thought of")

    await tasks.keep_running(work, "test_loop")

    assert began == 4
    assert failures("test_loop") == 3


async def test_what_fails_in_a_library_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    tasks.watch_loop(loop)
    before = failures("event_loop")

    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)

    loop.set_exception_handler(None)
    assert [each.getMessage() for each in caplog.records] == ["task failed"]
    assert failures("event_loop") == before + 1
