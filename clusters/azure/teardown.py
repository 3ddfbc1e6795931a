"""Undo: what this set-up made, backwards, and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clusters.azure.preflight import caller, meant, versions
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
    """Remove what says of itself that this set-up made it. Raises Stop; can be run again."""
    if runner.dry_run:
        runner.say("A dry run: nobody is asked and nothing is run. $NAMES are learned then.")
    runner.say("looking for what this set-up made:")
    versions(runner)
    prepare(runner)
    caller(runner)
    ours = _ours(runner)
    if ours:
        _remove(runner, ours, ask)
    else:
        runner.say("Nothing is left of it.")
    if not runner.dry_run:
        file.unlink(missing_ok=True)


def _ours(runner: Runner) -> list[Step]:
    """What is there and this set-up's own. What lies in a cluster of ours goes with it."""
    ours: list[Step] = []
    for step in STEPS:
        if not step.delete or (step.place == "cluster" and not _shared_cluster(runner, ours)):
            continue
        found = (step.check_owned or step.check)(runner)
        runner.values.update(found.values)
        # A registry of set-up's own takes its images with it.
        most = step is not IMAGE or "registry" in runner.named
        if found.owned or (runner.dry_run and most and not meant(runner, step)):
            ours.append(step)
        if step is CLUSTER and found.exists and not found.owned:
            _enter(runner)
    return ours


def _shared_cluster(runner: Runner, ours: list[Step]) -> bool:
    if runner.dry_run:
        return CLUSTER.name in runner.named
    return CLUSTER not in ours and "AKS_OIDC_ISSUER" in runner.values


def _enter(runner: Runner) -> None:
    """Another machine has no kubeconfig for the cluster yet."""
    if not ACCESS.check(runner).exists and not callable(ACCESS.create):
        for command in ACCESS.create:
            runner.run(command)


def _remove(runner: Runner, ours: list[Step], ask: Confirm) -> None:
    heading = (
        "At most this is removed; the real run asks what is there and set-up's own"
        if runner.dry_run
        else "This will be removed"
    )
    runner.say(f"\n{heading}:")
    for step in reversed(ours):
        more = "; ".join(filter(None, (_condition(runner, step), step.left_behind)))
        runner.say(f"  {step.name}: {step.description}{f' ({more})' if more else ''}")
    if not runner.dry_run and not ask("Remove it?"):
        raise Stop("Nothing was removed.")
    for number, step in enumerate(reversed(ours), start=1):
        began = time.monotonic()
        runner.say(f"[{number:2}/{len(ours)}] {step.name}")
        if condition := _condition(runner, step):
            runner.comment(f"{condition}:")
        if callable(step.delete):
            step.delete(runner)
        for command in () if callable(step.delete) else step.delete:
            runner.run(command)
        if not runner.dry_run:
            runner.say(f"        gone after {time.monotonic() - began:.0f} s")


def _condition(runner: Runner, step: Step) -> str:
    """Say in a dry run whether a thing that may be somebody else's is removed."""
    if not runner.dry_run:
        return ""
    if step.name in runner.named:
        name = runner.values[NAMED[step.name]]
        return f"only if this set-up made {name}; yours stays as it is"
    if step.place == "cluster":
        return f"if this set-up did not make {runner.values['AKS_NAME']}"
    if step is IMAGE:
        return f"if this set-up brought the first into {runner.values['ACR_NAME']}"
    return ""
