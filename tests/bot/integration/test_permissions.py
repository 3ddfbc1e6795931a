"""What a channel's permissions forbid: the answer takes the way that is left, and says which."""

import asyncio

import pytest

from .answers import buttons
from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene


async def test_where_the_bot_may_read_and_not_write_a_reaction_shows_that_it_heard(
    scene: Scene,
) -> None:
    closed = await scene.discord.add_channel("read-only", deny=["send_messages"])
    undelivered = await scene.bot.metric("answers_total", outcome="may_not_speak")

    question = await scene.call("can you write here?", where=closed.name)

    async with scene.discord.events() as events:
        while not (await scene.discord.message(question)).reactions:
            await events.event(lambda e: e.kind == "reaction", 60)
    assert await scene.silence(question)  # the model is not asked for what nobody would read
    assert await scene.bot.metric("answers_total", outcome="may_not_speak") == undelivered + 1
    await scene.bot.logged(
        "reply could not be delivered", detail="the bot has no permission to write there"
    )


async def test_where_it_may_not_even_react_the_operator_alone_sees_it(scene: Scene) -> None:
    closed = await scene.discord.add_channel("mute", deny=["send_messages", "add_reactions"])
    refused = await scene.bot.metric("discord_calls_total", call="react", outcome="may_not_speak")

    question = await scene.call("can you hear me?", where=closed.name)

    await scene.bot.until_metric(
        "discord_calls_total", refused + 1, call="react", outcome="may_not_speak"
    )
    assert (await scene.discord.message(question)).reactions == {}
    await scene.answer(await scene.call("but here you can"))


async def test_a_permission_that_is_taken_away_while_the_model_thinks_is_met_with_a_reaction(
    scene: Scene,
) -> None:
    place = await scene.discord.add_channel("closing")
    question = await scene.call("quick! [[first=1.2]]", where=place.name)
    await scene.openai.asked("quick!")

    await scene.discord.change_channel(place.name, deny=["send_messages"])

    async with scene.discord.events() as events:
        while not (await scene.discord.message(question)).reactions:
            await events.event(lambda e: e.kind == "reaction", 60)
    assert (await scene.seen(question)).parts == ()


async def test_where_history_is_hidden_the_answer_comes_without_being_a_reply(
    scene: Scene,
) -> None:
    place = await scene.discord.add_channel("forgetful", deny=["read_message_history"])

    links = " ".join(f"https://example.org/{number}" for number in range(6))
    words = f'what was said before? [[text="Nobody knows: {links}" chunks=12 delay=0.15]]'
    await scene.call(words, where=place.name)
    text = (await scene.openai.ended("what was said before?")).text

    async with asyncio.timeout(60), scene.discord.events() as events:
        while [m.content for m in await scene.discord.read(place.name) if m.from_sky] != [text]:
            await events.event(lambda e: e.kind in {"message", "edit"}, 60)


async def test_without_permission_for_embeds_an_answer_with_links_is_an_answer(
    scene: Scene,
) -> None:
    place = await scene.discord.add_channel("no-embeds", deny=["embed_links"])
    question = await scene.call(
        '[[text="See https://example.org/a and https://example.org/b"]]', where=place.name
    )

    answer = await scene.answer(question)

    assert "https://example.org/b" in answer.text


async def test_a_closed_direct_message_harms_nobody_and_is_counted(scene: Scene) -> None:
    undelivered = await scene.bot.metric("answers_total", outcome="may_not_speak")
    await scene.discord.open_dms("Hana", to_bot=False)

    question = await scene.whisper("a secret", by="Hana")

    await scene.bot.until_metric("answers_total", undelivered + 1, outcome="may_not_speak")
    assert (await scene.seen(question)).parts == ()
    await scene.discord.open_dms("Hana", to_bot=True)
    await scene.answer(await scene.whisper("another secret", by="Hana"))


async def test_a_channel_deleted_in_mid_answer_ends_the_asking_of_the_model(scene: Scene) -> None:
    doomed = await scene.discord.add_channel("sinking")
    question = await scene.call("a saga [[length=1800 chunks=80 delay=0.1]]", where=doomed.name)
    await scene.until(question, lambda seen: bool(seen.parts))

    await scene.discord.remove_channel(doomed.name)

    record = await scene.openai.ended("a saga")
    assert record.ending == "gone"
    await scene.bot.until_metric("answers_total", 1, outcome="place_gone")
    await scene.answer(await scene.call("life goes on"))


@pytest.mark.parametrize("delay", [0.0, 0.1])
async def test_a_question_deleted_in_mid_answer_ends_it(scene: Scene, delay: float) -> None:
    question = await scene.call(
        f"regretted [[length=900 chunks=60 delay={delay or 0.01} first={0 if delay else 2}]]"
    )
    if delay:
        await scene.until(question, lambda seen: bool(seen.parts))
    else:
        await scene.openai.asked("regretted")

    await scene.discord.delete(question)

    if delay:
        seen = await scene.until(question, lambda seen: "I stopped here" in seen.text)
        assert seen.text.endswith("-# The question was deleted, so I stopped here.")
        assert seen.parts[0].components == ()
    else:
        await scene.openai.first(lambda r: r.ending == "gone" and "regretted" in str(r.asked))
        assert (await scene.seen(question)).parts == ()


async def test_without_permission_for_files_a_picture_is_owned_up_to(scene: Scene) -> None:
    place = await scene.discord.add_channel("no-pictures", deny=["attach_files"])
    question = await scene.say("!sky(image) a gull", where=place.name)

    seen = await scene.until(
        question, lambda seen: "I'm not allowed to attach files here" in seen.text
    )

    assert seen.parts[0].attachments == ()


async def test_again_does_not_read_what_its_question_could_not(scene: Scene) -> None:
    """A question that is fetched tells no roles: they are looked up, not taken for none."""
    await scene.discord.add_role("outsiders", ["Bram"])
    deny = {"role": "outsiders", "deny": ["view_channel"]}
    closed = await scene.discord.add_channel("closed", overwrites=[deny])
    hidden = await scene.say("the treasure is below the lighthouse", where=closed.name)
    link = f"https://discord.com/channels/{closed.guild_id}/{closed.id}/{hidden}"
    asked = await scene.call(f"what does it say? {link}", by="Bram")
    before = await scene.until(asked, lambda seen: "-# I did not read" in seen.text)

    await scene.until(asked, lambda seen: "Again" in buttons(seen.parts[-1]))
    await scene.press(before.parts[-1], "Again", by="Bram")
    await scene.until(asked, lambda seen: seen.text != before.text and "-# I did" in seen.text)

    records = await scene.records(asked)
    assert len(records) == 2
    assert "treasure" not in " ".join(t.text for r in records if r.asked for t in r.asked.turns)


async def test_a_channels_history_is_not_read_for_somebody_who_may_not_read_it(
    scene: Scene,
) -> None:
    deny = {"user": "Bram", "deny": ["read_message_history"]}
    hall = await scene.discord.add_channel("no-history", overwrites=[deny])
    earlier = await scene.say("what was said before", where=hall.name)

    asked = await scene.call("what was said?", by="Bram", where=hall.name)
    seen = await scene.until(asked, lambda seen: "-# I left out the earlier messages" in seen.text)
    reply = await scene.say("and here?", by="Bram", where=hall.name, reply_to=earlier, mention=True)
    await scene.until(reply, lambda seen: "-# I left out the earlier messages" in seen.text)
    owner = await scene.call("what was said?", where=hall.name)
    await scene.answer(owner)

    for question in (asked, reply):
        assert "said before" not in " ".join(turn.text for turn in await scene.turns(question))
    assert "said before" in " ".join(turn.text for turn in await scene.turns(owner))
    assert len(seen.parts) == 1


async def test_an_update_of_permissions_that_cannot_be_read_closes_what_it_may_have_closed(
    fresh: FreshStage,
) -> None:
    """What was known before may not hold any more, and unknown is not the same as allowed."""
    stage = fresh()
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        hall = await scene.discord.add_channel("hall")
        said = await scene.say("the treasure is below the lighthouse", where=hall.name)
        link = f"https://discord.com/channels/{hall.guild_id}/{hall.id}/{said}"
        await scene.answer(await scene.call(f"what does it say? {link}", by="Bram"))
        update = {"id": hall.id, "guild_id": hall.guild_id, "type": 0, "name": None}
        await scene.discord.inject(("CHANNEL_UPDATE", update))
        await scene.bot.until_metric("unreadable_total", 1, kind="event")

        asked = await scene.call(f"and now? {link}", by="Bram", where=hall.name)

        await scene.until(asked, lambda seen: "-# I did not read" in seen.text)
        assert "treasure" not in " ".join(turn.text for turn in await scene.turns(asked))
