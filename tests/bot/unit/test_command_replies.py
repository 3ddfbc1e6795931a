"""What the bot says about itself fits into a message and says what the settings do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.discord import command_replies
from bot.domain.messages import Location
from bot.personas.persona import Persona, PersonaRegistry, only_sky
from bot.settings.loading import load
from bot.settings.schema import PersonasSettings, Settings
from bot.triggers.access_policy import Denial

LIMIT = 2000


def settings(**variables: str) -> Settings:
    return load(None, {f"SKY_{name}": value for name, value in variables.items()}).settings


def test_help_names_the_command_of_the_settings() -> None:
    text = command_replies.help_text(settings(DISCORD__COMMAND="hey"))

    assert "`hey topic`" in text
    assert "!sky" not in text
    assert len(text) <= LIMIT


def test_help_tells_of_links_where_they_are_opened() -> None:
    assert "I read up to 3 pages" in command_replies.help_text(settings(LINKS__PAGES="3"))
    assert "I read the page" in command_replies.help_text(settings(LINKS__PAGES="1"))
    assert "link" not in command_replies.help_text(settings())


def test_privacy_names_the_provider_of_the_settings() -> None:
    text = command_replies.privacy_text(
        settings(OPENAI__BASE_URL="https://llm.example.org/v1"), only_sky()
    )

    assert "**llm.example.org**" in text
    assert "moderation" not in text
    assert "join in" not in text
    assert "link" not in text


def test_privacy_tells_of_what_is_switched_on() -> None:
    text = command_replies.privacy_text(
        settings(
            SAFETY__MODERATION="both",
            AMBIENT__CHANNELS="kites=0.1",
            CONVERSATION__HISTORY="9",
            LINKS__PAGES="1",
        ),
        only_sky(),
    )

    assert "I open pages that a question, or what it replies to, links to." in text
    assert "Questions and answers are checked by the moderation" in text
    assert "the newest 9 of the channel" in text
    assert "I may join in" in text
    assert len(text) <= LIMIT


def test_what_is_counted_by_person_is_told_where_it_is_switched_on() -> None:
    on, off = settings(USAGE__ENABLED="true"), settings()

    assert "I keep the ids of people" in command_replies.privacy_text(on, only_sky())
    assert "`/usage`" in command_replies.help_text(on)
    assert "I keep the ids of people" not in command_replies.privacy_text(off, only_sky())
    assert "/usage" not in command_replies.help_text(off)


def test_help_and_privacy_tell_of_threads_where_they_are_in_use() -> None:
    off, on = settings(), settings(THREADS__CHANNELS="help = on_call, ideas = forum")
    never = settings(THREADS__CHANNELS="ideas=forum", THREADS__WITHOUT_CALL="never")

    def both(each: Settings) -> str:
        privacy = command_replies.privacy_text(each, only_sky())
        return command_replies.help_text(each) + privacy

    assert "thread" not in both(off)
    assert "you need not mention me, until somebody else writes there" in both(on)
    assert "without a mention while nobody else writes there" in both(on)
    assert "every new post goes to the model" in both(never)
    assert "need not mention" not in both(never)


def test_summaries_are_told_of_where_they_are_switched_on() -> None:
    on, off = settings(SUMMARY__MESSAGES="800"), settings()

    assert "`/summary` sends up to 800 messages" in command_replies.privacy_text(on, only_sky())
    assert "`/summary`" in command_replies.help_text(on)
    assert len(command_replies.help_text(on)) <= LIMIT
    assert "summary" not in command_replies.privacy_text(off, only_sky())
    assert "ummarize" not in command_replies.help_text(off)


def test_privacy_names_who_searches_the_web_where_the_provider_can() -> None:
    searching = {
        f"p{n:02}": Persona("x" * 31 + str(n), "y", tools=("web_search",)) for n in range(9)
    }
    personas = PersonaRegistry(searching, PersonasSettings())
    all_on = {
        "SAFETY__MODERATION": "both",
        "AMBIENT__CHANNELS": "kites=0.1",
        "USAGE__ENABLED": "true",
        "THREADS__CHANNELS": "help=on_call,ideas=forum",
        "SUMMARY__MESSAGES": "5000",
        "LINKS__PAGES": "5",
    }

    text = command_replies.privacy_text(settings(**all_on), personas)

    assert f"**{'x' * 31}4** and 4 more answers, the model may search the web" in text
    assert len(text) <= LIMIT
    assert "search" not in command_replies.privacy_text(settings(), only_sky())
    assert "search" not in command_replies.privacy_text(settings(OPENAI__API="chat"), personas)


def test_the_cast_is_listed_with_who_answers_here() -> None:
    personas = PersonaRegistry(
        {"pirate": Persona("Captain", "x")}, PersonasSettings(default="pirate")
    )

    assert command_replies.persona_list_text(personas, Location()) == (
        "**Captain** answers here. Available personas:\n- `pirate`, Captain\n- `sky`"
    )


@given(st.integers(0, 400), st.text(max_size=20_000))
def test_however_many_and_long_they_are_it_is_one_message(number: int, prompt: str) -> None:
    personas = PersonaRegistry(
        {f"persona-{n}": Persona("x" * 32, "y") for n in range(number)}, PersonasSettings()
    )

    assert len(command_replies.persona_list_text(personas, Location())) <= LIMIT
    assert len(command_replies.persona_text(Persona("x" * 32, prompt, model="m" * 100))) <= LIMIT


@pytest.mark.parametrize("why", ["bot", "place", "person", "direct_messages"])
def test_each_reason_of_the_lists_is_told(why: Denial) -> None:
    assert command_replies.denial_text(why).startswith("I ")


def test_what_is_lacking_is_told_with_who_can_give_it() -> None:
    text = command_replies.lacking_text(("Send Messages", "Read Message History"))

    assert "**Send Messages**, **Read Message History**" in text
    assert "Someone who manages this server" in text


def test_sky_is_shown_with_nothing_that_differs() -> None:
    ((_, sky),) = only_sky()

    assert command_replies.persona_text(sky).startswith("**Sky**\n>>> You are Sky")
    assert "-#" not in command_replies.persona_text(sky)
