"""Personas of the configuration: by name, by place, and with mistakes in them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers.discord.control import DiscordControl

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import Servers

PIRATE = """
name = "Pirate"
prompt = "You are Pirate, who sails the seven seas. You say arr."
model = "gpt-4o-mini"
temperature = 0.7
greeting = "Arr! What be ye after?"
"""
TUTOR = 'name = "Tutor"\nprompt = "You are Tutor, a patient teacher."\nreasoning_effort = "low"\n'


@pytest.fixture
async def crew(fresh: FreshStage, tmp_path: Path) -> AsyncIterator[Scene]:
    """A bot with three files, one of them with a mistake, and a teacher in #help."""
    folder = tmp_path / "personas"
    folder.mkdir()
    (folder / "pirate.toml").write_text(PIRATE)
    (folder / "tutor.toml").write_text(TUTOR)
    (folder / "broken.toml").write_text('name = "Broken"\nprompt = "x"\nmodell = "y"\n')
    stage = fresh(SKY_PERSONAS__DIRECTORY=str(folder), SKY_PERSONAS__CHANNELS="#help = tutor")
    await stage.bot.ready()
    async with open_scene(stage) as opened:
        await stage.bot.logged("commands synced")
        yield opened


async def instructions(scene: Scene, question: str) -> str:
    asked = (await scene.record(question)).asked
    assert asked is not None
    return next(turn.text for turn in asked.turns if turn.role == "system")


async def test_a_persona_is_called_by_name_and_brings_its_model(crew: Scene) -> None:
    question = await crew.say("!sky(pirate) where is the gold?", by="Bram")
    await crew.answer(question)

    record = await crew.record(question)
    assert "sails the seven seas" in await instructions(crew, question)
    assert record.asked is not None
    assert record.asked.model == "gpt-4o-mini"
    other = await crew.say("!sky where is the gold?", by="Bram")
    await crew.answer(other)
    assert "You are Sky" in await instructions(crew, other)


async def test_a_channel_has_the_persona_that_the_settings_say_and_so_have_its_threads(
    crew: Scene,
) -> None:
    thread = await crew.discord.add_channel("homework", parent="help")

    for place in ("help", thread.name):
        question = await crew.call("what is a prime?", where=place)
        await crew.answer(question)
        assert "a patient teacher" in await instructions(crew, question)


async def test_the_nearest_choice_counts_thread_then_channel_then_server_then_the_default(
    fresh: FreshStage, servers: Servers, tmp_path: Path
) -> None:
    async with DiscordControl(servers.discord.control_url) as discord:
        await discord.add_guild("Atoll", channels=1)
        own = await discord.add_channel("night-school", parent="help")
        other = await discord.add_channel("evening-class", parent="help")
        named = await discord.add_channel("riddle-hour", parent="kites")  # by anybody
    folder = tmp_path / "crew"
    folder.mkdir()
    for key, text in {"pirate": PIRATE, "tutor": TUTOR}.items():
        (folder / f"{key}.toml").write_text(text)
    (folder / "oracle.toml").write_text('name = "Oracle"\nprompt = "You are Oracle, in riddles."')
    stage = fresh(
        SKY_PERSONAS__DIRECTORY=str(folder),
        SKY_PERSONAS__CHANNELS=f"#help = tutor, {own.id} = oracle, riddle-hour = oracle",
        SKY_PERSONAS__SERVERS="Sky Harbour = pirate",
        SKY_PERSONAS__DEFAULT="tutor",
    )
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        for place, part in {
            own.name: "You are Oracle",
            other.name: "You are Tutor",
            "help": "You are Tutor",
            named.name: "You are Pirate",  # the name of a thread chooses nobody
            "kites": "You are Pirate",
            "atoll-0": "You are Tutor",
            "dm": "You are Tutor",
        }.items():
            question = await scene.call("who answers here?", where=place)
            await scene.answer(question)
            assert part in await instructions(scene, question), place


async def test_a_name_that_nobody_has_is_answered_with_the_nearest(crew: Scene) -> None:
    question = await crew.say("!sky(pirat) ahoy", by="Hana")

    seen = await crew.until(question, lambda seen: bool(seen.parts))

    assert seen.text == "There is no persona with that name. Did you mean **pirate**?"
    assert await crew.records(question) == []
    assert await crew.bot.metric("answers_total", outcome="unknown_persona") == 1


async def test_who_calls_a_persona_without_a_word_is_greeted_without_asking_the_model(
    crew: Scene,
) -> None:
    question = await crew.discord.say(crew.place, "!sky(pirate)", "Ada", mention_bot=False)

    answer = await crew.discord.wait_answer(question.id)

    assert answer.content == "Arr! What be ye after?"


async def test_a_file_with_a_mistake_stops_nobody_and_the_operator_is_told(crew: Scene) -> None:
    await crew.answer(await crew.call("still there?"))

    line = await crew.bot.logged("invalid persona ignored")
    assert "broken.toml: unknown key 'modell'. Did you mean 'model'?" in line["problem"]
    assert await crew.bot.metric("persona_problems") == 1


async def test_the_slash_command_completes_names_and_takes_them(crew: Scene) -> None:
    used = await crew.discord.invoke(
        "sky", crew.place, options={"persona": "pi"}, type="autocomplete", focused="persona"
    )
    done = await crew.discord.wait_interaction(used.id)
    assert done.offered == {"choices": ({"name": "Pirate", "value": "pirate"},)}

    question = await crew.ask("is that a sail?", by="Dara", persona="pirate")
    await crew.answer(question)
    quoted = await crew.discord.message(question)
    assert quoted.content.startswith("-# Dara asks Pirate:")
    assert "sails the seven seas" in await instructions(crew, question)


async def test_an_unknown_persona_of_the_slash_command_is_told_to_the_asker_alone(
    crew: Scene,
) -> None:
    used = await crew.discord.invoke(
        "sky", crew.place, "Dara", {"topic": "hello", "persona": "tutr"}
    )
    response = await crew.responded(used.id)

    assert response.hidden
    assert response.content == "There is no persona with that name. Did you mean **tutor**?"


async def test_the_personas_are_listed_and_shown(crew: Scene) -> None:
    listed = await crew.told("persona list")
    assert "**Sky** answers here" in listed
    assert all(f"`{key}`" in listed for key in ("pirate", "sky", "tutor"))
    assert "broken" not in listed

    shown = await crew.told("persona show", persona="Pirate")
    assert "sails the seven seas" in shown
    assert "model gpt-4o-mini, temperature 0.7" in shown


async def test_a_picture_can_be_asked_of_a_persona(crew: Scene) -> None:
    """What is made of it is the model's business; the command and the call are read here."""
    used = await crew.discord.invoke(
        "sky", crew.place, "Dara", {"topic": "a ship", "persona": "pirate", "image": True}
    )
    response = await crew.responded(used.id)

    assert response.content == "-# Dara asks Pirate for a picture:\n>>> a ship"
