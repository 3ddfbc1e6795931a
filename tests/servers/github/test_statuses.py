"""Commit statuses, requested as Flux's client does: refused where GitHub refuses them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

REPOSITORY = "/api/v3/repos/somebody/discord-sky"
GOOD = {"state": "success", "context": "kustomization/discord-sky", "description": "is ready"}
TOKEN = {"Authorization": "Bearer right"}


@pytest.fixture
def commit(tmp_path: Path) -> str:
    def git(*arguments: str) -> str:
        person = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        command = ["git", "-C", str(tmp_path), *person, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "one")
    return git("rev-parse", "HEAD")


async def test_statuses_are_listed_newest_first(github: TestClient[Any, Any], commit: str) -> None:
    for state in ("failure", "success"):
        path = f"{REPOSITORY}/statuses/{commit}"
        made = await github.post(path, json=GOOD | {"state": state}, headers=TOKEN)
        assert made.status == 201

    listed = await github.get(f"{REPOSITORY}/commits/{commit}/statuses", headers=TOKEN)

    assert [one["state"] for one in await listed.json()] == ["success", "failure"]


WRONG = {"Authorization": "Bearer wrong"}
CONTENTS = {"Authorization": "Bearer contents"}


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ((REPOSITORY, WRONG, GOOD), (401, "Bad credentials")),
        ((REPOSITORY, {}, GOOD), (401, "Bad credentials")),
        (
            (REPOSITORY, CONTENTS, GOOD),
            (403, "Resource not accessible by personal access token"),
        ),
        (("/api/v3/repos/somebody/else", TOKEN, GOOD), (404, "Not Found")),
        ((REPOSITORY, TOKEN, GOOD | {"state": "well"}), (422, "Validation Failed")),
        ((REPOSITORY, TOKEN, GOOD | {"description": "x" * 141}), (422, "Validation Failed")),
    ],
)
async def test_a_status_is_refused_as_github_refuses_it(
    github: TestClient[Any, Any], commit: str, asked: Any, refusal: tuple[int, str]
) -> None:
    repository, headers, body = asked

    said = await github.post(f"{repository}/statuses/{commit}", json=body, headers=headers)

    assert (said.status, (await said.json())["message"]) == refusal


async def test_a_status_of_an_unknown_commit_is_refused(
    github: TestClient[Any, Any], commit: str
) -> None:
    unknown = commit[::-1]

    said = await github.post(f"{REPOSITORY}/statuses/{unknown}", json=GOOD, headers=TOKEN)

    assert said.status == 422
    assert (await said.json())["message"] == f"No commit found for SHA: {unknown}"
