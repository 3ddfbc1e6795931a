"""What people attach: looked at, read, or owned up to."""

import zlib
from base64 import b64decode

from tests.servers.discord.records import Message

from .answers import Seen
from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgwCBmKh1SgAAAABJRU5ErkJggg=="
)


def large_picture() -> bytes:
    """Make a picture of 10 MB: `PNG` with as much of a comment."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data).to_bytes(4)
        return len(data).to_bytes(4) + kind + data + checksum

    head = 8 + 25  # the signature and IHDR
    return PNG[:head] + chunk(b"tEXt", b"Comment\0" + b"x" * 10_000_000) + PNG[head:]


async def shown(scene: Scene, *files: tuple[str, str, bytes]) -> tuple[Seen, tuple[str, ...], str]:
    """Show the bot files; gives its answer, and the pictures and the text that the model read."""
    question = await scene.call("what is this?", files=files)
    seen = await scene.until(question, lambda seen: bool(seen.parts) and not _open(seen.parts))
    turn = (await scene.turns(question))[-1]
    return seen, turn.images, turn.text


def _open(parts: tuple[Message, ...]) -> bool:
    return "made for you alone" not in parts[-1].content


async def test_a_picture_is_looked_at_whatever_it_is_called(scene: Scene) -> None:
    seen, images, text = await shown(scene, ("notes.txt", "text/plain", PNG))

    assert images == ("data:image/png;base64",)  # the server refuses what is no whole picture
    assert "(attached picture: notes.txt)" in text
    assert "-#" not in seen.text


async def test_a_text_file_is_read(scene: Scene) -> None:
    log = b"12:00 wind north\n12:10 wind gone\n"

    _, images, text = await shown(scene, ("ship.log", "application/octet-stream", log))

    assert images == ()
    assert "(attached file: ship.log)\n12:00 wind north\n12:10 wind gone" in text


async def test_a_picture_of_an_earlier_message_is_looked_at_again(scene: Scene) -> None:
    picture = await scene.say("my boat", by="Bram", files=[("boat.png", "image/png", PNG)])
    question = await scene.say("nice?", by="Ada", reply_to=picture, mention=True)

    await scene.answer(question)

    first, last = await scene.turns(question)
    assert (first.images, last.images) == (("data:image/png;base64",), ())


async def test_a_picture_stays_with_the_one_who_showed_it(scene: Scene) -> None:
    question = await scene.call("my boat", by="Bram", files=[("boat.png", "image/png", PNG)])
    answer = await scene.answer(question)
    again = await scene.say("and?", by="Bram", reply_to=answer.parts[0].id)

    await scene.answer(again)

    turns = await scene.turns(again)
    assert [(turn.role, len(turn.images)) for turn in turns] == [
        ("user", 1),
        ("assistant", 0),
        ("user", 0),
    ]


async def test_what_cannot_be_opened_is_owned_up_to_and_the_question_is_answered(
    scene: Scene,
) -> None:
    seen, images, text = await shown(
        scene,
        ("fine.png", "image/png", PNG),
        ("torn.png", "image/png", PNG[:-12]),
        ("song.png", "image/png", b"ID3\x04\xff\xfb" * 10),
        ("film.png", "image/png", PNG + bytes(9 << 20)),
        ("book.txt", "text/plain", b"x" * (65 << 10)),
    )

    assert len(images) == 1
    assert "(attached, not opened: torn.png)" in text
    assert "-# I can't open `torn.png`: it is damaged." in seen.text
    assert "-# I can't open `song.png`: it is neither plain text nor a picture" in seen.text
    assert "-# I can't open `film.png`: it is larger than 8 MB." in seen.text
    assert "-# I can't open `book.txt`: it is a text of more than 64 KB." in seen.text


async def test_a_file_that_discord_no_longer_has_is_owned_up_to(scene: Scene) -> None:
    lost = await scene.say("my boat", by="Bram", files=[("boat.png", "image/png", PNG)])
    await scene.discord.lose_files()
    question = await scene.say("nice?", by="Ada", reply_to=lost, mention=True)

    seen = await scene.until(question, lambda seen: "-# I can't open" in seen.text)

    assert "-# I can't open `boat.png`: it was deleted, or Discord did not deliver it." in seen.text


async def test_names_and_words_of_files_stay_out_of_the_log(scene: Scene) -> None:
    await shown(scene, ("marmalade-recipe.txt", "text/plain", b"two pounds of quinces"))
    await shown(scene, ("marmalade.xyz", "text/plain", b"\xff\xfe\x00quinces"))

    log = scene.bot.log.read_text()
    assert "marmalade" not in log
    assert "quinces" not in log


async def test_a_picture_that_only_the_provider_finds_broken_is_told_truly(scene: Scene) -> None:
    """A checksum is wrong: models take that or not, and the test server does not."""
    torn = PNG[:-4] + bytes(4)
    question = await scene.call("what is this?", files=[("odd.png", "image/png", torn)])

    seen = await scene.until(question, lambda seen: "-# The language model" in seen.text)

    assert seen.text.endswith(
        "-# The language model can't open a picture here, so I answered without it."
    )
    assert await scene.bot.metric("model_requests_total", outcome="bad_picture") == 1
    assert (await scene.turns(question))[-1].images == ()


async def test_what_one_showed_right_before_the_question_is_looked_at(scene: Scene) -> None:
    """And what others showed is not: nobody asked about that."""
    where = (await scene.discord.add_channel("gallery")).name
    await scene.say("mine", by="Bram", where=where, files=[("bram.png", "image/png", PNG)])
    await scene.say("mine", by="Chiyo", where=where, files=[("chiyo.png", "image/png", PNG)])
    question = await scene.call("what is it?", by="Chiyo", where=where)

    await scene.answer(question)

    bram, chiyo, last = await scene.turns(question)
    assert (bram.images, last.images) == ((), ())
    assert chiyo.images == ("data:image/png;base64",)
    assert "(attached, not opened: bram.png)" in bram.text


async def test_nobody_waits_for_the_pictures_of_others(fresh: FreshStage) -> None:
    """A question that waits for memory would keep one of the places for answers."""
    stage = fresh(
        SKY_WORK__IN_FLIGHT="2",
        SKY_FILES__PICTURE_MEGABYTES="12",
        SKY_OPENAI__SILENCE_SECONDS="40",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        there = scene.elsewhere(3)
        picture = [("large.png", "image/png", large_picture())]
        slow = await scene.call("is it [[first=30]] large?", where=there[0], files=picture)
        await scene.openai.asked("large?", 30)

        await scene.call("and this?", where=there[1], files=picture)
        await scene.answer(await scene.call("without a picture", by="Bram", where=there[2]))

        assert [record.ending for record in await scene.records(slow)] == ["open"]
