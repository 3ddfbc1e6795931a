"""What decides a key, and that nothing half-built is ever seen."""

import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools import ToolMissing, cache, cache_root, golang, recipe, schedule, share, tool
from tests.tools.families import Family
from tests.tools.progress import Progress
from tests.tools.running import GoFailed, Runner

TOOLCHAIN = golang.Toolchain("go1.26.8", "linux", "amd64", Path("/gocache"), Path("/gomod"))


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def family(tmp_path: Path) -> Family:
    """A family of one program of its own, whose folder lies outside this one."""
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "go.mod").write_text("module tools/hello\n\ngo 1.21\n")
    (folder / "main.go").write_text("package main\n\nfunc main() {}\n")
    return Family("hello", module="", tools=(("hello", "."),), folder=str(folder))


def test_the_key_repeats(family: Family) -> None:
    assert cache.key(family, TOOLCHAIN) == cache.key(family, TOOLCHAIN)
    assert len(cache.key(family, TOOLCHAIN)) == 16


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go", "deep/more.go"])
def test_the_key_changes_with_each_source(family: Family, name: str) -> None:
    before = cache.key(family, TOOLCHAIN)

    path = family.source / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("// changed\n")

    assert cache.key(family, TOOLCHAIN) != before


def test_the_key_changes_with_the_table_and_the_toolchain(family: Family) -> None:
    keys = {
        cache.key(family, TOOLCHAIN),
        cache.key(replace(family, ldflags="-X main.version=1"), TOOLCHAIN),
        cache.key(family, replace(TOOLCHAIN, version="go1.26.9")),
        cache.key(family, replace(TOOLCHAIN, arch="arm64")),
    }

    assert len(keys) == 4


def test_the_key_does_not_change_with_estimates_or_gos_cache_folders(family: Family) -> None:
    moved = replace(TOOLCHAIN, build_cache=Path("/elsewhere"), module_cache=Path("/elsewhere"))

    assert cache.key(replace(family, seconds=9, megabytes=9), moved) == cache.key(family, TOOLCHAIN)


def test_the_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    assert cache_root() == root
    monkeypatch.delenv("SKY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_root() == Path("/somewhere/discord-sky")


@pytest.mark.parametrize(("ask", "name"), [(tool, "kubectl"), (share, "crds")])
def test_what_is_not_built_is_said_with_the_remedy(ask: type, name: str) -> None:
    with pytest.raises(ToolMissing, match=f"{name} is not built .*: run `make tools`"):
        ask(name)


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(ToolMissing, match="kubectll is not among the tools"):
        tool("kubectll")


class FakeGo(Runner):
    """Answers as go does, and writes what `-o` names; fails where it is told to."""

    def __init__(self, fail: str = "") -> None:
        super().__init__()
        self.fail = fail
        self.calls: list[tuple[str, ...]] = []

    def go(self, *arguments: str, **_: object) -> str:
        """Pretend to run."""
        self.calls.append(arguments)
        if "-o" in arguments:
            Path(arguments[arguments.index("-o") + 1]).write_text("program")
        if arguments[0] == self.fail:
            raise GoFailed(("go", *arguments), ["main.go:3: undefined: x"])
        return "runtime\ntools/hello\n"


def test_a_build_appears_whole(family: Family) -> None:
    recipe.build(family, TOOLCHAIN, FakeGo(), lambda _phrase: None)

    entry = cache.entry(family, TOOLCHAIN)
    assert (entry / "bin" / "hello").read_text() == "program"
    assert [path.name for path in cache.tools_root().iterdir()] == [entry.name]


@pytest.mark.parametrize("step", ["list", "build"])
def test_a_build_that_fails_leaves_nothing(family: Family, step: str) -> None:
    with pytest.raises(GoFailed):
        recipe.build(family, TOOLCHAIN, FakeGo(fail=step), lambda _phrase: None)

    assert list(cache.tools_root().iterdir()) == []


def test_what_a_killed_build_left_is_not_taken_for_a_result(family: Family) -> None:
    left = cache.tools_root() / f"{cache.TEMPORARY}hello-abc" / "made" / "bin"
    left.mkdir(parents=True)

    assert schedule.missing([family], TOOLCHAIN) == [family]
    cache.remove_leftovers()
    assert list(cache.tools_root().iterdir()) == []


def test_a_failure_names_its_family_and_starts_nothing_more(family: Family) -> None:
    families = [replace(family, name=f"f{number}") for number in range(5)]
    runner = FakeGo(fail="list")

    with pytest.raises(schedule.BuildFailed) as failed, Progress(5) as progress:
        schedule._build(families, TOOLCHAIN, runner, progress)

    assert failed.value.family.name in {"f0", "f1"}
    assert failed.value.lines == ["main.go:3: undefined: x"]
    assert len(runner.calls) <= schedule.AT_ONCE


def test_clean_removes_other_keys_only(monkeypatch: pytest.MonkeyPatch, family: Family) -> None:
    monkeypatch.setattr(cache, "FAMILIES", (family,))
    current = cache.entry(family, TOOLCHAIN)
    other = current.with_name("hello-0123456789abcdef")
    for path in (current, other):
        (path / "bin").mkdir(parents=True)

    assert schedule.clean(TOOLCHAIN) == [other]
    assert current.is_dir()
    assert not other.exists()


def test_a_second_build_waits_for_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    held = threading.Event()

    def first() -> None:
        with schedule._lock():
            held.set()
            threading.Event().wait(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    with schedule._lock():
        order.append("second")
    thread.join()

    assert order == ["first", "second"]
    assert "another build is running" in capsys.readouterr().out


def test_importing_needs_nothing_and_does_nothing(tmp_path: Path) -> None:
    """No Go, no environment, no third-party package: only Python and this folder."""
    copied = tmp_path / "tests" / "tools"
    copied.mkdir(parents=True)
    for path in Path(cache.__file__).parent.glob("*.py"):
        shutil.copy(path, copied)

    subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", "import tests.tools, tests.tools.__main__"],
        cwd=tmp_path,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )

    assert {path.name for path in tmp_path.iterdir()} == {"tests"}
