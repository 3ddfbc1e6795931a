"""Documents become text in a process of their own; what a hostile one does, it does to itself."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.context import parser_process
from bot.context.parser_process import Parsed, ParseError, ParserProcess
from tests.bot import made_documents as made
from tests.bot.child_processes import children
from tests.servers import websites


async def read(kind: str, data: bytes, **limits: float) -> Parsed:
    return await ParserProcess(**limits).parse(kind, data)  # type: ignore[arg-type]


async def refused(kind: str, data: bytes, **limits: float) -> str:
    with pytest.raises(ParseError) as caught:
        await read(kind, data, **limits)
    return str(caught.value)


@pytest.fixture
def others() -> set[str]:
    """Return what other tests of this run have started, such as the test servers."""
    return children(os.getpid())


async def started(number: int, others: set[str]) -> None:
    while len(children(os.getpid()) - others) < number:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_the_pages_of_a_pdf_are_read() -> None:
    parsed = await read("pdf", made.pdf(["north by west", "", "two fathoms"], title="Log"))

    assert parsed == Parsed("north by west\n\ntwo fathoms", "Log", pages=3, of_pages=3)


async def test_only_the_first_pages_of_a_long_pdf_are_read() -> None:
    parsed = await read("pdf", made.pdf([f"page {n}" for n in range(5000)]), pages=3, seconds=60)

    assert parsed == Parsed("page 0\n\npage 1\n\npage 2", "", 3, 5000, truncated=True)


async def test_no_more_text_is_read_than_may_be() -> None:
    parsed = await read("pdf", made.pdf(["a" * 50] * 9), characters=100)

    assert parsed.text == f"{'a' * 50}\n\n{'a' * 48}"
    assert (parsed.pages, parsed.of_pages, parsed.truncated) == (1, 9, True)


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("pdf", made.encrypted_pdf(), "it is encrypted"),
        ("pdf", made.pdf(["", ""]), "there is no text in it, only pictures of pages"),
        ("pdf", made.pdf(["whole"])[:200], "it is damaged"),
        ("pdf", b"", "it is damaged"),
        ("office", b"PK\x03\x04 and no more", "it is damaged"),
        ("office", made.package({"a.txt": "a"}), "it is an archive, and I open only single files"),
        ("office", made.package({"word/document.xml": "<w><p>"}), "it is damaged"),
        ("office", made.docx(), "there is no text in it"),
        ("office", made.office_bomb(200), "it unpacks to more than I can read"),
        ("office", made.entity_bomb(), "it is damaged"),
        ("html", b"<script>only()</script>", "there is no text in it"),
    ],
)
async def test_a_file_that_cannot_be_read_is_named(kind: str, data: bytes, why: str) -> None:
    assert await refused(kind, data, seconds=60) == why


async def test_a_pdf_that_unpacks_to_gigabytes_is_given_up() -> None:
    why = await refused("pdf", made.pdf_bomb(300), seconds=60)

    assert why in {"it unpacks to more than I can read", "it is damaged"}


async def test_a_page_without_end_is_given_up() -> None:
    assert await refused("pdf", made.slow_pdf(), seconds=1.0) == "it takes too long to read"


async def test_the_pages_before_a_page_without_end_are_kept() -> None:
    parsed = await read("pdf", made.slow_pdf("page 0", "page 1"), seconds=4)

    assert parsed == Parsed("page 0\n\npage 1", "", pages=2, of_pages=3, truncated=True)


async def test_an_office_file_is_read() -> None:
    word = made.docx("Grüße", "Rum &amp; rope", table=[["item", "price"], ["rum", "3"]])
    slides = made.pptx("first", "second", "third")
    days = made.xlsx({"Crew": [["name", "born"], ["Ada", -5.0], ["", 7.5]], "Ports": [["Kiel"]]})

    assert (await read("office", word)).text == "Grüße\nRum & rope\nitem \tprice \t\nrum \t3"
    assert (await read("office", slides)).text == "first\n\nsecond\n\nthird"
    assert (await read("office", slides, pages=2)) == Parsed(
        "first\n\nsecond", "", pages=2, of_pages=3, truncated=True
    )
    assert (await read("office", days)).text == (
        "Sheet Crew:\nname\tborn\nAda\t1900-01-04\n\t7.5\n\nSheet Ports:\nKiel"
    )


async def test_a_web_page_is_read_as_it_is_shown() -> None:
    page = (
        "<html><head><title>Tides &amp; Winds</title><style>p{}</style></head><body><h1>Kiel</h1>"
        "<p>High   water\n at <b>noon</b><script>x()</script></p><ul><li>one<li>two</ul>"
    )

    parsed = await read("html", page.encode())

    assert (parsed.title, parsed.text) == (
        "Tides & Winds",
        "Kiel\n\nHigh water at noon\n\none\ntwo",
    )


@pytest.mark.parametrize(
    "data",
    [
        "<p>Grüße".encode(),
        "<p>Grüße".encode("utf-16"),
        '<meta charset="iso-8859-1"><p>Grüße'.encode("latin-1"),
        '<meta charset="nonsense"><p>Grüße'.encode("cp1252"),
        '<meta charset="iso-8859-1"><p>Grüße'.encode(),
    ],
)
async def test_the_encoding_of_a_web_page_is_found(data: bytes) -> None:
    assert (await read("html", data)).text == "Grüße"


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(["pdf", "office", "html"]), st.data())
async def test_a_spoiled_file_is_read_or_named(kind: str, data: st.DataObject) -> None:
    sound = {"pdf": made.pdf(["one", "two"]), "office": made.docx("one"), "html": b"<p>one</p>"}
    spoiled = bytearray(sound[kind])
    for place in data.draw(st.lists(st.integers(0, len(spoiled) - 1), max_size=20)):
        spoiled[place] = data.draw(st.integers(0, 255))

    try:
        said = (await read(kind, bytes(spoiled))).text
    except ParseError as error:
        said = str(error)

    assert said


async def test_a_child_has_no_environment_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "made up")
    monkeypatch.setattr(parser_process, "_PROGRAM", _REPORT)

    parsed = await read("html", b"")

    assert "OPENAI_API_KEY" not in parsed.text
    assert parsed.title == "socket refused, process refused, file refused"


_REPORT = """
import sys; sys.path[:] = sys.argv[2:]
import json, os, socket, subprocess
from bot.context import documents
documents._confine(1 << 28, 5)
def refused(what, act):
    try:
        act()
    except OSError:
        return what + " refused"
    return what + " allowed"
def write():
    with open("/tmp/parser_process_wrote", "w") as file:
        file.write("a" * 9)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told = [
    refused("socket", socket.socket),
    refused("process", lambda: subprocess.run(["true"])),
    refused("file", write),
]
print(json.dumps({"text": json.dumps(dict(os.environ)), "title": ", ".join(told)}))
"""


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("raise SystemExit", parser_process.BROKEN),
        ("import os; os.abort()", parser_process.BROKEN),
        ("print('[]')", parser_process.BROKEN),
        ("print('{\"nonsense\": 1}')", parser_process.BROKEN),
        ("while True: print('a' * 99999)", parser_process.BROKEN),
        ("import time; time.sleep(99)", parser_process.TOO_SLOW),
    ],
)
async def test_a_child_that_says_nothing_sensible_is_ended(
    monkeypatch: pytest.MonkeyPatch, others: set[str], program: str, why: str
) -> None:
    monkeypatch.setattr(parser_process, "_PROGRAM", program)
    monkeypatch.setattr(parser_process, "_GRACE", 0.5 if why == parser_process.TOO_SLOW else 60)

    assert await refused("html", b"a" * 999_999, seconds=0.1) == why
    assert children(os.getpid()) <= others


async def test_an_answer_that_is_stopped_leaves_no_child_behind(others: set[str]) -> None:
    reading = asyncio.create_task(ParserProcess().parse("pdf", made.slow_pdf()))
    await started(1, others)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert children(os.getpid()) <= others


async def test_a_file_waits_for_its_turn_only_for_a_while(others: set[str]) -> None:
    parser = ParserProcess(seconds=60, waiting=0.05)
    slow = [asyncio.create_task(parser.parse("pdf", made.slow_pdf())) for _ in range(2)]
    await started(2, others)

    with pytest.raises(ParseError, match="too many files"):
        await parser.parse("html", b"<p>hello")

    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert (await parser.parse("html", b"<p>hello")).text == "hello"


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({}, 1.0),
        ({"cpu.max": "max 100000\n"}, 1.0),
        ({"cpu.max": "25000 100000\n"}, 0.05),
        ({"cpu.max": "800000 100000\n"}, 1.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.0),
        ({"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.05),
    ],
)
def test_a_child_takes_a_part_of_what_the_container_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], share: float
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(parser_process, "_CGROUPS", tmp_path)

    assert parser_process._share() == pytest.approx(share)


async def test_of_a_web_page_that_people_link_to_the_main_text_is_read() -> None:
    parsed = await read("page", websites.article("Tide tables", "High water is at noon."))

    assert parsed.title == "Tide tables"
    assert "High water is at noon." in parsed.text
    assert not [each for each in ("Imprint", "All our pages", "secret") if each in parsed.text]


async def test_of_a_web_page_without_an_article_all_text_is_read() -> None:
    assert (await read("page", b"<title>Port</title><p>open")).text == "open"


async def test_a_web_page_opens_nothing_that_it_names() -> None:
    page = (
        b"<!DOCTYPE html [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><html><body>"
        b"<iframe src='file:///etc/passwd'></iframe><p>the words &x; of it</p></body></html>"
    )

    assert "root:" not in (await read("page", page)).text
