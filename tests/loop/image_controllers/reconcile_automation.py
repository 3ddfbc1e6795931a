"""ImageUpdateAutomation: the policies' latest images, written into Git where they are marked.

It knows nothing of what a person meant by a revert: a run that finds a marked field with another
value than the policy's writes the policy's again, exactly as Flux does.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from tests.loop.image_controllers import conditions, fields, selector
from tests.loop.image_controllers.git import GitError, Plan, WorkTree
from tests.loop.image_controllers.model import (
    Json,
    Notice,
    Outcome,
    Refused,
    Subject,
    key_of,
    stamp,
    status_of,
)
from tests.loop.image_controllers.orders import Orders, StrategyError, plan_of, read_orders
from tests.loop.image_controllers.setters import UpdateError, setter_values
from tests.loop.image_controllers.template_values import RemovedFieldError, TemplateData
from tests.loop.image_controllers.update import Updated, update

_READY = "repository up-to-date"
_STALLS: Mapping[type[Exception], str] = MappingProxyType(
    {
        Refused: fields.REASON,
        RemovedFieldError: "RemovedTemplateField",
        selector.InvalidSelectorError: "InvalidPolicySelector",
        StrategyError: "InvalidUpdateStrategy",
    }
)


class Remote(Protocol):
    """The part of Git that a run needs."""

    async def head(self, plan: Plan) -> str | None:
        """Return the hash of the branch to read, None where there is none. Raises GitError."""
        ...

    def work_tree(self, plan: Plan) -> AbstractAsyncContextManager[WorkTree]:
        """Clone for the length of a block. Raises GitError."""
        ...


@dataclass(frozen=True)
class _Pushed:
    """A commit that reached the remote."""

    commit: str
    message: str


async def reconcile(
    subject: Subject, source: Json | None, policies: list[Json], git: Remote
) -> Outcome:
    """Update the files if a policy or the branch changed since the last run; push what changed."""
    if subject.spec.get("suspend"):
        return conditions.suspended(subject)
    status = _begun(subject)
    try:
        orders = read_orders(subject)
        if source is None:
            why = "failed configuring source manager: referenced git repository does not exist"
            return conditions.failed(subject, status, "SourceManagerFailed", why)
        plan = plan_of(subject.spec, source)
        return await _run(subject, orders, plan, _ready(subject.spec, policies), git)
    except tuple(_STALLS) as error:
        return conditions.stalled(subject, status, _STALLS[type(error)], str(error))
    except UpdateError as error:
        why = f"failed to apply policies: {error}"
        return conditions.failed(subject, status, "UpdateFailed", why)
    except GitError as error:
        return conditions.failed(subject, status, "GitOperationFailed", str(error))


async def _run(
    subject: Subject, orders: Orders, plan: Plan, policies: list[Json], git: Remote
) -> Outcome:
    began, status = time.monotonic(), _begun(subject)
    observed = {key_of(one).name: one["status"]["latestRef"] for one in policies}
    if observed == (status.get("observedPolicies") or {}) and not plan.switches:
        head = await git.head(plan)
        if head and _revision(plan.branch, head) == status.get("observedSourceRevision"):
            return conditions.succeeded(subject, status, _READY, orders.interval)
    pushed = None
    async with git.work_tree(plan) as tree:
        updated = update(tree.root, orders.path, setter_values(policies))
        revision = tree.revision
        if updated.files:
            pushed = await _push(subject, orders, tree, updated)
            revision = revision if plan.switches else pushed.commit
    status |= {"observedSourceRevision": _revision(plan.branch, revision)}
    status |= {"observedPolicies": observed}
    if pushed:
        status |= {"lastPushCommit": pushed.commit, "lastPushTime": stamp(subject.now)}
    outcome = conditions.succeeded(subject, status, _READY, orders.interval)
    remarks = {"remarks": "; ".join(updated.remarks)} if updated.remarks else {}
    if not pushed:
        return replace(outcome, log=remarks)
    notice = f"pushed commit '{pushed.commit[:7]}' to branch '{plan.push_branch}'\n{pushed.message}"
    return replace(
        outcome,
        notice=Notice(warning=False, reason="Succeeded", message=notice),
        log={
            "did": "push",
            "commit": pushed.commit,
            "branch": plan.push_branch,
            "changes": ", ".join(f"{one.old} -> {one.new}" for one in updated.changed.changes()),
            "seconds": round(time.monotonic() - began, 3),
            **remarks,
        },
    )


async def _push(subject: Subject, orders: Orders, tree: WorkTree, updated: Updated) -> _Pushed:
    """Commit and push. Where another writer was faster this fails, and the retry begins anew."""
    message = orders.message.render(TemplateData(subject.key, updated.changed, orders.values))
    commit = await tree.commit(list(updated.files), message, orders.author)
    await tree.push()
    return _Pushed(commit, message)


def _begun(subject: Subject) -> Json:
    return {**subject.status(), "lastAutomationRunTime": stamp(subject.now)}


def _revision(branch: str, commit: str) -> str:
    return f"{branch}@sha1:{commit}"


def _ready(spec: Json, policies: list[Json]) -> list[Json]:
    """Return the policies in scope that have a latest image, by name."""
    chosen = [
        one
        for one in policies
        if status_of(one).get("latestRef")
        and selector.matches(spec.get("policySelector"), one["metadata"].get("labels") or {})
    ]
    return sorted(chosen, key=key_of)
