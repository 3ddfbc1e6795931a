"""What a file is, by its own bytes: names and declared types can be anything.

Files from Discord's CDN, one client for the life of the process, made when first needed.

What people attach, made readable for the model: pictures to look at, and plain text.

What a file is, its own bytes say, not its name. The bot fetches it and hands it on inside the
request. The address alone would cost less here, but then what was checked need not be what the
model sees, providers give up on Discord's addresses now and then, and many cannot fetch at all.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.domain.messages import Attachment
    from bot.settings.schema import FilesSettings as Limits


_TAIL = 4096  # some programs write on after a picture's end
_RIFF_HEADER = 8


def picture_type(data: bytes) -> str | None:
    """Give the media type of a picture that models look at; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def is_whole(data: bytes) -> bool:
    """Whether a picture has its end. One that broke off on its way has not."""
    tail = data[-_TAIL:]
    match picture_type(data):
        case "image/png":
            return b"IEND" in tail
        case "image/jpeg":
            return b"\xff\xd9" in tail
        case "image/gif":
            return b";" in tail[-64:]
        case "image/webp":
            return len(data) >= int.from_bytes(data[4:8], "little") + _RIFF_HEADER
    return False


def plain_text(data: bytes) -> str | None:
    """Read a text file; None for anything else."""
    coding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = data.decode(coding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


_SECONDS = 15.0
_PIECE = 1 << 16
_OK = 200


class Downloads:
    """See files.Source."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, most: int) -> bytes:
        """See files.Source. Addresses come from Discord alone; redirects are not followed."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        data = bytearray()
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != _OK:
                    raise Unfetched(f"status {response.status}")
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
_KILO, _MEGA = 1 << 10, 1 << 20
_UNKNOWN = "neither plain text nor a picture that I know (PNG, JPEG, GIF, WebP)"


class Unfetched(Exception):
    """A file is gone, or did not come in time."""


class FileSource(Protocol):
    """Where files come from."""

    async def fetch(self, url: str, most: int) -> bytes:
        """Give a file's bytes, `most` at the most; raises Unfetched."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An attachment, opened: a picture as a data URL, or a text, or why it is neither."""

    name: str
    picture: str = ""
    text: str = ""
    trouble: str = ""

    @property
    def remark(self) -> str:
        """What the person is told about it; empty if it could be opened."""
        return f"I can't open {_shown(self.name)}: {self.trouble}." if self.trouble else ""


class AttachmentReader:
    """Opens attachments, in as much memory as there is for them."""

    def __init__(self, source: FileSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._held = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def opened(self, wanted: Sequence[Attachment]) -> AsyncIterator[dict[str, OpenedFile]]:
        """Give the files by their address, for as long as they are needed; newest are first.

        Who asks while all memory is in use waits. More files than can be opened are left out.
        """
        if not wanted:
            yield {}
            return
        wanted = wanted[:_MOST]
        size = sum(each.size for each in wanted if each.size <= self._most)
        async with self._freed:
            await self._freed.wait_for(lambda: not self._held or self._held + size <= _IN_MEMORY)
            self._held += size
        try:
            found = await asyncio.gather(*map(self._open, wanted))
            yield dict(zip((each.url for each in wanted), self._few(found), strict=True))
        finally:
            self._held -= size
            async with self._freed:
                self._freed.notify_all()

    @property
    def _most(self) -> int:
        return self._limits.picture_megabytes * _MEGA

    async def _open(self, wanted: Attachment) -> OpenedFile:
        if wanted.size > self._most:
            limit = f"it is larger than {self._limits.picture_megabytes} MB"
            return OpenedFile(wanted.name, trouble=limit)
        try:
            data = await self._source.fetch(wanted.url, self._most)
        except Unfetched:
            return OpenedFile(wanted.name, trouble="it is gone, or Discord did not hand it out")
        return self._read(wanted.name, data)

    def _read(self, name: str, data: bytes) -> OpenedFile:
        kind = picture_type(data)
        if kind is not None and not is_whole(data):
            return OpenedFile(name, trouble="it is damaged")
        if kind is not None:
            return OpenedFile(name, picture=f"data:{kind};base64,{base64.b64encode(data).decode()}")
        text = plain_text(data)
        if text is None:
            return OpenedFile(name, trouble=f"it is {_UNKNOWN}")
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


def _shown(name: str) -> str:
    """A file's name as a message shows it, unable to be anything else than a name."""
    return f"`{name[:80].replace('`', '')}`"
