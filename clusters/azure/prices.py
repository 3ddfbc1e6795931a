"""What it costs a month, by line: pay-as-you-go list prices in East US, in US dollars.

A month has 730 hours. Other regions cost up to a third more; tax is extra.
"""

from __future__ import annotations

from dataclasses import dataclass

from clusters.azure.steps.azure import REGISTRY
from clusters.azure.steps.cluster import CLUSTER
from clusters.azure.steps.model import Step

HOURS = 730
_REGION = "eastus"
_AS_OF = "2026-11-24"
# An hour of a node with Linux, pay as you go.
NODE_HOURS = {"Standard_D2s_v5": 0.096, "Standard_D4s_v5": 0.192}


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line of the bill: dollars a month, or None for a node size that is not listed here."""

    what: str
    dollars: float | None
    how: str


def lines(step: Step, node_size: str) -> tuple[LineItem, ...]:
    """Return what the result of a step costs a month."""
    if step is REGISTRY:
        return (LineItem("registry, Basic", 0.1666 * 365 / 12, "0.1666 a day, 10 GiB included"),)
    if step is not CLUSTER:
        return ()
    hour = NODE_HOURS.get(node_size)
    return (
        LineItem("cluster management, free tier", 0.0, "no charge, no uptime guarantee"),
        LineItem(
            f"one node, {node_size}",
            hour * HOURS if hour is not None else None,
            f"{hour} an hour" if hour is not None else "see Azure's calculator",
        ),
        LineItem("its disk, 64 GiB Premium SSD (P6)", 10.21, "10.21 a month"),
        LineItem("load balancer for outgoing traffic", 0.025 * HOURS, "0.025 an hour"),
        LineItem("its public address", 0.005 * HOURS, "0.005 an hour"),
    )


def table(steps: list[Step], node_size: str, region: str) -> str:
    """Return the bill for these steps, with the sum last, and what the prices are based on."""
    every = [line for step in steps for line in lines(step, node_size)]
    rows = [
        f"  {line.what:36} {'?' if line.dollars is None else f'{line.dollars:.2f}':>8}   {line.how}"
        for line in every
    ]
    total = sum(line.dollars or 0 for line in every)
    more = " and the node" if any(line.dollars is None for line in every) else ""
    rows.append(f"  {'together, about':36} {total:8.2f}{more}   US dollars a month")
    rows.append("  Key Vault charges 0.03 for 10,000 reads; outgoing traffic is free up to 100 GB.")
    elsewhere = "" if region == _REGION else f": {region} may cost up to a third more"
    rows.append(f"  List prices of East US without tax, as of {_AS_OF}{elsewhere}.")
    return "\n".join(rows)
