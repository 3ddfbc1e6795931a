"""Personas: their files, who answers where, and who is meant by a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import UnknownPersona
from bot.domain.messages import Location
from bot.personas import loader as persona_files
from bot.personas import persona as character
from bot.personas.persona import Persona, PersonaRegistry, only_sky
from bot.settings.loading import load
from bot.settings.schema import PersonasSettings

PIRATE = Persona("Pirate", "You are a pirate.")
TUTOR = Persona("Patient Tutor", "You are a tutor.")
THREAD = Location(("5", "harbour"), ("11", "kites", "10", "help"), ())


def cast(**choices: object) -> PersonaRegistry:
    return PersonaRegistry(
        {"pirate": PIRATE, "tutor": TUTOR}, PersonasSettings.model_validate(choices)
    )


def test_without_files_and_choices_everywhere_is_sky() -> None:
    assert only_sky().at(THREAD) == only_sky().at(Location()) == character.DEFAULT


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({"default": "Pirate"}, "Pirate"),
        ({"default": "pirate", "servers": {5: "tutor"}}, "Patient Tutor"),
        ({"servers": {"Harbour": "tutor"}, "channels": {"#Help": "pirate"}}, "Pirate"),
        ({"channels": {"10": "pirate", "11": "tutor"}}, "Patient Tutor"),
        ({"channels": {"11": "nobody", "help": "pirate"}}, "Pirate"),
        ({"servers": {"6": "tutor"}, "channels": {"garden": "pirate"}}, "Sky"),
        ({"default": "nobody"}, "Sky"),
    ],
)
def test_the_nearest_choice_counts(choices: dict[str, object], name: str) -> None:
    if "servers" in choices:
        choices["servers"] = {str(k): v for k, v in choices["servers"].items()}  # type: ignore[attr-defined]

    assert cast(**choices).at(THREAD).name == name


def test_a_file_of_that_name_takes_skys_part() -> None:
    mine = PersonaRegistry({"sky": PIRATE}, PersonasSettings())

    assert mine.at(THREAD) == mine.named("Sky") == PIRATE


@pytest.mark.parametrize("name", ["tutor", "TUTOR", " patient tutor "])
def test_a_persona_is_found_by_its_file_and_by_its_name(name: str) -> None:
    assert cast().named(name) == TUTOR


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pirat", "There is no persona with that name. Did you mean **pirate**?"),
        (
            "zzz",
            "There is no persona with that name. Did you mean **pirate** or **sky** or **tutor**?",
        ),
    ],
)
def test_a_name_that_nobody_has_is_answered_with_the_nearest(name: str, sentence: str) -> None:
    with pytest.raises(UnknownPersona) as caught:
        cast().named(name)

    assert caught.value.sentence == sentence
    assert name not in str(caught.value)  # which goes into the log


@given(st.text(max_size=12))
def test_completing_offers_only_who_has_those_letters(typed: str) -> None:
    for key, persona in cast().like(typed):
        part = typed.strip().casefold()
        assert part in key or part in persona.name.casefold()


def test_completing_begins_with_those_that_begin_so() -> None:
    assert [key for key, _ in cast().like("t")] == ["tutor", "pirate"]


def test_a_choice_of_nobody_is_told_with_its_place() -> None:
    found = list(cast(channels={"help": "tutr"}, servers={"5": "xyzzy"}).missing())

    assert found == [
        "personas.channels, 'help': there is no persona 'tutr'. Did you mean 'tutor'?",
        "personas.servers, '5': there is no persona 'xyzzy'. There are 'pirate', 'sky', 'tutor'.",
    ]


GOOD = 'name = "Pirate"\nprompt = "You are a pirate."\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('prompt = "x"', 'has no name. Add the line name = "…".'),
        (GOOD + 'modell = "x"', "unknown key 'modell'. Did you mean 'model'?"),
        (GOOD + 'effort = "low"', "unknown key 'effort'. Did you mean 'reasoning_effort'?"),
        (GOOD + "qqq = 1", "unknown key 'qqq'. There are name, prompt, model,"),
        (GOOD + "temperature = 9", "temperature: must be less than or equal to 2; it is 9 now."),
        (GOOD + 'tools = ["web"]', "tools.0: must be 'web_search' or 'image_generation'; it is"),
        (GOOD + "tools = 5", 'tools: must be a list, as in ["one", "two"]; it is 5 now.'),
        (GOOD + 'reasoning_effort = "huge"', "reasoning_effort: must be 'none', 'minimal',"),
        (GOOD + 'temperature = 1\nreasoning_effort = "low"', "Keep one:"),
        ('name = "a\\nb"\nprompt = "x"', "name: must be one line without any of"),
        ('name = "x"\nprompt = " "', "prompt: must have at least 1 character"),
        (GOOD + "x = [", "is not TOML:"),
        ('name = "Image"\nprompt = "x"', "!sky(image) asks for a picture."),
        ('name = "a, b"\nprompt = "x"', "name: must be one line without any of"),
        ("#" * 70_000, "is longer than 64 KiB."),
    ],
)
def test_a_mistake_names_file_key_and_remedy_and_the_others_are_read(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "bad.toml").write_text(text)

    found = persona_files.read(tmp_path)

    (problem,) = found.problems
    assert problem.startswith(str(tmp_path / "bad.toml"))
    assert sentence in problem
    assert found.personas == {"good": PIRATE}


def test_what_is_not_a_persona_is_told_and_what_kubernetes_hides_is_not_seen(
    tmp_path: Path,
) -> None:
    (tmp_path / "..data").mkdir()
    annotations = tmp_path / "notes.md"
    annotations.write_text("x")
    (tmp_path / "latin.toml").write_bytes(b"\xff")

    assert persona_files.read(tmp_path).problems == [
        f"{tmp_path / 'latin.toml'}: is not UTF-8 text. Save it as UTF-8.",
        f"{annotations}: is not a persona's file. Call it notes.toml, or put it elsewhere.",
    ]


@pytest.mark.parametrize("stem", ["a,b", "my (pirate)", "x" * 33, " pirate"])
def test_a_file_by_whose_name_nobody_can_call_is_told(tmp_path: Path, stem: str) -> None:
    (tmp_path / f"{stem}.toml").write_text(GOOD)

    found = persona_files.read(tmp_path)

    (problem,) = found.problems
    assert problem.startswith(f"{tmp_path / stem}.toml: nobody can call a persona by this file's")
    assert not found.personas


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"pirate": "Pirate", "second": "pirate"}, "second.toml: 'pirate' is 'pirate' already."),
        ({"friend": "Sky"}, "friend.toml: 'Sky' is 'sky' already. Choose another name."),
        ({"Pirate": "Blackbeard", "pirate": "x"}, "pirate.toml: 'pirate' is 'Pirate' already."),
        ({"a": "Twin", "b": "Twin"}, "b.toml: 'Twin' is 'a' already."),
        ({"a": "Pirate", "pirate": "x"}, "a.toml: 'Pirate' is 'pirate' already."),
    ],
)
def test_no_two_answer_to_one_name(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    for stem, name in files.items():
        (tmp_path / f"{stem}.toml").write_text(f'name = "{name}"\nprompt = "x"\n')

    found = persona_files.read(tmp_path)

    (problem,) = found.problems
    assert sentence in problem
    assert len(found.personas) == len(files) - 1


def test_the_directory_beside_the_settings_is_read_and_may_be_missing(tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text('[personas]\ndefault = "pirate"\n')

    found, problems = persona_files.of(load(settings, {}))
    assert found.at(THREAD).name == "Sky"
    assert problems == [
        f"{settings}, personas.default: there is no persona 'pirate'. There are 'sky'."
    ]

    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "pirate.toml").write_text(GOOD)
    found, problems = persona_files.of(load(settings, {}))
    assert (found.at(THREAD), problems) == (PIRATE, [])


def test_a_directory_that_was_chosen_has_to_be_there(tmp_path: Path) -> None:
    _, problems = persona_files.of(load(None, {"SKY_PERSONAS__DIRECTORY": str(tmp_path / "x")}))

    assert problems == [f"{tmp_path / 'x'}: there is no such directory. Create it."]
