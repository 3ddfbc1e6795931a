"""The node: containerd, kubelet and kube-proxy, with all their files under the loop's folders."""

import json
import shutil
from pathlib import Path

from tests.loop.cluster import pki
from tests.loop.supervisor import leftovers, readiness, state
from tests.loop.supervisor.process import Spec
from tests.tools import tool

PAUSE_IMAGE = "discord-sky.invalid/pause:1"  # never pulled: imported into containerd at the start

CNI_PLUGINS = Path("/usr/lib/cni")  # of Debian's containernetworking-plugins
_CONFIG = state.STATE / "node"
_CNI = _CONFIG / "cni"
_CERTS = _CONFIG / "registries"
_KUBELET = state.STATE / "kubelet"


def write_configuration() -> None:
    """Write the configuration files of all three and of the bridge plugin."""
    registry = _CERTS / state.REGISTRY
    for folder in (_CNI, registry, _KUBELET):
        folder.mkdir(parents=True)
    (registry / "hosts.toml").write_text(
        f'server = "http://{state.REGISTRY}"\n\n'
        f'[host."http://{state.REGISTRY}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    (_CNI / "10-bridge.conflist").write_text(json.dumps(_bridge(), indent=1) + "\n")
    # Pods ask the cluster's DNS. The host's own resolvers may be where no pod can reach them.
    (_CONFIG / "resolv.conf").write_text("options timeout:1 attempts:1\n")
    (_CONFIG / "containerd.toml").write_text(_containerd())
    (_CONFIG / "kubelet.json").write_text(json.dumps(_kubelet(), indent=1) + "\n")
    (_CONFIG / "kube-proxy.json").write_text(json.dumps(_kube_proxy(), indent=1) + "\n")


def containerd() -> Spec:
    """Debian's containerd, beside the system's own, should there be one."""
    return Spec(
        "containerd",
        (_program("containerd"), "--config", _CONFIG / "containerd.toml"),
        readiness.unix(state.CONTAINERD_SOCKET),
    )


def kubelet() -> Spec:
    """The node's agent."""
    return Spec(
        "kubelet",
        (
            tool("kubelet"),
            f"--config={_CONFIG / 'kubelet.json'}",
            f"--kubeconfig={pki.kubeconfig('kubelet')}",
            f"--hostname-override={state.NODE}",
            f"--node-ip={state.HOST}",
            f"--root-dir={_KUBELET}",
            f"--cert-dir={_KUBELET / 'pki'}",
        ),
        readiness.http(f"127.0.0.1:{state.KUBELET_HEALTH_PORT}", "/healthz"),
        needs=("kube-apiserver", "pause-image"),
    )


def kube_proxy() -> Spec:
    """Service addresses, by nftables."""
    return Spec(
        "kube-proxy",
        (tool("kube-proxy"), f"--config={_CONFIG / 'kube-proxy.json'}"),
        readiness.http(f"127.0.0.1:{state.KUBE_PROXY_HEALTH_PORT}", "/livez"),
        # It asks for its node's address, and backs off for seconds when that is not there yet.
        needs=("node",),
    )


def _program(name: str) -> str:
    return shutil.which(name) or name


def _bridge() -> dict[str, object]:
    ranges = [[{"subnet": state.POD_NETWORK, "rangeStart": "10.244.0.10"}]]
    return {
        "cniVersion": "1.0.0",
        "name": leftovers.CNI_NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": state.BRIDGE,
                "isGateway": True,
                "ipMasq": False,  # pods need nothing beyond this host
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(state.STATE / "cni"),
                    "ranges": ranges,
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _containerd() -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    runc = f"{cri}.containerd.runtimes.runc"
    return f"""\
version = 2
root = "{state.STATE}/containerd"
state = "{state.RUN}/containerd"

[grpc]
  address = "{state.CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{state.STATE}/containerd-opt"

[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE (many containers and VMs) no score can be lowered, and runc gives up.
  restrict_oom_score_adj = true
  # Otherwise under /run/netns, where `down` could not tell ours from anybody's.
  netns_mounts_under_state_dir = true
[{cri}.cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{_CNI}"
[{cri}.registry]
  config_path = "{_CERTS}"
[{runc}]
  runtime_type = "io.containerd.runc.v2"
[{runc}.options]
  Root = "{state.RUN}/runc"
  SystemdCgroup = false
"""


def _kubelet() -> dict[str, object]:
    serving = pki.pair("kubelet-serving")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": state.HOST,
        "port": state.KUBELET_PORT,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": state.KUBELET_HEALTH_PORT,
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.CA)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{state.CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",  # there may be no systemd to ask
        "cgroupRoot": f"/{state.CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,  # nothing of ours is masqueraded
        "oomScoreAdj": 0,  # lowering it is not always allowed, see containerd
        "podLogsDir": str(state.STATE / "pods"),
        "volumePluginDir": str(state.STATE / "volume-plugins"),
        "clusterDNS": [state.DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(_CONFIG / "resolv.conf"),
        "registerNode": True,
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        # How soon a changed volume is written again (default 1m), the CSI volumes' too.
        "syncFrequency": "5s",
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        # A developer's disk is often fuller than a node's, and our images need not survive: the
        # node never cleans up (the pause image would go, too) and complains only in earnest.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
    }


def _kube_proxy() -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(pki.kubeconfig("kube-proxy"))},
        "hostnameOverride": state.NODE,
        "clusterCIDR": state.POD_NETWORK,
        "healthzBindAddress": f"127.0.0.1:{state.KUBE_PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{state.KUBE_PROXY_METRICS_PORT}",
        "nodePortAddresses": ["127.0.0.0/8"],  # a NodePort, should there be one, is not for a LAN
        # The host's connection tracking is the host's: zero means leave it as it is.
        "conntrack": {
            "maxPerCore": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"minSyncPeriod": "100ms"},
        "oomScoreAdj": 0,
    }
