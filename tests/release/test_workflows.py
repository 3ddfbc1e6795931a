"""What the workflows promise about themselves, beside what actionlint and zizmor look at."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from release.inputs import PATHS

FOLDER = Path(__file__).parents[2] / ".github"
WORKFLOWS = sorted(FOLDER.glob("workflows/*.yaml"))
NAMES = [file.stem for file in WORKFLOWS]
TRIGGERS = True  # what YAML 1.1 makes of the key `on`


def load(file: Path) -> dict[Any, Any]:
    found = yaml.safe_load(file.read_text())
    assert isinstance(found, dict)
    return found


def test_these_are_all_workflows() -> None:
    assert NAMES == ["check", "e2e", "image", "rollback-guard"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=NAMES)
def test_permissions_are_empty_and_each_grant_has_its_reason_beside_it(file: Path) -> None:
    workflow = load(file)

    assert workflow["permissions"] == {}
    granted = [job["permissions"] for job in workflow["jobs"].values()]
    assert all(granted)
    for scope in {scope for grants in granted for scope in grants}:
        lines = re.findall(rf"^ +{scope}: (?:read|write)(.*)$", file.read_text(), re.MULTILINE)
        assert lines
        assert all(re.match(r" # .{10,}", line) for line in lines)


@pytest.mark.parametrize("file", WORKFLOWS, ids=NAMES)
def test_no_clone_keeps_credentials_and_every_job_ends(file: Path) -> None:
    for job in load(file)["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
                assert step["with"]["fetch-depth"] == 0


@pytest.mark.parametrize("name", ["image", "rollback-guard"])
def test_where_every_run_counts_nothing_that_waits_is_cancelled(name: str) -> None:
    workflow = load(FOLDER / f"workflows/{name}.yaml")

    assert "concurrency" not in workflow
    assert all("concurrency" not in job for job in workflow["jobs"].values())
    assert all("refs/heads/main" in job["if"] for job in workflow["jobs"].values())


def test_the_image_workflow_runs_for_the_inputs_of_the_hash_and_for_nothing_else() -> None:
    push = load(FOLDER / "workflows/image.yaml")[TRIGGERS]["push"]

    assert push["branches"] == ["main"]
    assert sorted(path.removesuffix("/**") for path in push["paths"]) == sorted(PATHS)


def test_the_guard_runs_at_each_push_and_heals_on_a_schedule() -> None:
    workflow = load(FOLDER / "workflows/rollback-guard.yaml")

    assert workflow[TRIGGERS]["push"] == {"branches": ["main"]}
    assert workflow[TRIGGERS]["schedule"]
    assert workflow["jobs"]["guard"]["environment"] == "rollback-guard"


def test_the_only_secret_is_the_guards_key_in_its_environment() -> None:
    for file in WORKFLOWS:
        secrets = set(re.findall(r"secrets\.(\w+)", file.read_text()))
        assert secrets == ({"GUARD_DEPLOY_KEY"} if file.stem == "rollback-guard" else set())


def test_every_update_waits_a_week() -> None:
    updates = load(FOLDER / "dependabot.yml")["updates"]

    assert {one["package-ecosystem"] for one in updates} == {
        "docker", "github-actions", "gomod", "pip",
    }  # fmt: skip
    assert all(one["cooldown"]["default-days"] >= 7 for one in updates)
