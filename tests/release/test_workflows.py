"""What the workflows promise about themselves, beside what actionlint and zizmor look at."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from release import cli
from release.failed_rollout import OBJECT, REASON
from release.inputs import PATHS

from tests.release.origin import Origin

FOLDER = Path(__file__).parents[2] / ".github"
WORKFLOWS = sorted(FOLDER.glob("workflows/*.yaml"))
NAMES = [file.stem for file in WORKFLOWS]
GUARDS = ("rollback-guard", "rollback-guard-schedule")
FAILURE = "rollback-on-failure"
TRIGGERS = True  # what YAML 1.1 makes of the key `on`


def load(file: Path) -> dict[Any, Any]:
    found = yaml.safe_load(file.read_text())
    assert isinstance(found, dict)
    return found


def test_these_are_all_workflows() -> None:
    assert NAMES == [
        "check", "codeql", "dependency-review", "e2e", "image-schedule", "image",
        "rollback-guard-schedule", "rollback-guard", "rollback-on-failure", "scorecard",
        "tools-cache",
    ]  # fmt: skip


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


@pytest.mark.parametrize("name", ["image", *GUARDS, FAILURE])
def test_where_every_run_counts_nothing_that_waits_is_cancelled(name: str) -> None:
    workflow = load(FOLDER / f"workflows/{name}.yaml")

    assert "concurrency" not in workflow
    assert all("concurrency" not in job for job in workflow["jobs"].values())
    assert all("refs/heads/main" in job["if"] for job in workflow["jobs"].values())


def test_the_image_workflow_runs_for_the_inputs_of_the_hash_and_for_nothing_else() -> None:
    push = load(FOLDER / "workflows/image.yaml")[TRIGGERS]["push"]

    assert push["branches"] == ["main"]
    assert sorted(path.removesuffix("/**") for path in push["paths"]) == sorted(PATHS)


def test_the_guard_runs_at_each_push_and_heals_on_a_schedule_of_its_own() -> None:
    """GitHub disables a whole file for its schedule, in forks and in quiet repositories."""
    push = load(FOLDER / "workflows/rollback-guard.yaml")
    schedule = load(FOLDER / "workflows/rollback-guard-schedule.yaml")

    assert push[TRIGGERS].keys() == {"push", "workflow_dispatch"}
    assert push[TRIGGERS]["push"] == {"branches": ["main"]}
    assert schedule[TRIGGERS].keys() == {"schedule", "workflow_dispatch"}
    step = push["jobs"]["guard"]["steps"][-1]
    assert step["env"].pop("BEFORE") == "${{ github.event.before }}"
    step["run"] = step["run"].removesuffix(' --before "$BEFORE"')
    assert push["jobs"] == schedule["jobs"]


def test_what_deploys_shares_no_file_with_a_schedule() -> None:
    for name in ("image", "rollback-guard"):
        assert "schedule" not in load(FOLDER / f"workflows/{name}.yaml")[TRIGGERS]


def test_the_guards_environment_holds_its_key_and_records_no_deployments() -> None:
    for name in (*GUARDS, FAILURE):
        (job,) = load(FOLDER / f"workflows/{name}.yaml")["jobs"].values()
        assert job["environment"] == {"name": "rollback-guard", "deployment": False}


def test_the_only_secret_is_the_guards_key_in_its_environment() -> None:
    for file in WORKFLOWS:
        secrets = set(re.findall(r"secrets\.(\w+)", file.read_text()))
        assert secrets == ({"GUARD_DEPLOY_KEY"} if file.stem in (*GUARDS, FAILURE) else set())


def test_a_failed_rollout_is_told_as_flux_tells_it_and_starts_nothing_but_the_program() -> None:
    """Its event type, its reason, and GitHub's file: none of it is put into the command."""
    workflow = load(FOLDER / f"workflows/{FAILURE}.yaml")
    kind, namespace, name = OBJECT
    (job,) = workflow["jobs"].values()
    step = job["steps"][-1]

    assert workflow[TRIGGERS] == {"repository_dispatch": {"types": [f"{kind}/{name}.{namespace}"]}}
    assert f"client_payload.reason == '{REASON}'" in job["if"]
    assert "vars.ROLLBACK_ON_FAILURE != 'off'" in job["if"]
    assert "${{" not in step["run"]
    assert step["env"].keys() == {"GUARD_DEPLOY_KEY", "PYTHONPATH"}
    program, _, arguments = step["run"].partition(" python3 -m release ")
    assert program == ".github/scripts/with-deploy-key"
    options = cli.parser().parse_args(shlex.split(arguments))
    assert str(options.event) == "$GITHUB_EVENT_PATH"


GH = """\
#!/bin/sh
case "$*" in
  "run list --workflow image.yaml "*) cat "$0.runs" ;;
  "workflow run image.yaml --ref main") echo "$*" >> "$0.started" ;;
  *) exit 1 ;;
esac
"""


def test_a_squash_merge_that_github_skipped_gets_its_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step of the workflow itself, as bash on GitHub's runner runs it, on a clone."""
    origin = Origin.new(tmp_path)
    gh = tmp_path / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(GH)
    gh.chmod(0o755)
    started, runs = gh.with_name("gh.started"), gh.with_name("gh.runs")
    monkeypatch.setenv("PATH", f"{gh.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER / "scripts"))
    (step,) = load(FOLDER / "workflows/image-schedule.yaml")["jobs"]["image"]["steps"][1:]

    def schedule(*commits: str) -> int:
        runs.write_text("".join(f"{commit}\n" for commit in commits))
        bash = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
        subprocess.run(bash, cwd=origin.ada.path, check=True)
        count = len(started.read_text().splitlines()) if started.exists() else 0
        started.unlink(missing_ok=True)
        return count

    first = origin.merge("Greet people")
    commit = origin.ada.git("rev-parse", "HEAD")
    assert schedule(commit) == 0
    tag = origin.merge("Greet nobody (#7)\n\n* wip [skip ci]")
    assert schedule(commit) == 1
    origin.ada.commit("Something else", {"README.md": "hello"})
    assert schedule(commit) == 1
    assert schedule(origin.ada.git("rev-parse", "HEAD"), commit) == 0
    for one in (first, tag):
        bump = origin.bump(one)
    origin.ada.git("pull", "--quiet", "--rebase")
    assert schedule(commit) == 0, "it was built by hand, and deployed"
    origin.revert(bump)
    assert origin.release("guard") == 0
    origin.ada.git("pull", "--quiet", "--rebase")
    assert schedule(commit) == 0, "it was rolled back"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_deploy_key_with_any_line_ending_is_accepted(tmp_path: Path, ending: str) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    secret = ending.join(key.read_text().split("\n")) if ending != "\r" else key.read_text() + "\r"
    public = "set -- $GIT_SSH_COMMAND; ssh-keygen -y -f $3"

    done = subprocess.run(
        [FOLDER / "scripts/with-deploy-key", "bash", "-c", public],
        env={"PATH": os.environ["PATH"], "GUARD_DEPLOY_KEY": secret},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.stdout.split()[:2] == key.with_suffix(".pub").read_text().split()[:2], done.stderr


def test_the_parts_of_codeql_are_one_commit() -> None:
    """It refuses to run with parts of different versions."""
    used = {
        step["uses"].split("@")[1]
        for file in WORKFLOWS
        for job in load(file)["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("github/codeql-action/")
    }

    assert len(used) == 1


def test_no_workflow_runs_foreign_code_with_rights() -> None:
    """`pull_request_target` and `workflow_run` give a fork's pull request this repository's."""
    for file in WORKFLOWS:
        assert not load(file)[TRIGGERS].keys() & {"pull_request_target", "workflow_run"}


def test_people_who_find_a_vulnerability_and_reviewers_are_told_where_to_turn() -> None:
    security = (FOLDER / "SECURITY.md").read_text()
    owners = (FOLDER / "CODEOWNERS").read_text()

    assert "Report a vulnerability" in security
    for link in re.findall(r"\]\(([^)#]+)", security):
        assert (FOLDER / link).exists(), link
    for path in re.findall(r"^/(\S+)", owners, re.MULTILINE):
        assert (FOLDER.parent / path).exists(), path


def test_every_update_waits_a_week() -> None:
    updates = load(FOLDER / "dependabot.yml")["updates"]

    assert {one["package-ecosystem"] for one in updates} == {
        "docker", "github-actions", "gomod", "pip",
    }  # fmt: skip
    assert all(one["cooldown"]["default-days"] >= 7 for one in updates)
