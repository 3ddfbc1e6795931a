"""The command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.main import main


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    said = capsys.readouterr().out
    assert ended.value.code == 0
    for word in ("check-config", "SKY_DISCORD__TOKEN_FILE", "SKY_OPENAI__API_KEY_FILE", "/readyz"):
        assert word in said
    assert max(len(line) for line in said.splitlines()) <= 100


def test_an_unknown_command_is_told_by_the_name_that_help_has_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["chatt"])
    refused = capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out

    assert "argument COMMAND: invalid choice: 'chatt'" in refused
    assert "usage: python -m bot [-h] [--config FILE] COMMAND" in said


def test_help_of_check_config_says_what_it_takes_and_how_it_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["check-config", "--help"])

    said = capsys.readouterr().out
    for word in ("Explain a settings file", "one persona's file", "Exit codes: 0 valid, 2"):
        assert word in said
    assert max(len(line) for line in said.splitlines()) <= 100


def test_a_good_file_is_said_to_be_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[openai]\nmodel = "gpt-5-mini"\n')

    assert main(["check-config", str(path)]) == 0
    first, *meaning = capsys.readouterr().out.splitlines()
    assert first == f"{path}: good"
    assert [line.partition(":")[0] for line in meaning] == [
        *("model", "called", "personas", "threads", "answers"),
        *("limits", "budget", "one answer", "usage", "documents", "links", "safety", "summaries"),
    ]


def test_a_mistake_in_a_persona_beside_the_settings_is_told_with_all_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[personas]\ndefault = "pirat"\n[log]\nlevle = "info"\n')
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "pirate.toml").write_text('name = "Pirate"\nprompt = "Arr."\n')
    (tmp_path / "personas" / "tutor.toml").write_text('name = "Tutor"\npromt = "Hm."\n')

    assert main(["check-config", str(path)]) == 2

    said = capsys.readouterr().err
    assert "Did you mean 'log.level'?" in said
    assert "tutor.toml: unknown key 'promt'. Did you mean 'prompt'?" in said
    assert "personas.default: there is no persona 'pirat'. Did you mean 'pirate'?" in said


def test_one_personas_file_can_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "personas" / "pirate.toml"
    path.parent.mkdir()
    path.write_text('name = "Pirate"\nprompt = "Arr."\n')

    assert main(["check-config", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: good, Pirate is a persona\n"
    path.write_text('name = "Pirate"\n')
    assert main(["check-config", str(path)]) == 2
    assert "has no prompt. Add the line prompt" in capsys.readouterr().err


def test_a_persona_can_be_checked_from_within_its_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "personas"
    folder.mkdir()
    (folder / "pirate.toml").write_text('name = "Pirate"\nprompt = "Arr."\n')
    monkeypatch.chdir(folder)

    assert main(["check-config", "pirate.toml"]) == 0
    assert capsys.readouterr().out == "pirate.toml: good, Pirate is a persona\n"
    assert main(["check-config", "nobody.toml"]) == 2
    assert main(["check-config", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "settings: nobody.toml: there is no such file. Create it.",
        f"settings: {tmp_path}: is a directory. Name a file in it.",
    ]


def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[openai]\nmodle = "gpt-5-mini"\n')

    assert main(["check-config", str(path)]) == 2
    assert "Did you mean 'openai.model'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--config", "none.toml"], ["run", "--config", "none.toml"]])
def test_settings_that_cannot_be_used_end_it_with_a_sentence_and_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2

    said = capsys.readouterr().err
    assert said == ("settings: none.toml: there is no such file. Create it, or name another.\n")
