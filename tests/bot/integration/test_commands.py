"""What people do with Discord's commands and menus."""

import re

import pytest

from tests.servers.discord.control import ControlError

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene


@pytest.fixture(autouse=True)
async def _offered(scene: Scene) -> None:
    """Wait until Discord knows the commands, which is a moment after the bot is Ready."""
    await scene.bot.logged("commands synced")


async def test_the_commands_are_offered_without_anybody_installing_them(scene: Scene) -> None:
    commands = (await scene.discord.world()).commands

    names = {command["name"] for command in commands}
    assert names == {"sky", "persona", "sky-status", "help", "privacy", "Ask Sky"}


async def test_a_slash_command_shows_the_question_and_answers_it_as_a_reply(scene: Scene) -> None:
    question = await scene.ask("why is the sea salt?", by="Bram")

    answer = await scene.answer(question)

    quoted = await scene.discord.message(question)
    assert quoted.content.startswith("-# Bram asks Sky:\n>>> why is the sea salt?")
    assert not quoted.hidden
    assert [part.reply_to for part in answer.parts] == [question]
    asked = (await scene.turns(question))[-1]  # the channel's latest come before it
    assert asked.text.startswith("Bram")
    assert "why is the sea salt?" in asked.text
    assert "asks Sky" not in asked.text


async def test_it_is_acknowledged_long_before_the_model_has_spoken(scene: Scene) -> None:
    used = await scene.discord.invoke(
        "sky", scene.place, "Dara", {"topic": "slowly now [[first=10]]"}
    )
    done = await scene.discord.wait_interaction(used.id)

    assert done.acknowledged_after is not None
    assert done.acknowledged_after < 3  # or Discord shows its own error


async def test_a_reply_goes_on_from_what_was_asked_by_command(scene: Scene) -> None:
    question = await scene.ask("name a bird", by="Bram")
    answer = await scene.answer(question)
    more = await scene.say("another one", by="Dara", reply_to=answer.parts[0].id)
    await scene.answer(more)

    turns = await scene.turns(more)
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert turns[0].text.startswith("Bram")
    assert "name a bird" in turns[0].text


async def test_a_topic_of_4000_characters_is_shortened_for_the_channel_and_whole_for_the_model(
    scene: Scene,
) -> None:
    topic = "word " * 790 + "and the last word is heron"

    question = await scene.ask(topic, by="Chiyo")
    await scene.answer(question)

    quoted = await scene.discord.message(question)
    assert len(quoted.content) <= 2000
    assert quoted.content.endswith("…")
    asked = (await scene.turns(question))[-1]  # the channel's latest come before it
    assert "the last word is heron" in asked.text
    with pytest.raises(ControlError, match="takes 4000 characters"):
        await scene.discord.invoke("sky", scene.place, "Ada", {"topic": "x" * 4001})


async def test_a_topic_full_of_mentions_pings_nobody(scene: Scene) -> None:
    question = await scene.ask(f"@everyone {scene.mention_of('Hana')} look")
    answer = await scene.answer(question)

    for message in [await scene.discord.message(question), *answer.parts]:
        assert message.pings == ()
        assert not message.pings_everyone


async def test_a_command_in_a_direct_message_is_answered_there(scene: Scene) -> None:
    question = await scene.ask("between us", by="Goran", where="dm")

    answer = await scene.answer(question)

    assert {part.channel for part in answer.parts} == {"@Goran"}


async def test_the_menu_of_a_message_asks_about_that_message(scene: Scene) -> None:
    theirs = await scene.say("the moon is made of cheese", by="Freya")

    used = await scene.discord.invoke("Ask Sky", scene.place, "Bram", target=theirs)
    question = (await scene.responded(used.id)).id
    await scene.until(question, lambda seen: bool(seen.parts))

    records = await scene.openai.requests()
    turns = [r.asked.turns for r in records if r.asked and "cheese" in str(r.asked.turns)][-1]
    recorder = [turn.text for turn in turns if turn.role == "user"]
    assert recorder[0].startswith("Freya")
    assert "the moon is made of cheese" in recorder[0]
    assert recorder[1].startswith("Bram")
    assert (
        "asks Sky about https://discord.com/channels/"
        in (await scene.discord.message(question)).content
    )


async def test_a_message_of_another_channel_cannot_be_smuggled_into_the_menu(scene: Scene) -> None:
    """Somebody who speaks to Discord by hand points at a message that they cannot see."""
    await scene.discord.add_channel("council")
    secret = await scene.say("the treasure is under the oak", where="council", by="Ada")
    shown = {
        "id": secret,
        "channel_id": (await scene.discord.message(secret)).channel_id,
        "content": "",
        "type": 0,
    }
    menu = next(c for c in (await scene.discord.world()).commands if c["name"] == "Ask Sky")
    forged = {
        "id": menu["id"],
        "name": "Ask Sky",
        "type": 3,
        "target_id": secret,
        "resolved": {"messages": {secret: shown}},
    }

    used = await scene.discord.invoke("Ask Sky", scene.place, "Emeka", data=forged)
    response = await scene.responded(used.id)

    assert (response.content, response.hidden) == ("I can't see that message.", True)
    assert all("oak" not in str(record.asked) for record in await scene.openai.requests())


async def test_help_and_privacy_are_for_the_one_who_asks(scene: Scene) -> None:
    assert "`!sky topic`" in await scene.told("help")
    said = await scene.told("privacy", by="Hana")

    assert "127.0.0.1" in said  # where the language model is, for this bot
    assert "in Discord" in said
    assert "search" not in said  # nobody of this bot's can


async def test_the_status_is_for_those_who_manage_the_server(scene: Scene) -> None:
    said = await scene.told("sky-status", by="Ada")  # who owns it
    assert "gpt-" in said
    assert "ready: yes" in said
    assert "leader: yes" in said
    assert re.search(r"answers a minute: \d+\.\d", said)
    assert re.search(r"answers since the start: (none|\w+ \d)", said)
    assert re.search(r"spent today: \d+\.\d\d(, no budget| of)", said)
    with pytest.raises(ControlError, match="not offered to Bram"):
        await scene.discord.invoke("sky-status", scene.place, "Bram")

    status = next(c for c in (await scene.discord.world()).commands if c["name"] == "sky-status")
    forged = {"id": status["id"], "name": "sky-status", "type": 1}
    used = await scene.discord.invoke("sky-status", scene.place, "Bram", data=forged)
    assert (
        await scene.responded(used.id)
    ).content == "Only people who manage this server may use this."


async def test_a_command_of_another_version_is_told_so(scene: Scene) -> None:
    """Discord may still offer what a version before this one had."""
    forged = {"id": "1", "name": "sing", "type": 1}
    used = await scene.discord.invoke("sing", scene.place, "Bram", data=forged)

    assert "don't have this command" in (await scene.responded(used.id)).content


@pytest.mark.parametrize(
    ("denied", "named"),
    [
        (["send_messages"], "Send Messages"),
        (["read_message_history"], "Read Message History"),
        (["view_channel"], "View Channel"),
    ],
)
async def test_where_the_bot_may_not_answer_it_says_what_is_missing(
    scene: Scene, denied: list[str], named: str
) -> None:
    place = f"closed-{denied[0].replace('_', '-')}"
    await scene.discord.add_channel(place, deny=denied)

    used = await scene.discord.invoke("sky", place, "Iris", {"topic": "anybody here?"})
    response = await scene.responded(used.id)

    assert response.hidden
    assert f"**{named}**" in response.content
    assert all("anybody here?" not in str(r.asked) for r in await scene.openai.requests())


async def test_commands_are_not_synced_again_when_they_are_the_same(fresh: FreshStage) -> None:
    first = fresh()
    await first.bot.ready()
    async with open_scene(first) as opened:
        line = await first.bot.logged("commands synced")
        first.bot.terminate()
        assert await first.bot.ended() == 0
        synced = (await opened.discord.counts()).commands_synced

        first.bot.start()
        await first.bot.logged("commands synced", changed=False)  # type: ignore[arg-type]
        assert (await opened.discord.counts()).commands_synced == synced
        assert re.fullmatch(r"True|False", str(line["changed"]))
