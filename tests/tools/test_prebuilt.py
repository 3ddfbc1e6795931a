"""Built families from a real registry: verified, never silently, built where that fails."""

import contextlib
import gzip
import http.server
import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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
def test_what_the_tree_does_not_name_is_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    prebuilt.DIGESTS.write_text("")

    assert main(["build", FAMILY.name]) == 0

    assert "digests.txt names no build with go1." in capsys.readouterr().out


def test_what_the_tree_does_not_name_is_not_put(
    filled: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKY_CACHE", str(made))
    registry = prebuilt.Registry(filled)

    with pytest.raises(prebuilt.NotPut, match=r"digests` writes the line .*\n.* pause-"):
        registry.put(FAMILY, cache.toolchain(), {})


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
