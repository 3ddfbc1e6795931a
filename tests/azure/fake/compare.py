"""States compared: what matters of them."""

from __future__ import annotations

import copy
from typing import Any

from tests.azure.fake.cloud import State
from tests.azure.fake.outcomes import git_is_open


def leftovers(state: State) -> Any:
    """All that stands, in Azure, on GitHub and in clusters.

    Not counted: how far ids were counted; the subscription's providers, which stay registered; and
    deleted vaults with their secrets, which purge protection keeps.
    """
    seen = copy.deepcopy(state)
    del seen["count"]
    del seen["azure"]["providers"]
    gone = seen["azure"].pop("deleted")
    for name in gone:
        seen["azure"]["secrets"].pop(name, None)
    del seen["azure"]["role_delay"]
    del seen["github"]["runs"]
    return seen


def settled(state: State) -> Any:
    """The same, without what is another each time: the keys, which have to fit instead."""
    seen = leftovers(state)
    for name, cluster in state["clusters"].items():
        secret = seen["clusters"][name]["objects"].get("secret/flux-system/flux-system", {})
        if "data" in secret:
            secret["data"] = {"fits": git_is_open(state, cluster)}
    for key in seen["github"]["keys"]:
        del key["id"], key["key"]
    seen["github"]["keys"].sort(key=lambda key: key["title"])
    for environment in seen["github"]["environments"].values():
        environment["secrets"] = sorted(environment["secrets"])
    return seen
