"""What the provider does for its models: searching the web, and drawing."""

from base64 import b64decode
from pathlib import Path

from bot.domain import errors
from tests.servers.openai.pictures import DOT

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

SCOUT = 'name = "Scout"\nprompt = "You are Scout."\ntools = ["web_search", "image_generation"]\n'


async def test_an_answer_from_the_web_names_its_sources(fresh: FreshStage, tmp_path: Path) -> None:
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "scout.toml").write_text(SCOUT)
    stage = fresh(SKY_PERSONAS__DIRECTORY=str(tmp_path / "personas"))
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        said = "Gulls eat [fish](https://page-1.example/gulls?utm_source=openai)."
        question = await scene.say(f'!sky(scout) what do gulls eat? [[search=2 text="{said}"]]')

        seen = await scene.until(question, lambda seen: "-# Sources:" in seen.text)

        record = await scene.record(question)
        assert record.asked is not None
        assert record.asked.tools == ("web_search", "image_generation")
        assert seen.text == (
            "Gulls eat [fish] (https://page-1.example/gulls?utm_source=openai).\n"
            "-# Sources: <https://page-1.example/gulls?utm_source=openai> "
            "<https://page-2.example/gulls?utm_source=openai>"
        )
        both = await scene.say("!sky(scout) and draw one [[draw=1 text=Here.]]")
        seen = await scene.until(both, lambda seen: any(part.attachments for part in seen.parts))
        assert seen.text == "Here."


async def test_privacy_says_who_searches_the_web(fresh: FreshStage, tmp_path: Path) -> None:
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "scout.toml").write_text(SCOUT)
    stage = fresh(SKY_PERSONAS__DIRECTORY=str(tmp_path / "personas"))
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await stage.bot.logged("commands synced")

        said = await scene.told("privacy", by="Hana")

        assert "Where **Scout** answers, the model may search the web" in said
        assert "go to its provider's web search" in said


async def picture(scene: Scene, question: str) -> bytes:
    """Wait for a picture and give its bytes."""
    seen = await scene.until(question, lambda seen: any(part.attachments for part in seen.parts))
    (attached,) = seen.parts[-1].attachments
    return await scene.fetch(attached["url"])


async def test_a_picture_that_was_asked_for_is_drawn_and_attached(scene: Scene) -> None:
    question = await scene.say("!sky(image) a gull on a buoy", by="Emeka")

    drawn = await picture(scene, question)

    assert drawn == b64decode(DOT)
    record = await scene.record(question)
    assert record.asked is not None
    assert record.asked.chosen == "image_generation"
    assert await scene.bot.metric("answers_total", outcome="complete") >= 1


async def test_a_picture_that_was_drawn_can_be_talked_about(scene: Scene) -> None:
    question = await scene.say("!sky(image) a lighthouse", by="Freya")
    await picture(scene, question)
    (part,) = (await scene.seen(question)).parts
    again = await scene.say("a little bluer, please", by="Freya", reply_to=part.id)

    await scene.answer(again)

    turns = await scene.turns(again)
    assert [turn.images for turn in turns] == [(), ("data:image/png;base64",), ()]
    assert "(the picture that you made)" in turns[1].text


async def test_other_providers_draw_with_the_images_api(chat_scene: Scene) -> None:
    question = await chat_scene.say("!sky(image) a gull on a buoy", by="Emeka")

    drawn = await picture(chat_scene, question)

    assert drawn == b64decode(DOT)
    record = await chat_scene.record(question)
    assert (record.endpoint, record.asked and record.asked.model) == ("images", "gpt-image-1")
    refused = await chat_scene.say("!sky(image) a gull [[fault=quota]]", by="Emeka")
    told = await chat_scene.until(refused, lambda seen: bool(seen.parts))
    assert told.text == errors.QuotaSpent.sentence


async def test_a_model_without_tools_answers_without_and_says_that_it_cannot_draw(
    fresh: FreshStage, tmp_path: Path
) -> None:
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "scout.toml").write_text(SCOUT)
    stage = fresh(
        SKY_PERSONAS__DIRECTORY=str(tmp_path / "personas"), SKY_OPENAI__MODEL="gpt-4.1-nano"
    )
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        question = await scene.say("!sky(scout) what do gulls eat?")
        await scene.answer(question)
        drawing = await scene.say("!sky(image) a gull")
        seen = await scene.until(drawing, lambda seen: bool(seen.parts))

        asked = (await scene.record(question)).asked
        assert asked is not None
        assert asked.tools == ()
        assert seen.text == errors.ToolMissing.sentence
        assert await stage.bot.metric("model_requests_total", outcome="tool_missing") == 1
