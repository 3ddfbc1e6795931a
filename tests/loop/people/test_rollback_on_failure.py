"""The workflow's part on this machine, without a cluster: an event in a folder, and main moves."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.loop.people.rollback_on_failure import RollbackOnFailure, event_types
from tests.release.clone import Clone
from tests.release.origin import Origin

PAYLOAD = {
    "involvedObject": {
        "kind": "Kustomization",
        "namespace": "flux-system",
        "name": "discord-sky",
    },
    "severity": "error",
    "message": "health check failed after 20.5s: failed early due to stalled resources: "
    "[Deployment/discord-sky/discord-sky-bot status: 'Failed']",
    "reason": "HealthCheckFailed",
}


def dispatch(events: Path, origin: Origin, action: str) -> None:
    made = int(Clone(origin.path).git("show", "--no-patch", "--format=%ct", "main"))
    payload = PAYLOAD | {
        "timestamp": datetime.fromtimestamp(made + 30, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "metadata": {"revision": f"main@sha1:{origin.tip}"},
    }
    text = json.dumps({"action": action, "branch": "main", "client_payload": payload})
    name = f"{len(list(events.iterdir())) + 1:06}"
    part = events / f"{name}.part"
    part.write_text(text)
    part.rename(events / f"{name}.json")


@pytest.mark.timeout(60)
async def test_each_new_event_of_the_workflows_type_runs_its_program(tmp_path: Path) -> None:
    origin = Origin.new(tmp_path / "origin")
    origin.ada.clock = origin.robot.clock = int(time.time()) - 1800  # the program goes by the time
    first, second = (origin.merge(subject) for subject in ("Greet people", "Greet nobody"))
    for tag in (first, second):
        origin.bump(tag)
    events = tmp_path / "events"
    events.mkdir()
    (kind,) = event_types()
    dispatch(events, origin, kind)  # of before
    rollback = RollbackOnFailure(str(origin.path), tmp_path / "clone", events)

    said: asyncio.Queue[str] = asyncio.Queue()

    async with rollback.at_each_event(said.put_nowait):
        dispatch(events, origin, "Kustomization/another.flux-system")
        dispatch(events, origin, kind)
        went_back = await said.get()
        assert origin.deployed == first
        dispatch(events, origin, kind)
        again = await said.get()

    assert f"{second} did not become Ready: its rollout failed after 20s." in went_back
    assert again.startswith("nothing was undone: ")
    assert rollback.said == [went_back, again]
