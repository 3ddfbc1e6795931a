"""A web server over TLS with the habits of good and of bad sites, in the test's own event loop.

Each site is a name; all are one listener on an address of this machine that nothing else uses, so
that a connection to any other address is known for what it is. A page's path says what happens.
"""

import asyncio
import gzip
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESS = "127.80.80.80"
_ANY = (str(ipaddress.IPv4Address(0)), str(ipaddress.IPv6Address(0)))
# Addresses that no link may lead to: of this machine, of private networks and of the cloud's own
# services, and IPv6 ones that contain an IPv4 address.
FORBIDDEN = (
    *("127.0.0.1", "10.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("224.0.0.1", "255.255.255.255", "168.63.129.16", "192.0.0.192", "198.18.0.1", *_ANY),
    *("::1", "fe80::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    *("2002:7f00:1::", "2001:0:53aa:64c:0:0:80ff:fffe", "2606:4700::5efe:7f00:1"),
    *("fe80::1%1", "2606:4700::1111%1"),
)
# Other forms of them, which some libraries understand, and names without a dot.
ODD_FORMS = (
    *("2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "127.1", "0x7f.1", "127.0.0.1."),
    *("127.000.000.001", "1.1.1.01", "١٢٧.0.0.1", "127。0。0。1"),
    *("localhost", "printer", "a..example"),
)
FORBIDDEN_HOSTS = (*(f"[{each}]" if ":" in each else each for each in FORBIDDEN), *ODD_FORMS)
_STORY = " ".join(["The tide comes twice a day, and the harbour master knows when."] * 8)


def article(title: str, text: str = _STORY) -> bytes:
    """Write a page as sites have them: an article among what surrounds it."""
    return (
        f"<!doctype html><html><head><title>{title}</title>"
        "<script>var secret = 'of a script';</script></head>"
        "<body><nav><a href='/'>Home</a> <a href='/all'>All our pages</a></nav>"
        f"<main><article><h1>{title}</h1><p>{text}</p><p>{_STORY}</p></article></main>"
        "<footer>Imprint and cookies</footer></body></html>"
    ).encode()


@dataclass
class Websites:
    """The running server: where it is, and the requests that it got, with their headers."""

    port: int
    authority: Path
    pages: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    connections: int = 0

    def asked(self, host: str) -> list[str]:
        """Give the paths that were asked of a site."""
        return [path for name, path, _ in self.requests if name == host]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._answer(reader, writer)
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        target = lines[0].split()[1]
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        self.requests.append((headers["host"], target, headers))
        url = urlsplit(target)
        options = {key: values[0] for key, values in parse_qs(url.query).items()}
        habit = _HABITS.get(url.path.strip("/"))
        if habit is not None:
            await habit(writer, options)
        else:
            page = self.pages.get(headers["host"] + unquote(url.path))
            await _send(writer, page or b"", status="200 OK" if page else "404 Not Found")


async def _send(
    writer: asyncio.StreamWriter,
    body: bytes,
    status: str = "200 OK",
    kind: str = "text/html; charset=utf-8",
    *more: str,
) -> None:
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    await writer.drain()
    writer.write_eof() if writer.can_write_eof() else writer.close()


async def _redirect(writer: asyncio.StreamWriter, options: dict[str, str]) -> None:
    """Lead to `to`; with `times`, to itself so often before."""
    times = int(options.get("times", "0"))
    to = f"/redirect?times={times - 1}&to={options['to']}" if times else options["to"]
    await _send(writer, b"", "302 Found", "text/html", f"Location: {to}", "Set-Cookie: a=b")


async def _typed(writer: asyncio.StreamWriter, options: dict[str, str]) -> None:
    body = options.get("body", "words").encode(options.get("encoding", "utf-8"))
    await _send(writer, body, kind=options["type"])


async def _status(writer: asyncio.StreamWriter, options: dict[str, str]) -> None:
    await _send(writer, b"no", status=f"{options['is']} Status")


async def _for_ever(writer: asyncio.StreamWriter, head: bytes, more: bytes, pause: float) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n" + head)
    while True:
        writer.write(more)
        await writer.drain()
        # drain() lets nobody else run, not even the news that nobody reads: a pause of 0 does.
        await asyncio.sleep(pause)


async def _endless(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    await _for_ever(writer, _HTML_FOLLOWS, b"<p>more</p>" * 1000, 0)


async def _endless_headers(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    await _for_ever(writer, b"", b"X-More: and more\r\n" * 1000, 0)


async def _slow(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    await _for_ever(writer, _HTML_FOLLOWS, b"<p>", 0.1)


async def _bomb(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    await _send(writer, gzip.compress(bytes(64 << 20)), "200 OK", "text/plain", _GZIP)


async def _packed(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    await _send(writer, gzip.compress(article("Packed")), "200 OK", "text/html", _GZIP)


async def _unknown_packing(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    await _send(writer, b"\x1b\x02", "200 OK", "text/html", "Content-Encoding: br")


_GZIP = "Content-Encoding: gzip"
_HTML_FOLLOWS = b"Content-Type: text/html\r\n\r\n"
_HABITS: dict[str, Callable[[asyncio.StreamWriter, dict[str, str]], Awaitable[None]]] = {
    "redirect": _redirect,
    "typed": _typed,
    "status": _status,
    "endless": _endless,
    "endless-headers": _endless_headers,
    "slow": _slow,
    "bomb": _bomb,
    "packed": _packed,
    "unknown-packing": _unknown_packing,
}


@dataclass
class Inside:
    """What listens where no link may lead: at which addresses, and the connections that came."""

    addresses: set[str] = field(default_factory=set)
    connections: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def inside(*ports: int) -> AsyncIterator[Inside]:
    """Listen at those forbidden addresses that this machine has, and at what ports it may."""
    watched = Inside()
    async with AsyncExitStack() as stack:
        for address in FORBIDDEN:
            for port in ports:
                # An address for all of this machine's would take the sites' own place.
                if address not in _ANY and (bound := _bound(address, port)):
                    await stack.enter_async_context(await _counting(watched, address, bound))
        yield watched


def _bound(address: str, port: int) -> socket.socket | None:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
    except OSError:  # the machine has no such address, or keeps the port to others
        made.close()
        return None
    return made


async def _counting(watched: Inside, address: str, bound: socket.socket) -> asyncio.Server:
    def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watched.connections[address] += 1
        writer.transport.abort()

    watched.addresses.add(address)
    return await asyncio.start_server(came, sock=bound)


@asynccontextmanager
async def running(folder: Path, *names: str) -> AsyncIterator[Websites]:
    """Run the sites of `names`; a client that trusts `authority` trusts them."""
    certificate, key = _certificate(folder, names)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    sites = Websites(0, certificate)
    server = await asyncio.start_server(sites.serve, ADDRESS, 0, ssl=context)
    sites.port = server.sockets[0].getsockname()[1]
    try:
        yield sites
    finally:
        server.close()


def _certificate(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """Write a certificate for the names that signs itself, and its key."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()  # also in the name, by which trusted ones are found
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test sites {serial:x}"[:64])])
    sites = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(sites, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, files = serialization.Encoding.PEM, (folder / "sites.crt", folder / "sites.key")
    files[0].write_bytes(certificate.public_bytes(pem))
    files[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
