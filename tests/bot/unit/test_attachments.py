"""What people attach, opened or owned up to."""

from __future__ import annotations

import asyncio
from base64 import b64decode

import pytest

from bot.context.attachments import AttachmentReader, OpenedFile
from bot.domain.messages import Attachment
from bot.settings.schema import FilesSettings
from tests.bot.unit.fakes import FakeLeaseStore

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgwCBmKh1SgAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(100) + b"\xff\xd9"
GIF = b"GIF89a" + bytes(20) + b";"
WEBP = b"RIFF" + (16).to_bytes(4, "little") + b"WEBP" + bytes(12)


def attached(name: str, size: int = 100) -> Attachment:
    return Attachment(name, size, f"https://cdn.invalid/{name}")


async def opened(store: dict[str, bytes], *wanted: Attachment, **limits: int) -> list[OpenedFile]:
    source = FakeLeaseStore({f"https://cdn.invalid/{name}": data for name, data in store.items()})
    async with AttachmentReader(source, FilesSettings(**limits)).opened(wanted) as files:
        return list(files.values())


@pytest.mark.parametrize(
    ("data", "kind"), [(PNG, "png"), (JPEG, "jpeg"), (GIF, "gif"), (WEBP, "webp")]
)
async def test_a_picture_is_known_by_its_bytes_and_not_by_its_name(data: bytes, kind: str) -> None:
    (file,) = await opened({"notes.txt": data}, attached("notes.txt"))

    assert file.picture.startswith(f"data:image/{kind};base64,")
    assert b64decode(file.picture.partition(",")[2]) == data
    assert not file.remark


@pytest.mark.parametrize("data", [PNG[:-12], JPEG[:-2], GIF[:-1], WEBP[:-1]])
async def test_a_picture_that_broke_off_is_owned_up_to(data: bytes) -> None:
    (file,) = await opened({"cat.png": data}, attached("cat.png"))

    assert file == OpenedFile("cat.png", trouble="it is damaged")
    assert file.remark == "I can't open `cat.png`: it is damaged."


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        ("grüße 🌤".encode(), "grüße 🌤"),
        ("\ufeffmarked".encode(), "marked"),
        ("wide".encode("utf-16"), "wide"),
    ],
)
async def test_a_text_is_read_whatever_it_is_called(data: bytes, text: str) -> None:
    (file,) = await opened({"photo.jpg": data}, attached("photo.jpg"))

    assert file == OpenedFile("photo.jpg", text=text)


async def test_what_is_neither_is_told() -> None:
    (file,) = await opened({"song.mp3": b"ID3\x04\x00\xff\xfb"}, attached("song.mp3"))

    assert "neither plain text nor a picture" in file.remark


async def test_too_large_is_not_even_fetched_and_a_long_text_is_told() -> None:
    files = await opened(
        {"book.txt": b"x" * 2000},
        attached("film.png", size=3 << 20),
        attached("book.txt"),
        picture_megabytes=2,
        text_kilobytes=1,
    )

    assert [file.trouble for file in files] == [
        "it is larger than 2 MB",
        "it is a text of more than 1 KB",
    ]


async def test_a_file_that_is_gone_is_told_and_the_others_are_opened() -> None:
    files = await opened({"b.txt": b"there"}, attached("a.txt"), attached("b.txt"))

    assert [bool(file.trouble) for file in files] == [True, False]


async def test_only_so_many_pictures_are_looked_at_the_newest_first() -> None:
    names = [f"{number}.png" for number in range(4)]

    files = await opened(dict.fromkeys(names, PNG), *map(attached, names), pictures=2)

    assert [bool(file.picture) for file in files] == [True, True, False, False]
    assert files[2].remark == "I can't open `2.png`: I look at 2 pictures at most."


async def test_who_brings_more_than_there_is_memory_for_waits_for_it() -> None:
    reader, order = AttachmentReader(FakeLeaseStore(), FilesSettings(picture_megabytes=16)), []

    async def ask(name: str) -> None:
        async with reader.opened([attached(name, size=10 << 20)]):
            order.append(f"{name} in")
            await asyncio.sleep(0.01)
            order.append(f"{name} out")

    await asyncio.gather(ask("a"), ask("b"), ask("c"))

    assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_a_name_cannot_be_anything_but_a_name() -> None:
    (file,) = await opened({}, attached("`@everyone` https://x.invalid"))

    assert file.remark.startswith("I can't open `@everyone https://x.invalid`:")
