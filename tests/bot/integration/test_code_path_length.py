"""How much of bot/ one has to read to follow one message from the gateway to the reply."""

import ast
import asyncio
import json
import os
import signal
from functools import cache
from pathlib import Path

from .conftest import FreshStage
from .process import BOT_CHECKOUT, REPOSITORY
from .scenario import scene as open_scene

# Counted: 45 files, 265 functions; a slow machine adds the typing indicator. Issue 13 asks for 24
# and 75: lower these with every step that shortens the path.
MOST_FILES = 47
MOST_FUNCTIONS = 270


async def test_a_direct_message_passes_through_few_files_and_functions(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """Counted by `sys.setprofile` in the bot's process, in the context of the message alone.

    A comprehension or lambda belongs to its function, a dataclass's generated method has no code of
    ours, and a property is read like a field: none of these is counted.
    """
    profile = tmp_path / "profile.json"
    stage = fresh(start="", PROFILE=str(profile), SKY_REPLY__FIRST_WORDS_SECONDS="5")
    stage.bot.program = (str(REPOSITORY / "tests/bot/integration/profiled_bot.py"),)
    stage.bot.start()
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await scene.answer(await scene.whisper("warm up"))

        os.kill(stage.bot.pid, signal.SIGUSR1)
        await scene.answer(await scene.whisper("how are you?"))
        await stage.bot.until_metric("answers_total", 2)
        os.kill(stage.bot.pid, signal.SIGUSR2)
        async with asyncio.timeout(10):
            while not profile.exists():  # noqa: ASYNC110 - written by another process
                await asyncio.sleep(0.02)

    path = {
        name: [qualname for qualname, line in calls if _is_function(name, qualname, line)]
        for name, calls in json.loads(profile.read_text()).items()
    }
    path = {name: functions for name, functions in path.items() if functions}
    print("\n".join(f"{name}: {', '.join(functions)}" for name, functions in path.items()))
    functions = sum(map(len, path.values()))
    print(f"{len(path)} files, {functions} functions")
    assert "discord/client.py" in path
    assert "reply/stream.py" in path
    assert len(path) <= MOST_FILES
    assert functions <= MOST_FUNCTIONS


def _is_function(name: str, qualname: str, line: int) -> bool:
    return not qualname.endswith(">") and line not in _properties(name)


@cache
def _properties(name: str) -> frozenset[int]:
    """Give the first lines of a file's properties, as code objects have them."""
    tree = ast.parse((BOT_CHECKOUT / "bot" / name).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return frozenset(
        each.decorator_list[0].lineno
        for each in functions
        if "property" in [ast.unparse(decorator) for decorator in each.decorator_list]
    )
