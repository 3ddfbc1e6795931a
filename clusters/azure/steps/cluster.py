"""The AKS cluster, the way into it, and whether its nodes have room for the bot."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.azure.runner import Stop, az, kubectl
from clusters.azure.steps.model import MARK, Found, Look, Step, at, resource

if TYPE_CHECKING:
    from clusters.azure.runner import Desk


_PROVIDER = "azure-keyvault-secrets-provider"
_OLDEST = (1, 31)  # of Kubernetes: what the manifests are checked against goes back no further


def cluster_problems(seen: Any) -> tuple[str, ...]:
    """Workload identity, the Key Vault provider, enforced NetworkPolicy, a known version."""
    names = f"--name {seen['name']} --resource-group {seen['resourceGroup']}"
    vault = at(seen, "addonProfiles.azureKeyvaultSecretsProvider") or {}
    rotation = str((vault.get("config") or {}).get("enableSecretRotation")).lower()
    policy = at(seen, "networkProfile.networkPolicy")
    wanted = (
        (at(seen, "powerState.code") == "Running", "is stopped", f"az aks start {names}"),
        (
            at(seen, "provisioningState") == "Succeeded",
            f"is in the state {at(seen, 'provisioningState')}",
            f"Azure tries again with az aks update {names}",
        ),
        (
            at(seen, "oidcIssuerProfile.enabled"),
            "has no OIDC issuer",
            f"az aks update {names} --enable-oidc-issuer",
        ),
        (
            at(seen, "securityProfile.workloadIdentity.enabled"),
            "has no workload identity",
            f"az aks update {names} --enable-workload-identity",
        ),
        (
            vault.get("enabled"),
            "has no Key Vault provider",
            f"az aks enable-addons {names} --addons {_PROVIDER} --enable-secret-rotation",
        ),
        (
            not vault.get("enabled") or rotation == "true",
            "does not renew mounted secrets",
            f"az aks update {names} --enable-secret-rotation --rotation-poll-interval 2m",
        ),
        (
            policy in {"cilium", "azure", "calico"},
            "enforces no NetworkPolicy",
            f"az aks update {names} --network-dataplane cilium",
        ),
        (
            _version(seen) >= _OLDEST,
            (
                f"runs Kubernetes {at(seen, 'currentKubernetesVersion')}, older than 1.31 (Azure "
                "goes up by one minor version at a time)"
            ),
            f"az aks upgrade {names} --kubernetes-version {_next(seen)}",
        ),
    )
    return tuple(
        f"The cluster {seen['name']} {what}: {line}" for good, what, line in wanted if not good
    )


def _next(seen: Any) -> str:
    major, minor = _version(seen) or _OLDEST
    return f"{major}.{minor + 1}"


def _version(seen: Any) -> tuple[int, ...]:
    text = str(at(seen, "currentKubernetesVersion") or at(seen, "kubernetesVersion") or "")
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


_CLUSTER_NAMES = "--name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP"
_LEARNED = {
    "AKS_OIDC_ISSUER": "oidcIssuerProfile.issuerUrl",
    "KUBELET_PRINCIPAL_ID": "identityProfile.kubeletidentity.objectId",
    "AKS_STATE": "provisioningState",
}
_BUSY = {"Creating", "Updating", "Upgrading", "Starting", "Scaling"}


def look_at_cluster(problems: Callable[[Any], tuple[str, ...]]) -> Look:
    """Look at it; if Azure is still at work on it, as after a run that was stopped, wait."""
    shown = resource(az(f"aks show {_CLUSTER_NAMES}"), _LEARNED, problems)

    def look(desk: Desk) -> Found:
        found = shown(desk)
        if found.values.get("AKS_STATE") not in _BUSY:
            return found
        desk.say(f"  Azure is still at work on it ({found.values['AKS_STATE']}): waiting")
        desk.try_(az(f"aks wait {_CLUSTER_NAMES} --created --interval 15 --timeout 1800"))
        return shown(desk)

    return look


CLUSTER = Step(
    name="cluster",
    about="the AKS cluster: free tier, one node",
    look=look_at_cluster(cluster_problems),
    make=(
        az(
            f"aks create {_CLUSTER_NAMES} --location $AZURE_LOCATION --tier free "
            "--node-count 1 --node-vm-size $NODE_SIZE --node-osdisk-size 64 --os-sku AzureLinux "
            # NetworkPolicy is enforced by Cilium.
            "--network-plugin azure --network-plugin-mode overlay --network-dataplane cilium "
            "--enable-managed-identity --enable-oidc-issuer --enable-workload-identity "
            "--enable-addons azure-keyvault-secrets-provider "
            "--enable-secret-rotation --rotation-poll-interval 2m "
            # The bot has no volume: without these drivers it fits on the small node.
            "--disable-disk-driver --disable-file-driver --disable-snapshot-controller "
            f"--no-ssh-key --tags {MARK}=$NAME"
        ),
    ),
    undo=(az(f"aks delete {_CLUSTER_NAMES} --yes"),),
    usually="5 to 10 min",
)


_FREE = 0.10
_UNITS = {"": 1.0, "m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Room:
    """CPUs and bytes."""

    cpu: float = 0
    memory: float = 0

    def plus(self, other: Room) -> Room:
        """Add."""
        return Room(self.cpu + other.cpu, self.memory + other.memory)

    def beyond(self, other: Room) -> Room:
        """What is left of this when OTHER is taken away; never below nothing."""
        return Room(max(0, self.cpu - other.cpu), max(0, self.memory - other.memory))

    def __str__(self) -> str:
        return f"{self.cpu * 1000:.0f}m CPU, {self.memory / _MIB:.0f} MiB"


# Five Flux controllers with 100m and 64Mi each, and the operator.
FLUX = Room(0.510, 6 * 64 * _MIB)
# The bot's pod, twice: a rollout starts the new one beside the old one.
BOTS = Room(0.200, 512 * _MIB)


_NO_NODE = (
    "No node of this cluster takes the bot's pods: they run on Linux and amd64, and tolerate no "
    "taint. A pool of one such node costs as much as the node in the bill:\n"
    "    az aks nodepool add --cluster-name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP "
    "--name discordsky --node-count 1 --node-vm-size $NODE_SIZE\n"
)


def look_at_room(desk: Desk) -> Found:
    """Reckon; raises Stop where it does not fit. What already runs is not counted twice."""
    # A new cluster's add-ons are still arriving; one that never does is not our business.
    desk.try_(
        kubectl("wait deployment --all -n kube-system --for condition=Available --timeout 2m")
    )
    nodes = desk.ask(kubectl("get nodes --output json"))
    pods = desk.ask(kubectl("get pods --all-namespaces --output json"))
    if nodes is None or pods is None:
        return Found(there=True, note="looked at when there is a cluster")
    usable = [node for node in nodes["items"] if _takes_the_bot(node)]
    if not usable:
        raise Stop(desk.filled(_NO_NODE))
    has = _sum(quantities(at(node, "status.allocatable")) for node in usable)
    names = {at(node, "metadata.name") for node in usable}
    running = [
        pod
        for pod in pods["items"]
        if at(pod, "status.phase") in {"Running", "Pending"}
        and at(pod, "spec.nodeName") in {None, *names}  # one without a node may get any
    ]
    taken = _sum(requests(pod) for pod in running)
    missing = _missing(running)
    wanted = taken.plus(missing)
    desk.say(f"  of {has}: {taken} taken, {missing} still to come")
    fits = wanted.cpu <= has.cpu * (1 - _FREE) and wanted.memory <= has.memory * (1 - _FREE)
    if not fits and not desk.tight:
        raise Stop(desk.filled(_remedy(has, wanted, _pool(usable))))
    return Found(there=True, note="enough" if fits else "too little, and --tight says go on")


def _takes_the_bot(node: Any) -> bool:
    """Tell whether pods of amd64 without a toleration or a selector of their own run there."""
    labels = at(node, "metadata.labels") or {}
    kept_free = [
        taint
        for taint in at(node, "spec.taints") or ()
        if taint["effect"] in {"NoSchedule", "NoExecute"}
    ]
    kind = (labels.get("kubernetes.io/os"), labels.get("kubernetes.io/arch"))
    return kind == ("linux", "amd64") and not kept_free and not at(node, "spec.unschedulable")


def _missing(running: list[Any]) -> Room:
    flux, bots = _of(running, "flux-system"), _of(running, "discord-sky")
    return FLUX.beyond(flux).plus(BOTS.beyond(bots))


def _pool(nodes: list[Any]) -> str:
    """Name the pool that the first node is of."""
    labels = at(nodes[0], "metadata.labels") if nodes else {}
    return str((labels or {}).get("kubernetes.azure.com/agentpool", "nodepool1"))


def _remedy(has: Room, wanted: Room, pool: str) -> str:
    names = f"--cluster-name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP --name {pool}"
    return (
        f"The nodes have too little room: {wanted} are needed and 10% of {has} should stay free.\n"
        "A second node costs as much as the first one:\n"
        f"    az aks nodepool scale {names} --node-count 2\n"
        "A cluster that this set-up made can be made again with a bigger one:\n"
        "    make azure-teardown, then make azure ARGS='--node-size Standard_D4s_v5'\n"
        "--tight goes on all the same: a rollout may then have to wait for room."
    )


def _of(pods: list[Any], namespace: str) -> Room:
    return _sum(requests(pod) for pod in pods if pod["metadata"]["namespace"] == namespace)


def _sum(rooms: Any) -> Room:
    total = Room()
    for one in rooms:
        total = total.plus(one)
    return total


def requests(pod: Any) -> Room:
    """What a pod asks for: its containers together, or its largest init container."""
    spec = pod["spec"]
    together = _sum(quantities(at(one, "resources.requests")) for one in spec["containers"])
    first = [quantities(at(one, "resources.requests")) for one in spec.get("initContainers", ())]
    return Room(
        max([together.cpu, *(one.cpu for one in first)]),
        max([together.memory, *(one.memory for one in first)]),
    )


def quantities(given: Any) -> Room:
    """Read Kubernetes quantities such as 1900m and 5350884Ki."""
    known = given or {}
    return Room(_number(known.get("cpu", "0")), _number(known.get("memory", "0")))


def _number(text: str) -> float:
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    if found is None or found[2] not in _UNITS:
        raise Stop(f"The cluster names a quantity that is not understood: {text}")
    return float(found[1]) * _UNITS[found[2]]


# --- the way in ---


def _look_at_access(desk: Desk) -> Found:
    there = desk.dry or Path(desk.values["KUBECONFIG"]).exists()
    done = desk.try_(kubectl("get namespace kube-system --output name")) if there else None
    return Found(there=done is not None and done.code == 0, ours=there)


def _forget_access(desk: Desk) -> None:
    if not desk.dry:
        Path(desk.values["KUBECONFIG"]).unlink(missing_ok=True)


ACCESS = Step(
    name="access",
    about="a kubeconfig of its own, beside the record; yours is left alone",
    look=_look_at_access,
    make=(
        az(
            "aks get-credentials --name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP "
            "--file $KUBECONFIG --overwrite-existing"
        ),
    ),
    undo=_forget_access,
    own=lambda desk: Found(ours=Path(desk.values["KUBECONFIG"]).exists()),
)
ROOM = Step(
    name="room",
    about="whether the node has room for Flux and two bot pods, with 10% free",
    look=look_at_room,
    place="cluster",
)
