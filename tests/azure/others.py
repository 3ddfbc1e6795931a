"""What others have made before: an existing cluster and an existing registry."""

from __future__ import annotations

import shlex

from tests.azure.world import SUBSCRIPTION, World

_GROUP = "group create --name others --location northeurope --tags team=others"
_MADE = {
    "cluster": (
        "aks create --name theirs --resource-group others --location northeurope --tier standard "
        "--node-count 3 --node-vm-size Standard_D4s_v5 --node-osdisk-size 128 --os-sku Ubuntu "
        "--network-plugin azure --network-plugin-mode overlay --network-dataplane cilium "
        "--enable-managed-identity --enable-oidc-issuer --enable-workload-identity "
        "--enable-addons azure-keyvault-secrets-provider --enable-secret-rotation "
        "--rotation-poll-interval 2m --disable-disk-driver --disable-file-driver "
        "--disable-snapshot-controller --no-ssh-key --tags team=others"
    ),
    "registry": (
        "acr create --name theirs123 --resource-group others --location northeurope --sku Standard "
        "--admin-enabled true --role-assignment-mode rbac --tags team=others"
    ),
}
_ARGUMENTS = {
    "cluster": ("--cluster", "theirs", "--cluster-group", "others"),
    "registry": ("--registry", "theirs123", "--registry-group", "others"),
}


def az(world: World, line: str) -> None:
    """Run `az LINE` as somebody else: this world does not count it."""
    scope = ["--subscription", SUBSCRIPTION, "--output", "json", "--only-show-errors"]
    done = world.execute(["az", *shlex.split(line), *scope], None, {}, live=False)
    assert done.code == 0, done.err
    world.calls.pop()


def have(world: World, what: list[str]) -> list[str]:
    """Make it; return the arguments that name it."""
    for line in (_GROUP, *(_MADE[one] for one in what)) if what else ():
        az(world, line)
    return [word for one in what for word in _ARGUMENTS[one]]
