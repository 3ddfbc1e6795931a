"""What will be made, where, and what it will cost: asked before the first thing is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clusters.azure import money
from clusters.azure.errors import Stop
from clusters.azure.steps import PAID

if TYPE_CHECKING:
    from clusters.azure.desk import Desk
    from clusters.azure.step import Step

Ask = Callable[[str], bool]
_PLACES = {
    "azure": "Azure, region $AZURE_LOCATION, resource group $RESOURCE_GROUP",
    "cluster": "the cluster $AKS_NAME",
    "github": "GitHub, in $GITHUB_REPOSITORY",
}


def ask_for(desk: Desk, steps: list[Step], ask: Ask) -> None:
    """Say what of STEPS may be made, then ask. Raises Stop at a no."""
    desk.say("\nThis will be made, at most; what is there already is used as it is:")
    for place, where in _PLACES.items():
        names = ", ".join(step.name for step in steps if step.place == place and step.make)
        desk.say(f"  {desk.filled(where)}: {names}")
    paid = [step for step in PAID if step in steps]
    if paid:
        desk.say("\nThis will cost, as long as it stands:")
        desk.say(money.table(paid, desk.values["NODE_SIZE"], desk.values["AZURE_LOCATION"]))
        desk.say("`make azure-teardown` ends it. How it was reckoned: clusters/azure/README.md.")
    else:
        desk.say("\nNothing of it costs by the month but the vault, some cents.")
    if not desk.dry and not ask("Make it?"):
        raise Stop("Nothing was made.")
