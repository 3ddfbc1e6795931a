"""Set up: check each step, create what is missing, and record what was learned."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.azure.preflight import (
    check_node_size,
    check_permissions,
    check_repository,
    check_versions,
    confirm,
    find_repository,
    is_existing,
    read_account,
    read_caller,
    refuse_missing,
)
from clusters.azure.runner import Stop, az
from clusters.azure.state import NAMED, from_tags, save_record, with_defaults
from clusters.azure.steps.alerts import check_files
from clusters.azure.steps.azure import CI, GROUP, REGISTRY
from clusters.azure.steps.catalog import PAID, SHARED, STEPS
from clusters.azure.steps.cluster import ACCESS, CAPACITY, CLUSTER
from clusters.azure.steps.flux import NAMESPACE
from clusters.azure.steps.github import (
    GUARD_ENVIRONMENT,
    GUARD_KEY,
    WORKFLOW_VARIABLES,
    refuse_another_setup,
)
from clusters.azure.steps.model import OWNER_TAG, Step, StepState

if TYPE_CHECKING:
    from clusters.azure.preflight import Confirm
    from clusters.azure.runner import Runner


# What others may have on GitHub is refused before anything is created.
_EARLY = (GUARD_ENVIRONMENT, GUARD_KEY, WORKFLOW_VARIABLES)


def up(runner: Runner, file: Path, ask: Confirm) -> None:
    """Create what is missing. Raises Stop; run again, it continues from there."""
    if runner.dry_run:
        runner.say(
            "A dry run: it prints every command that may be needed and runs none. Values such as "
            "$ACR_ID are not known yet."
        )
    runner.say("Before anything is created:")
    check_files(runner)
    check_versions(runner)
    prepare(runner)
    check_repository(runner)
    refuse_another_setup(runner)
    found = {step: _check(runner, step) for step in (GROUP, CI, *PAID, *_EARLY)}
    refuse_missing(runner, found)
    check_permissions(
        runner,
        group=found[GROUP].exists,
        cluster=found[CLUSTER].exists or is_existing(runner, CLUSTER),
        registry=found[REGISTRY].exists or is_existing(runner, REGISTRY),
    )
    read_caller(runner)
    if found[CLUSTER].exists and not found[CLUSTER].owned:
        _open_cluster(runner)
    there = [step for step in (GROUP, *PAID) if found[step].exists or is_existing(runner, step)]
    if CLUSTER not in there:
        check_node_size(runner)
    confirm(runner, [step for step in STEPS if step not in there], ask)
    for number, step in enumerate(STEPS, start=1):
        _run_step(runner, step, f"[{number:2}/{len(STEPS)}]")
        _save(runner, file)


def _open_cluster(runner: Runner) -> None:
    """Refuse somebody else's cluster that has a Flux or no capacity; then forget its kubeconfig."""
    known = Path(runner.values["KUBECONFIG"]).exists()
    _run_step(runner, ACCESS, " ")
    try:
        for step in (NAMESPACE, CAPACITY):
            _check(runner, step)
    except Stop:
        if not known:  # otherwise the next cluster that is named would be this one
            Path(runner.values["KUBECONFIG"]).unlink(missing_ok=True)
        raise


def prepare(runner: Runner) -> None:
    """Learn who is logged in, what was chosen on another machine, and which repository it is.

    Raises Stop for another repository than the one that this set-up was made for.
    """
    with_defaults(runner.values)  # refuses an impossible name before anything else
    read_account(runner)
    followed = ""
    bot = ("microsoft.managedidentity/userassignedidentities", f"{runner.values['NAME']}-bot")
    # az takes no --resource-type together with --tag.
    for one in runner.query(az(f"resource list --tag {OWNER_TAG}=$NAME")) or ():
        if (one["type"].lower(), one["name"]) == bot:
            kept = {"RESOURCE_GROUP": one["resourceGroup"], **from_tags(one["tags"])}
            followed = kept.get("GITHUB_REPOSITORY", "")
            runner.values = {**kept, **runner.values}
    _find_groups(runner)
    find_repository(runner, followed)
    runner.values = with_defaults(runner.values)


def _find_groups(runner: Runner) -> None:
    """Look up the resource groups of a cluster and a registry that were named without them."""
    for name, group, kind in (
        ("AKS_NAME", "AKS_RESOURCE_GROUP", "Microsoft.ContainerService/managedClusters"),
        ("ACR_NAME", "ACR_RESOURCE_GROUP", "Microsoft.ContainerRegistry/registries"),
    ):
        if name in runner.values and group not in runner.values:
            found = runner.query(az(f"resource list --name ${name} --resource-type {kind}"))
            groups = [one["resourceGroup"] for one in found or ()]
            if len(groups) > 1:
                raise Stop(
                    f"There are several named {runner.values[name]}, in the groups "
                    f"{', '.join(groups)}: say which with --cluster-group or --registry-group."
                )
            if groups:
                runner.values[group] = groups[0]


def _check(runner: Runner, step: Step) -> StepState:
    """Check a step, keep what was learned, and refuse what exists and is unsuitable."""
    found = step.check(runner)
    runner.values.update(found.values)
    if found.exists and not found.owned and step.flag:
        raise Stop(
            f"{step.description}: one with this name already exists, and this set-up did not "
            f"create it. Choose another with {step.flag}."
        )
    if found.problems:
        raise Stop("\n".join(found.problems))
    return found


def _run_step(runner: Runner, step: Step, number: str) -> None:
    began = time.monotonic()
    runner.say(f"{number} {step.name}: {runner.fill(step.description)}")
    found = _check(runner, step)
    if found.exists:
        foreign = "" if found.owned or step not in SHARED else ", not created by this set-up"
        runner.say(f"        {found.note or 'exists'}{foreign}")
        _remember(runner, step, found)
        return
    if runner.dry_run and is_existing(runner, step):
        runner.say("        you named an existing one: the real run checks it")
        return
    if step.duration:
        runner.say(f"  usually takes {step.duration}")
    if step.name in runner.named:
        name = runner.values[NAMED[step.name]]
        runner.comment(f"only if there is none named {name}; an existing one is left as it is:")
    if callable(step.create):
        step.create(runner)
    for command in () if callable(step.create) else step.create:
        runner.run(command)
    if not runner.dry_run:
        _remember(runner, step, _wait_until_visible(runner, step))
        runner.say(f"        done in {time.monotonic() - began:.0f} s")


def _wait_until_visible(runner: Runner, step: Step) -> StepState:
    """Check what was just created. It can take Azure some seconds to show it everywhere."""
    runner.wait_until("it is visible", lambda: _check(runner, step).exists, minutes=3, every=5)
    return _check(runner, step)


def _remember(runner: Runner, step: Step, found: StepState) -> None:
    if found.owned:
        runner.made.add(step.name)


def _save(runner: Runner, file: Path) -> None:
    if not runner.dry_run:
        save_record(file, {**runner.values, "MADE": ", ".join(sorted(runner.made))})
