"""Set up: look at each step, make what is missing, write down what was learned."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.azure.preflight import (
    account,
    caller,
    confirm,
    meant,
    permissions,
    refuse_missing,
    repository,
    repository_settings,
    size,
    versions,
)
from clusters.azure.runner import Stop, az
from clusters.azure.state import NAMED, from_tags, save_record, with_defaults
from clusters.azure.steps.alerts import check_files
from clusters.azure.steps.azure import GROUP, REGISTRY
from clusters.azure.steps.catalog import PAID, SHARED, STEPS
from clusters.azure.steps.cluster import ACCESS, CAPACITY, CLUSTER
from clusters.azure.steps.flux import NAMESPACE
from clusters.azure.steps.github import refuse_another
from clusters.azure.steps.model import OWNER_TAG, Step, StepState

if TYPE_CHECKING:
    from clusters.azure.preflight import Confirm
    from clusters.azure.runner import Runner


def up(runner: Runner, file: Path, ask: Confirm) -> None:
    """Make what is missing. Raises Stop; run again, it goes on from there."""
    if runner.dry_run:
        runner.say(
            "A dry run: every command that may be needed, none is run. $NAMES are learned then."
        )
    runner.say("before anything is made:")
    check_files(runner)
    versions(runner)
    prepare(runner)
    repository_settings(runner)
    refuse_another(runner)
    found = {step: _looked(runner, step) for step in (GROUP, *PAID)}
    refuse_missing(runner, found)
    permissions(
        runner,
        group=found[GROUP].exists,
        cluster=found[CLUSTER].exists or meant(runner, CLUSTER),
        registry=found[REGISTRY].exists or meant(runner, REGISTRY),
    )
    caller(runner)
    if found[CLUSTER].exists and not found[CLUSTER].owned:
        _enter(runner)
    there = [step for step in found if found[step].exists or meant(runner, step)]
    if CLUSTER not in there:
        size(runner)
    confirm(runner, [step for step in STEPS if step not in there], ask)
    for number, step in enumerate(STEPS, start=1):
        _take(runner, step, f"[{number:2}/{len(STEPS)}]")
        _write(runner, file)


def _enter(runner: Runner) -> None:
    """Refuse a cluster of others that has a Flux or no room, and forget the way into it then."""
    known = Path(runner.values["KUBECONFIG"]).exists()
    _take(runner, ACCESS, " ")
    try:
        for step in (NAMESPACE, CAPACITY):
            _looked(runner, step)
    except Stop:
        if not known:  # or else the next cluster that is named would be this one
            Path(runner.values["KUBECONFIG"]).unlink(missing_ok=True)
        raise


def prepare(runner: Runner) -> None:
    """Learn who is logged in, what another machine chose, and which repository it is.

    Raises Stop for another repository than the one that this set-up was made for.
    """
    with_defaults(runner.values)  # refuses a name that nobody could have, before anything else
    account(runner)
    followed = ""
    bot = ("microsoft.managedidentity/userassignedidentities", f"{runner.values['NAME']}-bot")
    # Azure takes no --resource-type beside --tag.
    for one in runner.query(az(f"resource list --tag {OWNER_TAG}=$NAME")) or ():
        if (one["type"].lower(), one["name"]) == bot:
            kept = {"RESOURCE_GROUP": one["resourceGroup"], **from_tags(one["tags"])}
            followed = kept.get("GITHUB_REPOSITORY", "")
            runner.values = {**kept, **runner.values}
    _find_groups(runner)
    repository(runner, followed)
    runner.values = with_defaults(runner.values)


def _find_groups(runner: Runner) -> None:
    """Whoever names a cluster or a registry that is there need not know its group."""
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


def _looked(runner: Runner, step: Step) -> StepState:
    """Check, learn, and refuse what is there and is not as it has to be."""
    found = step.check(runner)
    runner.values.update(found.values)
    if found.exists and not found.owned and step.flag:
        raise Stop(
            f"{step.description}: there is one of this name already, and this set-up did not "
            f"make it. Choose another with {step.flag}."
        )
    if found.problems:
        raise Stop("\n".join(found.problems))
    return found


def _take(runner: Runner, step: Step, number: str) -> None:
    began = time.monotonic()
    runner.say(f"{number} {step.name}: {runner.fill(step.description)}")
    found = _looked(runner, step)
    if found.exists:
        taken = "" if found.owned or step not in SHARED else ", and not of this set-up's making"
        runner.say(f"        {found.note or 'is there'}{taken}")
        _remember(runner, step, found)
        return
    if runner.dry_run and meant(runner, step):
        runner.say("        yours, by its name: the real run looks whether it is there and will do")
        return
    if step.duration:
        runner.say(f"  usually {step.duration}")
    if step.name in runner.named:
        name = runner.values[NAMED[step.name]]
        runner.comment(f"only if there is none named {name}; one that is there is left as it is:")
    if callable(step.create):
        step.create(runner)
    for command in () if callable(step.create) else step.create:
        runner.run(command)
    if not runner.dry_run:
        _remember(runner, step, _seen(runner, step))
        runner.say(f"        made in {time.monotonic() - began:.0f} s")


def _seen(runner: Runner, step: Step) -> StepState:
    """Look at what was made. Azure may take some seconds until it shows it everywhere."""
    runner.wait_until("it can be seen", lambda: _looked(runner, step).exists, minutes=3, every=5)
    return _looked(runner, step)


def _remember(runner: Runner, step: Step, found: StepState) -> None:
    if found.owned:
        runner.made.add(step.name)


def _write(runner: Runner, file: Path) -> None:
    if not runner.dry_run:
        save_record(file, {**runner.values, "MADE": ", ".join(sorted(runner.made))})
