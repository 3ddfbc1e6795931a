"""What `check-config` says that a configuration means."""

from __future__ import annotations

import pytest

from bot.cli.check_config import notes, summarize
from bot.personas.persona import Persona, PersonaRegistry, only_sky
from bot.settings.schema import (
    AccessSettings,
    AmbientSettings,
    BudgetSettings,
    LimitsSettings,
    LinksSettings,
    OpenAISettings,
    PersonasSettings,
    ReplySettings,
    SafetySettings,
    Settings,
    ThreadMode,
    ThreadsSettings,
)


def told(settings: Settings) -> dict[str, str]:
    """Give what is said, by what it is about."""
    lines = summarize(settings, only_sky())
    return {about: words.strip() for about, _, words in (line.partition(":") for line in lines)}


def test_a_bot_as_it_comes_is_explained() -> None:
    said = told(Settings())

    assert said["model"] == (
        "gpt-5-mini, at api.openai.com through the Responses API with an API key; "
        "an answer has at most 4000 tokens"
    )
    assert said["limits"] == "none per hour; 64 answers at once"
    assert said["budget"] == (
        "no limit, only counted; an answer of 1000 tokens read and 300 written costs 0.00085 USD"
    )
    assert said["one answer"] == "at most 0.09 USD"
    assert "by everyone, everywhere; never joins in unprompted" in said["called"]


def test_what_differs_is_in_its_line() -> None:
    said = told(
        Settings(
            access=AccessSettings(block_users=("7",), direct_messages=False),
            ambient=AmbientSettings(channels={"general": 0.1}),
            reply=ReplySettings(long="thread", long_from=4, buttons=False),
            limits=LimitsSettings(user_per_hour=30, server_per_hour=500),
            budget=BudgetSettings(daily=2.5, monthly=40, currency="EUR"),
            safety=SafetySettings(banned_words=("mast",), moderation="input"),
        )
    )

    assert "restricted by block_users ('7'); joins in unprompted in 1 channels" in said["called"]
    assert "direct messages" not in said["called"]
    assert said["answers"].startswith(
        "without buttons; from 4 messages on, it continues in a thread"
    )
    assert said["limits"].startswith("a person 30 an hour, a server 500 an hour")
    assert said["budget"].startswith("2.5 EUR a day and 40 EUR a month")
    assert said["safety"].startswith("questions are moderated, 1 banned words")


def test_threads_say_where_and_when_no_call_is_needed() -> None:
    channels: dict[str, ThreadMode] = {"help": "on_call", "ideas": "forum", "pier": "off"}

    assert told(Settings())["threads"] == "none are opened, and no posts are answered"
    assert told(Settings(threads=ThreadsSettings(channels=channels)))["threads"] == (
        "a call opens one in 'help'; new posts are answered in 'ideas'; "
        "in them no call is needed while one person writes"
    )


def test_a_channel_for_threads_that_is_blocked_is_noted() -> None:
    settings = Settings(
        threads=ThreadsSettings(channels={"help": "on_call", "pier": "off"}),
        access=AccessSettings(block_channels=("help", "pier")),
    )

    (note,) = notes(settings, only_sky())

    assert note.startswith("threads.channels: 'help' is also in access.block_channels")


def test_what_is_opened_of_links_is_told() -> None:
    links = LinksSettings(pages=2, allow_hosts=("*.Harbour.example", "bay.example"))

    assert told(Settings())["links"] == "pages that people link to are not read"
    assert told(Settings(links=links))["links"] == (
        "at most 2 pages for an answer, 4000 tokens in all, "
        "only of 'harbour.example', 'bay.example'"
    )
    assert told(Settings(links=LinksSettings(pages=1, block_hosts=("evil.example",))))[
        "links"
    ].endswith("of any public site, not of 'evil.example'")


def test_lists_of_sites_without_pages_and_pages_without_room_are_noted() -> None:
    listed = Settings(links=LinksSettings(block_hosts=("evil.example",)))
    long = Settings(links=LinksSettings(pages=1, tokens=12_000))

    assert any(note.startswith("links: has lists") for note in notes(listed, only_sky()))
    assert any(note.startswith("links.tokens: is 12000") for note in notes(long, only_sky()))


def test_a_list_shows_its_first_entries_so_that_a_misspelt_one_is_seen() -> None:
    access = AccessSettings(
        allow_servers=("Harbuor", "bay"), block_channels=tuple(f"#pier-{n}" for n in range(1, 9))
    )

    called = told(Settings(access=access))["called"]

    assert "restricted by allow_servers ('harbuor', 'bay'), block_channels ('pier-1', " in called
    assert "'pier-5' and 3 more)" in called
    assert "pier-6" not in called


def test_a_model_without_a_price_is_noted_with_who_asks_it_and_the_remedy() -> None:
    personas = PersonaRegistry(
        {"pirate": Persona("Captain", "Ahoy.", model="parrot-1")}, PersonasSettings()
    )

    (note,) = notes(Settings(), personas)

    assert note == (
        "persona 'pirate': 'parrot-1' is not in budget.prices, so it is charged at the highest "
        'price there, 2.5 and 10 USD per million tokens. Add it: [budget.prices."parrot-1"] with '
        "input and output."
    )


def test_a_day_that_is_dearer_than_its_month_is_noted() -> None:
    (note,) = notes(Settings(budget=BudgetSettings(daily=50, monthly=40)), only_sky())

    assert note.startswith("budget.daily: is more than budget.monthly")


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("http://ollama.models.svc:11434/v1", 11434),
        ("http://vllm.models.svc/v1", 80),
        ("https://models.example.org:8443/v1", 8443),
    ],
)
def test_a_port_that_the_network_policy_drops_is_noted(address: str, port: int) -> None:
    settings = Settings(openai=OpenAISettings(base_url=address))

    (note,) = notes(settings, only_sky())

    assert note.startswith(f"openai.base_url: is at port {port}. ")
    assert "network-policy.yaml" in note


@pytest.mark.parametrize(
    "address", ["https://models.example.org/v1", "http://localhost:11434/v1", "http://127.0.0.1:1/"]
)
def test_a_port_that_is_open_and_the_machine_itself_are_not_noted(address: str) -> None:
    settings = Settings(openai=OpenAISettings(base_url=address))

    assert list(notes(settings, only_sky())) == []


def test_tools_that_are_left_out_are_noted() -> None:
    personas = PersonaRegistry(
        {"scout": Persona("Scout", "You are Scout.", tools=("web_search",))}, PersonasSettings()
    )

    assert not any("web_search" in line for line in notes(Settings(), personas))
    assert any(
        "persona 'scout': web_search" in line
        for line in notes(Settings(openai=OpenAISettings(api="chat")), personas)
    )


def test_what_is_counted_of_people_is_explained() -> None:
    on = Settings.model_validate(
        {"usage": {"enabled": True, "rows": 20}, "reply": {"cost_line": True}}
    )

    assert told(Settings())["usage"] == (
        "not counted by person or channel; below an answer: nothing about its cost"
    )
    assert told(on)["usage"] == (
        "/usage is offered; 20 people and channels are kept by themselves; "
        "below an answer: its cost"
    )
