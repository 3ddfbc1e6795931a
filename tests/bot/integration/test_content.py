"""Everything that people post and the model should know is in its turn, in words and with names."""

import asyncio
from base64 import b64decode

import pytest

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgwCBmKh1SgAAAABJRU5ErkJggg=="
)
GALE = {
    "title": "Gale warning",
    "description": "from the west",
    "fields": [{"name": "Force", "value": "nine"}],
}


async def told(scene: Scene, question: str) -> str:
    """All that the model was told about a question, once it was answered."""
    await scene.until(question, lambda seen: bool(seen.parts))
    return "\n".join(turn.text for turn in await scene.turns(question))


async def bot_named(scene: Scene, name: str) -> str:
    """Another bot, which is there once for all tests."""
    if name not in {user.name for user in (await scene.discord.world()).users}:
        await scene.discord.add_user(name, bot=True)
    return name


@pytest.mark.parametrize("way", ["reply", "forward", "history"])
async def test_an_embed_is_read(scene: Scene, way: str) -> None:
    author = await bot_named(scene, "Weather")
    post = await scene.discord.say(scene.place, "", author, mention_bot=False, embeds=[GALE])
    if way == "reply":
        question = await scene.say("what is it?", reply_to=post.id, mention=True)
    elif way == "forward":
        other = (await scene.discord.add_channel(f"elsewhere-{post.id}")).name
        question = await scene.say("what is it?", where=other, forward=post.id, mention=True)
    else:
        question = await scene.call("what is it?")

    text = await told(scene, question)

    assert "Gale warning\nfrom the west\nForce: nine" in text


@pytest.mark.parametrize("way", ["reply", "forward", "history"])
async def test_a_message_that_consists_of_components_is_read(scene: Scene, way: str) -> None:
    """Discord's newer layouts: such a message has no content, and no embed."""
    author = await bot_named(scene, "Weather")
    text = {"type": 10, "content": "## Gale warning"}
    section = {
        "type": 9,
        "components": [{"type": 10, "content": "Force nine"}],
        "accessory": {"type": 11, "media": {"url": "https://example.org/a.png"}},
    }
    box = {"type": 17, "components": [text, {"type": 14}, section]}
    post = await scene.discord.say(scene.place, "", author, mention_bot=False, components=[box])
    if way == "reply":
        question = await scene.say("what is it?", reply_to=post.id, mention=True)
    elif way == "forward":
        other = (await scene.discord.add_channel(f"elsewhere-{post.id}")).name
        question = await scene.say("what is it?", where=other, forward=post.id, mention=True)
    else:
        question = await scene.call("what is it?")

    assert "## Gale warning\nForce nine" in await told(scene, question)


async def test_the_preview_of_a_link_is_read_when_it_has_come(scene: Scene) -> None:
    link = await scene.say("https://example.org/gale", by="Bram")
    await scene.discord.unfurl(link, {"title": "Storm of the century", "description": "in 1987"})

    question = await scene.say("when?", reply_to=link, mention=True)

    assert "Storm of the century\nin 1987" in await told(scene, question)


async def test_a_poll_and_a_sticker_are_read_and_a_voice_message_is_told_of(scene: Scene) -> None:
    discord, place = scene.discord, scene.place
    poll = {"question": "Where to?", "answers": ["Harbour", "Hill"], "votes": [2, 1]}
    await discord.say(place, "", "Bram", mention_bot=False, poll=poll)
    await discord.say(place, "", "Bram", mention_bot=False, stickers=[{"name": "Waving gull"}])
    spoken = [("voice-message.ogg", "audio/ogg", b"OggS")]
    await discord.say(place, "", "Bram", mention_bot=False, files=spoken, voice_seconds=7)

    question = await scene.call("what did Bram say?")

    text = await told(scene, question)
    assert "(poll) Where to?\n- Harbour: 2 votes\n- Hill: 1 vote" in text
    assert "(sticker: Waving gull)" in text
    assert "(voice message of 7 seconds, which you cannot hear)" in text


async def test_another_bots_answer_to_a_command_is_in_the_history(scene: Scene) -> None:
    author = await bot_named(scene, "Dice")
    command = {"name": "roll", "user": "Bram"}
    await scene.discord.say(
        scene.place, "You rolled 17", author, command=command, mention_bot=False
    )

    text = await told(scene, await scene.call("what did Bram roll?"))

    assert "You rolled 17" in text
    assert "(answers a command of Bram)" in text


async def test_a_forum_posts_title_and_body_are_read_once(scene: Scene) -> None:
    forum = await scene.discord.add_channel(f"ideas-of-{scene.place}", kind="forum")
    post = {"content": "It should stand on the cliff."}
    thread = await scene.discord.add_channel(
        "Build a lighthouse", parent=forum.id, author="Bram", post=post
    )
    question = await scene.call("is that wise?", where=thread.id)
    answer = await scene.answer(question)
    later = await scene.say("why?", where=thread.id, reply_to=answer.parts[0].id)
    await scene.answer(later)

    for asked in (question, later):
        text = "\n".join(turn.text for turn in await scene.turns(asked))
        assert text.count("Build a lighthouse") == 1
        assert text.count("It should stand on the cliff.") == 1


async def test_a_forum_post_that_calls_the_bot_is_answered_with_its_title(scene: Scene) -> None:
    forum = await scene.discord.add_channel(f"asked-of-{scene.place}", kind="forum")
    post = {"content": "what does it cost? (#forum)", "mention_bot": True}
    thread = await scene.discord.add_channel(
        "A second lighthouse", parent=forum.id, author="Bram", post=post
    )

    record = await scene.openai.first(lambda r: "(#forum)" in str(r.asked))
    await scene.until(thread.id, lambda seen: bool(seen.parts))

    assert record.asked is not None
    assert record.asked.last_user_text.count("A second lighthouse") == 1


async def test_a_mention_of_the_bots_own_role_calls_it(scene: Scene) -> None:
    role = await scene.discord.managed_role()

    question = await scene.say(f"<@&{role}> are you there?")

    await scene.answer(question)
    assert f"{role}" not in (await scene.turns(question))[-1].text


async def test_one_person_has_one_name_before_and_after_the_bot_came(fresh: FreshStage) -> None:
    stage = fresh(SKY_CONVERSATION__HISTORY="10")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        scene.bot.kill()
        await scene.discord.change_member("Bram", nick="Captain")
        await scene.say("I sail at dawn", by="Bram")
        scene.bot.start()
        await scene.bot.until_metric("speaking", 1)
        question = await scene.call("who sails?", by="Bram")

        text = await told(scene, question)

        assert "I sail at dawn" in text
        assert text.count("Captain (") == text.count("): ")
        assert "Bram" not in text


async def test_names_stand_where_discord_writes_numbers(scene: Scene) -> None:
    crew = await scene.discord.add_role(f"Crew of {scene.place}", ["Bram"])
    hall = (await scene.discord.add_channel(f"hall-of-{scene.place}")).id
    vault = (await scene.discord.add_channel(f"vault-of-{scene.place}", private=True)).id
    words = (
        f"{scene.mention_of('Bram')} <@&{crew}> <#{hall}> <#{vault}> <:gull:1234567890123456789> "
        "<a:flap:1234567890123456789> </persona list:1234567890123456789> <t:1790000000:R>"
    )
    original = await scene.say(words, by="Chiyo")
    other = (await scene.discord.add_channel(f"copy-of-{scene.place}")).name
    asked = await scene.say("who?", reply_to=original, mention=True)
    forwarded = await scene.say("who?", where=other, forward=original, mention=True)

    for question in (asked, forwarded):
        text = await told(scene, question)
        assert f"@Crew of {scene.place} #hall-of-{scene.place} #a channel :gull: :flap:" in text
        assert "/persona list 2026-09-21" in text
        assert not any(each in text for each in ("<@", "<#", "<:", "<a:", "</", "<t:"))
    assert "@Bram @Crew" in await told(scene, asked)


async def test_an_edit_that_adds_a_mention_is_answered_and_once(scene: Scene) -> None:
    said = await scene.say("how deep is it here?")
    answered = await scene.call("and how wide?")
    await scene.answer(answered)

    words = (await scene.discord.message(said)).content
    await scene.discord.edit(said, words, mention_bot=True)
    await scene.answer(said)
    await scene.discord.edit(said, f"{words}!", mention_bot=True)
    await scene.discord.edit(answered, "and how wide, roughly?", mention_bot=True)
    await asyncio.sleep(1.0)

    assert len((await scene.seen(said)).parts) == 1
    assert len((await scene.seen(answered)).parts) == 1


async def test_the_fresh_address_of_a_picture_is_used(scene: Scene) -> None:
    picture = await scene.say("my boat", by="Bram", files=[("boat.png", "image/png", PNG)])
    first = await scene.say("nice?", reply_to=picture, mention=True)
    await scene.answer(first)
    await scene.discord.expire_files()

    second = await scene.say("nice now?", reply_to=picture, mention=True)
    await scene.answer(second)
    await scene.discord.expire_files()
    # Nothing that was sent since carries a fresh address: the message is asked for one.
    third = await scene.say("and now?", reply_to=second, mention=True)
    await scene.answer(third)

    for question in (first, second, third):
        assert any(turn.images for turn in await scene.turns(question)), question


async def test_a_motion_photo_is_looked_at(scene: Scene) -> None:
    film = PNG + b"\x00\x00\x00\x18ftypmp42" + bytes(9000)

    question = await scene.call("what is this?", files=[("a.png", "image/png", film)])

    await scene.answer(question)
    assert (await scene.turns(question))[-1].images


async def test_with_a_long_history_the_question_stays_in_the_channels_memory(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_CONVERSATION__HISTORY="50")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        for number in range(55):
            await scene.discord.say(scene.place, f"line {number}", "Bram", mention_bot=False)
        first = await scene.call("what was the first line?")
        await scene.answer(first, remarks=True)

        second = await scene.call("and what did I ask?")
        await scene.until(second, lambda seen: bool(seen.parts))

        # The model's answer repeats the question: only what people said counts.
        turns = [turn for turn in await scene.turns(second) if turn.role == "user"]
        text = "\n".join(turn.text for turn in turns)
        assert "what was the first line?" in text
        assert "line 54" in text
