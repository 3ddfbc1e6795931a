"""What the API server may answer, in our words."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.resources.core_v1 import Pod

from bot.leadership.kubernetes_lease import KubernetesLeaseStore, _reasons
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


@pytest.mark.parametrize(
    ("containers", "version"),
    [
        (
            {"proxy": "example.org/proxy:2", "bot": "example.org:5000/sky:main-7@sha256:00"},
            "main-7",
        ),
        ({"bot": "sky", "proxy": "example.org/proxy:2"}, ""),
        ({"proxy": "example.org/proxy:2"}, ""),
    ],
)
async def test_the_version_is_the_tag_of_the_bots_image(
    containers: dict[str, str], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else was put into its pod, such as a mesh's proxy."""

    async def pod(_: str) -> Pod:
        return Pod(spec=PodSpec([Container(name, image=of) for name, of in containers.items()]))

    store = KubernetesLeaseStore("discord-sky-bot", 1, "a-pod", Path(), 75)
    monkeypatch.setattr(store, "_pod", pod)

    assert await store.version() == version
