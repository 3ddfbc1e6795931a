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

    from clusters.azure.preflight import Ask
    from clusters.azure.runner import Desk
    from clusters.azure.steps.model import Step


def teardown(desk: Desk, file: Path, ask: Ask) -> None:
    """Remove what says of itself that this set-up made it. Raises Stop; can be run again."""
    if desk.dry:
        desk.say("A dry run: nobody is asked and nothing is run. $NAMES are learned then.")
    desk.say("looking for what this set-up made:")
    versions(desk)
    prepare(desk)
    caller(desk)
    ours = _ours(desk)
    if ours:
        _remove(desk, ours, ask)
    else:
        desk.say("Nothing is left of it.")
    if not desk.dry:
        file.unlink(missing_ok=True)


def _ours(desk: Desk) -> list[Step]:
    """What is there and this set-up's own. What lies in a cluster of ours goes with it."""
    ours: list[Step] = []
    for step in STEPS:
        if not step.undo or (step.place == "cluster" and not _shared_cluster(desk, ours)):
            continue
        found = (step.own or step.look)(desk)
        desk.values.update(found.values)
        # A registry of set-up's own takes its images with it.
        most = step is not IMAGE or "registry" in desk.named
        if found.ours or (desk.dry and most and not meant(desk, step)):
            ours.append(step)
        if step is CLUSTER and found.there and not found.ours:
            _enter(desk)
    return ours


def _shared_cluster(desk: Desk, ours: list[Step]) -> bool:
    if desk.dry:
        return CLUSTER.name in desk.named
    return CLUSTER not in ours and "AKS_OIDC_ISSUER" in desk.values


def _enter(desk: Desk) -> None:
    """Another machine has no kubeconfig for the cluster yet."""
    if not ACCESS.look(desk).there and not callable(ACCESS.make):
        for command in ACCESS.make:
            desk.run(command)


def _remove(desk: Desk, ours: list[Step], ask: Ask) -> None:
    heading = (
        "At most this is removed; the real run asks what is there and set-up's own"
        if desk.dry
        else "This will be removed"
    )
    desk.say(f"\n{heading}:")
    for step in reversed(ours):
        more = "; ".join(filter(None, (_condition(desk, step), step.remains)))
        desk.say(f"  {step.name}: {step.about}{f' ({more})' if more else ''}")
    if not desk.dry and not ask("Remove it?"):
        raise Stop("Nothing was removed.")
    for number, step in enumerate(reversed(ours), start=1):
        began = time.monotonic()
        desk.say(f"[{number:2}/{len(ours)}] {step.name}")
        if condition := _condition(desk, step):
            desk.remark(f"{condition}:")
        if callable(step.undo):
            step.undo(desk)
        for command in () if callable(step.undo) else step.undo:
            desk.run(command)
        if not desk.dry:
            desk.say(f"        gone after {time.monotonic() - began:.0f} s")


def _condition(desk: Desk, step: Step) -> str:
    """Say in a dry run whether a thing that may be somebody else's is removed."""
    if not desk.dry:
        return ""
    if step.name in desk.named:
        name = desk.values[NAMED[step.name]]
        return f"only if this set-up made {name}; yours stays as it is"
    if step.place == "cluster":
        return f"if this set-up did not make {desk.values['AKS_NAME']}"
    if step is IMAGE:
        return f"if this set-up brought the first into {desk.values['ACR_NAME']}"
    return ""
