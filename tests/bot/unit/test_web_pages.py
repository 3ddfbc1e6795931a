"""Pages that people link to: which are opened, how much of them is read, and what never is.

The sites run on this machine, on an address that this test alone takes for a public one. Every
connection that the process tries to make is recorded by the interpreter itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp.connector
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.context import web_pages
from bot.context.history import MessageChain
from bot.context.parser_process import Parsed, ParseError
from bot.context.web_pages import Internet, WebPage, WebPages, is_public, links_of
from bot.domain.messages import Author, Message
from bot.observability.metrics import Metrics
from bot.settings.schema import LinksSettings
from tests.servers import websites
from tests.servers.websites import ADDRESS, FORBIDDEN, FORBIDDEN_HOSTS, Websites, article

HARBOUR, OTHER, EVIL = "harbour.example", "other.example", "evil.example"
_connected: list[str] = []
_recording: list[bool] = []


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if _recording and event == "socket.connect":
        address = arguments[1]
        _connected.append(str(address[0]) if isinstance(address, tuple) else str(address))


sys.addaudithook(_record)


@contextmanager
def connections() -> Iterator[list[str]]:
    """Record the addresses that this process connects to."""
    _connected.clear()
    _recording.append(True)
    try:
        yield _connected
    finally:
        _recording.clear()


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Websites]:
    """Give the sites, which the process trusts from then on."""
    async with websites.running(tmp_path, HARBOUR, OTHER, EVIL) as running:
        aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(running.authority)
        running.pages[f"{HARBOUR}/tide"] = article("The tide")
        yield running


class FakeParser:
    """Returns the page as it is."""

    def __init__(self) -> None:
        self.parsed: list[str] = []

    async def parse(self, kind: str, data: bytes) -> Parsed:
        """See HtmlParser."""
        assert kind == "page"
        self.parsed.append(data.decode())
        if b"unparsable" in data:
            raise ParseError("it can't be read; it may be damaged")
        return Parsed(data.decode(), "A title")


class Names:
    """Names and their addresses: each answer in turn, the last one for good."""

    def __init__(self, port: int, **names: list[list[str]]) -> None:
        self.answers = names
        self._port = port

    async def resolve(self, host: str, port: int) -> list[tuple[str, int]]:
        """See Internet."""
        assert port == 443
        answers = self.answers.get(host.partition(".")[0], [])
        if not answers:
            raise OSError("no such name")
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(each, self._port) for each in found]


def pages(
    sites: Websites, clock: list[float] | None = None, **settings: object
) -> tuple[WebPages, Names]:
    """Give what reads pages, on an internet of the test."""
    names = Names(sites.port, **{each: [[ADDRESS]] for each in ("harbour", "other", "evil")})
    internet = Internet(names.resolve, lambda each: each == ADDRESS or is_public(each))
    limits = LinksSettings.model_validate({"pages": 3, **settings})
    now = clock or [0.0]
    reader = WebPages(limits, FakeParser(), Metrics(), internet, lambda: now[0])
    return reader, names


async def one(reader: WebPages, link: str) -> WebPage:
    (page,) = await reader.read([link])
    return page


async def test_a_page_is_read_once_in_a_quarter_of_an_hour(sites: Websites) -> None:
    clock = [0.0]
    reader, _ = pages(sites, clock)
    link = f"https://{HARBOUR}/tide#today"

    first = await one(reader, link)
    clock[0] = 899.0
    again = await one(reader, link)
    clock[0] = 901.0
    await one(reader, link)

    assert first == again
    assert "harbour master" in first.text
    assert (first.url, first.title, first.remark) == (link, "A title", "")
    assert sites.asked(HARBOUR) == ["/tide", "/tide"]


async def test_who_asks_for_a_page_that_is_being_read_waits_for_that(sites: Websites) -> None:
    reader, _ = pages(sites)
    link = f"https://{HARBOUR}/tide"
    leaving, *staying = (asyncio.create_task(one(reader, link)) for _ in range(3))
    await asyncio.sleep(0)
    leaving.cancel()

    first, second = await asyncio.gather(*staying)

    assert first.text == second.text != ""
    assert sites.asked(HARBOUR) == ["/tide"]


async def test_a_page_that_was_not_read_is_tried_again(sites: Websites) -> None:
    reader, _ = pages(sites)
    await one(reader, f"https://{HARBOUR}/later")
    sites.pages[f"{HARBOUR}/later"] = article("Later")

    assert (await one(reader, f"https://{HARBOUR}/later")).text


async def test_http_is_asked_as_https(sites: Websites) -> None:
    reader, _ = pages(sites)

    assert (await one(reader, f"HTTP://{HARBOUR}:80/tide")).text


async def test_a_request_carries_nothing_of_anybody_and_says_who_asks(
    sites: Websites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    reader, _ = pages(sites)

    with connections() as connected:
        assert (await one(reader, f"https://{HARBOUR}/redirect?to=/tide")).text

    assert connected == [ADDRESS, ADDRESS]
    first, second = (set(headers) for _, _, headers in sites.requests)
    assert first == second == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert sites.requests[0][2]["user-agent"].startswith("discordsky/")


@pytest.mark.parametrize(("times", "read"), [(2, True), (3, False)])
async def test_three_redirects_are_followed(sites: Websites, times: int, *, read: bool) -> None:
    reader, _ = pages(sites)

    page = await one(reader, f"https://{HARBOUR}/redirect?times={times}&to=https://{HARBOUR}/tide")

    assert bool(page.text) == read
    assert page.trouble == ("" if read else "it leads on to other pages too often")


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
async def test_no_form_of_an_address_that_is_not_public_is_connected_to(
    sites: Websites, host: str
) -> None:
    reader, _ = pages(sites)

    with connections() as connected:
        direct = await one(reader, f"https://{host}/")
        redirected = await one(reader, f"https://{EVIL}/redirect?to=https://{host}/")

    assert set(connected) == {ADDRESS}
    for page in (direct, redirected):
        assert page.trouble in {
            "it has no address on the public internet",
            "I open web addresses that begin with https:// only",
        }
        assert page.remark.startswith("I couldn't read the page at `")
        assert page.remark.count("\n") == 0


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_a_name_with_one_address_that_is_not_public_is_not_connected_to(
    sites: Websites, address: str
) -> None:
    reader, names = pages(sites)
    names.answers |= {"inside": [[address]], "both": [[ADDRESS, address]]}

    with connections() as connected:
        found = await reader.read(["https://inside.example/", "https://both.example/"])

    assert connected == []
    assert {page.trouble for page in found} == {"it has no address on the public internet"}


async def test_a_name_that_means_another_address_the_second_time_is_checked_again(
    sites: Websites,
) -> None:
    reader, names = pages(sites)
    names.answers["evil"] = [[ADDRESS], ["127.0.0.1"]]

    with connections() as connected:
        page = await one(reader, f"https://{EVIL}/redirect?to=/again")

    assert connected == [ADDRESS]
    assert page.trouble == "it has no address on the public internet"


async def test_even_a_connection_that_was_not_looked_up_is_checked(sites: Websites) -> None:
    reader, _ = pages(sites)

    with connections() as connected:
        async with reader._session([("127.0.0.1", sites.port)]) as session:
            for url in (f"https://{HARBOUR}:{sites.port}/", f"https://127.0.0.1:{sites.port}/"):
                with pytest.raises(aiohttp.ClientConnectorError):
                    await session.get(url)

    assert connected == []


@pytest.mark.parametrize(
    "link",
    [
        "https://ada:secret@harbour.example/tide",
        "https://harbour.example:22/",
        "https://harbour.example:99999/",
        "http://harbour.example:443/",
        "https://[::1/",
        "https:///tide",
    ],
)
async def test_a_link_with_credentials_or_another_port_is_not_opened(
    sites: Websites, link: str
) -> None:
    reader, _ = pages(sites)

    page = await one(reader, link)

    assert page.trouble
    assert "secret" not in page.remark
    assert sites.connections == 0


@pytest.mark.parametrize("target", ["ftp://harbour.example/", "file:///etc/passwd", "https://[/"])
async def test_a_redirect_to_something_else_is_not_followed(sites: Websites, target: str) -> None:
    reader, _ = pages(sites)

    assert (await one(reader, f"https://{HARBOUR}/redirect?to={target}")).trouble
    assert sites.connections == 1


@pytest.mark.parametrize(
    ("path", "trouble"),
    [
        ("endless", "it is larger than 2 MB"),
        ("bomb", "it is larger than 2 MB"),
        ("unknown-packing", "it is no page of text"),
        ("typed?type=image/png", "it is no page of text"),
        ("typed?type=application/pdf", "it is no page of text"),
        ("typed?type=text/plain&body=%00", "it is no page of text"),
        ("typed?type=text/plain&body=%20", "I found no text in it"),
        ("typed?type=text/html&body=unparsable", "its text can't be read"),
        ("status?is=403", "the site refused to show it to me"),
        ("status?is=404", "the site has no such page"),
        ("status?is=500", "the site did not show it"),
    ],
)
async def test_why_a_page_was_not_read_is_said_in_one_sentence(
    sites: Websites, path: str, trouble: str
) -> None:
    reader, _ = pages(sites)

    page = await one(reader, f"https://{HARBOUR}/{path}")

    assert page.remark == f"I couldn't read the page at `harbour.example`: {trouble}."


async def test_a_site_that_drips_is_given_up(
    sites: Websites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_pages, "_SECONDS", 0.5)
    reader, _ = pages(sites)

    page = await one(reader, f"https://{HARBOUR}/slow")

    assert page.trouble == "the site did not send it within 10 seconds"


async def test_pages_wait_for_a_place_no_longer_than_for_a_page(
    sites: Websites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_pages, "_SECONDS", 0.05)
    reader, _ = pages(sites)
    reader._places = asyncio.Semaphore(0)

    assert "too many pages" in (await one(reader, f"https://{HARBOUR}/tide")).trouble


async def test_a_site_whose_certificate_is_another_ones_is_not_read(sites: Websites) -> None:
    reader, names = pages(sites)
    names.answers["stolen"] = [[ADDRESS]]

    page = await one(reader, "https://stolen.example/tide")

    assert page.trouble == "I could not connect to the site securely"


async def test_a_packed_page_is_unpacked(sites: Websites) -> None:
    reader, _ = pages(sites)

    assert "harbour master" in (await one(reader, f"https://{HARBOUR}/packed")).text


@pytest.mark.parametrize(
    ("kind", "encoding", "body"),
    [
        ("text/plain; charset=utf-8", "utf-8", "Gezeiten über Köln"),
        ("text/plain; charset=ISO-8859-1", "cp1252", "Gezeiten „über“ Köln"),
        ("application/json; charset=shift_jis", "shift_jis", "潮の満ち引きは一日に二度"),
        ("text/html", "cp1251", "<meta charset=windows-1251><p>Прилив дважды в день"),
        ("text/html; charset=idna", "utf-8", "<p>Прилив дважды в день"),
        ("text/html; charset=%C3%A9", "utf-8", "<p>Прилив дважды в день"),
        ("text/markdown", "utf-8", "- Прилив"),
    ],
)
async def test_a_page_is_read_in_its_encoding(
    sites: Websites, kind: str, encoding: str, body: str
) -> None:
    reader, _ = pages(sites)
    link = f"https://{HARBOUR}/typed?type={kind}&encoding={encoding}&body={body}"

    assert (await one(reader, link.replace(" ", "%20"))).text == body


async def test_lists_of_sites_hold_for_what_is_below_them_and_for_redirects(
    sites: Websites,
) -> None:
    blocked, _ = pages(sites, block_hosts=["EVIL.example"])
    allowed, _ = pages(sites, allow_hosts=["*.harbour.example"])

    for reader in (blocked, allowed):
        assert (await one(reader, f"https://{HARBOUR}/tide")).text
        assert sites.asked(EVIL) == []
        for link in (
            f"https://{EVIL}/",
            f"https://a.{EVIL}/",
            f"https://{HARBOUR}/redirect?to=https://{EVIL}/",
        ):
            trouble = (await one(reader, link)).trouble
            assert trouble == "my settings do not let me open pages there"
    assert sites.asked(EVIL) == []
    assert not (await one(allowed, "https://notharbour.example/")).text


@pytest.mark.parametrize("host", ["straße.example", "münchen.example", "例え.example"])
async def test_a_site_is_blocked_by_the_name_that_people_write(sites: Websites, host: str) -> None:
    reader, names = pages(sites, block_hosts=[host.title()])
    names.answers |= {name: [[ADDRESS]] for name in LinksSettings(block_hosts=(host,)).block_hosts}

    page = await one(reader, f"https://www.{host}/")

    assert page.trouble == "my settings do not let me open pages there"
    assert sites.connections == 0


async def test_headers_without_end_are_given_up(sites: Websites) -> None:
    reader, _ = pages(sites)

    page = await one(reader, f"https://{HARBOUR}/endless-headers")

    assert page.trouble == "I could not connect to the site securely"


async def test_only_so_many_pages_and_tokens_are_read(sites: Websites) -> None:
    reader, _ = pages(sites, pages=2, tokens=200)
    sites.pages[f"{OTHER}/"] = article("Other", "word " * 100_000)

    first, second, rest = await reader.read(
        [f"https://{HARBOUR}/tide", f"https://{OTHER}/", f"https://{EVIL}/"]
    )

    assert (first.cut, second.cut) == (True, True)
    assert len(first.text) < 800
    assert rest.remark == "I read only the first 2 pages that you link to."
    assert sites.asked(EVIL) == []


def test_what_a_failed_link_is_called_cannot_act_as_markup() -> None:
    for link in ("https://`@everyone`.example/", "https://[x](y).example", "https://"):
        remark = WebPage(link, trouble="it is no page of text").remark
        assert remark.count("`") == 2
        assert not set(remark) & set("@[]()*")


ADA, SKY = Author(1, "Ada"), Author(7, "Sky", bot=True)


def said(number: int, text: str, author: Author = ADA, **more: object) -> Message:
    return replace(Message(number, 10, author, text), **more)  # type: ignore[arg-type]


def test_links_are_those_of_the_question_and_of_what_it_replies_to() -> None:
    call = said(9, "see (https://a.example/x_(y)), **https://b.example.** or", replies_to=8)
    replied = said(
        8, "<https://c.example/?q=1> https://a.example/x_(y)", forwarded="http://d.example"
    )
    before = said(7, "https://older.example")

    found = links_of(MessageChain(call, [replied, before]), SKY.id)

    assert found == [
        "https://a.example/x_(y)",
        "https://b.example",
        "https://c.example/?q=1",
        "http://d.example",
    ]


def test_links_to_discords_messages_and_those_that_the_bot_wrote_are_not_opened() -> None:
    call = said(
        9, "https://discord.com/channels/1/2/3 https://ptb.discord.com/channels/1/2/3", replies_to=8
    )
    answer = said(8, "-# Sources: <https://a.example>", SKY)

    assert links_of(MessageChain(call, [answer]), SKY.id) == []


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111"])
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_no_address_within_another_one_is_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    within = (
        *(number, 0xFFFF << 32 | number, 0xFFFF << 48 | number),
        *(0x64FF9B << 96 | number, 0x2002 << 112 | number << 80),
        *(0x20010000 << 96 | number, 0x20010000 << 96 | number << 64),
        *(0x2606_4700 << 96 | 0x5EFE << 32 | number, 0x2606_4700 << 96 | 0x200_5EFE << 32 | number),
    )
    assert not any(is_public(str(ipaddress.IPv6Address(each))) for each in within)
    assert not is_public(str(number))
    assert is_public(str(address)) <= address.is_global


@given(st.text(max_size=40))
def test_no_text_that_is_no_address_is_public(text: str) -> None:
    if is_public(text):
        assert ipaddress.ip_address(text).is_global


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "no such name"), UnicodeError("long")])
async def test_a_name_that_nobody_has_is_no_error_of_the_bot(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    reader = WebPages(LinksSettings(pages=1), FakeParser(), Metrics())

    page = await one(reader, "https://nobody-has-this.example/")

    assert page.trouble == "it has no address on the public internet"


async def test_a_name_server_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(60) and [])
    monkeypatch.setattr(web_pages, "_SECONDS", 0.2)
    reader = WebPages(LinksSettings(pages=1), FakeParser(), Metrics())

    page = await one(reader, "https://harbour.example/")
    answer.set()

    assert page.trouble == "the site did not send it within 10 seconds"


async def test_a_name_is_not_looked_for_in_the_clusters_own_domains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def resolve(name: str, port: int, **_: object) -> list[object]:
        asked.append((name, port))
        return [(0, 0, 0, "", ("10.0.0.1", port)), (0, 0, 0, "", ("fe80::1%eth0", port, 0, 2))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    found = await web_pages.look_up("kubernetes.default", 443)

    assert asked == [("kubernetes.default.", 443)]
    assert found == [("10.0.0.1", 443), ("fe80::1%eth0", 443)]
