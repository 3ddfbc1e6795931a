"""Tear down: remove what this set-up created, backwards, and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clusters.azure.preflight import check_versions, is_existing, read_caller
from clusters.azure.runner import Stop
from clusters.azure.state import NAMED
from clusters.azure.steps.catalog import STEPS
from clusters.azure.steps.cluster import ACCESS, CLUSTER
from clusters.azure.steps.running import IMAGE
from clusters.azure.up import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from clusters.azure.preflight import Confirm
    from clusters.azure.runner import Runner
    from clusters.azure.steps.model import Step


def teardown(runner: Runner, file: Path, ask: Confirm) -> None:
    """Remove what is marked as this set-up's own. Raises Stop; can be run again."""
    if runner.dry_run:
        runner.say(
            "A dry run: it asks nobody and runs nothing. Values such as $ACR_ID are not known yet."
        )
    runner.say("Looking for what this set-up created:")
    check_versions(runner)
    prepare(runner)
    read_caller(runner)
    owned = _owned_steps(runner)
    if owned:
        _remove(runner, owned, ask)
    else:
        runner.say("Nothing is left of it.")
    if not runner.dry_run:
        file.unlink(missing_ok=True)


def _owned_steps(runner: Runner) -> list[Step]:
    """Return the steps whose result exists and is this set-up's own.

    What lies in a cluster of its own goes with that cluster.
    """
    owned: list[Step] = []
    for step in STEPS:
        if not step.delete or (step.place == "cluster" and not _shared_cluster(runner, owned)):
            continue
        found = (step.check_owned or step.check)(runner)
        runner.values.update(found.values)
        # A registry of the set-up's own takes its images with it.
        possible = step is not IMAGE or "registry" in runner.named
        if found.owned or (runner.dry_run and possible and not is_existing(runner, step)):
            owned.append(step)
        if step is CLUSTER and found.exists and not found.owned:
            _open_cluster(runner)
    return owned


def _shared_cluster(runner: Runner, owned: list[Step]) -> bool:
    if runner.dry_run:
        return CLUSTER.name in runner.named
    return CLUSTER not in owned and "AKS_OIDC_ISSUER" in runner.values


def _open_cluster(runner: Runner) -> None:
    """Get a kubeconfig if there is none yet, as on another machine."""
    if not ACCESS.check(runner).exists and not callable(ACCESS.create):
        for command in ACCESS.create:
            runner.run(command)


def _remove(runner: Runner, owned: list[Step], ask: Confirm) -> None:
    heading = (
        "This is removed, at most; the real run checks what exists and is this set-up's own"
        if runner.dry_run
        else "This will be removed"
    )
    runner.say(f"\n{heading}:")
    for step in reversed(owned):
        more = "; ".join(filter(None, (_condition(runner, step), step.left_behind)))
        description = runner.fill(step.description)
        runner.say(f"  {step.name}: {description}{f' ({more})' if more else ''}")
    if not runner.dry_run and not ask("Remove it?"):
        raise Stop("Nothing was removed.")
    for number, step in enumerate(reversed(owned), start=1):
        began = time.monotonic()
        runner.say(f"[{number:2}/{len(owned)}] {step.name}")
        if condition := _condition(runner, step):
            runner.comment(f"{condition}:")
        if callable(step.delete):
            step.delete(runner)
        for command in () if callable(step.delete) else step.delete:
            runner.run(command)
        if not runner.dry_run:
            runner.say(f"        gone after {time.monotonic() - began:.0f} s")


def _condition(runner: Runner, step: Step) -> str:
    """Return, for a dry run, on what it depends whether STEP's result is removed."""
    if not runner.dry_run:
        return ""
    if step.name in runner.named:
        name = runner.values[NAMED[step.name]]
        return f"only if this set-up created {name}; one of yours stays as it is"
    if step.place == "cluster":
        return f"only if this set-up did not create {runner.values['AKS_NAME']}"
    if step is IMAGE:
        return f"only if this set-up pushed the first image into {runner.values['ACR_NAME']}"
    return ""
