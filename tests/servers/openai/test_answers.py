"""How answers are composed, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .answers import compose, first_sentence, pieces
from .directives import Directives, without
from .errors import ApiError, masked
from .records import Asked, Pace, ScriptedAnswer, Turn


def asked(text: str, instructions: str = "I am Sky. I help.") -> Asked:
    return Asked(
        model="gpt-4.1",
        turns=(Turn(role="system", text=instructions), Turn(role="user", text=text)),
    )


def answer(text: str, number: int = 1) -> str:
    return compose(asked(text), number, Directives.of(text), None, Pace()).text


def test_an_answer_carries_the_users_words_and_its_own_number() -> None:
    said = answer("do owls sleep? [[chunks=2]]", number=41)

    assert "do owls sleep?" in said
    assert "41" in said
    assert "[[" not in said


def test_who_are_you_is_answered_with_the_first_sentence_of_the_instructions() -> None:
    assert answer("hey, Who Are You today?") == "I am Sky."


def test_a_directive_gives_text_to_the_letter() -> None:
    assert answer(r'[[text="one \"two\"\nthree"]]') == 'one "two"\nthree'


@pytest.mark.parametrize("length", [120, 2000, 5000, 20_000])
def test_a_length_is_exact_without_fences(length: int) -> None:
    assert len(answer(f"long [[length={length}]]")) == length


def test_fences_are_balanced_and_as_many_as_asked_for() -> None:
    said = answer("code [[length=6000 fence=3]]")

    assert said.count("```") == 6
    assert 5500 < len(said) < 6500


@pytest.mark.parametrize(
    "directive", ["[[chnks=2]]", "[[chunks=many]]", "[[fault=fire]]", "[[delay=-1]]"]
)
def test_a_mistaken_directive_is_refused(directive: str) -> None:
    with pytest.raises(ApiError, match="not understood"):
        Directives.of(directive)


def test_brackets_that_are_no_directive_are_only_text() -> None:
    assert Directives.of("see [[the wiki]] and a[[0]]") == Directives()
    assert without("see [[the wiki]]") == "see [[the wiki]]"


@given(st.text(), st.none() | st.integers(1, 50))
def test_the_pieces_joined_are_the_text(text: str, count: int | None) -> None:
    assert "".join(pieces(text, count)) == text


def test_a_scripted_answer_comes_before_everything_else() -> None:
    script = ScriptedAnswer(match="owls", text="Owls.", delay=2)

    made = compose(asked("who are you, owls?"), 1, Directives(), script, Pace(delay=1, first=3))

    assert (made.text, made.delay, made.first) == ("Owls.", 2, 3)


def test_more_than_max_tokens_is_cut_and_says_so() -> None:
    question = asked("[[length=500]]").model_copy(update={"max_tokens": 20})

    made = compose(question, 1, Directives.of("[[length=500]]"), None, Pace())

    assert (len(made.text), made.truncated) == (80, True)


def test_instructions_without_a_full_stop_are_one_sentence() -> None:
    assert first_sentence("I am Sky") == "I am Sky"
    assert first_sentence("  I am v1.2 of Sky. More") == "I am v1.2 of Sky."


def test_a_key_is_never_shown_whole() -> None:
    assert masked("sk-loop-abcdefghij") == "sk-loop*******ghij"
    assert masked("short") == "*****"
