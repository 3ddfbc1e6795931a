"""What people attach, opened or owned up to."""

from __future__ import annotations

import asyncio
from base64 import b64decode

import pytest

from bot.context.attachments import AttachmentReader, OpenedFile, Unfetched
from bot.domain.messages import Attachment
from bot.settings.schema import FilesSettings
from tests.bot.unit.fakes import FakeFileSource

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgwCBmKh1SgAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(100) + b"\xff\xd9"
GIF = b"GIF89a" + bytes(20) + b";"
WEBP = b"RIFF" + (16).to_bytes(4, "little") + b"WEBP" + bytes(12)


def attached(name: str, size: int = 100) -> Attachment:
    return Attachment(name, size, f"https://cdn.invalid/{name}")


async def opened(store: dict[str, bytes], *wanted: Attachment, **limits: int) -> list[OpenedFile]:
    source = FakeFileSource({f"https://cdn.invalid/{name}": data for name, data in store.items()})
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


REAL_GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
REAL_JPEG = (
    b"\xff\xd8\xff\xe1\x00\x06\xff\xd9ab"  # metadata with what looks like an end in it
    b"\xff\xda\x00\x04ab" + b"\x12\xff\x00\x34\xff\xd0" * 9 + b"\xff\xd9"
)
FILM = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 64


@pytest.mark.parametrize("behind", [b"", FILM, b"\xff\xd8\xff;IEND" * 2000, b"\0" * 9000])
@pytest.mark.parametrize("data", [PNG, REAL_GIF, REAL_JPEG, WEBP])
async def test_what_programs_write_behind_a_picture_is_cut_off(data: bytes, behind: bytes) -> None:
    (file,) = await opened({"motion.jpg": data + behind}, attached("motion.jpg"))

    assert b64decode(file.picture.partition(",")[2]) == data


@pytest.mark.parametrize("data", [PNG, REAL_GIF, REAL_JPEG, WEBP])
async def test_no_beginning_of_a_picture_is_taken_for_all_of_it(data: bytes) -> None:
    for size in range(16, len(data)):
        (file,) = await opened({"cat": data[:size]}, attached("cat"))
        assert not file.picture, size


ENCODED = {
    "latin-1": "Çà et là, où êtes-vous? Déjà vu à la plage.",
    "cp1252": "Grüße aus Köln \u2013 das Schiff fährt heute über den Fluß für 5 €.",
    "shift_jis": "東京の天気は晴れです。明日は雨が降るでしょう。",
    "gbk": "今天的天气很好\uff0c我们去公园散步吧。",
    "utf-16-le": "plain words, and Grüße",
    "utf-16-be": "東京の天気は晴れです",
    "utf-32": "with a byte order mark",
    "euc_kr": "오늘 날씨가 좋습니다. 안녕하세요.",
    "big5": "今天的天氣很好\uff0c我們去公園散步吧。",
    "cp1251": "Привет, как дела? Сегодня хорошая погода.",
    "koi8_r": "Привет, как дела? Сегодня хорошая погода.",
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("times", [1, 40])
async def test_a_text_is_read_in_whatever_encoding_it_is(encoding: str, times: int) -> None:
    text = "\n".join([ENCODED[encoding]] * times)

    (file,) = await opened({"a.txt": text.encode(encoding)}, attached("a.txt"))

    assert file.text == text


PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PDF, "a PDF"),
        (b"\n" + PDF, "a PDF"),
        (b"junk before it\n" + PDF, "a PDF"),
        (b"%!PS-Adobe-3.0\nshowpage\n", "a PostScript file"),
        (b"{\\rtf1\\ansi words}", "an RTF file"),
    ],
)
async def test_a_document_that_consists_of_letters_is_not_read_as_text(
    data: bytes, kind: str
) -> None:
    (file,) = await opened({"a.txt": data}, attached("a.txt"))

    assert file.trouble == f"it is {kind}, which I can't read"


async def test_a_text_about_pdf_files_is_text() -> None:
    (file,) = await opened({"a.txt": b"A file begins with %PDF-1.4"}, attached("a.txt"))

    assert file.text == "A file begins with %PDF-1.4"


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 8, b"\x1f\x8b\x08" + bytes(range(1, 256)) * 9]
)
async def test_bytes_that_are_no_words_are_read_in_no_encoding(data: bytes) -> None:
    (file,) = await opened({"a.bin": data}, attached("a.bin"))

    assert "neither plain text nor a picture" in file.trouble


class Expired:
    """A source whose old addresses have expired."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetch(self, url: str, most: int) -> bytes:
        """Give a file at a fresh address only."""
        del most
        self.asked.append(url)
        if "fresh" not in url:
            raise Unfetched("status 404", gone=True)
        return PNG


async def test_where_addresses_have_expired_the_message_is_asked_once_for_fresh_ones() -> None:
    asked = []

    async def refresh(channel_id: int, message_id: int) -> dict[int, str]:
        asked.append((channel_id, message_id))
        return {1: "https://cdn.invalid/fresh/1", 2: "https://cdn.invalid/fresh/2"}

    wanted = [Attachment(f"{n}.png", 100, f"https://cdn.invalid/{n}", n, 10, 99) for n in (1, 2, 3)]
    async with AttachmentReader(Expired(), FilesSettings(), refresh).opened(wanted) as files:
        found = list(files.values())

    assert asked == [(10, 99)]
    assert [bool(file.picture) for file in found] == [True, True, False]
    assert found[2].trouble == "it was deleted, or Discord did not deliver it"


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
    reader, order = AttachmentReader(FakeFileSource(), FilesSettings(picture_megabytes=16)), []

    async def ask(name: str) -> None:
        async with reader.opened([attached(name, size=10 << 20)]):
            order.append(f"{name} in")
            await asyncio.sleep(0.01)
            order.append(f"{name} out")

    await asyncio.gather(ask("a"), ask("b"), ask("c"))

    assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_nobody_waits_long_for_the_memory_of_others() -> None:
    reader = AttachmentReader(FakeFileSource(), FilesSettings(picture_megabytes=16), patience=0.02)
    slow = attached("slow.png", size=10 << 20)

    async with (
        asyncio.timeout(5),
        reader.opened([slow]),
        reader.opened([attached("b.png", size=10 << 20)]) as files,
    ):
        (file,) = files.values()
        async with reader.opened([]) as none:
            assert none == {}

    assert "too many files are being read right now" in file.remark


async def test_a_name_cannot_be_anything_but_a_name() -> None:
    (file,) = await opened({}, attached("`@everyone` https://x.invalid"))

    assert file.remark.startswith("I can't open `@everyone https://x.invalid`:")
