"""Set up: look at each step, make what is missing, write down what was learned."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.azure.preflight import (
    account,
    ask_for,
    caller,
    meant,
    permissions,
    refuse_missing,
    repository,
    repository_settings,
    size,
    versions,
)
from clusters.azure.runner import Stop, az
from clusters.azure.state import NAMED, complete, remembered, save
from clusters.azure.steps.alerts import check_files
from clusters.azure.steps.azure import GROUP, REGISTRY
from clusters.azure.steps.catalog import PAID, SHARED, STEPS
from clusters.azure.steps.cluster import ACCESS, CLUSTER, ROOM
from clusters.azure.steps.flux import NAMESPACE
from clusters.azure.steps.github import refuse_another
from clusters.azure.steps.model import MARK, Found, Step

if TYPE_CHECKING:
    from clusters.azure.preflight import Ask
    from clusters.azure.runner import Desk


def up(desk: Desk, file: Path, ask: Ask) -> None:
    """Make what is missing. Raises Stop; run again, it goes on from there."""
    if desk.dry:
        desk.say(
            "A dry run: every command that may be needed, none is run. $NAMES are learned then."
        )
    desk.say("before anything is made:")
    check_files(desk)
    versions(desk)
    prepare(desk)
    repository_settings(desk)
    refuse_another(desk)
    found = {step: _looked(desk, step) for step in (GROUP, *PAID)}
    refuse_missing(desk, found)
    permissions(
        desk,
        group=found[GROUP].there,
        cluster=found[CLUSTER].there or meant(desk, CLUSTER),
        registry=found[REGISTRY].there or meant(desk, REGISTRY),
    )
    caller(desk)
    if found[CLUSTER].there and not found[CLUSTER].ours:
        _enter(desk)
    there = [step for step in found if found[step].there or meant(desk, step)]
    if CLUSTER not in there:
        size(desk)
    ask_for(desk, [step for step in STEPS if step not in there], ask)
    for number, step in enumerate(STEPS, start=1):
        _take(desk, step, f"[{number:2}/{len(STEPS)}]")
        _write(desk, file)


def _enter(desk: Desk) -> None:
    """Refuse a cluster of others that has a Flux or no room, and forget the way into it then."""
    known = Path(desk.values["KUBECONFIG"]).exists()
    _take(desk, ACCESS, " ")
    try:
        for step in (NAMESPACE, ROOM):
            _looked(desk, step)
    except Stop:
        if not known:  # or else the next cluster that is named would be this one
            Path(desk.values["KUBECONFIG"]).unlink(missing_ok=True)
        raise


def prepare(desk: Desk) -> None:
    """Learn who is logged in, what another machine chose, and which repository it is.

    Raises Stop for another repository than the one that this set-up was made for.
    """
    complete(desk.values)  # refuses a name that nobody could have, before anything else
    account(desk)
    followed = ""
    bot = ("microsoft.managedidentity/userassignedidentities", f"{desk.values['NAME']}-bot")
    # Azure takes no --resource-type beside --tag.
    for one in desk.ask(az(f"resource list --tag {MARK}=$NAME")) or ():
        if (one["type"].lower(), one["name"]) == bot:
            kept = {"RESOURCE_GROUP": one["resourceGroup"], **remembered(one["tags"])}
            followed = kept.get("GITHUB_REPOSITORY", "")
            desk.values = {**kept, **desk.values}
    _find_groups(desk)
    repository(desk, followed)
    desk.values = complete(desk.values)


def _find_groups(desk: Desk) -> None:
    """Whoever names a cluster or a registry that is there need not know its group."""
    for name, group, kind in (
        ("AKS_NAME", "AKS_RESOURCE_GROUP", "Microsoft.ContainerService/managedClusters"),
        ("ACR_NAME", "ACR_RESOURCE_GROUP", "Microsoft.ContainerRegistry/registries"),
    ):
        if name in desk.values and group not in desk.values:
            found = desk.ask(az(f"resource list --name ${name} --resource-type {kind}"))
            groups = [one["resourceGroup"] for one in found or ()]
            if len(groups) > 1:
                raise Stop(
                    f"There are several named {desk.values[name]}, in the groups "
                    f"{', '.join(groups)}: say which with --cluster-group or --registry-group."
                )
            if groups:
                desk.values[group] = groups[0]


def _looked(desk: Desk, step: Step) -> Found:
    """Look, learn, and refuse what is there and is not as it has to be."""
    found = step.look(desk)
    desk.values.update(found.values)
    if found.there and not found.ours and step.flag:
        raise Stop(
            f"{step.about}: there is one of this name already, and this set-up did not make it. "
            f"Choose another with {step.flag}."
        )
    if found.problems:
        raise Stop("\n".join(found.problems))
    return found


def _take(desk: Desk, step: Step, number: str) -> None:
    began = time.monotonic()
    desk.say(f"{number} {step.name}: {desk.filled(step.about)}")
    found = _looked(desk, step)
    if found.there:
        taken = "" if found.ours or step not in SHARED else ", and not of this set-up's making"
        desk.say(f"        {found.note or 'is there'}{taken}")
        _remember(desk, step, found)
        return
    if desk.dry and meant(desk, step):
        desk.say("        yours, by its name: the real run looks whether it is there and will do")
        return
    if step.usually:
        desk.say(f"  usually {step.usually}")
    if step.name in desk.named:
        name = desk.values[NAMED[step.name]]
        desk.remark(f"only if there is none named {name}; one that is there is left as it is:")
    if callable(step.make):
        step.make(desk)
    for command in () if callable(step.make) else step.make:
        desk.run(command)
    if not desk.dry:
        _remember(desk, step, _seen(desk, step))
        desk.say(f"        made in {time.monotonic() - began:.0f} s")


def _seen(desk: Desk, step: Step) -> Found:
    """Look at what was made. Azure may take some seconds until it shows it everywhere."""
    desk.until("it can be seen", lambda: _looked(desk, step).there, minutes=3, every=5)
    return _looked(desk, step)


def _remember(desk: Desk, step: Step, found: Found) -> None:
    if found.ours:
        desk.made.add(step.name)


def _write(desk: Desk, file: Path) -> None:
    if not desk.dry:
        save(file, {**desk.values, "MADE": ", ".join(sorted(desk.made))})
