"""Which of the loop's ports are taken, and by whom."""

import errno
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.loop.supervisor import state

_FREEBIND = 15  # IP_FREEBIND of ip(7): bind to the bridge's address before there is a bridge
_LISTEN = "0A"


def needed(left_out: frozenset[str]) -> dict[str, str]:
    """Return each address that the loop listens on, and for what."""
    host, local = state.HOST, "127.0.0.1"
    table = {
        f"{host}:{state.API_PORT}": "kube-apiserver",
        state.REGISTRY: "registry",
        f"{host}:{state.GIT_PORT}": "git",
        f"{host}:{state.KUBELET_PORT}": "kubelet",
        state.ETCD: "etcd",
        state.ETCD_PEER: "etcd",
        state.SOURCE_STORAGE: "source-controller",
        **{address: name for name, address in state.FLUX_HEALTH.items()},
        state.NOTIFICATION_EVENTS: "notification-controller",
        state.NOTIFICATION_RECEIVER: "notification-controller",
        f"{host}:{state.DNS_PORT}": "coredns",
        state.DNS_HEALTH: "coredns",
        f"{local}:{state.CONTROLLER_MANAGER_PORT}": "kube-controller-manager",
        f"{local}:{state.SCHEDULER_PORT}": "kube-scheduler",
        f"{local}:{state.KUBELET_HEALTH_PORT}": "kubelet",
        f"{local}:{state.KUBE_PROXY_HEALTH_PORT}": "kube-proxy",
        f"{local}:{state.KUBE_PROXY_METRICS_PORT}": "kube-proxy",
        state.DISCORD_LISTEN: "discord",
        state.DISCORD_CONTROL: "discord",
        state.OPENAI_LISTEN: "openai",
        state.OPENAI_CONTROL: "openai",
        state.VAULT_PROXY: "vault",
        state.VAULT_CONTROL: "vault",
        state.GITHUB_LISTEN: "github",
        state.CSI_METRICS: "secrets-store-csi-driver",
        f"0.0.0.0:{state.PROVIDER_HEALTH_PORT}": "azure-provider",
        f"0.0.0.0:{state.PROVIDER_METRICS_PORT}": "azure-provider",
    }
    return {address: name for address, name in table.items() if name not in left_out}


def taken(addresses: Iterable[str]) -> Iterator[str]:
    """Yield those of ADDRESSES that cannot be listened on."""
    for address in addresses:
        host, _, port = address.rpartition(":")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.setsockopt(socket.IPPROTO_IP, _FREEBIND, 1)
            try:
                probe.bind((host, int(port)))
                probe.listen()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                yield address


def holder(port: int) -> str:
    """Say who listens on PORT, as "name (pid 123)"; "another process" when it cannot be seen."""
    inodes = set(_listening(port))
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            for descriptor in (folder / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
        except OSError:  # it has ended
            continue
    return "another process"


def _listening(port: int) -> Iterator[str]:
    """Yield the sockets that listen on PORT, as /proc/PID/fd names them."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:  # no IPv6 here
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"
