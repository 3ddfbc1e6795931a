"""Dispatches, requested as Flux's client does: accepted and refused as GitHub does."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

Client = TestClient[Any, Any]

DISPATCHES = "/api/v3/repos/somebody/discord-sky/dispatches"
TOKEN = {"Authorization": "Bearer contents"}
EVENT = {
    "event_type": "Kustomization/discord-sky.flux-system",
    "client_payload": {"reason": "HealthCheckFailed"},
}


async def test_each_event_is_a_file_as_a_workflows_runner_finds_it(
    github: Client, tmp_path: Path
) -> None:
    for reason in ("HealthCheckFailed", "BuildFailed"):
        event = EVENT | {"client_payload": {"reason": reason}}
        said = await github.post(DISPATCHES, json=event, headers=TOKEN)
        assert (said.status, await said.read()) == (204, b"")

    files = sorted((tmp_path / "events").iterdir())
    events = [json.loads(file.read_text()) for file in files]
    assert [one["client_payload"]["reason"] for one in events] == [
        "HealthCheckFailed",
        "BuildFailed",
    ]
    assert {(one["action"], one["branch"]) for one in events} == {(EVENT["event_type"], "main")}


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ((DISPATCHES, "wrong", EVENT), (401, "Bad credentials")),
        ((DISPATCHES, "right", EVENT), (403, "Resource not accessible by personal access token")),
        ((DISPATCHES.replace("somebody", "nobody"), "contents", EVENT), (404, "Not Found")),
        ((DISPATCHES, "contents", {}), (422, "event_type")),
        ((DISPATCHES, "contents", EVENT | {"event_type": "x" * 101}), (422, "event_type")),
        ((DISPATCHES, "contents", EVENT | {"client_payload": "x"}), (422, "client_payload")),
        (
            (DISPATCHES, "contents", EVENT | {"client_payload": {str(n): n for n in range(11)}}),
            (422, "No more than 10 properties are allowed; 11 were supplied."),
        ),
        (
            (DISPATCHES, "contents", EVENT | {"client_payload": {"x": "x" * 65536}}),
            (422, "too large"),
        ),
        ((DISPATCHES, "contents", []), (400, "JSON object")),
    ],
)
async def test_what_github_refuses_is_refused_and_starts_nothing(
    github: Client, tmp_path: Path, asked: tuple[str, str, Any], refusal: tuple[int, str]
) -> None:
    path, token, body = asked
    headers = {"Authorization": f"token {token}"}

    said = await github.post(path, json=body, headers=headers)

    status, words = refusal
    assert said.status == status
    assert words in (await said.json())["message"]
    assert list((tmp_path / "events").iterdir()) == []
