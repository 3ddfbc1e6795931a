"""`python -m bot check-config FILE`, as an operator or a pipeline runs it."""

import asyncio
import sys
from pathlib import Path

from .process import BARE_ENVIRONMENT, REPOSITORY

GOOD = """\
[openai]
model = "gpt-5-mini"
fallback_model = "gpt-4.1-mini"
[limits]
user_per_hour = 12
[personas]
default = "pirate"
"""
BAD = """\
[openai]
modle = "gpt-5-mini"
attempts = 99
[reply]
long = "scroll"
"""


async def check(path: Path) -> tuple[int | None, str, str]:
    """Run the command; gives the exit code and what it wrote to either stream."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "check-config", str(path)),
        cwd=REPOSITORY,
        env=BARE_ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_good_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(GOOD)
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "pirate.toml").write_text('name = "Pirate"\nprompt = "Arr."\n')

    code, out, err = await check(path)

    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: good\n")
    assert "model: gpt-5-mini, gpt-4.1-mini while that is down, at api.openai.com" in out
    assert "personas: pirate, sky; pirate answers" in out
    assert "limits: a person 12 an hour" in out


async def test_all_mistakes_are_named_at_once_each_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(BAD)

    code, out, err = await check(path)

    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"settings: {path}, openai.attempts: must be less than or equal to 10; it is 99 now.",
        f"settings: {path}, reply.long: must be 'parts', 'file' or 'thread'; it is 'scroll' now.",
        f"settings: {path}, section [openai]: unknown key 'modle'. Did you mean 'openai.model'?",
    ]


async def test_a_draft_of_a_persona_is_taken_for_one_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "captain.toml"
    path.write_text('name = "Captain"\nprompt = "Arr."\n')
    good = await check(path)
    path.write_text('name = "Captain"\npromt = "Arr."\ntemprature = 1\n')
    bad = await check(path)

    assert good == (
        0,
        (
            f"{path}: good, Captain is a persona\n"
            "note: it is a draft: the bot reads only those in personas/, next to the settings.\n"
        ),
        "",
    )
    assert bad[:2] == (2, "")
    assert bad[2].splitlines() == [
        f'settings: {path}: has no prompt. Add the line prompt = "…".',
        f"settings: {path}: unknown key 'promt'. Did you mean 'prompt'?",
        f"settings: {path}: unknown key 'temprature'. Did you mean 'temperature'?",
    ]


async def test_a_file_that_is_not_there_or_not_toml_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    missing = await check(path)
    path.write_text("[openai\n")
    broken = await check(path)

    assert missing[0] == broken[0] == 2
    assert missing[2] == f"settings: {path}: there is no such file. Create it, or name another.\n"
    assert broken[2].startswith(f"settings: {path}: is not TOML: ")
    assert broken[2].endswith("(at line 1, column 8). Fix that line.\n")
