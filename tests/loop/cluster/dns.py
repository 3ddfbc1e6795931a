"""Cluster DNS: CoreDNS as a process, behind the Service address that kubelet hands to pods."""

from typing import Any

from tests.loop.cluster import pki
from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec
from tests.tools import tool

_COREFILE = state.STATE / "node" / "Corefile"
_NAMESPACE = "kube-system"
_SERVICE = "kube-dns"  # the name that every cluster uses, whatever program answers


def write_configuration() -> None:
    """Write the Corefile."""
    host, _, health = state.DNS_HEALTH.rpartition(":")
    _COREFILE.write_text(f"""\
cluster.local:{state.DNS_PORT} in-addr.arpa:{state.DNS_PORT} {{
    bind {state.HOST}
    errors
    ready {host}:{health}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {pki.kubeconfig("coredns")}
    }}
    cache 30
    loadbalance
}}

# The loop reaches nothing beyond this machine, so there is nobody to forward to.
.:{state.DNS_PORT} {{
    bind {state.HOST}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
""")


def coredns() -> Spec:
    """Answer for the cluster's Services."""
    return Spec(
        "coredns",
        (tool("coredns"), "-conf", _COREFILE),
        readiness.http(state.DNS_HEALTH, "/ready"),
        needs=("objects",),
    )


def objects() -> list[dict[str, Any]]:
    """Return the Service at kubelet's clusterDNS address, and where it leads to."""
    meta = {"name": _SERVICE, "namespace": _NAMESPACE}
    ports = [
        {"name": name.lower(), "port": 53, "protocol": name, "targetPort": state.DNS_PORT}
        for name in ("UDP", "TCP")
    ]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"clusterIP": state.DNS_SERVICE, "ports": ports},  # no selector: it is no pod
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**meta, "labels": {"kubernetes.io/service-name": _SERVICE}},
        "addressType": "IPv4",
        "ports": [
            {"name": port["name"], "port": state.DNS_PORT, "protocol": port["protocol"]}
            for port in ports
        ],
        "endpoints": [{"addresses": [state.HOST], "conditions": {"ready": True}}],
    }
    return [service, endpoints]
