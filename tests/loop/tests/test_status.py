"""What `make loop-status` prints, without a loop."""

import os
from pathlib import Path

import pytest

from tests.loop.supervisor import state, status


def test_every_address_stands_apart_from_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    me = os.getpid()
    loop = state.Loop("x", Path("/x"), "starting", me, state.start_ticks(me), 0, frozenset(), {})
    monkeypatch.setattr(state, "read", lambda: loop)

    assert status.status() == 1

    said = capsys.readouterr().out
    for name, value in (
        ("Key Vault stand-in", state.VAULT_URL),
        ("etcd", f"http://{state.ETCD}"),
        ("Discord stand-in", state.DISCORD_API_URL),
    ):
        (line,) = (line for line in said.splitlines() if line.startswith(f"  {name}  "))
        assert line.removeprefix(f"  {name}").strip().startswith(value)
