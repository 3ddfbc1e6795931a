"""ImageUpdateAutomation, against a real bare repository."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.loop.image_controllers.builders import (
    DIGEST,
    IMAGE,
    after,
    automation,
    policy,
    ready,
    source,
    subject,
    types,
)
from tests.loop.image_controllers.git import Git, GitError, Plan, WorkTree
from tests.loop.image_controllers.harness import bare_repository, git
from tests.loop.image_controllers.model import Outcome
from tests.loop.image_controllers.reconcile_automation import reconcile

Json = dict[str, Any]
FILE = "apps/bot/kustomization.yaml"
START = """\
images:
  - name: bot
    newTag: main-0-0000000 # {"$imagepolicy": "flux-system:discord-sky:tag"}
    digest: sha256:00 # {"$imagepolicy": "flux-system:discord-sky:digest"}
"""
OUTSIDE = 'x: y # {"$imagepolicy": "flux-system:discord-sky:tag"}\n'


@pytest.fixture
async def bare(tmp_path: Path) -> Path:
    return await bare_repository(tmp_path, {FILE: START, "elsewhere.yaml": OUTSIDE})


def with_latest(number: int, **meta: Any) -> Json:
    one = policy()
    ref = {"name": IMAGE, "tag": f"main-{number}-abcdef0", "digest": DIGEST}
    return {**one, "metadata": {**one["metadata"], **meta}, "status": {"latestRef": ref}}


async def run(obj: Json, bare: Path, *policies: Json, remote: Git | None = None) -> Outcome:
    url = f"file://{bare}"
    return await reconcile(subject(obj), source(url), list(policies), remote or Git())


async def content(bare: Path, file: str = FILE, branch: str = "main") -> str:
    return await git("show", f"{branch}:{file}", cwd=bare)


async def commits(bare: Path, branch: str = "main") -> int:
    return int(await git("rev-list", "--count", branch, cwd=bare))


async def person(bare: Path, work: Path, *command: str) -> None:
    """Let a person do something on a fresh clone, and push."""
    await git("clone", "-q", str(bare), str(work), cwd=bare.parent)
    await git(*command, cwd=work)
    await git("push", "-q", "origin", "HEAD:main", cwd=work)


async def test_a_new_image_is_one_commit_that_touches_the_marked_fields(bare: Path) -> None:
    outcome = await run(automation(), bare, with_latest(1))

    expected = START.replace("main-0-0000000", "main-1-abcdef0").replace("sha256:00", DIGEST)
    assert await content(bare) == expected.rstrip()
    assert await content(bare, "elsewhere.yaml") == OUTSIDE.rstrip()
    said = await git("log", "-1", "--format=%an <%ae>|%cn|%B", cwd=bare)
    author = "Automation <automation@example.invalid>"
    assert said == f"{author}|Automation|Deploy main-1-abcdef0 {DIGEST}"
    head = await git("rev-parse", "main", cwd=bare)
    status = outcome.status
    assert status["lastPushCommit"] == head
    assert status["observedSourceRevision"] == f"main@sha1:{head}"
    assert status["observedPolicies"]["discord-sky"]["tag"] == "main-1-abcdef0"
    assert status["lastPushTime"] == status["lastAutomationRunTime"] == "2026-07-01T12:00:00Z"
    assert ready(outcome) == ("True", "Succeeded")
    assert outcome.after == 24 * 3600


async def test_nothing_new_commits_nothing(bare: Path) -> None:
    obj = automation()
    first = await run(obj, bare, with_latest(1))

    again = await run(after(obj, first), bare, with_latest(1))

    assert await commits(bare) == 2
    assert again.status["lastPushCommit"] == first.status["lastPushCommit"]


async def test_a_revert_of_its_commit_is_written_again_at_its_next_run(
    bare: Path, tmp_path: Path
) -> None:
    """Measured with Flux: without the rollback guard a revert does not stay. Nor does it here."""
    obj = automation()
    await run(obj, bare, with_latest(1))
    second = await run(obj, bare, with_latest(2))
    await person(bare, tmp_path / "work", "revert", "--no-edit", "HEAD")
    assert "main-1-abcdef0" in await content(bare)

    await run(after(obj, second), bare, with_latest(2))

    assert "main-2-abcdef0" in await content(bare)


async def test_after_a_revert_an_excluded_tag_stays_away(bare: Path, tmp_path: Path) -> None:
    obj = automation()
    await run(obj, bare, with_latest(1))
    second = await run(obj, bare, with_latest(2))
    await person(bare, tmp_path / "work", "revert", "--no-edit", "HEAD")

    await run(after(obj, second), bare, with_latest(1))

    assert "main-1-abcdef0" in await content(bare)
    assert await commits(bare) == 4


class Beaten(Git):
    """Another writer pushes between our clone and our push, once."""

    def __init__(self, bare: Path, work: Path) -> None:
        self._bare, self._work = bare, work

    @asynccontextmanager
    async def work_tree(self, plan: Plan) -> AsyncIterator[WorkTree]:
        """Clone, and let the other writer push."""
        async with super().work_tree(plan) as tree:
            if not self._work.exists():
                await person(self._bare, self._work, "commit", "-q", "--allow-empty", "-m", "First")
            yield tree


async def test_a_lost_race_overwrites_nothing_and_the_retry_wins(
    bare: Path, tmp_path: Path
) -> None:
    obj, remote = automation(), Beaten(bare, tmp_path / "work")

    lost = await run(obj, bare, with_latest(1), remote=remote)
    won = await run(after(obj, lost), bare, with_latest(1), remote=remote)

    assert ready(lost) == ("False", "GitOperationFailed")
    assert lost.retry
    assert "lastPushCommit" not in lost.status
    assert ready(won) == ("True", "Succeeded")
    subjects = await git("log", "--format=%s", cwd=bare)
    assert subjects.splitlines()[1:] == ["First", "Begin"]


async def test_another_push_branch_is_made_from_the_checkout_and_then_built_upon(
    bare: Path,
) -> None:
    base = automation()["spec"]["git"]
    obj = automation(git={**base, "push": {"branch": "bumps"}})

    first = await run(obj, bare, with_latest(1))
    await run(after(obj, first), bare, with_latest(2))

    assert "main-0-0000000" in await content(bare)
    assert "main-2-abcdef0" in await content(bare, branch="bumps")
    assert await commits(bare, "bumps") == 3


async def test_only_policies_that_are_selected_and_ready_count(bare: Path) -> None:
    obj = automation(policySelector={"matchLabels": {"app": "bot"}})

    out = await run(obj, bare, with_latest(1))
    base = policy()
    labelled = {**base, "metadata": {**base["metadata"], "labels": {"app": "bot"}}}
    unready = await run(obj, bare, labelled)
    chosen = await run(obj, bare, with_latest(2, labels={"app": "bot"}))

    assert out.status["observedPolicies"] == unready.status["observedPolicies"] == {}
    assert "no policy in scope for flux-system:discord-sky:tag" in str(out.log["remarks"])
    assert "main-2-abcdef0" in await content(bare)
    assert chosen.status["observedPolicies"].keys() == {"discord-sky"}


AUTHOR = {"name": "n", "email": "e"}


@pytest.mark.parametrize(
    ("commit", "reason", "message"),
    [
        ({"messageTemplate": "{{ .Updated }}"}, "RemovedTemplateField", ".Changed"),
        ({"messageTemplate": "{{ now }}"}, "FieldNotHonoured", "spec.git.commit.messageTemplate"),
        ({"author": {"email": "e"}}, "FieldNotHonoured", "spec.git.commit.author.name"),
        ({"signingKey": {"secretRef": {"name": "k"}}}, "FieldNotHonoured", "commit.signingKey"),
    ],
)
async def test_a_commit_that_cannot_be_made_as_ordered_stalls(
    bare: Path, commit: Json, reason: str, message: str
) -> None:
    obj = automation(git={"commit": {"author": AUTHOR, **commit}})

    outcome = await run(obj, bare, with_latest(1))

    assert ready(outcome) == ("False", reason)
    assert message in outcome.status["conditions"][0]["message"]
    assert await commits(bare) == 1


SELECTOR = {"matchExpressions": [{"key": "a", "operator": "Is"}]}


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"update": {"strategy": "Else"}}, "InvalidUpdateStrategy", "Else"),
        ({"policySelector": SELECTOR}, "InvalidPolicySelector", "Is"),
        ({"serviceAccountName": "x"}, "FieldNotHonoured", "spec.serviceAccountName"),
        ({"git": None}, "FieldNotHonoured", "spec.git"),
        (
            {"git": {"commit": {"author": AUTHOR}, "push": {"refspec": "a:b"}}},
            "FieldNotHonoured",
            "spec.git.push.refspec",
        ),
    ],
)
async def test_what_only_a_person_can_mend_stalls(
    bare: Path, spec: Json, reason: str, message: str
) -> None:
    outcome = await run(automation(**spec), bare, with_latest(1))

    assert ready(outcome) == ("False", reason)
    assert types(outcome) == {"Ready", "Stalled"}
    assert message in outcome.status["conditions"][0]["message"]
    assert await commits(bare) == 1


async def test_a_git_repository_with_credentials_is_refused(bare: Path) -> None:
    origin = source(f"file://{bare}", secretRef={"name": "x"})

    outcome = await reconcile(subject(automation()), origin, [with_latest(1)], Git())

    assert ready(outcome) == ("False", "FieldNotHonoured")
    assert "GitRepository flux-system/discord-sky" in outcome.status["conditions"][0]["message"]


async def test_a_git_repository_without_a_branch_is_refused(bare: Path) -> None:
    origin = source(f"file://{bare}", ref={})

    outcome = await reconcile(subject(automation()), origin, [with_latest(1)], Git())

    assert "spec.git.push.branch" in outcome.status["conditions"][0]["message"]


async def test_no_git_repository_is_tried_again(bare: Path) -> None:
    outcome = await reconcile(subject(automation()), None, [with_latest(1)], Git())

    assert ready(outcome) == ("False", "SourceManagerFailed")
    assert outcome.retry
    assert await commits(bare) == 1


@pytest.mark.parametrize(
    ("spec", "origin", "reason"),
    [
        ({"update": {"strategy": "Setters", "path": "./nowhere"}}, {}, "UpdateFailed"),
        ({}, {"ref": {"branch": "none"}}, "GitOperationFailed"),
        ({}, {"url": "file:///nowhere"}, "GitOperationFailed"),
    ],
)
async def test_what_may_mend_itself_is_tried_again(
    bare: Path, spec: Json, origin: Json, reason: str
) -> None:
    found = source(**{"url": f"file://{bare}", **origin})

    outcome = await reconcile(subject(automation(**spec)), found, [with_latest(1)], Git())

    assert ready(outcome) == ("False", reason)
    assert outcome.retry


async def test_a_suspended_one_does_nothing(bare: Path) -> None:
    outcome = await run(automation(suspend=True), bare, with_latest(1))

    assert outcome.status == {}
    assert await commits(bare) == 1


async def test_a_git_that_hangs_is_ended_in_time() -> None:
    plan = Plan("ext::sleep 30", "main", "main", timeout=0.2)

    with pytest.raises(GitError):
        await Git().head(plan)


async def test_a_path_does_not_lead_out_of_the_clone(bare: Path) -> None:
    update = {"strategy": "Setters", "path": "../../../etc"}

    outcome = await run(automation(update=update), bare, with_latest(1))

    assert ready(outcome) == ("False", "UpdateFailed")
