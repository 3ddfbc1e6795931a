"""`python -m bot chat`: a persona is tried in a terminal, with the same model, before a merge."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.openai.control import OpenAIControl

from .process import BARE_ENVIRONMENT, REPOSITORY
from .servers import Servers

PIRATE = """
name = "Captain"
prompt = "You are Captain, and you speak as pirates do."
greeting = "Ahoy!"
"""


@dataclass
class Terminal:
    """The command, and who sits in front of it."""

    process: asyncio.subprocess.Process
    seen: str = ""

    async def types(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def reads(self, text: str, seconds: float = 60) -> str:
        """Read on until `text` is there; gives what was read since the last time.

        A busy machine needs long for the first: the command imports the SDK.
        """
        assert self.process.stdout
        try:
            async with asyncio.timeout(seconds):
                while text not in self.seen:
                    piece = await self.process.stdout.read(4096)
                    assert piece, f"it ended after {self.seen!r}"
                    self.seen += piece.decode()
        except TimeoutError:
            raise AssertionError(f"no {text!r} in {self.seen!r}") from None
        read, _, self.seen = self.seen.partition(text)
        return read + text


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a configuration that says nothing."""
    path = tmp_path / "config.toml"
    path.write_text("")
    return path


@asynccontextmanager
async def terminal(
    servers: Servers, config: Path, *line: str, **more: str
) -> AsyncIterator[Terminal]:
    """Start the command as somebody does on a laptop."""
    environment = {
        **BARE_ENVIRONMENT,
        "SKY_OPENAI__BASE_URL": servers.openai.url,
        "OPENAI_API_KEY": servers.key,
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "chat", "--config", str(config), *line),
        cwd=REPOSITORY,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Terminal(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_persona_is_tried_before_it_is_merged(servers: Servers, config: Path) -> None:
    (config.parent / "personas").mkdir()
    (config.parent / "personas" / "pirate.toml").write_text(PIRATE)
    async with (
        terminal(servers, config, "--persona", "pirate") as person,
        OpenAIControl(servers.openai.control_url) as openai,
    ):
        await person.reads("Captain is ready.")
        await person.types("Who are you?")
        await person.reads("You are Captain, and you speak as pirates do.")
        await person.reads("Captain: 0.0")
        await person.types("and slowly? [[chunks=10 delay=0.5]]")
        await person.reads("You said:")
        still = (await openai.requests("and slowly?"))[-1]
        await person.reads("made for you alone.")
        assert still.ending == "open"  # it appears while it is written

        turns = (await openai.requests("and slowly?"))[-1].asked.turns  # type: ignore[union-attr]
        assert [turn.role for turn in turns if turn.role != "system"] == [
            "user",
            "assistant",
            "user",
        ]

        await person.types("/again")
        await person.reads("made for you alone.")
        assert len(await openai.requests("and slowly?")) == 2

        await person.types("at length [[length=900 chunks=60 delay=0.1]]")
        await person.reads("You said:")
        person.process.send_signal(signal.SIGINT)  # Ctrl-C
        assert (await openai.ended("at length")).ending == "gone"

        await person.types("/persona sky")
        await person.reads("Now answers Sky.")
        await person.types("/new")
        await person.types("Who are you?")
        await person.reads("You are Sky")
        await person.types("/quit")
        assert await asyncio.wait_for(person.process.wait(), 10) == 0


async def test_a_draft_is_tried_wherever_it_lies(servers: Servers, config: Path) -> None:
    draft = config.parent / "captain.toml"
    draft.write_text(PIRATE)
    async with terminal(servers, config, "--persona", str(draft)) as person:
        await person.reads("Captain is ready.")
        await person.types("Who are you?")
        await person.reads("You are Captain, and you speak as pirates do.")
        await person.types("/persona")
        await person.reads("captain          Captain")
    async with terminal(servers, draft) as person:  # taken for the settings by mistake
        await person.reads("is a persona's file, not a settings file.")
        await person.reads(f"Try it with `python -m bot chat --persona {draft}`.")
        assert await asyncio.wait_for(person.process.wait(), 10) == 2
    draft.write_text('name = "Captain"\npromt = "Arr."\n')
    async with terminal(servers, config, "--persona", str(draft)) as person:
        await person.reads("unknown key 'promt'. Did you mean 'prompt'?")
        assert await asyncio.wait_for(person.process.wait(), 10) == 2


async def test_limits_and_failures_are_sentences(servers: Servers, config: Path) -> None:
    limits = {"SKY_LIMITS__USER_PER_HOUR": "1", "SKY_OPENAI__ATTEMPTS": "1"}
    async with terminal(servers, config, **limits) as person:
        await person.types("[[fault=server_error]]")
        await person.reads("I can't reach the language model at the moment.")
        await person.types("one too many")
        told = await person.reads("(over_limit: user)")
        assert "Try again at " in told
        assert "<t:" not in told
        await person.types("/fly")
        await person.reads("There is no /fly.")
        assert person.process.stdin
        person.process.stdin.close()  # Ctrl-D
        assert await asyncio.wait_for(person.process.wait(), 10) == 0


async def test_bytes_that_are_no_text_are_asked_as_far_as_they_are(
    servers: Servers, config: Path
) -> None:
    # As in a language whose locale is UTF-8: a strict one.
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    folder = config.parent / "personas"
    folder.mkdir()
    (folder / os.fsdecode(b"p\xff.toml")).write_text(PIRATE)
    async with terminal(servers, config, **strict) as person:
        assert "nobody can call a persona by this file's name" in await person.reads("is ready.")
        assert person.process.stdin
        person.process.stdin.write(b"caf\xe9 or \xed\xa0\xbd tea?\n")
        await person.reads(" tea?")
        await person.reads("made for you alone.")


async def test_a_reader_that_goes_away_ends_it_without_a_word(
    servers: Servers, config: Path
) -> None:
    """`python -m bot chat | head -1`: what is said to nobody is no fault."""
    for command in (["chat", "--config", str(config)], ["check-config", str(config)], ["--help"]):
        reading, writing = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", *command),
            cwd=REPOSITORY,
            env={
                **BARE_ENVIRONMENT,
                "SKY_OPENAI__BASE_URL": servers.openai.url,
                "OPENAI_API_KEY": servers.key,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(writing)
        if command[0] == "chat":
            await asyncio.to_thread(os.read, reading, 4096)
        os.close(reading)

        async with asyncio.timeout(60):
            _, said = await process.communicate(b"hello?\nand again?\n")

        assert (process.returncode, said) == (141, b""), command


async def test_an_unknown_persona_is_a_sentence_with_the_nearest_name(
    servers: Servers, config: Path
) -> None:
    async with terminal(servers, config, "--persona", "skye") as person:
        await person.reads("There is no persona with that name. Did you mean **sky**?")

        assert await asyncio.wait_for(person.process.wait(), 10) == 1


async def test_without_a_key_it_says_where_one_may_come_from_and_does_not_begin(
    servers: Servers, config: Path
) -> None:
    missing = config.parent / "openai-api-key"
    nowhere = {"OPENAI_API_KEY": "", "SKY_OPENAI__API_KEY_FILE": str(missing)}
    async with terminal(servers, config, **nowhere) as person:
        said = await person.reads("(credentials.keyvault_url).")
        assert said.startswith(f"settings: {missing}: no credential for openai.")
        assert "the environment variable OPENAI_API_KEY" in said
        assert await asyncio.wait_for(person.process.wait(), 10) == 2
        assert person.process.stdout
        rest = await person.process.stdout.read()
        assert person.seen + rest.decode() == "\n"  # no prompt, no trace

    missing.write_text(f"{servers.key}\n")
    async with terminal(servers, config, **nowhere) as person:
        await person.reads("is ready.")
        await person.types("with a key in the file")
        await person.reads("made for you alone.")


@pytest.mark.parametrize(
    "settings",
    [
        {"SKY_OPENAI__AUTH": "entra"},
        {"SKY_CREDENTIALS__KEYVAULT_URL": "https://127.0.0.1:1"},
    ],
)
async def test_where_a_key_may_still_come_from_azure_it_begins(
    servers: Servers, config: Path, settings: dict[str, str]
) -> None:
    missing = str(config.parent / "none")
    nowhere = {"OPENAI_API_KEY": "", "SKY_OPENAI__API_KEY_FILE": missing, **settings}
    async with terminal(servers, config, **nowhere) as person:
        await person.reads("is ready.")
        await person.types("/quit")
        assert await asyncio.wait_for(person.process.wait(), 15) == 0
