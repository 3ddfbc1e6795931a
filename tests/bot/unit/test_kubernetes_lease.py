"""What the API server may answer, in our words."""

from __future__ import annotations

import json

import httpx2
import pytest

from bot.leadership.kubernetes_lease import _reasons
from bot.leadership.lease_record import LeaseUnreachable


@pytest.mark.parametrize(
    "trouble",
    [
        json.JSONDecodeError("Expecting value", "<html>", 0),  # a page of what stands in front
        ValueError("not a Lease"),
        httpx2.ConnectError("refused"),
        TimeoutError(),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_whatever_is_no_lease_is_an_outage(trouble: Exception) -> None:
    with pytest.raises(LeaseUnreachable) as raised, _reasons("Lease", "discord-sky-bot"):
        raise trouble

    assert "html" not in str(raised.value)
    assert str(raised.value).startswith("the API server")
