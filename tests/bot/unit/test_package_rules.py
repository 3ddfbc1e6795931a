"""House rules for bot/ that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
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


@pytest.mark.parametrize("module", ["bot.app", "bot.cli.main"])
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


# The order in which packages of bot/ may import each other: each only what stands before it.
ORDER = (
    *("domain", "settings", "observability", "personas", "triggers", "admission", "context"),
    *(
        "llm",
        "moderation",
        "reply",
        "leadership",
        "credentials",
        "answers",
        "discord",
        "app",
        "cli",
    ),
)


def test_packages_import_in_one_direction() -> None:
    """Not even for a type: what two packages share belongs to one that stands before both."""
    backwards = [
        f"{path.relative_to(ROOT)} imports bot.{name}"
        for path in FILES
        if (package := _package(path)) not in {"__init__", "__main__"}
        for name in _imported_packages(path)
        if ORDER.index(name) > ORDER.index(package)
    ]

    assert backwards == []
    assert set(ORDER) == {_package(path) for path in FILES} - {"__init__", "__main__"}


def test_only_the_package_discord_uses_discords_library() -> None:
    importing = {_package(path) for path in FILES if "discord" in _imported_libraries(path)}

    assert importing == {"discord"}


def test_no_module_is_loose() -> None:
    loose = {path.name for path in (ROOT / "bot").glob("*.py")}

    assert loose == {"__init__.py", "__main__.py", "app.py"}


def test_no_class_name_exists_twice() -> None:
    names = Counter(
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )

    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_name_exists_twice() -> None:
    names = Counter(path.stem for path in FILES if not path.stem.startswith("__"))

    assert [name for name, count in names.items() if count > 1] == []


def test_a_package_has_a_docstring_and_nothing_else() -> None:
    for path in FILES:
        if path.name == "__init__.py":
            (docstring,) = ast.parse(path.read_text()).body
            assert isinstance(docstring, ast.Expr)


def test_there_are_at_most_eighty_modules() -> None:
    """A bound that keeps ideas together; raise it for a new responsibility, not for a split one."""
    assert len([path for path in FILES if path.name != "__init__.py"]) <= 80


def _package(path: Path) -> str:
    """Name the package of bot/ that a file belongs to, or the module itself at the top."""
    return path.relative_to(ROOT / "bot").with_suffix("").parts[0]


def _imports(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def _imported_packages(path: Path) -> set[str]:
    found = set()
    for node in _imports(path):
        if isinstance(node, ast.ImportFrom) and node.module == "bot":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bot."):
            found.add((node.module or "").split(".")[1])
    return found


def _imported_libraries(path: Path) -> set[str]:
    found = set()
    for node in _imports(path):
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        else:
            found |= {alias.name.split(".")[0] for alias in node.names}
    return found


def test_docstrings_refer_to_classes_and_modules_that_exist() -> None:
    """`See Sink.` and a mention of splitter.py lead to something, after every rename."""
    folders = ("bot", "clusters", "tests", ".github")
    everything = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    names = {path.name for path in everything}
    code = "\n".join(path.read_text() for path in everything)
    classes = set(re.findall(r"^(?:class )?([A-Z]\w+)(?= = |[:(\[])", code, re.MULTILINE))

    stale = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in everything
        for text in _docstrings(path)
        for found in [
            *(
                name
                for name in re.findall(r"\bSee (?:[a-z_]+\.)*([A-Z]\w+)\.", text)
                if name not in classes
            ),
            *(name for name in re.findall(r"\b\w+\.py\b", text) if name not in names),
        ]
    ]

    assert stale == []


def _docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node, clean=False) or ""
