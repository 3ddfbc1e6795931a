"""Which messages call the bot."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.messages import Author, Location, Message
from bot.settings.schema import AccessSettings, ThreadsSettings
from bot.triggers.access_policy import AccessPolicy
from bot.triggers.match import (
    Ignored,
    Trigger,
    TriggerRules,
    after_command,
    called,
    match,
    without_mention,
)

ME = 7
ADA = Author(1, "Ada")
PLAIN = Message(id=100, channel_id=10, guild_id=5, author=ADA, text="good morning")
CALLED = {ME: "Sky"}
RULES = TriggerRules("!sky", AccessPolicy(AccessSettings()), ThreadsSettings())


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        (PLAIN, Ignored("not_called")),
        (replace(PLAIN, text="<@7> why?", names=CALLED), Trigger("mention", "why?")),
        (replace(PLAIN, text="<@!7>, why?", names=CALLED), Trigger("mention", "why?")),
        (replace(PLAIN, text="why? <@7>", names=CALLED), Trigger("mention", "why?")),
        (
            replace(PLAIN, text="is <@7> or <@1> taller?", names=CALLED),
            Trigger("mention", "is <@7> or <@1> taller?"),
        ),
        (replace(PLAIN, text="<@7>", names=CALLED), Trigger("mention", "")),
        (replace(PLAIN, text="<@8> why?", names={8: "Bram"}), Ignored("not_called")),
        (replace(PLAIN, text="and then?", replied_author_id=ME), Trigger("reply", "and then?")),
        (replace(PLAIN, text="and then?", replied_author_id=1), Ignored("not_called")),
        (replace(PLAIN, guild_id=None), Trigger("direct", "good morning")),
        (replace(PLAIN, text="!sky tides"), Trigger("command", "tides")),
        (replace(PLAIN, text=" !SKY\ntides\n"), Trigger("command", "tides")),
        (replace(PLAIN, text="!sky"), Trigger("command", "")),
        (replace(PLAIN, text="!skyline"), Ignored("not_called")),
        (replace(PLAIN, text="!sky(pirate) ahoy"), Trigger("command", "ahoy", "pirate")),
        (replace(PLAIN, text="!sky( Mad Hatter )tea"), Trigger("command", "tea", "Mad Hatter")),
        (replace(PLAIN, text="!Sky(IMAGE) a kite"), Trigger("command", "a kite", image=True)),
        (
            replace(PLAIN, text="!sky(pirate, image) a ship"),
            Trigger("command", "a ship", "pirate", image=True),
        ),
        (replace(PLAIN, text="!sky(pirate)"), Trigger("command", "", "pirate")),
        (replace(PLAIN, text="!sky()"), Trigger("command", "")),
        (replace(PLAIN, text="!sky(pirate what"), Trigger("command", "(pirate what")),
        (replace(PLAIN, text="!sky (why) tides"), Trigger("command", "(why) tides")),
        (replace(PLAIN, text="say !sky tides"), Ignored("not_called")),
        (replace(PLAIN, text="!sky tides", guild_id=None), Trigger("command", "tides")),
        (
            replace(PLAIN, text="!sky tides", replied_author_id=ME, names=CALLED),
            Trigger("command", "tides"),
        ),
        (replace(PLAIN, author=Author(ME, "Sky", bot=True), guild_id=None), Ignored("self")),
        (
            replace(PLAIN, author=Author(9, "Other", bot=True), text="<@7> hi", names=CALLED),
            Ignored("bot"),
        ),
        (replace(PLAIN, author=Author(9, "Hook", bot=True), text="!sky hi"), Ignored("bot")),
        (replace(PLAIN, ordinary=False, guild_id=None), Ignored("system")),
        (replace(PLAIN, text="", guild_id=None), Trigger("direct", "")),
    ],
)
def test_a_message_is_answered_when_it_calls_the_bot(
    message: Message, decision: Trigger | Ignored
) -> None:
    assert match(message, me=ME, rules=RULES) == decision


@given(
    st.text(), st.sampled_from([{}, CALLED]), st.sampled_from([None, 3]), st.sampled_from([1, ME])
)
def test_no_bot_is_ever_answered(
    text: str, names: dict[int, str], guild_id: int | None, replied: int
) -> None:
    message = Message(
        id=1,
        channel_id=2,
        guild_id=guild_id,
        author=Author(9, "Other", bot=True),
        text=text,
        replied_author_id=replied,
        names=names,
    )

    assert match(message, me=ME, rules=RULES) == Ignored("bot")


@given(st.text(max_size=60).filter(lambda topic: not topic.startswith("(")))
def test_what_follows_the_command_comes_without_white_space_around_it(topic: str) -> None:
    assert after_command(f"!sky {topic}", "!sky") == Trigger("command", topic.strip())


@given(st.text(max_size=60), st.sampled_from(["!sky", "!"]))
def test_any_text_is_a_command_or_none_and_no_word_of_the_topic_is_lost(
    text: str, command: str
) -> None:
    asked = after_command(command + text, command)

    if asked is not None:
        assert (command + text).rstrip().endswith(asked.prompt)
        kept = asked.prompt + (asked.persona or "") + ("image" if asked.image else "")
        assert set("".join(text.casefold().split())) <= set(kept.casefold()) | set("(),")


@given(st.text(max_size=40), st.sampled_from(["1", "9"]), st.sampled_from([{}, CALLED]))
def test_a_bot_is_answered_only_where_the_list_names_it(
    text: str, listed: str, names: dict[int, str]
) -> None:
    other = Author(9, "Other", bot=True)
    message = Message(1, 2, other, text, guild_id=3, names=names)
    rules = replace(RULES, lists=AccessPolicy(AccessSettings(allow_bots=(listed,))))

    decision = match(message, me=ME, rules=rules)

    assert (decision == Ignored("bot")) == (listed == "1")


def test_what_is_barred_is_not_answered_however_it_is_called() -> None:
    rules = replace(RULES, lists=AccessPolicy(AccessSettings(block_channels=("quiet",))))
    message = replace(PLAIN, text="!sky", place=Location(("5",), ("10", "quiet")))

    assert match(message, me=ME, rules=rules) == Ignored("place")


@pytest.mark.parametrize("text", ["<@7>" * 1000, "<@7 " * 1000, "< " * 2000, "<@7>,: " * 500])
def test_mentions_are_taken_off_in_linear_time(text: str) -> None:
    began = time.process_time()
    for _ in range(10):
        without_mention(text, 7)

    assert time.process_time() - began < 0.1


def test_a_mention_of_the_bots_own_role_is_one_of_the_bot() -> None:
    message = replace(PLAIN, text="<@&70> why? <@&70>", own_role=70)

    assert called(message, me=ME, command="!sky") == Trigger("mention", "why?")
