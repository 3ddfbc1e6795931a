"""What has to be there before anything can be made: resource providers and a resource group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusters.azure.command import az
from clusters.azure.step import MARK, Found, Step, resource

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

_PROVIDERS = (
    "Microsoft.Compute",
    "Microsoft.ContainerRegistry",
    "Microsoft.ContainerService",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
)


def _look_at_providers(desk: Desk) -> Found:
    return Found(there=not _unregistered(desk))


def _unregistered(desk: Desk) -> list[str]:
    listed = desk.ask(az("provider list --query '[].{name:namespace, state:registrationState}'"))
    known = {one["name"] for one in listed or () if one["state"] == "Registered"}
    return [name for name in _PROVIDERS if name not in known]


def _register(desk: Desk) -> None:
    for namespace in _unregistered(desk):
        desk.run(az("provider register --namespace $PROVIDER --wait"), PROVIDER=namespace)


PROVIDERS = Step(
    name="providers",
    about="the subscription may use registry, cluster, vault and identities",
    look=_look_at_providers,
    make=_register,  # costs nothing and stays: others may have come to need it
)


def _remove_group(desk: Desk) -> None:
    inside = desk.ask(az("resource list --resource-group $RESOURCE_GROUP"))
    if inside:
        names = ", ".join(sorted(one["name"] for one in inside))
        desk.say(f"  kept: others have put something into the group: {names}")
        return
    desk.run(az("group delete --name $RESOURCE_GROUP --yes"))


GROUP = Step(
    name="group",
    about="the resource group",
    look=resource(az("group show --name $RESOURCE_GROUP")),
    make=(
        az(f"group create --name $RESOURCE_GROUP --location $AZURE_LOCATION --tags {MARK}=$NAME"),
    ),
    undo=_remove_group,
)
