"""Keys, that nothing half-built is ever seen, and the files and checksums of modules."""

import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools import ToolMissing, build, cache, cache_root, share, tool
from tests.tools.build import BuildFailed, GoFailed, Progress, Runner
from tests.tools.families import FAMILIES, Family, Share

TOOLCHAIN = cache.Toolchain("go1.26.8", "linux", "amd64", Path("/gocache"), Path("/gomod"))
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    note: x
  name: things.example.com
spec:
  names:
    kind: Thing
"""
OTHER = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: thing\n"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def family(tmp_path: Path) -> Family:
    """A family of one program, whose folder is outside this one."""
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
            raise GoFailed(["main.go:3: undefined: x"])
        return "runtime\ntools/hello\n"


def test_a_build_appears_complete(family: Family) -> None:
    build.build_one(family, TOOLCHAIN, FakeGo(), lambda _phrase: None)

    entry = cache.entry(family, TOOLCHAIN)
    assert (entry / "bin" / "hello").read_text() == "program"
    assert [path.name for path in cache.tools_root().iterdir()] == [entry.name]


@pytest.mark.parametrize("step", ["list", "build"])
def test_a_build_that_fails_leaves_nothing(family: Family, step: str) -> None:
    with pytest.raises(GoFailed):
        build.build_one(family, TOOLCHAIN, FakeGo(fail=step), lambda _phrase: None)

    assert list(cache.tools_root().iterdir()) == []


def test_what_a_killed_build_left_is_not_taken_for_a_result(family: Family) -> None:
    left = cache.tools_root() / f"{cache.TEMPORARY}hello-abc" / "made" / "bin"
    left.mkdir(parents=True)

    assert build.missing([family], TOOLCHAIN) == [family]
    build.build([], TOOLCHAIN)
    assert [path.name for path in cache.tools_root().iterdir()] == [".lock"]


def test_a_failure_names_its_family_and_starts_nothing_more(family: Family) -> None:
    # So many that a busy machine does not begin all of them before the failure is seen.
    families = [replace(family, name=f"f{number}") for number in range(100)]
    runner = FakeGo(fail="list")

    with pytest.raises(BuildFailed) as failed, Progress(len(families)) as progress:
        build.build_all(families, TOOLCHAIN, runner, progress)

    assert failed.value.family in families
    assert failed.value.lines == ["main.go:3: undefined: x"]
    assert len(runner.calls) < len(families)


def test_clean_removes_other_keys_only(monkeypatch: pytest.MonkeyPatch, family: Family) -> None:
    monkeypatch.setattr(cache, "FAMILIES", (family,))
    current = cache.entry(family, TOOLCHAIN)
    other = current.with_name("hello-0123456789abcdef")
    for path in (current, other):
        (path / "bin").mkdir(parents=True)

    assert build.clean(TOOLCHAIN) == [other]
    assert current.is_dir()
    assert not other.exists()


def test_a_second_build_waits_for_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    held = threading.Event()

    def first() -> None:
        with build.lock():
            held.set()
            threading.Event().wait(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    with build.lock():
        order.append("second")
    thread.join()

    assert order == ["first", "second"]
    assert "another build is running" in capsys.readouterr().out


def test_importing_needs_nothing_and_does_nothing(tmp_path: Path) -> None:
    """No Go, no environment, no third-party package: only Python and this folder."""
    copied = tmp_path / "tests" / "tools"
    copied.mkdir(parents=True)
    for path in Path(cache.__file__).parent.glob("*.[pt]*"):
        shutil.copy(path, copied)

    subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", "import tests.tools, tests.tools.__main__"],
        cwd=tmp_path,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )

    assert {path.name for path in tmp_path.iterdir()} == {"tests"}


def test_what_go_says_is_kept_and_what_it_reports_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "go"
    program.write_text("#!/bin/sh\necho progress >&2; echo message >&2; echo out; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(GoFailed) as failed:
        Runner().go("build", folder=tmp_path, on_line=lambda line: line == "progress")

    assert failed.value.lines == ["message"]
    assert failed.value.output == "out\n"


def test_the_heartbeat_says_who_is_how_far(family: Family) -> None:
    now = 0.0
    progress = Progress(3, out=io.StringIO(), clock=lambda: now)

    with progress.of(replace(family, name="crane")) as report:
        report("compiled 5 of up to 9 packages")
        now = 12.0

        assert progress.heartbeat() == (
            "[0 of 3 done]   12 s  crane compiled 5 of up to 9 packages, 12 s"
        )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "module.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("example.com/some/module@v1.2.3/crds/all.yaml", f"{OTHER}---\n{CRD}")
        content.writestr("example.com/some/module@v1.2.3/spec/a.json", "{}")
        content.writestr("example.com/some/module@v1.2.3/spec/v3/b@c.json", "[]")
    return path


def test_each_crd_becomes_a_file_and_the_rest_is_left_out(archive: Path, tmp_path: Path) -> None:
    build.take(Share("crds", ("crds/*.yaml",), crds_only=True), archive, tmp_path / "out")

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["things.example.com.yaml"]
    assert (tmp_path / "out" / "things.example.com.yaml").read_text() == CRD


def test_files_keep_their_place_below_the_named_folder(archive: Path, tmp_path: Path) -> None:
    build.take(Share("openapi", ("spec/*.json",)), archive, tmp_path / "out")

    files = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.json")}
    assert files == {"a.json", "v3/b@c.json"}


def test_a_path_that_the_module_has_not_is_an_error(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(GoFailed) as failed:
        build.take(Share("openapi", ("gone/*.yaml",)), archive, tmp_path / "out")

    assert failed.value.lines == ["the module has no gone/*.yaml"]


def test_an_archive_cannot_write_outside(tmp_path: Path) -> None:
    path = tmp_path / "module.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("example.com/m@v1.0.0/../../../../escape", "x")

    build.extract(path, ("*",), tmp_path / "some" / "where" / "out")

    outside = [path for path in tmp_path.rglob("escape") if "out" not in path.parts]
    assert outside == []


class Answering(Runner):
    """A go whose download gives one answer."""

    def __init__(self, answer: dict[str, str]) -> None:
        super().__init__()
        self.answer = json.dumps(answer)
        self.failed = "Error" in answer

    def go(self, *_arguments: str, **_: object) -> str:
        """Pretend to download."""
        if self.failed:
            raise GoFailed(["go: downloading"], self.answer)
        return self.answer


@pytest.fixture
def pinned(tmp_path: Path) -> Family:
    (tmp_path / "go.mod").write_text("module x\n\nrequire example.com/m v1.0.0\n")
    (tmp_path / "go.sum").write_text("example.com/m v1.0.0 h1:right=\n")
    return Family("m", module="example.com/m", folder=str(tmp_path))


def test_the_checksum_of_go_sum_is_demanded(pinned: Family) -> None:
    right = Answering({"Zip": "/m.zip", "Sum": "h1:right="})
    wrong = Answering({"Zip": "/m.zip", "Sum": "h1:wrong="})

    assert build.archive(pinned, Path(), right) == Path("/m.zip")
    with pytest.raises(GoFailed) as failed:
        build.archive(pinned, Path(), wrong)
    assert "checksum mismatch" in failed.value.lines[0]


def test_a_module_that_asks_for_a_newer_go_still_gives_its_files(pinned: Family) -> None:
    runner = Answering({"Zip": "/m.zip", "Sum": "h1:right=", "Error": "requires go >= 9"})

    assert build.archive(pinned, Path(), runner) == Path("/m.zip")


def test_a_download_that_failed_says_why(pinned: Family) -> None:
    with pytest.raises(GoFailed) as failed:
        build.archive(pinned, Path(), Answering({"Error": "dial tcp: no route"}))

    assert failed.value.lines == ["dial tcp: no route"]
    assert build.is_network_trouble(failed.value.lines)


def test_a_full_disk_is_said_with_what_is_needed() -> None:
    with pytest.raises(build.NotReady, match=r"has 0\.1 GB free and building needs \d+\.\d GB"):
        build.check_disk(FAMILIES, (Path("/"),), free=lambda _path: 100_000_000)


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(build.NotReady, match=r"cannot be written: .* SKY_CACHE"):
        build.check_writable(tmp_path / "file" / "below")
