"""The end-to-end scenarios' Git server: what Flux and people do to it."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from e2e import person, servers

from tests.release.clone import Clone


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(servers, "STATE", tmp_path)
    monkeypatch.setattr(servers.GitHandler, "log_message", lambda *_: None)
    servers._seed_git()
    server = ThreadingHTTPServer(("127.0.0.1", 0), servers.GitHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/discord-sky.git"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_is_cloned_from_and_pushed_to(tmp_path: Path, url: str) -> None:
    one, two = Clone(tmp_path / "one"), Clone(tmp_path / "two")
    for clone in (one, two):
        Clone(tmp_path).git("clone", "--quiet", url, str(clone.path))

    commit = one.commit("A change", {"changed.txt": "x" * 100_000})
    one.git("push", "--quiet", "origin", "main")
    two.git("pull", "--quiet")

    assert two.git("rev-parse", "HEAD") == commit
    assert (two.path / "apps/discord-sky/kustomization.yaml").exists()


def test_what_is_not_there_is_a_404(tmp_path: Path, url: str) -> None:
    with pytest.raises(AssertionError, match=r"not found|404"):
        Clone(tmp_path).git("clone", "--quiet", url.replace("discord-sky", "other"), "x")


def test_a_person_merges_reverts_and_guards(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scenarios' edits still find what they edit, and the release programs run in the clone."""
    monkeypatch.setattr(person, "GIT_URL", url)
    ada = person.Person(tmp_path / "clone")
    inputs = ada.release("hash", "--commit", "origin/main")

    merge = ada.edition(1)
    assert "You are Sky (edition 1)" in (ada.clone / person.PERSONA).read_text()
    assert ada.release("tag-name").endswith(f"-{merge[:7]}")
    ada.crash()
    crashing = (ada.clone / "bot/__main__.py").read_text()
    assert crashing.startswith("raise SystemExit")
    compile(crashing, "bot/__main__.py", "exec")  # or the image would not even be built
    for commit in (ada.git("rev-parse", "HEAD"), merge):
        ada.revert(commit)

    assert ada.release("hash") == inputs
    assert "nothing to do" in ada.release("guard")
