"""The AKS cluster, its upgrades, access to it, and the capacity of its nodes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.azure.runner import Stop, az, kubectl
from clusters.azure.steps.model import OWNER_TAG, Check, Step, StepState, azure_resource, get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


_PROVIDER = "azure-keyvault-secrets-provider"
_OLDEST = (1, 31)  # of Kubernetes: the manifests are not checked against older ones


def cluster_problems(seen: Any) -> tuple[str, ...]:
    """Return what an existing cluster lacks, each with the command that adds it."""
    names = f"--name {seen['name']} --resource-group {seen['resourceGroup']}"
    vault = get_path(seen, "addonProfiles.azureKeyvaultSecretsProvider") or {}
    rotation = str((vault.get("config") or {}).get("enableSecretRotation")).lower()
    policy = get_path(seen, "networkProfile.networkPolicy")
    wanted = (
        (get_path(seen, "powerState.code") == "Running", "is stopped", f"az aks start {names}"),
        (
            get_path(seen, "provisioningState") == "Succeeded",
            f"is in the state {get_path(seen, 'provisioningState')}",
            f"Azure tries again with az aks update {names}",
        ),
        (
            get_path(seen, "oidcIssuerProfile.enabled"),
            "has no OIDC issuer",
            f"az aks update {names} --enable-oidc-issuer",
        ),
        (
            get_path(seen, "securityProfile.workloadIdentity.enabled"),
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
                f"runs Kubernetes {get_path(seen, 'currentKubernetesVersion')}, older than 1.31 "
                "(Azure goes up by one minor version at a time)"
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
    text = str(
        get_path(seen, "currentKubernetesVersion") or get_path(seen, "kubernetesVersion") or ""
    )
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


_CLUSTER_NAMES = "--name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP"
_LEARNED = {
    "AKS_OIDC_ISSUER": "oidcIssuerProfile.issuerUrl",
    "KUBELET_PRINCIPAL_ID": "identityProfile.kubeletidentity.objectId",
    "AKS_STATE": "provisioningState",
}
_BUSY = {"Creating", "Updating", "Upgrading", "Starting", "Scaling"}


def check_cluster(problems: Callable[[Any], tuple[str, ...]]) -> Check:
    """Return the check of the cluster, which waits while Azure is still working on it."""
    shown = azure_resource(az(f"aks show {_CLUSTER_NAMES}"), _LEARNED, problems)

    def look(runner: Runner) -> StepState:
        found = shown(runner)
        if found.values.get("AKS_STATE") not in _BUSY:
            return found
        runner.say(f"  Azure is still working on it ({found.values['AKS_STATE']}): waiting")
        runner.attempt(az(f"aks wait {_CLUSTER_NAMES} --created --interval 15 --timeout 1800"))
        return shown(runner)

    return look


_CHANNELS = "--auto-upgrade-channel $UPGRADE_CHANNEL --node-os-upgrade-channel NodeImage"
_RANGES = "--api-server-authorized-ip-ranges $AUTHORIZED_RANGES"


def _create_cluster(runner: Runner) -> None:
    ranges = f"{_RANGES} " if "AUTHORIZED_RANGES" in runner.values else ""
    runner.run(
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
            f"{_CHANNELS} {ranges}--no-ssh-key --tags {OWNER_TAG}=$NAME"
        )
    )


CLUSTER = Step(
    name="cluster",
    description="the AKS cluster: free tier, one node",
    check=check_cluster(cluster_problems),
    create=_create_cluster,
    delete=(az(f"aks delete {_CLUSTER_NAMES} --yes"),),
    duration="5 to 10 min",
)


# --- how a cluster of the set-up's own is kept up to date, and who reaches its API server ---

# Without them Azure upgrades whenever it likes.
_WINDOWS = ("aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule")
_WINDOW_OF = "--cluster-name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP"
_WINDOW = (
    "--schedule-type Weekly --interval-weeks 1 --day-of-week $WINDOW_DAY --start-time $WINDOW_TIME "
    # With an equals sign: -05:00 alone would be read as an option.
    "--utc-offset=$WINDOW_OFFSET --duration 4"
)
_NOT_OURS = "the cluster is not this set-up's: its owner decides"


def _own_cluster(runner: Runner) -> Any:
    """Return the cluster if this set-up made it; None if it is somebody else's or not there."""
    seen = runner.query(az(f"aks show {_CLUSTER_NAMES}"))
    return seen if get_path(seen, f"tags.{OWNER_TAG}") == runner.values["NAME"] else None


def _is_foreign(runner: Runner, seen: Any) -> bool:
    if runner.dry_run:
        return CLUSTER.name in runner.named and "MAKE_CLUSTER" not in runner.values
    return seen is None


def _windows(runner: Runner) -> dict[str, tuple[str, ...]]:
    """Return day, time and offset of each maintenance window of the cluster, by its name."""
    found = runner.query(az(f"aks maintenanceconfiguration list {_WINDOW_OF}")) or ()
    paths = ("schedule.weekly.dayOfWeek", "startTime", "utcOffset")
    return {
        one["name"]: tuple(str(get_path(one, f"maintenanceWindow.{path}")) for path in paths)
        for one in found
    }


def _wanted_window(runner: Runner) -> tuple[str, ...]:
    return tuple(runner.values[f"WINDOW_{part}"] for part in ("DAY", "TIME", "OFFSET"))


def _has_channel(seen: Any, runner: Runner) -> bool:
    """Return whether upgrades are automatic; a channel that somebody chose is left alone."""
    channel = str(get_path(seen, "autoUpgradeProfile.upgradeChannel") or "none").lower()
    return channel != "none" or runner.values["UPGRADE_CHANNEL"] == "none"


def _check_upgrades(runner: Runner) -> StepState:
    seen = _own_cluster(runner)
    if _is_foreign(runner, seen):
        return StepState(exists=True, note=_NOT_OURS)
    windows, wanted = _windows(runner), _wanted_window(runner)
    set_up = all(windows.get(name) == wanted for name in _WINDOWS)
    return StepState(exists=set_up and _has_channel(seen, runner))


def _schedule_upgrades(runner: Runner) -> None:
    seen = None if runner.dry_run else _own_cluster(runner)
    if seen is not None and not _has_channel(seen, runner):
        runner.run(az(f"aks update {_CLUSTER_NAMES} {_CHANNELS}"))
    windows, wanted = _windows(runner), _wanted_window(runner)
    for name in _WINDOWS:
        if name not in windows:
            runner.run(az(f"aks maintenanceconfiguration add {_WINDOW_OF} --name {name} {_WINDOW}"))
        elif windows[name] != wanted:
            runner.run(
                az(f"aks maintenanceconfiguration update {_WINDOW_OF} --name {name} {_WINDOW}")
            )


UPGRADES = Step(
    name="upgrades",
    description="Kubernetes and the node are upgraded by Azure, in the window $MAINTENANCE_WINDOW",
    check=_check_upgrades,
    create=_schedule_upgrades,  # they go with the cluster
)


def _check_api_access(runner: Runner) -> StepState:
    if "AUTHORIZED_RANGES" not in runner.values:
        return StepState(exists=True, note="open to every address; --authorized-ranges limits it")
    seen = _own_cluster(runner)
    if _is_foreign(runner, seen):
        return StepState(exists=True, note=_NOT_OURS)
    allowed = get_path(seen, "apiServerAccessProfile.authorizedIpRanges") or ()
    wanted = runner.values["AUTHORIZED_RANGES"].split(",")
    return StepState(exists=set(map(ip_network, allowed)) == set(map(ip_network, wanted)))


API_ACCESS = Step(
    name="API access",
    description="which addresses reach the cluster's API server",
    check=_check_api_access,
    create=(az(f"aks update {_CLUSTER_NAMES} {_RANGES}"),),
)

# --- capacity ---

_FREE = 0.10
_UNITS = {"": 1.0, "m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Resources:
    """CPUs and bytes."""

    cpu: float = 0
    memory: float = 0

    def plus(self, other: Resources) -> Resources:
        """Return the sum."""
        return Resources(self.cpu + other.cpu, self.memory + other.memory)

    def beyond(self, other: Resources) -> Resources:
        """Return the difference, never below zero."""
        return Resources(max(0, self.cpu - other.cpu), max(0, self.memory - other.memory))

    def __str__(self) -> str:
        return f"{self.cpu * 1000:.0f}m CPU, {self.memory / _MIB:.0f} MiB"


# Five Flux controllers with 100m and 64Mi each, and the operator.
FLUX = Resources(0.510, 6 * 64 * _MIB)
# Two pods of the bot: a rollout starts the new one next to the old one.
BOTS = Resources(0.200, 512 * _MIB)


_NO_NODE = (
    "No node of this cluster accepts the bot's pods: they need Linux and amd64, and tolerate no "
    "taint. A pool with one such node costs as much as the node in the bill:\n"
    "    az aks nodepool add --cluster-name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP "
    "--name discordsky --node-count 1 --node-vm-size $NODE_SIZE\n"
)


def check_capacity(runner: Runner) -> StepState:
    """Compare requests with capacity. Raises Stop if it is too small, unless --tight was given."""
    # The add-ons of a new cluster are still starting; one that never does is not our concern.
    runner.attempt(
        kubectl("wait deployment --all -n kube-system --for condition=Available --timeout 2m")
    )
    nodes = runner.query(kubectl("get nodes --output json"))
    pods = runner.query(kubectl("get pods --all-namespaces --output json"))
    if nodes is None or pods is None:
        return StepState(exists=True, note="checked once the cluster exists")
    usable = [node for node in nodes["items"] if _is_usable(node)]
    if not usable:
        raise Stop(runner.fill(_NO_NODE))
    has = _sum(quantities(get_path(node, "status.allocatable")) for node in usable)
    names = {get_path(node, "metadata.name") for node in usable}
    running = [
        pod
        for pod in pods["items"]
        if get_path(pod, "status.phase") in {"Running", "Pending"}
        and get_path(pod, "spec.nodeName") in {None, *names}  # one without a node may get any
    ]
    taken = _sum(requests(pod) for pod in running)
    missing = _missing(running)
    wanted = taken.plus(missing)
    runner.say(f"  of {has}: {taken} requested, {missing} still to come")
    fits = wanted.cpu <= has.cpu * (1 - _FREE) and wanted.memory <= has.memory * (1 - _FREE)
    if not fits and not runner.tight:
        raise Stop(runner.fill(_remedy(has, wanted, _pool(usable))))
    return StepState(
        exists=True, note="enough" if fits else "too little, and --tight says to continue"
    )


def _is_usable(node: Any) -> bool:
    """Return whether amd64 pods without tolerations or selectors can run there."""
    labels = get_path(node, "metadata.labels") or {}
    kept_free = [
        taint
        for taint in get_path(node, "spec.taints") or ()
        if taint["effect"] in {"NoSchedule", "NoExecute"}
    ]
    kind = (labels.get("kubernetes.io/os"), labels.get("kubernetes.io/arch"))
    return kind == ("linux", "amd64") and not kept_free and not get_path(node, "spec.unschedulable")


def _missing(running: list[Any]) -> Resources:
    flux, bots = _of(running, "flux-system"), _of(running, "discord-sky")
    return FLUX.beyond(flux).plus(BOTS.beyond(bots))


def _pool(nodes: list[Any]) -> str:
    """Return the name of the first node's pool."""
    labels = get_path(nodes[0], "metadata.labels") if nodes else {}
    return str((labels or {}).get("kubernetes.azure.com/agentpool", "nodepool1"))


def _remedy(has: Resources, wanted: Resources, pool: str) -> str:
    names = f"--cluster-name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP --name {pool}"
    return (
        f"The nodes are too small: {wanted} are needed and 10% of {has} should stay free.\n"
        "A second node costs as much as the first one:\n"
        f"    az aks nodepool scale {names} --node-count 2\n"
        "A cluster that this set-up created can be recreated with a larger node:\n"
        "    make azure-teardown, then make azure ARGS='--node-size Standard_D4s_v5'\n"
        "--tight continues anyway: a rollout may then have to wait for capacity."
    )


def _of(pods: list[Any], namespace: str) -> Resources:
    return _sum(requests(pod) for pod in pods if pod["metadata"]["namespace"] == namespace)


def _sum(amounts: Any) -> Resources:
    total = Resources()
    for one in amounts:
        total = total.plus(one)
    return total


def requests(pod: Any) -> Resources:
    """Return what a pod requests: its containers together, or its largest init container."""
    spec = pod["spec"]
    together = _sum(quantities(get_path(one, "resources.requests")) for one in spec["containers"])
    first = [
        quantities(get_path(one, "resources.requests")) for one in spec.get("initContainers", ())
    ]
    return Resources(
        max([together.cpu, *(one.cpu for one in first)]),
        max([together.memory, *(one.memory for one in first)]),
    )


def quantities(given: Any) -> Resources:
    """Read Kubernetes quantities such as 1900m and 5350884Ki."""
    known = given or {}
    return Resources(_number(known.get("cpu", "0")), _number(known.get("memory", "0")))


def _number(text: str) -> float:
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    if found is None or found[2] not in _UNITS:
        raise Stop(f"The cluster reports a quantity that is not understood: {text}")
    return float(found[1]) * _UNITS[found[2]]


# --- access ---


def _check_access(runner: Runner) -> StepState:
    there = runner.dry_run or Path(runner.values["KUBECONFIG"]).exists()
    done = runner.attempt(kubectl("get namespace kube-system --output name")) if there else None
    return StepState(exists=done is not None and done.code == 0, owned=there)


def _remove_access(runner: Runner) -> None:
    if not runner.dry_run:
        Path(runner.values["KUBECONFIG"]).unlink(missing_ok=True)


ACCESS = Step(
    name="access",
    description="a kubeconfig of its own, next to the record; yours is left alone",
    check=_check_access,
    create=(
        az(
            "aks get-credentials --name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP "
            "--file $KUBECONFIG --overwrite-existing"
        ),
    ),
    delete=_remove_access,
    check_owned=lambda runner: StepState(owned=Path(runner.values["KUBECONFIG"]).exists()),
)
CAPACITY = Step(
    name="capacity",
    description="the nodes can take Flux and two bot pods, with 10% to spare",
    check=check_capacity,
    place="cluster",
)
