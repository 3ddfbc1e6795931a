"""What people attach, made readable for the model: pictures to look at, and plain text.

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

from bot.conversation.file_kinds import is_whole, picture_type, plain_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.messages import Attachment
    from bot.settings.schema import Files as Limits

_MOST = 10  # files of one conversation, the newest: as many as one message can have
_IN_MEMORY = 16 << 20  # bytes of all files that are being answered; a request holds them threefold
_KILO, _MEGA = 1 << 10, 1 << 20
_UNKNOWN = "neither plain text nor a picture that I know (PNG, JPEG, GIF, WebP)"


class Unfetched(Exception):
    """A file is gone, or did not come in time."""


class Source(Protocol):
    """Where files come from."""

    async def fetch(self, url: str, most: int) -> bytes:
        """Give a file's bytes, `most` at the most; raises Unfetched."""


@dataclass(frozen=True, slots=True)
class File:
    """An attachment, opened: a picture as a data URL, or a text, or why it is neither."""

    name: str
    picture: str = ""
    text: str = ""
    trouble: str = ""

    @property
    def remark(self) -> str:
        """What the person is told about it; empty if it could be opened."""
        return f"I can't open {_shown(self.name)}: {self.trouble}." if self.trouble else ""


class Reader:
    """Opens attachments, in as much memory as there is for them."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._held = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def opened(self, wanted: Sequence[Attachment]) -> AsyncIterator[dict[str, File]]:
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

    async def _open(self, wanted: Attachment) -> File:
        if wanted.size > self._most:
            limit = f"it is larger than {self._limits.picture_megabytes} MB"
            return File(wanted.name, trouble=limit)
        try:
            data = await self._source.fetch(wanted.url, self._most)
        except Unfetched:
            return File(wanted.name, trouble="it is gone, or Discord did not hand it out")
        return self._read(wanted.name, data)

    def _read(self, name: str, data: bytes) -> File:
        kind = picture_type(data)
        if kind is not None and not is_whole(data):
            return File(name, trouble="it is damaged")
        if kind is not None:
            return File(name, picture=f"data:{kind};base64,{base64.b64encode(data).decode()}")
        text = plain_text(data)
        if text is None:
            return File(name, trouble=f"it is {_UNKNOWN}")
        if len(data) > self._limits.text_kilobytes * _KILO:
            limit = f"it is a text of more than {self._limits.text_kilobytes} KB"
            return File(name, trouble=limit)
        return File(name, text=text)

    def _few(self, files: Sequence[File]) -> list[File]:
        """The files, with no more pictures in them than are looked at."""
        kept, pictures = [], 0
        for file in files:
            pictures += bool(file.picture)
            if file.picture and pictures > self._limits.pictures:
                limit = f"I look at {self._limits.pictures} pictures at most"
                limit = limit if self._limits.pictures else "the model I use can't see pictures"
                kept.append(File(file.name, trouble=limit))
            else:
                kept.append(file)
        return kept


def _shown(name: str) -> str:
    """A file's name as a message shows it, unable to be anything else than a name."""
    return f"`{name[:80].replace('`', '')}`"
