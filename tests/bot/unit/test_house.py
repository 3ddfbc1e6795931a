"""House rules for bot/ that no linter knows."""

from __future__ import annotations

import graphlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "bot").rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES]

# Run in an interpreter without an environment: imports MODULE and reports what that did.
PROBE = """
import os, sys, threading
before = dict(os.environ)
def refuse(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork")):
        if event not in ("socket.gethostname",):
            raise SystemExit(f"importing did {event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"importing wrote {arguments[0]}")
sys.addaudithook(refuse)
__import__(sys.argv[1])
if threading.active_count() != 1:
    raise SystemExit(f"importing left threads: {threading.enumerate()}")
import asyncio, logging, signal
if logging.root.handlers:
    raise SystemExit("importing configured logging")
if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
    raise SystemExit("importing took a signal")
if dict(os.environ) != before:
    raise SystemExit("importing changed the environment")
"""


# Has the libraries, and for each line of its input runs PROBE in a fork of its own: the same as a
# fresh interpreter for each, without loading the libraries a hundred times.
NURSERY = """
import importlib, json, os, sys
probe = compile(sys.argv[1], "probe", "exec")
for name in sys.argv[2:]:
    importlib.import_module(name)
assert not [name for name in sys.modules if name.split(".")[0] == "bot"]
for line in sys.stdin:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1), os.dup2(writing, 2)
        sys.argv[:] = ["", line.strip()]
        code = 1
        try:
            exec(probe, {"__name__": "__main__"})
            code = 0
        except SystemExit as end:
            print(end.code)
        except BaseException as error:
            print(repr(error))
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as output:
        said = output.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, said]), flush=True)
"""
LIBRARIES = ("discord", "openai", "aiohttp.web", "pydantic_settings", "prometheus_client")


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """An interpreter without an environment that has the libraries and nothing of bot/."""
    command = [sys.executable, "-B", "-c", NURSERY, PROBE, *LIBRARIES]
    with subprocess.Popen(
        command, cwd=ROOT, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.mark.parametrize("module", ["bot.app", "bot.__main__"])
def test_importing_does_nothing_nor_do_the_libraries(module: str) -> None:
    """No output, no thread, no socket, no process, no written file, no handler."""
    command = [sys.executable, "-B", "-c", PROBE, module]

    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("module", MODULES)
def test_importing_does_nothing(module: str, nursery: subprocess.Popen[str]) -> None:
    """Each by itself, so each finds what it needs: the same rules as for all of them together."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None

    print(module, file=nursery.stdin, flush=True)

    assert json.loads(nursery.stdout.readline()) == [0, ""]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 600


def test_discords_objects_stay_in_the_folder_that_the_readme_names() -> None:
    """Elsewhere its library is at most a type."""
    text = (ROOT / "bot" / "README.md").read_text()
    said = text.partition("Discord's objects stay in ")[2].partition(":")[0]
    named = set(re.findall(r"\[`(\w+)/`\]", said))
    importing = {
        _folder(path)
        for path in FILES
        if re.search(r"^(import discord|from discord[. ])", path.read_text(), re.MULTILINE)
    }

    assert importing == named


def test_no_two_folders_import_each_other() -> None:
    """Not even for a type, and not in a circle; what they share lies at the top."""
    folders = {_folder(path) for path in FILES} - {""}
    imports: dict[str, set[str]] = {folder: set() for folder in folders}
    for path in FILES:
        if _folder(path):
            named = re.findall(r"^ *from bot\.(\w+)", path.read_text(), re.MULTILINE)
            imports[_folder(path)] |= folders.intersection(named) - {_folder(path)}

    assert "settings" in imports["lease"]
    graphlib.TopologicalSorter(imports).prepare()  # raises a CycleError that names the circle


def _folder(path: Path) -> str:
    """Name the folder of bot/ that a file lies in; nothing at the top."""
    return "".join(path.relative_to(ROOT / "bot").parts[:-1])
