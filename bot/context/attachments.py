"""Open what people attach, pictures, plain text and documents, for the model.

A file's bytes determine its type, not its name or its declared type. The bot downloads a file from
Discord's CDN and sends it inside the request. Sending only the address would be cheaper, but then
the model might see something else than was checked, providers sometimes fail to fetch from Discord,
and many cannot fetch at all. Documents are parsed in a child process (parser_process.py).
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import re
import unicodedata
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import aiohttp

from bot.context.parser_process import Parsed, ParseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bot.domain.messages import Attachment
    from bot.settings.schema import FilesSettings as Limits


_RIFF_HEADER = 8
_PNG_HEADER, _PNG_CHUNK = 8, 12  # a chunk's length, type and checksum
_GIF_HEADER, _GIF_IMAGE = 13, 10
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # within compressed data it is escaped
_JPEG_END, _JPEG_SCAN, _JPEG_ALONE = 0xD9, 0xDA, frozenset({0x01, 0xD8})


def picture_type(data: bytes) -> str | None:
    """Return the media type of a picture that models look at; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def picture_end(data: bytes) -> int | None:
    """Say where a picture ends; None if it has no end: it broke off on its way.

    Programs write on after it: a phone the film of a motion photo, others their notes.
    """
    ends = {
        "image/png": _png_end,
        "image/jpeg": _jpeg_end,
        "image/gif": _gif_end,
        "image/webp": _webp_end,
    }
    kind = picture_type(data)
    end = ends[kind](data) if kind is not None else 0
    return end if 0 < end <= len(data) else None


def _png_end(data: bytes) -> int:
    at = _PNG_HEADER
    while at + _PNG_CHUNK <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += size + _PNG_CHUNK
        if kind == b"IEND":
            return at
    return 0


def _jpeg_end(data: bytes) -> int:
    at = 2
    while (found := _JPEG_MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _JPEG_END:
            return at
        if marker not in _JPEG_ALONE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return 0


def _gif_end(data: bytes) -> int:
    def colours(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    def after_blocks(at: int) -> int:
        while at < len(data) and data[at]:
            at += data[at] + 1
        return at + 1

    at = _GIF_HEADER + (colours(data[10]) if len(data) > _GIF_HEADER else 0)
    while at < len(data):
        match data[at : at + 1]:
            case b";":
                return at + 1
            case b"!":
                at = after_blocks(at + 2)
            case b"," if at + _GIF_IMAGE < len(data):
                at = after_blocks(at + _GIF_IMAGE + colours(data[at + 9]) + 1)
            case _:  # blocks of no known kind, from an old program: its own end has to do
                return len(data) if b";" in data[-64:] else 0
    return 0


def _webp_end(data: bytes) -> int:
    return int.from_bytes(data[4:8], "little") + _RIFF_HEADER


# What is written in letters and is no text to read, by its beginning.
_NOT_TEXT = {
    b"%PDF-": "a PDF, which I can't read",
    b"%!PS": "a PostScript file, which I can't read",
    b"{\\rtf": "an RTF file, which I can't read",
}
_BEGINNING = 1024  # bytes within which a PDF may have its first line
_SAMPLE = 1 << 14  # bytes from which the encoding is detected
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ENCODINGS = [
    *("cp1252", "cp932", "gb18030", "utf_16_le", "utf_16_be", "big5", "euc_kr"),
    *("cp1251", "koi8_r", "euc_jp", "cp1253", "cp1255", "cp1256"),
]
_WIDE = ["utf_16_le", "utf_16_be"]
_NO_WORDS = frozenset({"Cn", "Co"})  # unassigned and private: what other bytes look like in UTF-16
_CONTROLS = bytes({*range(32), 127} - {*b"\t\n\v\f\r\x1b"})


def other_kind(data: bytes) -> str | None:
    """Name a format that consists of letters and is no text; None for anything else."""
    found = (kind for mark, kind in _NOT_TEXT.items() if data.lstrip().startswith(mark))
    if (kind := next(found, None)) is not None:
        return kind
    return _NOT_TEXT[b"%PDF-"] if b"%PDF-" in data[:_BEGINNING] and b"\nendobj" in data else None


_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def document_kind(data: bytes) -> str | None:
    """Return the kind of a document for ParserProcess; None for anything else."""
    if data.startswith((b"PK\3\4", b"PK\5\6")):
        return "office"
    return "pdf" if other_kind(data) == _NOT_TEXT[b"%PDF-"] else None


def _old_office(data: bytes) -> str:
    """Explain a file in the format that Office has for old and for encrypted files."""
    if not data.startswith(_OLE):
        return ""
    if _ENCRYPTED in data:
        return "it is encrypted"
    return "it is an old Office file; save it as .docx, .xlsx or .pptx"


def plain_text(data: bytes) -> str | None:
    """Read a text file in whatever encoding it is; None for anything else."""
    for bom, encoding in _BOMS.items():
        if data.startswith(bom):
            return _decoded(data, encoding)
    if (text := _decoded(data, "utf-8")) is not None:
        return text
    if len(data) == len(data.translate(None, _CONTROLS)):
        encodings = _ENCODINGS
    elif len(data) % 2 == 0:
        encodings = _WIDE  # only these have bytes of control characters in words
    else:
        return None
    # Few files need it, and it takes 3 MiB and a moment of every start.
    import charset_normalizer  # noqa: PLC0415

    best = charset_normalizer.from_bytes(data[:_SAMPLE], cp_isolation=encodings).best()
    if best is None:
        return None
    encoding = best.encoding
    if encoding == "euc_kr" and not any("\uac00" <= each <= "\ud7a3" for each in str(best)):
        encoding = "gb18030"  # Chinese characters alone: more people write those in GBK
    text = _decoded(data, encoding)
    if text is None or encodings is _ENCODINGS:
        return text
    return None if any(unicodedata.category(each) in _NO_WORDS for each in text[:_SAMPLE]) else text


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


_SECONDS = 15.0
_PIECE = 1 << 16
_OK = 200
_GONE = frozenset({403, 404, 410})  # also what an address is answered that has expired


class Downloads:
    """See FileSource."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, most: int) -> bytes:
        """See FileSource. Addresses come from Discord alone; redirects are not followed."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        data = bytearray()
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != _OK:
                    gone = response.status in _GONE
                    raise Unfetched(f"status {response.status}", gone=gone)
                async for piece in response.content.iter_chunked(_PIECE):
                    data += piece
                    if len(data) > most:
                        raise Unfetched("larger than Discord said")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unfetched(type(error).__name__) from error
        return bytes(data)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


_MOST = 10  # files of one conversation, the newest: as many as one message can have
_IN_MEMORY = 16 << 20  # bytes of all files that are being answered; a request holds them threefold
_PATIENCE = 3.0  # seconds that a question with files waits for that memory
_NO_MEMORY = "too many files are being read right now; ask again in a minute"
_KILO, _MEGA = 1 << 10, 1 << 20
_UNKNOWN = "neither plain text nor a picture that I know (PNG, JPEG, GIF, WebP)"


class Unfetched(Exception):
    """A file is `gone` from its address, or did not come in time."""

    def __init__(self, message: str = "", *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class FileSource(Protocol):
    """Where files come from."""

    async def fetch(self, url: str, most: int) -> bytes:
        """Return a file's bytes, at most `most` of them; raises Unfetched."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An attachment, opened: a picture as a data URL, or a text, or why it is neither.

    The text of a `document` was taken out of it; `part` says which part of it that is.
    """

    name: str
    picture: str = ""
    text: str = ""
    trouble: str = ""
    document: bool = False
    part: str = ""

    @property
    def remark(self) -> str:
        """A sentence about what was not read, for the person; empty if all of it was."""
        if self.part:
            return f"I read only {self.part} of {_shown(self.name)}."
        return f"I can't open {_shown(self.name)}: {self.trouble}." if self.trouble else ""


class DocumentParser(Protocol):
    """Parses what strangers wrote; see ParserProcess."""

    async def parse(self, kind: str, data: bytes) -> Parsed:
        """Return the text of a file; raises ParseError."""


class AttachmentReader:
    """Opens attachments, in as much memory as there is for them."""

    def __init__(
        self,
        source: FileSource,
        limits: Limits,
        refresh: Callable[[int, int], Awaitable[dict[int, str]]] | None = None,
        patience: float = _PATIENCE,
        documents: DocumentParser | None = None,
    ) -> None:
        """Open files of `source`.

        Addresses expire: `refresh` gives those that the files of a message have now, by their ids;
        it is called with the ids of channel and message. Without `documents`, none are read.
        """
        self._source = source
        self._documents = documents
        self._refresh = refresh
        self._limits = limits
        self._patience = patience
        self._held = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def opened(self, wanted: Sequence[Attachment]) -> AsyncIterator[dict[str, OpenedFile]]:
        """Open the files of `wanted`, newest first; yield them by address for the block.

        A caller waits for memory that is in use, but only for a moment, because it occupies one of
        the places for answers meanwhile. Files beyond the limit are left out.
        """
        if not wanted:
            yield {}
            return
        wanted = wanted[:_MOST]
        size = sum(each.size for each in wanted if each.size <= self._most)
        try:
            async with asyncio.timeout(self._patience), self._freed:
                await self._freed.wait_for(
                    lambda: not self._held or self._held + size <= _IN_MEMORY
                )
                self._held += size
        except TimeoutError:
            yield {each.url: OpenedFile(each.name, trouble=_NO_MEMORY) for each in wanted}
            return
        try:
            fresh = _FreshAddresses(self._refresh)
            found = await asyncio.gather(*(self._open(each, fresh) for each in wanted))
            yield dict(zip((each.url for each in wanted), self._few(found), strict=True))
        finally:
            self._held -= size
            async with self._freed:
                self._freed.notify_all()

    @property
    def _most(self) -> int:
        return self._limits.picture_megabytes * _MEGA

    async def _open(self, wanted: Attachment, fresh: _FreshAddresses) -> OpenedFile:
        if wanted.size > self._most:
            limit = f"it is larger than {self._limits.picture_megabytes} MB"
            return OpenedFile(wanted.name, trouble=limit)
        try:
            data = await self._fetch(wanted, fresh)
        except Unfetched:
            return OpenedFile(wanted.name, trouble="it was deleted, or Discord did not deliver it")
        if self._documents is not None and (kind := document_kind(data)) is not None:
            try:
                parsed = await self._documents.parse(kind, data)
                return _document(wanted.name, kind, parsed, self._limits.document_characters)
            except ParseError as error:
                return OpenedFile(wanted.name, trouble=str(error))
        return await asyncio.to_thread(self._read, wanted.name, data)

    async def _fetch(self, wanted: Attachment, fresh: _FreshAddresses) -> bytes:
        """Fetch a file; once more where its address has expired and there is a fresh one."""
        try:
            return await self._source.fetch(wanted.url, self._most)
        except Unfetched as error:
            address = await fresh.of(wanted) if error.gone else None
            if address is None:
                raise
            return await self._source.fetch(address, self._most)

    def _read(self, name: str, data: bytes) -> OpenedFile:
        if (kind := picture_type(data)) is not None:
            if (end := picture_end(data)) is None:
                return OpenedFile(name, trouble="it is damaged")
            encoded = base64.b64encode(memoryview(data)[:end]).decode()
            return OpenedFile(name, picture=f"data:{kind};base64,{encoded}")
        if (other := other_kind(data)) is not None:
            return OpenedFile(name, trouble=f"it is {other}")
        text = plain_text(data)
        if text is None:
            old = _old_office(data) if self._documents is not None else ""
            return OpenedFile(name, trouble=old or f"it is {_UNKNOWN}")
        if len(data) > self._limits.text_kilobytes * _KILO:
            limit = f"it is a text of more than {self._limits.text_kilobytes} KB"
            return OpenedFile(name, trouble=limit)
        return OpenedFile(name, text=text)

    def _few(self, files: Sequence[OpenedFile]) -> list[OpenedFile]:
        """The files, with no more pictures in them than are looked at."""
        kept, pictures = [], 0
        for file in files:
            pictures += bool(file.picture)
            if file.picture and pictures > self._limits.pictures:
                limit = f"I look at {self._limits.pictures} pictures at most"
                limit = limit if self._limits.pictures else "the model I use can't see pictures"
                kept.append(OpenedFile(file.name, trouble=limit))
            else:
                kept.append(file)
        return kept


def _document(name: str, kind: str, parsed: Parsed, most: int) -> OpenedFile:
    text, part = parsed.text[:most], ""
    if text == parsed.text and 0 < parsed.pages < parsed.of_pages:
        unit = "pages" if kind == "pdf" else "slides or sheets"
        part = f"{parsed.pages} of {parsed.of_pages} {unit}"
    elif text != parsed.text or parsed.truncated:
        part = "the beginning"
    return OpenedFile(name, text=text, document=True, part=part)


class _FreshAddresses:
    """The new addresses of files, asked for once for each message."""

    def __init__(self, refresh: Callable[[int, int], Awaitable[dict[int, str]]] | None) -> None:
        self._refresh = refresh
        self._known: dict[int, dict[int, str]] = {}
        self._asking = asyncio.Lock()

    async def of(self, file: Attachment) -> str | None:
        """Return a file's new address; None if there is none."""
        if self._refresh is None or not file.message_id:
            return None
        async with self._asking:
            if file.message_id not in self._known:
                found = await self._refresh(file.channel_id, file.message_id)
                self._known[file.message_id] = found
        return self._known[file.message_id].get(file.id)


def _shown(name: str) -> str:
    """Return a file's name, escaped so that it cannot act as markup in a message."""
    return f"`{name[:80].replace('`', '')}`"
