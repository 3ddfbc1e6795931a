"""Built families from a real registry: verified, never silently, built where that fails."""

import contextlib
import dataclasses
import gzip
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.tools.__main__ as tools_command
from tests.tools import build, cache, prebuilt, registry_process, tool
from tests.tools.__main__ import main
from tests.tools.families import FAMILIES

FAMILY = next(family for family in FAMILIES if family.name == "pause")  # no dependencies


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry_process.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the family is built."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKY_CACHE", str(folder))
        _build()
    return folder


def _build() -> None:
    build.build_one(FAMILY, cache.toolchain(), build.Runner(), lambda _phrase: None)


@pytest.fixture
def filled(
    address: str,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> str:
    """A repository that holds the family, a digests.txt that names it, and an empty cache."""
    crane = tool("crane")
    monkeypatch.setenv("SKY_CACHE", str(made))
    monkeypatch.setattr(prebuilt, "DIGESTS", tmp_path / "digests.txt")
    repository = f"{address}/{request.node.name.lower()}"
    prebuilt.write_digests([FAMILY], cache.toolchain())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "tool", lambda _name: crane)
        registry = prebuilt.Registry(repository)
        registry.put(FAMILY, cache.toolchain(), prebuilt.read_digests())
    monkeypatch.setenv("SKY_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("TOOLS_CACHE", repository)
    return repository


def _entry() -> Path:
    return cache.entry(FAMILY, cache.toolchain())


def _digest(entry: Path) -> str:
    return prebuilt.read_digests()[entry.name]


def test_an_empty_cache_is_filled_from_the_registry_and_says_so(
    filled: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "build_all", lambda *_: pytest.fail("something was built"))

    assert main(["build", FAMILY.name]) == 0

    said = capsys.readouterr().out
    assert f"tools: to take from {filled}: pause\n" in said
    assert "tools: pause: taken, its digest is right\n" in said
    assert prebuilt.digest_of(_entry()) == _digest(_entry())
    assert os.access(_entry() / "bin" / "pause", os.X_OK)


def test_what_was_tampered_with_is_refused_said_and_built(
    filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anyone who may write to the registry can put other bytes under the name."""
    layer = tmp_path / "layer.tar.gz"
    with gzip.open(layer, "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        info = tarfile.TarInfo("bin/pause")
        info.size, info.mode = 4, 0o755
        tar.addfile(info, io.BytesIO(b"evil"))
    name = f"{filled}:{_entry().name}"
    command = [tool_of_this_machine(), "append", "--oci-empty-base", "-f", str(layer), "-t", name]
    subprocess.run(command, check=True, capture_output=True)

    assert main(["build", FAMILY.name]) == 0

    said = capsys.readouterr().out
    assert "tools: pause: to build, because what is there is not what digests.txt names" in said
    assert "tools: everything is built" in said
    assert prebuilt.digest_of(_entry()) == _digest(_entry())
    assert {path.name for path in cache.tools_root().iterdir()} == {".lock", _entry().name}


def tool_of_this_machine() -> str:
    """The real crane, whatever the test's own cache is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SKY_CACHE")
        return str(tool("crane"))


def test_what_is_not_there_is_built(
    filled: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLS_CACHE", f"{filled}-other")

    assert main(["build", FAMILY.name]) == 0

    said = capsys.readouterr().out
    assert "tools: pause: to build, because it is not there\n" in said
    assert "tools: everything is built" in said


@pytest.mark.usefixtures("filled")
def test_without_a_registry_it_is_built(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLS_CACHE", "127.0.0.1:9/nothing")

    assert main(["build", FAMILY.name]) == 0

    assert "because the registry is out of reach" in capsys.readouterr().out


@pytest.mark.usefixtures("filled")
def test_a_registry_that_has_no_time_left_is_not_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prebuilt, "IN_ALL", -1)

    assert main(["build", FAMILY.name]) == 0

    assert "tools: pause: to build, because the registry is too slow\n" in capsys.readouterr().out


@pytest.mark.usefixtures("filled")
def test_what_the_tree_does_not_name_is_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    prebuilt.DIGESTS.write_text("")

    assert main(["build", FAMILY.name]) == 0

    assert "digests.txt names no build with go1." in capsys.readouterr().out


def test_all_that_the_tree_does_not_name_is_said_at_once_and_the_rest_is_put(
    filled: str, made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bump of Go changes every line, and a run of the workflow for each would take a day."""
    crane = tool_of_this_machine()
    monkeypatch.setenv("SKY_CACHE", str(made))
    monkeypatch.setattr(cache, "tool", lambda _name: crane)
    others = [dataclasses.replace(FAMILY, name=name) for name in ("one", "two", "three")]
    for other in others:
        with contextlib.suppress(FileExistsError):
            shutil.copytree(_entry(), cache.entry(other, cache.toolchain()))
    monkeypatch.setattr(tools_command, "FAMILIES", (*others, FAMILY))
    named = cache.entry(others[2], cache.toolchain()).name
    digest = prebuilt.digest_of(_entry())
    prebuilt.DIGESTS.write_text(f"go1 linux/amd64 {named} {digest}\n")

    assert main(["put", f"{filled}-new"]) == 2

    said = capsys.readouterr()
    assert "tools: three: put\n" in said.out
    toolchain = cache.toolchain()
    for lacking in (*others[:2], FAMILY):
        entry = cache.entry(lacking, toolchain).name
        line = f"{toolchain.version} {toolchain.os}/{toolchain.arch} {entry} {digest}\n"
        assert line in said.err
    assert named not in said.err


def test_digests_txt_names_a_build_of_every_family_with_one_go() -> None:
    """Otherwise TOOLS_CACHE builds what it could take, and only the workflow would tell."""
    lines = [line.split() for line in prebuilt.DIGESTS.read_text().splitlines() if line[0] != "#"]
    ours = [line for line in lines if line[1] == "linux/amd64"]
    (go,) = {version for version, *_ in ours}
    builder = cache.Toolchain(go, "linux", "amd64", Path(), Path())

    assert cache.numbers(go) >= cache.numbers(cache.needed_go())
    assert {entry for _, _, entry, _ in ours} == {
        cache.entry(family, builder).name for family in FAMILIES
    }, "run `make tools` and `python -m tests.tools digests`"


def test_it_is_unpacked_by_the_python_of_debian_12(
    filled: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """3.11.2: tarfile knows no filter there."""
    extract = tarfile.TarFile.extractall

    def as_in_debian(self: tarfile.TarFile, path: Any = ".", members: Any = None) -> None:
        extract(self, path, members)

    monkeypatch.setattr(tarfile.TarFile, "extractall", as_in_debian)

    assert main(["build", FAMILY.name]) == 0

    assert "tools: pause: taken, its digest is right\n" in capsys.readouterr().out
    assert prebuilt.digest_of(_entry()) == _digest(_entry())
    assert filled


def _link(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc"
    return info


@pytest.mark.parametrize(
    "info",
    [_link("bin"), tarfile.TarInfo("../outside"), tarfile.TarInfo("/outside")],
    ids=["a link", "above", "absolute"],
)
def test_only_files_and_folders_inside_are_unpacked(info: tarfile.TarInfo, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.addfile(info)

    with pytest.raises(prebuilt.NotTaken, match="no file or folder of its own"):
        prebuilt._unpack(tmp_path / "tar", tmp_path / "made")


def test_two_builds_in_two_places_are_the_same_bytes(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise no digest could be in the tree."""
    monkeypatch.setenv("SKY_CACHE", str(tmp_path / "second"))
    monkeypatch.setenv("GOCACHE", str(tmp_path / "gocache"))
    _build()

    second = _entry()
    monkeypatch.setenv("SKY_CACHE", str(made))
    assert prebuilt.digest_of(second) == prebuilt.digest_of(_entry())


def test_the_digest_is_of_names_modes_and_bytes_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "bin").mkdir(parents=True)
    (one / "bin" / "x").write_text("same")
    (one / "bin" / "x").chmod(0o700)
    shutil.copytree(one, other)
    os.utime(other / "bin" / "x", (1, 1))
    (other / "bin" / "x").chmod(0o755)

    assert prebuilt.digest_of(one) == prebuilt.digest_of(other)
    (other / "bin" / "x").chmod(0o644)
    assert prebuilt.digest_of(one) != prebuilt.digest_of(other)


_ELSEWHERE = "/elsewhere"


class _Storage(http.server.BaseHTTPRequestHandler):
    """A registry that sends for its blobs to another address, and notes what it is sent."""

    seen: list[str | None] = []  # noqa: RUF012  # one server at a time

    def do_GET(self) -> None:
        """Send the manifest elsewhere; elsewhere, note the header."""
        if self.path.startswith("/v2/"):
            self.send_response(307)
            port = self.headers["Host"].rpartition(":")[2]
            self.send_header("Location", f"http://localhost:{port}{_ELSEWHERE}")
            self.end_headers()
            return
        self.seen.append(self.headers.get("Authorization"))
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextlib.contextmanager
def _storage() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Storage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_registrys_token_is_not_sent_to_where_it_redirects() -> None:
    with _storage() as address:
        registry = prebuilt.Registry(f"{address}/x", {"Authorization": "Bearer secret"})
        assert not registry.has("pause-0123456789abcdef")

    assert _Storage.seen == [None]


def test_digests_of_other_platforms_are_kept(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKY_CACHE", str(made))
    monkeypatch.setattr(prebuilt, "DIGESTS", tmp_path / "digests.txt")
    theirs = "go1.26.8 linux/riscv64 pause-0123456789abcdef sha256:00"
    old = f"go1.0 {cache.toolchain().os}/{cache.toolchain().arch} pause-ff sha256:11"
    prebuilt.DIGESTS.write_text(f"# note\n{theirs}\n{old}\n")

    assert prebuilt.write_digests([FAMILY], cache.toolchain()) == 1

    assert prebuilt.read_digests() == {
        "pause-0123456789abcdef": "sha256:00",
        _entry().name: prebuilt.digest_of(_entry()),
    }


Answers = dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]]


def _say(body: bytes, length: int | None = None) -> Callable[[Any], None]:
    """Answer with BODY; say that it has LENGTH bytes."""

    def answer(asked: http.server.BaseHTTPRequestHandler) -> None:
        asked.send_response(200)
        asked.send_header("Content-Length", str(len(body) if length is None else length))
        asked.end_headers()
        asked.wfile.write(body)

    return answer


@contextlib.contextmanager
def _registry(answers: Answers, seen: list[str]) -> Iterator[str]:
    """A registry that answers by the last but one part of the path; it notes what it is asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = self.path.split("/")[-2]
            seen.append(kind)
            answers[kind](self)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}/x"
        server.shutdown()


def _take(
    repository: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float = 60
) -> int:
    """Try to take two families; return how many are left to build."""
    monkeypatch.setenv("SKY_CACHE", str(tmp_path / "cache"))
    toolchain = cache.Toolchain("go1", "linux", "amd64", Path(), Path())
    families = FAMILIES[:2]
    digests = {cache.entry(family, toolchain).name: "sha256:0" for family in families}
    monkeypatch.setattr(prebuilt, "read_digests", lambda: digests)
    registry = prebuilt.Registry(repository, deadline=time.monotonic() + seconds)
    return len(prebuilt.take_all(families, toolchain, registry))


_MANIFEST = json.dumps({"layers": [{"digest": "sha256:1", "mediaType": "tar"}]}).encode()


def _stand_still(asked: http.server.BaseHTTPRequestHandler) -> None:
    """Begin an answer, and wait until it is no longer awaited."""
    asked.send_response(200)
    asked.send_header("Content-Length", "1000")
    asked.end_headers()
    with contextlib.suppress(OSError):
        asked.rfile.read(1)


def _drip(asked: http.server.BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, for longer than anyone would wait."""
    asked.send_response(200)
    asked.send_header("Content-Length", "1000")
    asked.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            asked.wfile.write(b"x")
            time.sleep(0.05)


BROKEN: dict[str, tuple[Answers, str, int]] = {
    "an answer that breaks off": ({"manifests": _say(b"{", length=9)}, "the registry's answer", 2),
    "a list": ({"manifests": _say(b"[]")}, "no image with one layer", 2),
    "too many brackets": ({"manifests": _say(b"[" * 100_000)}, "is no manifest", 2),
    "an answer without an end": ({"manifests": _say(b" " * ((1 << 22) + 1))}, "too large", 2),
    "a download that breaks off": (
        {"manifests": _say(_MANIFEST), "blobs": _say(b"x", length=9)},
        "to build, because",
        4,
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_registry_that_is_broken_stops_no_build(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers, said, requests = BROKEN[case]
    seen: list[str] = []
    with _registry(answers, seen) as repository:
        assert _take(repository, monkeypatch, tmp_path) == 2

    assert said in capsys.readouterr().out
    assert len(seen) == requests


STILL: dict[str, tuple[Answers, str, int]] = {
    "an answer": ({"manifests": _stand_still}, "the registry is out of reach (timed out)", 1),
    "a download": (
        {"manifests": _say(_MANIFEST), "blobs": _stand_still},
        "the download stood still (timed out)",
        2,
    ),
}


@pytest.mark.parametrize("case", STILL)
def test_a_registry_that_stands_still_is_not_asked_for_the_next_family(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Seventeen times half a minute would be lost."""
    answers, said, requests = STILL[case]
    monkeypatch.setattr(prebuilt, "_SECONDS", 3)
    seen: list[str] = []
    with _registry(answers, seen) as repository:
        assert _take(repository, monkeypatch, tmp_path) == 2

    first, second = FAMILIES[:2]
    out = capsys.readouterr().out
    assert out == f"tools: {first.name}, {second.name}: to build, because {said}\n"
    assert len(seen) == requests


@pytest.mark.parametrize(
    "answer", [b"[]", b"null", b"{}", b'{"token": 7}', b"[" * 100_000, b"\xff"]
)
def test_a_token_service_that_gives_none_stops_no_build(answer: bytes) -> None:
    """What _open() takes for a registry that is out of reach."""
    with pytest.raises(ValueError, match=r"gives no token|decode"):
        prebuilt._token_in(answer)


def test_a_registry_that_is_too_slow_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    with _registry({"manifests": _say(_MANIFEST), "blobs": _drip}, seen) as repository:
        began = time.monotonic()
        assert _take(repository, monkeypatch, tmp_path, seconds=3) == 2

    assert time.monotonic() - began < 30
    assert "to build, because the registry is too slow" in capsys.readouterr().out
    assert seen == ["manifests", "blobs"]


def test_what_is_larger_than_any_family_is_not_taken(
    filled: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few bytes can unpack to as many as the disk has."""
    monkeypatch.setattr(prebuilt, "_LARGEST", 1 << 20)

    assert main(["build", FAMILY.name]) == 0

    assert "tools: pause: to build, because what is there is too large\n" in capsys.readouterr().out
    assert filled
