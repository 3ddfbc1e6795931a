"""Read the pages that people link to: from public addresses only, and of a page its main text.

The person who writes a link chooses what the bot connects to. So a name is resolved here, every
address of it has to be one of the public internet, and the connection goes to an address that was
checked; all of that again at each redirect. Requests carry nothing of a person: no cookies, no
credentials, no referrer. A page is parsed in a child process (parser_process.py).
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import enum
import ipaddress
import re
import socket
import threading
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bot.context.attachments import plain_text
from bot.context.parser_process import Parsed, ParseError
from bot.domain import text as tokens
from bot.domain.bounded import BoundedDict
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bot.context.history import MessageChain
    from bot.observability.metrics import Metrics
    from bot.settings.schema import LinksSettings


class Unread(enum.Enum):
    """Why a page was not read, as a clause about "it"; the name is the metric's label."""

    ODD = "I open web addresses that begin with https:// only"
    BLOCKED = "my settings do not let me open pages there"
    NOT_PUBLIC = "it has no address on the public internet"
    REDIRECTS = "it leads on to other pages too often"
    REFUSED = "the site refused to show it to me"
    MISSING = "the site has no such page"
    FAULTY = "the site did not show it"
    NOT_TEXT = "it is no page of text"
    LARGE = "it is larger than 2 MB"
    SLOW = "the site did not send it within 10 seconds"
    UNREACHABLE = "I could not connect to the site securely"
    EMPTY = "I found no text in it"
    UNPARSED = "its text can't be read"
    BUSY = "too many pages are being read right now; ask again in a minute"


_LONGEST_NAME = 300  # characters; five of them fit into a message beside an answer's end


class _Failed(Exception):
    def __init__(self, why: Unread) -> None:
        super().__init__(why.name)
        self.why = why


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page that somebody linked to: its main text, `cut` to what there is room for, or `trouble`.

    One without `url` stands for links that were left out.
    """

    url: str
    title: str = ""
    text: str = ""
    cut: bool = False
    trouble: str = ""

    @property
    def name(self) -> str:
        """What it is called below an answer: its address, or its site if that is very long."""
        return f"<{self.url}>" if len(self.url) <= _LONGEST_NAME else f"`{_host_shown(self.url)}`"

    @property
    def remark(self) -> str:
        """A sentence for the person on why it was not read; empty if it was."""
        if not self.trouble or not self.url:
            return self.trouble
        return f"I couldn't read the page at `{_host_shown(self.url)}`: {self.trouble}."


def _host_shown(url: str) -> str:
    """Name the site of a link, in letters that cannot act as markup."""
    with contextlib.suppress(ValueError):
        return re.sub(r"[^\w.:-]", "", URL(url).host or "")[:100] or "a link"
    return "a link"


# Discord's own links to messages are no pages: history.py follows them.
_LINK = re.compile(
    r"(?<!\w)https?://(?!(?:\w+\.)?discord(?:app)?\.com/channels/)[^\s<>`\"|]{1,2000}",
    re.IGNORECASE,
)
_AFTER_LINK = ".,;:!?'*_~"
_PAIRS = {")": "(", "]": "[", "}": "{"}


def links_of(chain: MessageChain, me: int) -> list[str]:
    """List the links in a question and in what it replies to, each once, in order.

    Not those in the bot's own messages: it wrote them, so a page could choose them.
    """
    replied = [each for each in chain.messages if each.id == chain.call.replies_to]
    spoken = [each for each in (chain.call, *replied) if each.author.id != me]
    texts = (text for each in spoken for text in (each.text, each.forwarded))
    found = (_trimmed(hit[0]) for text in texts for hit in _LINK.finditer(text))
    return list(dict.fromkeys(found))


def _trimmed(link: str) -> str:
    """Drop what ends a sentence or a bracket around the link, as Discord does."""
    while link and (
        link[-1] in _AFTER_LINK
        or (link[-1] in _PAIRS and link.count(link[-1]) > link.count(_PAIRS[link[-1]]))
    ):
        link = link[:-1]
    return link


_V4_SPECIAL = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # Azure's virtual machines reach their host there
        ),
    )
)
_V6_PUBLIC = ipaddress.IPv6Network("2000::/3")
_V6_SPECIAL = tuple(
    map(
        ipaddress.IPv6Network,
        # Among them those that contain an IPv4 address: Teredo in the first one, and 6to4. NAT64
        # and addresses that are mapped or compatible are outside 2000::/3.
        ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
# A tunnel of this kind ends at the IPv4 address in the last four bytes, below any prefix.
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def is_public(address: str) -> bool:
    """Say whether an address is one of the public internet, and contains no other address.

    Whatever is not the usual form of an address is not (a decimal or octal one, a zone). Python's
    own `is_global` differs between its versions, and knows nothing of NAT64 or of Azure.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not any(parsed in each for each in _V4_SPECIAL)
    special = parsed.scope_id is not None or any(parsed in each for each in _V6_SPECIAL)
    isatap = parsed.packed[8:12] in _ISATAP
    return parsed.is_global and parsed in _V6_PUBLIC and not (special or isatap)


async def look_up(host: str, port: int) -> list[tuple[str, int]]:
    """Resolve a name to addresses and ports; raises OSError.

    In a thread of its own that nobody waits for: a name server that does not answer would take the
    event loop's few threads from others, and hold up the end of the process.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[tuple[str, int]]] = loop.create_future()

    def settle(result: list[tuple[str, int]] | OSError) -> None:
        if found.done():
            return
        if isinstance(result, OSError):
            found.set_exception(result)
        else:
            found.set_result(result)

    def ask() -> None:
        result: list[tuple[str, int]] | OSError
        try:
            # With a dot at its end, a name is not looked for in the cluster's own domains.
            infos = socket.getaddrinfo(f"{host}.", port, type=socket.SOCK_STREAM)
            result = list(dict.fromkeys((str(info[4][0]), port) for info in infos))
        except (OSError, UnicodeError) as error:
            result = error if isinstance(error, OSError) else OSError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=ask, name="page_lookup", daemon=True).start()
    return await found


@dataclass(frozen=True, slots=True)
class Internet:
    """How names become addresses, and which of these may be connected to.

    No setting changes it. The tests pass one in whose public addresses are on this machine.
    """

    resolve: Callable[[str, int], Awaitable[list[tuple[str, int]]]] = look_up
    permits: Callable[[str], bool] = is_public


class HtmlParser(Protocol):
    """Parses what strangers wrote; see ParserProcess."""

    async def parse(self, kind: str, data: bytes) -> Parsed:
        """Return the text of a file; raises ParseError."""


_SECONDS = 10.0  # for a page, with its redirects and the wait for a place
_REDIRECTS = 3
_BYTES = 2 << 20  # of a page, as it is sent and unpacked
_PIECE = 1 << 16
_AT_ONCE = 8
_FRESH = 15 * 60.0  # seconds
_KEPT = 64  # pages
_PORTS = {"http": 80, "https": 443}
_OK, _MOVED = 200, frozenset({301, 302, 303, 307, 308})
_STATUS = {401: Unread.REFUSED, 403: Unread.REFUSED, 429: Unread.REFUSED, 451: Unread.REFUSED}
_STATUS |= {404: Unread.MISSING, 410: Unread.MISSING}
_HEADERS = {
    "User-Agent": "DiscordSky/1 (chat bot; reads a page once because somebody linked to it)",
    "Accept": "text/html, application/xhtml+xml, text/*;q=0.9, application/json;q=0.8",
    "Accept-Encoding": "gzip, deflate",
}
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(r"text/.+|application/(?:.+\+)?(?:json|xml)|application/(?:x-ndjson|yaml|toml)")
_NAME = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{1,62}"
)
_CHARACTERS_PER_TOKEN = 4  # at the most, as they are estimated


class WebPages:
    """Reads pages, a few at a time, and keeps what it read for a quarter of an hour."""

    def __init__(
        self,
        limits: LinksSettings,
        parser: HtmlParser,
        metrics: Metrics,
        internet: Internet | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._parser = parser
        self._metrics = metrics
        self._internet = internet or Internet()
        self._clock = clock
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._kept: BoundedDict[str, tuple[float, WebPage]] = BoundedDict(_KEPT)
        self._reading: dict[str, asyncio.Task[WebPage]] = {}

    async def linked(self, chain: MessageChain, me: int) -> list[WebPage]:
        """Read what a question, or what it replies to, links to; raises nothing."""
        return await self.read(links_of(chain, me))

    async def read(self, links: Sequence[str]) -> list[WebPage]:
        """Read the first pages of `links`, as many as the settings say; raises nothing."""
        most = self._limits.pages
        if not most or not links:
            return []
        pages = await asyncio.gather(*(self._read(link) for link in links[:most]))
        room = self._limits.tokens // len(pages)
        shown = [_shortened(page, room) for page in pages]
        if len(links) > most:
            only = "the first page" if most == 1 else f"the first {most} pages"
            shown.append(WebPage("", trouble=f"I read only {only} that you link to."))
        return shown

    async def _read(self, link: str) -> WebPage:
        kept = self._kept.get(link)
        if kept is not None and self._clock() < kept[0]:
            self._metrics.web_pages.labels("cached").inc()
            return kept[1]
        reading = self._reading.get(link)
        if reading is None:
            reading = self._reading[link] = tasks.start(self._read_once(link), "read_page")
            reading.add_done_callback(lambda _: self._reading.pop(link, None))
        return await asyncio.shield(reading)  # who stops waiting leaves it to the others

    async def _read_once(self, link: str) -> WebPage:
        try:
            page = await self._open(link)
        except _Failed as failed:
            self._metrics.web_pages.labels(failed.why.name.lower()).inc()
            return WebPage(link, trouble=failed.why.value)
        self._metrics.web_pages.labels("read").inc()
        self._kept[link] = (self._clock() + _FRESH, page)
        return page

    async def _open(self, link: str) -> WebPage:
        queued = True
        try:
            async with asyncio.timeout(_SECONDS), self._places:
                queued = False
                kind, charset, data = await self._fetch(link)
        except TimeoutError:
            raise _Failed(Unread.BUSY if queued else Unread.SLOW) from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise _Failed(Unread.UNREACHABLE) from None
        text = await asyncio.to_thread(_decoded, data, charset)
        if text is None:
            raise _Failed(Unread.NOT_TEXT)
        parsed = Parsed(text)
        if kind in _HTML:
            try:
                parsed = await self._parser.parse("page", text.encode())
            except ParseError:
                raise _Failed(Unread.UNPARSED) from None
        if not parsed.text.strip():
            raise _Failed(Unread.EMPTY)
        page = WebPage(link, _plain(parsed.title), parsed.text.strip(), cut=parsed.truncated)
        return _shortened(page, self._limits.tokens)

    async def _fetch(self, link: str) -> tuple[str, str, bytes]:
        """Return a page's type, the encoding that its site names, and its bytes."""
        url = self._checked(link)
        for _ in range(_REDIRECTS + 1):
            async with self._session(await self._addresses(url)) as session:
                response = await session.get(url, allow_redirects=False)
                try:
                    target = response.headers.get("Location")
                    if response.status not in _MOVED or target is None:
                        data = await _body(response)
                        return response.content_type, response.charset or "", data
                    url = self._checked(str(url.join(URL(target))))
                finally:
                    response.close()
        raise _Failed(Unread.REDIRECTS)

    def _checked(self, link: str) -> URL:
        """Return an address that may be looked up; http:// is asked as https://."""
        try:
            url = URL(link).with_fragment(None)
            host = (url.raw_host or "").rstrip(".").lower()
            usual = url.explicit_port in (None, _PORTS.get(url.scheme))
            odd = url.scheme not in _PORTS or url.user is not None or url.password is not None
        except ValueError:
            raise _Failed(Unread.ODD) from None
        if odd or not usual:
            raise _Failed(Unread.ODD)
        if not self._internet.permits(host) and not _NAME.fullmatch(host):
            raise _Failed(Unread.NOT_PUBLIC)
        allowed, blocked = self._limits.allow_hosts, self._limits.block_hosts
        if _among(host, blocked) or (allowed and not _among(host, allowed)):
            raise _Failed(Unread.BLOCKED)
        return url.with_scheme("https").with_port(None).with_host(host)

    async def _addresses(self, url: URL) -> list[tuple[str, int]]:
        """Resolve the site's name, once; every address has to be public."""
        host, permits = url.raw_host or "", self._internet.permits
        port = url.port or _PORTS["https"]
        if permits(host):
            return [(host, port)]
        try:
            found = await self._internet.resolve(host, port)
        except OSError:
            found = []
        if not found or not all(permits(address) for address, _ in found):
            raise _Failed(Unread.NOT_PUBLIC)
        return found

    def _session(self, addresses: Sequence[tuple[str, int]]) -> aiohttp.ClientSession:
        """Open a session that connects to these addresses only, and keeps no connection."""

        def checked_socket(info: aiohttp.AddrInfoType) -> socket.socket:
            """Make a socket; an address that was not looked up comes this way, too."""
            family, kind, protocol, _, address = info
            if not self._internet.permits(str(address[0])):
                raise OSError("not an address of the public internet")
            return socket.socket(family, kind, protocol)

        connector = aiohttp.TCPConnector(
            resolver=_Addresses(addresses),
            use_dns_cache=False,
            force_close=True,
            socket_factory=checked_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,  # it would unpack without a bound
            trust_env=False,  # no proxy: that would look names up itself; and no .netrc
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
        )


class _Addresses(AbstractResolver):
    """Knows the addresses of one name, which were checked."""

    def __init__(self, addresses: Iterable[tuple[str, int]]) -> None:
        self._addresses = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See AbstractResolver of aiohttp."""
        del port, family
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=at,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=numeric,
            )
            for address, at in self._addresses
        ]

    async def close(self) -> None:
        """Do nothing: it holds nothing."""


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read a page, unpacked within its bound."""
    if response.status != _OK:
        raise _Failed(_STATUS.get(response.status, Unread.FAULTY))
    if not _TEXT.fullmatch(response.content_type):
        raise _Failed(Unread.NOT_TEXT)
    unpack = _unpacker(response.headers.get("Content-Encoding", ""))
    data, came = bytearray(), 0
    async for piece in response.content.iter_chunked(_PIECE):
        came += len(piece)
        data += unpack(piece, _BYTES + 1 - len(data))
        if max(came, len(data)) > _BYTES:
            raise _Failed(Unread.LARGE)
    return bytes(data)


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return a function that unpacks a piece to at most so many bytes, and drops the rest."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda piece, most: piece[:most]
        case "gzip" | "x-gzip":
            unpacking: Any = zlib.decompressobj(zlib.MAX_WBITS | 16)
        case "deflate":
            unpacking = zlib.decompressobj()
        case _:
            raise _Failed(Unread.NOT_TEXT)

    def unpack(piece: bytes, most: int) -> bytes:
        try:
            return bytes(unpacking.decompress(piece, most))
        except zlib.error:
            raise _Failed(Unread.NOT_TEXT) from None

    return unpack


_META = re.compile(
    rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([\w:.-]{1,40})", re.IGNORECASE
)
_DECLARED_WITHIN = 4096  # bytes
# What sites name; others of Python's encodings are slow, or no encodings of text.
_CHARSETS = frozenset(
    (
        *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "big5", "big5hkscs", "gbk", "gb18030"),
        *("gb2312", "euc_jp", "shift_jis", "cp932", "iso2022_jp", "euc_kr", "cp949", "koi8-r"),
        *("koi8-u", "cp874", "mac-roman", *(f"cp125{number}" for number in range(9))),
        *(f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    )
)
_LIKE_CP1252 = frozenset({"ascii", "iso8859-1"})  # as browsers take them


def _decoded(data: bytes, charset: str) -> str | None:
    """Read a page's bytes: as its site says, or it itself, or as they look; None if no text."""
    declared = _META.search(data[:_DECLARED_WITHIN])
    for name in (charset, declared[1].decode("ascii", "ignore") if declared else ""):
        try:
            codec = codecs.lookup(name).name if name else ""
        except (LookupError, ValueError):  # the latter for one that is no text
            continue
        codec = "cp1252" if codec in _LIKE_CP1252 else codec
        if codec in _CHARSETS:
            text = data.decode(codec, "replace")
            return None if "\0" in text else text.removeprefix("\ufeff")
    return plain_text(data)


def _among(host: str, entries: Sequence[str]) -> bool:
    """Say whether a host is one of `entries`, or below one."""
    return any(host == each or host.endswith(f".{each}") for each in entries)


def _plain(title: str) -> str:
    return re.sub(r"\s+", " ", title).strip()[:200]


def _shortened(page: WebPage, most: int) -> WebPage:
    """Cut the text of a page to at most `most` tokens."""
    # The estimate looks at the whole text, so what is surely too much is cut first.
    text = tokens.beginning(page.text[: _CHARACTERS_PER_TOKEN * most + 1], most)
    return page if text == page.text else replace(page, text=text, cut=True)
