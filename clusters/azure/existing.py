"""A cluster or a registry that is said to be there: used as it is, and never made by mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clusters.azure.azure_steps import CLUSTER, REGISTRY
from clusters.azure.choices import NAMED
from clusters.azure.errors import Stop

if TYPE_CHECKING:
    from clusters.azure.desk import Desk
    from clusters.azure.step import Found, Step

# Step: the value that says it is to be made all the same, and who lists the others.
_MAY = {
    CLUSTER: ("MAKE_CLUSTER", "az aks list --output table"),
    REGISTRY: ("MAKE_REGISTRY", "az acr list --output table"),
}


def meant(desk: Desk, step: Step) -> bool:
    """Tell whether STEP's thing was named, and nobody said that it is to be made."""
    return step in _MAY and step.name in desk.named and _MAY[step][0] not in desk.values


def refuse_missing(desk: Desk, found: Mapping[Step, Found]) -> None:
    """Raise Stop for one that was named and is not there: a slip of the pen is not to cost."""
    for step, (_, lister) in _MAY.items():
        if meant(desk, step) and not found[step].there and not desk.dry:
            raise Stop(
                f"There is no {step.name} {desk.values[NAMED[step.name]]}, and a name that you "
                f"give means one that is there. To have it made, say --make-{step.name}. "
                f"Which there are: {lister}"
            )
