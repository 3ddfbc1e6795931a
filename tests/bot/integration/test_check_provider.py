"""`python -m bot check-provider`, as somebody runs it who has just chosen a provider."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.openai import dialect
from tests.servers.openai.control import DialectChoice, Fault, FaultKind, OpenAIControl
from tests.servers.openai.launch import Running

REPOSITORY = Path(__file__).parents[3]
ESTIMATE = re.compile(r"5 questions: about (\d+) tokens sent, at most (\d+) written")


def check(server: Running, model: str, *line: str, **more: str) -> tuple[int, str]:
    """Run the command; gives its exit code and what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "SKY_OPENAI__BASE_URL": server.url,
        "SKY_OPENAI__API": "chat",
        "SKY_OPENAI__MODEL": model,
        "SKY_OPENAI__ATTEMPTS": "1",
        "OPENAI_API_KEY": server.key_file.read_text().strip(),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check-provider", *line],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def found(printed: str, about: str) -> str:
    """Give what was found out about one thing."""
    return next(
        line.strip().removeprefix(about).strip()
        for line in printed.splitlines()
        if line.strip().startswith(about)
    )


@pytest.mark.parametrize(
    ("name", "people", "picture", "effort"),
    [
        ("openai", "yes", "yes", "refused"),
        ("mistral", "yes", "not supported", "refused"),
        ("vllm", "messages in a row are refused", "not supported", "accepted"),
        ("ollama", "yes", "not supported", "refused"),
        ("lmstudio", "yes", "not supported", "accepted"),
        ("gemini", "yes", "not supported", "refused"),
    ],
)
async def test_it_says_what_a_provider_can_and_what_the_bot_does_without(  # noqa: PLR0917  # fixtures and a table
    server: Running, control: OpenAIControl, name: str, people: str, picture: str, effort: str
) -> None:
    await control.speak(DialectChoice(name=name))

    code, printed = check(server, dialect.load(name).model_names[0])

    assert code == 0, printed
    assert found(printed, "plain question").startswith("answered in")
    assert found(printed, "streaming") == "yes"
    assert found(printed, "usage") == "reported"
    assert found(printed, "several people").startswith(people)
    assert found(printed, "picture").startswith(picture)
    assert found(printed, "temperature") == "accepted"
    assert found(printed, "effort").startswith(effort)


async def test_it_says_beforehand_what_that_costs_and_afterwards_what_it_cost(
    server: Running, control: OpenAIControl
) -> None:
    await control.speak(DialectChoice(name="openai"))

    code, dry = check(server, "gpt-4.1", "--dry-run")
    assert code == 0
    assert (await control.counts()).total == 0
    _, printed = check(server, "gpt-4.1")

    said = ESTIMATE.search(dry)
    assert said
    assert ESTIMATE.search(printed)
    used = int(found(printed, "used:").split()[0])
    assert 0 < used <= int(said[1]) + int(said[2])


async def test_it_says_what_is_not_told_and_not_streamed(
    server: Running, control: OpenAIControl
) -> None:
    choice = DialectChoice(name="openai", usage="never", refuses=("stream", "temperature"))
    await control.speak(choice)

    code, printed = check(server, "gpt-4.1")

    assert code == 0, printed
    assert found(printed, "streaming").startswith("not supported")
    assert found(printed, "temperature").startswith("refused")


async def test_a_provider_that_does_not_answer_is_told_with_the_reason(
    server: Running, control: OpenAIControl
) -> None:
    await control.speak(DialectChoice(name="deepseek"))
    await control.inject(Fault(kind=FaultKind.QUOTA))

    code, printed = check(server, "deepseek-chat")

    assert code == 1
    assert "quota_spent" in found(printed, "plain question")
    assert "Traceback" not in printed


async def test_without_a_key_it_says_where_one_may_come_from(server: Running) -> None:
    code, printed = check(server, "gpt-4.1", OPENAI_API_KEY="")

    assert code == 2
    assert "OPENAI_API_KEY" in printed


def test_the_help_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check-provider", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "five requests" in done.stdout
    assert "--dry-run" in done.stdout
    assert "SKY_OPENAI__BASE_URL=http://localhost:11434/v1" in done.stdout
