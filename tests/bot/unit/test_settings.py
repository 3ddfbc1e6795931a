"""Settings from a file and the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.errors import BadSettings
from bot.settings.loading import known_keys, load
from bot.settings.schema import Settings

if TYPE_CHECKING:
    from pathlib import Path


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_without_file_and_variables_the_defaults_are_openai_and_discord_themselves() -> None:
    settings = load(None, {}).settings

    assert settings.discord.api_url == "https://discord.com/api/v10"
    assert settings.openai.api == "responses"
    assert settings.http.port == 8080


def test_a_variable_wins_over_the_file_and_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    path = written(tmp_path, '[openai]\nmodel = "from-file"\napi = "chat"\n')

    loaded = load(path, {"SKY_OPENAI__MODEL": "from-environment", "SKY_REVISION": "abc"})

    assert loaded.settings.openai.model == "from-environment"
    assert loaded.settings.openai.api == "chat"
    assert loaded.settings.revision == "abc"
    assert loaded.unknown == []


def test_every_problem_is_reported_at_once_with_its_place_and_remedy(tmp_path: Path) -> None:
    path = written(tmp_path, '[openai]\nattempts = 99\nbase_url = "x.io"\nmodle = "x"\n')

    with pytest.raises(BadSettings) as caught:
        load(path, {"SKY_HTTP__PORT": "x", "SKY_OPENAI__API": "all"})

    assert caught.value.problems == [
        f"{path}, openai.base_url: must be an address that begins with https://; it is 'x.io' now.",
        "environment variable SKY_OPENAI__API: must be 'responses' or 'chat'; it is 'all' now.",
        f"{path}, openai.attempts: must be less than or equal to 10; it is 99 now.",
        "environment variable SKY_HTTP__PORT: must be a valid integer; it is 'x' now.",
        f"{path}, section [openai]: unknown key 'modle'. Did you mean 'openai.model'?",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[openai]\nbase_uri = 'x'", "Did you mean 'openai.base_url'?"),
        ("[opnai]\nmodel = 'x'", "unknown key 'opnai'."),
        ("[discord]\nzzzzzzzzzzzz = 1", "unknown key 'zzzzzzzzzzzz'."),
    ],
)
def test_an_unknown_key_does_not_stop_the_bot_and_names_the_nearest_known_one(
    tmp_path: Path, text: str, sentence: str
) -> None:
    loaded = load(written(tmp_path, text), {})

    (unknown,) = loaded.unknown
    assert sentence in unknown


def test_an_unknown_variable_is_named_with_the_nearest_known_one() -> None:
    (unknown,) = load(None, {"SKY_OPENAI__MODLE": "x", "PATH": "/bin"}).unknown

    assert unknown == (
        "environment variable SKY_OPENAI__MODLE: no such setting. Did you mean 'SKY_OPENAI__MODEL'?"
    )


def test_a_price_table_may_be_a_variable_and_a_broken_one_is_named() -> None:
    prices = '{"my-model": {"input": 1, "output": 2}}'

    loaded = load(None, {"SKY_BUDGET__PRICES": prices})
    with pytest.raises(BadSettings, match="SKY_BUDGET__PRICES: is not JSON"):
        load(None, {"SKY_BUDGET__PRICES": "cheap", "SKY_OPENAI__MODEL": "cheap"})

    assert loaded.settings.budget.prices["my-model"].output == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[openai\n", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (None, "there is no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BadSettings, match=sentence):
        load(path, {})


def test_a_section_that_is_given_as_broken_json_is_one_sentence() -> None:
    with pytest.raises(BadSettings, match="SKY_OPENAI: is not JSON"):
        load(None, {"SKY_OPENAI": "{"})


def test_lists_are_written_as_lists_or_with_commas_and_names_are_as_people_write_them(
    tmp_path: Path,
) -> None:
    path = written(
        tmp_path,
        '[access]\nallow_channels = ["#General", 42]\n[ambient.channels]\n"#Kites" = 0.1\n',
    )
    variables = {
        "SKY_ACCESS__ALLOW_CHANNELS": "#General, 42",
        "SKY_AMBIENT__CHANNELS": "#Kites = 0.1",
    }

    for loaded in (load(path, {}), load(None, variables)):
        assert loaded.settings.access.allow_channels == ("general", "42")
        assert loaded.settings.ambient.channels == {"kites": 0.1}
        assert loaded.unknown == []


def test_what_is_no_list_and_no_table_is_told_in_the_words_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "openai = 3\n[access]\nallow_servers = 5\n[ambient]\nchannels = 4\n")

    with pytest.raises(BadSettings) as caught:
        load(path, {})

    assert caught.value.problems == [
        f"{path}, openai: must be a table; it is 3 now.",
        f'{path}, access.allow_servers: must be a list, as in ["one", "two"]; it is 5 now.',
        f"{path}, ambient.channels: must be a table; it is 4 now.",
    ]


def test_people_are_named_by_id_because_anybody_can_take_a_name() -> None:
    with pytest.raises(BadSettings, match="BLOCK_USERS: must be ids, because anybody can take"):
        load(None, {"SKY_ACCESS__BLOCK_USERS": "42, Ada"})


def test_settings_cannot_be_changed() -> None:
    settings = load(None, {}).settings

    with pytest.raises(ValidationError):
        settings.openai.model = "another"


@budget(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(st.sampled_from(known_keys(Settings)), st.text(max_size=20), max_size=5))
def test_any_variables_are_taken_or_refused_with_their_name(values: dict[str, str]) -> None:
    environ = {f"SKY_{key.replace('.', '__').upper()}": value for key, value in values.items()}

    try:
        problems = load(None, environ).unknown
    except BadSettings as error:
        problems = error.problems

    assert all(any(name in problem for name in environ) for problem in problems)


def test_an_address_with_a_byte_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadSettings, match="SKY_OPENAI__BASE_URL: must be an address that begins"):
        load(None, {"SKY_OPENAI__BASE_URL": "https://example.com/\udcff"})
