"""JSON lines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from bot.observability import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Capture what is written, and put logging back as it was."""
    root, handlers, level = logging.root, logging.root.handlers[:], logging.root.level
    stream = io.StringIO()
    log.configure("info", stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def last(lines: io.StringIO) -> dict[str, Any]:
    return dict(json.loads(lines.getvalue().splitlines()[-1]))


def test_a_line_is_json_with_its_extra(lines: io.StringIO) -> None:
    logging.getLogger("bot.x").info("answered %s", "twice", extra={"message_id": 5})

    line = last(lines)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "bot.x",
        "message": "answered twice",
        "message_id": 5,
    }


async def test_bound_ids_are_in_every_line_of_the_block_and_of_the_tasks_it_starts(
    lines: io.StringIO,
) -> None:
    async def ask_the_provider() -> None:
        await asyncio.sleep(0)
        logging.getLogger("bot.llm").warning("asking again")

    with log.bound(message_id=5, channel_id=6), log.bound(channel_id=7):
        task = asyncio.create_task(ask_the_provider())
    await task

    assert {"message_id": 5, "channel_id": 7}.items() <= last(lines).items()
    logging.getLogger("bot.llm").warning("another answer's line")
    assert "message_id" not in last(lines)


def test_a_trace_names_types_and_places_but_no_text(lines: io.StringIO) -> None:
    """What an exception says may quote a message or a key."""
    try:
        try:
            int("sk-marmalade")
        except ValueError as error:
            raise ExceptionGroup("marmalade group", [KeyError("sk-marmalade")]) from error
    except ExceptionGroup:
        logging.getLogger("bot.x").exception("it broke")

    assert "marmalade" not in lines.getvalue()
    trace = last(lines)["trace"]
    assert "ExceptionGroup" in trace
    assert "ValueError" in trace
    assert "| KeyError" in trace
    assert any("test_log.py" in place for place in trace)


@pytest.mark.parametrize(
    "name", ["discord.http", "openai._base_client", "httpx2", "aiohttp.client"]
)
def test_libraries_that_log_what_they_send_are_kept_quiet(lines: io.StringIO, name: str) -> None:
    log.configure("debug", lines)

    logging.getLogger(name).info("POST with {'content': …}")

    assert lines.getvalue() == ""
