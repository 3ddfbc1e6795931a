"""Where the loop lives: its folders, its addresses, and what runs at this moment.

There is one loop on a machine, so these are constants. `load()` reads `loop.json`, which the
supervisor rewrites at each change, and returns a frozen picture of it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE = Path("/var/lib/discord-sky-loop")  # data, pki, logs, kubeconfig; removed by `down`
RUN = Path("/run/discord-sky-loop")  # sockets, and what containerd mounts; removed by `down`
LOGS = STATE / "logs"
LAST_LOGS = Path("/var/log/discord-sky-loop")  # the logs of the last loop, moved here by `down`
LOOP_JSON = STATE / "loop.json"
KUBECONFIG = STATE / "kubeconfig"
CONTROL_SOCKET = RUN / "supervisor.sock"
GIT_REPOSITORY = STATE / "git" / "discord-sky.git"
DISCORD_TOKEN_FILE = STATE / "credentials" / "discord-token"
OPENAI_KEY_FILE = STATE / "credentials" / "openai-api-key"
GITHUB_TOKEN_FILE = STATE / "credentials" / "github-token"
GITHUB_DISPATCH_TOKEN_FILE = STATE / "credentials" / "github-dispatch-token"
GITHUB_EVENTS = STATE / "github-events"  # what Flux dispatched, as a workflow's runner finds it
TENANT_FILE = STATE / "credentials" / "tenant.json"  # who may do what in the vault

# Everything the supervisor starts inherits this variable, so `down` can tell its own by it.
MARKER = "DISCORD_SKY_LOOP"
# The process that holds this name in the abstract socket namespace runs the loop. The kernel frees
# it with its holder, so a kill -9 leaves no stale lock behind.
LOCK = "\0discord-sky-loop"

BRIDGE = "sky0"
HOST = "10.244.0.1"
POD_NETWORK = "10.244.0.0/24"
SERVICE_NETWORK = "10.0.0.0/24"
KUBERNETES_SERVICE = "10.0.0.1"
NODE = "sky-node"
CGROUP = "discord-sky-loop"  # at the root of each cgroup hierarchy

API_PORT = 6443
REGISTRY_PORT = 5000
GIT_PORT = 8081
DISCORD_PORT = 7101
OPENAI_PORT = 7102
VAULT_PORT = 7103
GITHUB_PORT = 7104

API_URL = f"https://{HOST}:{API_PORT}"
REGISTRY = f"{HOST}:{REGISTRY_PORT}"
GIT_URL = f"http://{HOST}:{GIT_PORT}/discord-sky.git"
DISCORD_LISTEN = f"{HOST}:{DISCORD_PORT}"
DISCORD_API_URL = f"http://{DISCORD_LISTEN}/api/v10"
DISCORD_GATEWAY_URL = f"ws://{DISCORD_LISTEN}/gateway"
DISCORD_CONTROL = "127.0.0.1:7111"
OPENAI_LISTEN = f"{HOST}:{OPENAI_PORT}"
OPENAI_URL = f"http://{OPENAI_LISTEN}/v1"
OPENAI_CONTROL = "127.0.0.1:7112"
# The way to Azure: a proxy that leads login.microsoftonline.com and the vault to the stand-in.
VAULT_PROXY = f"{HOST}:{VAULT_PORT}"
VAULT_CONTROL = "127.0.0.1:7113"
VAULT_NAME = "loop-vault"
VAULT_URL = f"https://{VAULT_NAME}.vault.azure.net"
TENANT = "00000000-0000-0000-0000-000000000001"
BOT_CLIENT = "00000000-0000-0000-0000-000000000002"
OPERATOR_CLIENT = "00000000-0000-0000-0000-000000000004"
GITHUB_LISTEN = f"{HOST}:{GITHUB_PORT}"
GITHUB_REPOSITORY = "somebody/discord-sky"
GITHUB_URL = f"http://{GITHUB_LISTEN}/{GITHUB_REPOSITORY}"
ETCD = "127.0.0.1:12379"
ETCD_PEER = "127.0.0.1:12380"
SOURCE_STORAGE = "127.0.0.1:9790"
# Ports of health and metrics: Kubernetes' own numbers plus 2000, so a cluster that already runs
# on this machine is not met.
CONTROLLER_MANAGER_PORT = 12257
SCHEDULER_PORT = 12259
KUBELET_PORT = 10250  # on the bridge's address; the API server asks the node for it
KUBELET_HEALTH_PORT = 12248
KUBE_PROXY_HEALTH_PORT = 12256
KUBE_PROXY_METRICS_PORT = 12249
FLUX_HEALTH = {
    "source-controller": "127.0.0.1:12440",
    "kustomize-controller": "127.0.0.1:12441",
    "image-reflector-controller": "127.0.0.1:12442",
    "image-automation-controller": "127.0.0.1:12443",
    "notification-controller": "127.0.0.1:12444",
}
NOTIFICATION_EVENTS = "127.0.0.1:12490"
NOTIFICATION_RECEIVER = "127.0.0.1:12492"
# CoreDNS as the host serves it; pods ask at the address of the Service, as everywhere.
DNS_SERVICE = "10.0.0.10"
DNS_PORT = 12053
DNS_HEALTH = "127.0.0.1:12081"
CSI_METRICS = "127.0.0.1:12095"
# The provider listens at every address with these two; they have no setting for that.
PROVIDER_HEALTH_PORT = 12989
PROVIDER_METRICS_PORT = 12898

CONTAINERD_SOCKET = RUN / "containerd" / "containerd.sock"

FLUX_NAMESPACE = "flux-system"
BOT_NAMESPACE = "discord-sky"

# What can be left out, by LOOP_WITHOUT, so that another program takes its place.
REPLACEABLE = (
    "image-reflector-controller",
    "image-automation-controller",
    "notification-controller",
    "discord",
    "openai",
    "vault",
    "github",
    "azure-provider",
    "secrets-store-csi-driver",
    "csi-registrar",
)


class LoopDown(RuntimeError):
    """No loop runs; the message has the remedy."""


@dataclass(frozen=True)
class Process:
    """One supervised process at the moment of the last change.

    `state` is starting, ready, crashed (waits to be started again) or stopped (on request).
    `started` is a Unix time; `ticks` the kernel's start time of the pid, which makes it unique.
    """

    name: str
    state: str
    pid: int = 0
    ticks: int = 0
    started: float = 0.0
    restarts: int = 0
    last_exit: str = ""


@dataclass(frozen=True)
class Loop:
    """The running loop. `phase` is starting, up or stopping."""

    id: str
    checkout: Path
    phase: str
    supervisor: int
    supervisor_ticks: int
    started: float
    left_out: frozenset[str]
    processes: Mapping[str, Process]
    revision: str = ""
    kubeconfig: Path = KUBECONFIG

    @property
    def alive(self) -> bool:
        """Whether the supervisor still runs (it is not merely another process with its pid)."""
        return start_ticks(self.supervisor) == self.supervisor_ticks != 0


def start_ticks(pid: int) -> int:
    """Start time of PID in the kernel's clock ticks; 0 when there is no such live process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def read() -> Loop | None:
    """Return what loop.json says, whether that loop is alive or not; None without a loop."""
    try:
        data: dict[str, Any] = json.loads(LOOP_JSON.read_text())
    except (OSError, ValueError):
        return None
    return Loop(
        id=data["id"],
        checkout=Path(data["checkout"]),
        phase=data["phase"],
        supervisor=data["supervisor"],
        supervisor_ticks=data["supervisor_ticks"],
        started=data["started"],
        left_out=frozenset(data["left_out"]),
        processes={name: Process(name=name, **item) for name, item in data["processes"].items()},
        revision=data["revision"],
    )


def load() -> Loop:
    """Return the loop that is up. Raises LoopDown."""
    loop = read()
    if loop is None:
        raise LoopDown("no loop runs on this machine: `make loop-up` starts it")
    if not loop.alive:
        raise LoopDown("the loop's supervisor was killed: `make loop-up` cleans up and restarts")
    if loop.phase != "up":
        raise LoopDown(f"the loop is {loop.phase}: `make loop-status` shows how far it is")
    return loop


def write(loop: Loop) -> None:
    """Replace loop.json in one step, so a reader never sees half of it."""
    data = {
        "id": loop.id,
        "checkout": str(loop.checkout),
        "phase": loop.phase,
        "supervisor": loop.supervisor,
        "supervisor_ticks": loop.supervisor_ticks,
        "started": loop.started,
        "left_out": sorted(loop.left_out),
        "revision": loop.revision,
        "processes": {
            name: {key: value for key, value in vars(process).items() if key != "name"}
            for name, process in loop.processes.items()
        },
    }
    draft = LOOP_JSON.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(data, indent=1) + "\n")
    draft.replace(LOOP_JSON)
