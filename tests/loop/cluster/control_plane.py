"""etcd and Kubernetes' control plane: their command lines, and how each says that it is ready."""

from tests.loop.cluster import pki
from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec
from tests.tools import tool

_DATA = state.STATE / "etcd"


def etcd() -> Spec:
    """The cluster's memory. It need not outlive the loop, so it never waits for the disk."""
    return Spec(
        "etcd",
        (
            tool("etcd"),
            f"--name={state.NODE}",
            f"--data-dir={_DATA}",
            f"--listen-client-urls=http://{state.ETCD}",
            f"--advertise-client-urls=http://{state.ETCD}",
            f"--listen-peer-urls=http://{state.ETCD_PEER}",
            f"--initial-advertise-peer-urls=http://{state.ETCD_PEER}",
            f"--initial-cluster={state.NODE}=http://{state.ETCD_PEER}",
            # A crash of the process loses nothing (the kernel has the pages); only a crash of
            # the machine would, and `up` starts over then. On a shared disk a sync costs 10 ms
            # or more, several times for each rollout.
            "--unsafe-no-fsync",
            "--auto-compaction-retention=10m",
            "--log-level=warn",
        ),
        readiness.http(state.ETCD, "/readyz"),
    )


def kube_apiserver() -> Spec:
    """The API, on the bridge's address only: the host and the pods reach it, the LAN does not."""
    serving, kubelet = pki.pair("kube-apiserver"), pki.pair("apiserver-kubelet-client")
    return Spec(
        "kube-apiserver",
        (
            tool("kube-apiserver"),
            f"--etcd-servers=http://{state.ETCD}",
            f"--bind-address={state.HOST}",
            f"--advertise-address={state.HOST}",
            f"--secure-port={state.API_PORT}",
            f"--service-cluster-ip-range={state.SERVICE_NETWORK}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={pki.CA}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",  # beside those that are on by default
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki.SERVICE_ACCOUNT_KEY}",
            f"--service-account-signing-key-file={pki.SERVICE_ACCOUNT_KEY}",
            f"--kubelet-certificate-authority={pki.CA}",
            f"--kubelet-client-certificate={kubelet.certificate}",
            f"--kubelet-client-key={kubelet.key}",
            "--kubelet-preferred-address-types=InternalIP",  # the node's name resolves nowhere
            "--allow-privileged=true",
            "--profiling=false",
        ),
        readiness.http(f"{state.HOST}:{state.API_PORT}", "/readyz", tls="ours"),
        needs=("etcd",),
    )


def kube_controller_manager() -> Spec:
    """Kubernetes' controllers, each with its own ServiceAccount as everywhere."""
    return Spec(
        "kube-controller-manager",
        (
            tool("kube-controller-manager"),
            f"--kubeconfig={pki.kubeconfig('kube-controller-manager')}",
            "--bind-address=127.0.0.1",
            f"--secure-port={state.CONTROLLER_MANAGER_PORT}",
            "--authentication-skip-lookup=true",
            f"--root-ca-file={pki.CA}",
            f"--service-account-private-key-file={pki.SERVICE_ACCOUNT_KEY}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",  # it is alone, and would wait for a dead one's lease
            # The client's default of 20 requests a second is shared by all controllers, and a
            # rollout at the loop's pace would queue behind the start's own traffic.
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            # Otherwise it makes a folder under /usr/libexec.
            f"--flex-volume-plugin-dir={state.STATE / 'volume-plugins'}",
            "--profiling=false",
        ),
        readiness.http(f"127.0.0.1:{state.CONTROLLER_MANAGER_PORT}", "/healthz", tls="any"),
        needs=("kube-apiserver",),
    )


def kube_scheduler() -> Spec:
    """The scheduler."""
    return Spec(
        "kube-scheduler",
        (
            tool("kube-scheduler"),
            f"--kubeconfig={pki.kubeconfig('kube-scheduler')}",
            "--bind-address=127.0.0.1",
            f"--secure-port={state.SCHEDULER_PORT}",
            "--authentication-skip-lookup=true",
            "--leader-elect=false",  # as above
            "--profiling=false",
        ),
        readiness.http(f"127.0.0.1:{state.SCHEDULER_PORT}", "/healthz", tls="any"),
        needs=("kube-apiserver",),
    )
