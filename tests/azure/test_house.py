"""House rules for clusters/azure that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "clusters/azure").rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES]
# Run in a fresh interpreter: imports every module and reports what that did beyond importing.
PROBE = """
import sys
def refuse(event, arguments):
    if event.startswith(("subprocess.", "os.system", "os.exec", "os.fork", "socket.connect")):
        raise SystemExit(f"importing did {event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"importing wrote {arguments[0]}")
sys.addaudithook(refuse)
for module in sys.argv[1:]:
    __import__(module)
"""


def test_importing_does_nothing() -> None:
    command = [sys.executable, "-B", "-c", PROBE, *MODULES]

    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_runtime_dependencies_are_imported() -> None:
    """The bot's own dependencies will do: set-up needs nothing of the tests."""
    probe = "import sys; " + "; ".join(f"import {module}" for module in MODULES)
    command = [sys.executable, "-c", f"{probe}; print(*sorted(sys.modules))"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"tests", "pytest", "yaml", "ruamel", "lightkube", "hypothesis"}


def test_a_package_only_states_its_contract() -> None:
    for path in FILES:
        if path.name == "__init__.py":
            (docstring,) = ast.parse(path.read_text()).body
            assert isinstance(docstring, ast.Expr), path


def test_there_are_few_modules_and_no_class_name_twice() -> None:
    defined = [
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]

    assert len(FILES) <= 30
    assert sorted(set(defined)) == sorted(defined)


def test_packages_import_in_one_direction() -> None:
    """Each may import what stands before it, and what is in its own package."""
    order = ("runner", "state", "images", "steps", "prices", "preflight", "up", "teardown", "cli")
    allowed = {name: order[: place + 1] for place, name in enumerate(order)}
    allowed["doctor"] = ("runner", "state", "images", "steps", "doctor")

    for path, module in zip(FILES, MODULES, strict=True):
        own = module.split(".")[2]
        if own in {"__init__", "__main__"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "clusters.azure"
            ):
                parts = (node.module or "").split(".")
                names = parts[2:3] or [alias.name for alias in node.names]
                assert set(names) <= set(allowed[own]), f"{module} imports {names}"
