"""Everything that could go wrong later, asked before anything is changed.

Each check yields sentences, one for each problem, with its remedy; none when all is well. They
are told together, so a person fixes them all at once.
"""

import difflib
import ipaddress
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.loop.cluster import git_server
from tests.loop.supervisor import cgroups, ports, state
from tests.tools import ToolMissing, packages, tool

TOOLS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "registry",
    "pause",
    "coredns",
    *state.FLUX_HEALTH,
    "secrets-store-csi-driver",
    "csi-registrar",
    "azure-provider",
)
# Of the packages that tests/tools knows, those that the loop itself starts.
PACKAGES = (
    "containerd",
    "runc",
    "lighttpd",
    "containernetworking-plugins",
    "iproute2",
    "nftables",
    "conntrack",
    "git",
)
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A loop with a dozen images and their snapshots took 2 GB; the node complains below 1 % free.
FREE_BYTES = 3 * 2**30


def left_out(setting: str) -> tuple[frozenset[str], list[str]]:
    """Read LOOP_WITHOUT: the names in it, and what is wrong with it."""
    names = [name.strip() for name in setting.split(",") if name.strip()]
    problems = []
    for name in names:
        if name not in state.REPLACEABLE:
            near = difflib.get_close_matches(name, state.REPLACEABLE, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            problems.append(
                f"LOOP_WITHOUT names {name!r}{hint}. Only these can be left out: "
                f"{', '.join(state.REPLACEABLE)}."
            )
    return frozenset(names), problems


def root(user: int | None = None) -> Iterator[str]:
    """Ask for root."""
    if (os.geteuid() if user is None else user) != 0:
        yield (
            "The loop needs root, for containers, a bridge and nft tables: run the same command "
            "with sudo, or as root."
        )


def tools(names: Iterable[str] = TOOLS) -> Iterator[str]:
    """Ask for the Go programs."""
    missing = []
    for name in names:
        try:
            tool(name)
        except ToolMissing as error:
            missing.append((name, str(error)))
    if missing:
        listed = ", ".join(name for name, _ in missing)
        yield f"These tools are not built: {listed} ({missing[0][1]}). Run `make tools`."


def programs(missing: list[packages.Package] | None = None) -> Iterator[str]:
    """Ask for Debian's programs."""
    if lacking := packages.missing(*PACKAGES) if missing is None else missing:
        yield f"{packages.remedy(lacking)}."


def history(checkout: Path) -> Iterator[str]:
    """Ask for a commit, and for all that came before it: tags are numbered by it."""
    try:
        git_server.in_checkout(checkout, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        shallow = git_server.is_shallow(checkout)
    except git_server.SeedFailed:
        yield f"{checkout} is no Git checkout with a commit: clone the repository, or commit."
        return
    if shallow:
        yield (
            f"{checkout} lacks a part of its history, and image tags are numbered by it: run "
            "`git fetch --unshallow` there."
        )


def kernel(filesystems: str | None = None, missing: set[str] | None = None) -> Iterator[str]:
    """Ask for what containers need of the kernel."""
    known = Path("/proc/filesystems").read_text() if filesystems is None else filesystems
    if "overlay" not in known.split():
        yield "The kernel has no overlay file system loaded: run `modprobe overlay`."
    if lacking := cgroups.missing_controllers() if missing is None else missing:
        yield (
            f"No cgroup hierarchy offers {', '.join(sorted(lacking))}: mount them (a container "
            "has them only when it is started with --privileged and --cgroupns=host)."
        )


def networking(path: str = SEARCH) -> Iterator[str]:
    """Try a bridge, a veth pair and an nft table in a network namespace that ends at once."""
    script = (
        "ip link add name probe0 type bridge && ip link add name probe1 type veth && "
        "nft add table ip probe"
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": path},
    )
    if done.returncode != 0:
        yield (
            f"The kernel refuses a bridge, a veth pair or an nft table ({done.stderr.strip()}): "
            "load the modules bridge, veth and nf_tables, or give this container CAP_SYS_ADMIN "
            "and CAP_NET_ADMIN."
        )


def disk(folder: Path = state.STATE.parent, wanted: int = FREE_BYTES) -> Iterator[str]:
    """Ask for room."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        yield (
            f"{folder} has {free / 2**30:.1f} GiB left and the loop needs "
            f"{wanted / 2**30:.1f}: make room there."
        )


def addresses(needed: Mapping[str, str]) -> Iterator[str]:
    """Ask for every port."""
    for address in ports.taken(needed):
        holder = ports.holder(int(address.rpartition(":")[2]))
        yield f"{address}, which {needed[address]} needs, is taken by {holder}: end it first."


def network(routes: str | None = None, links: str | None = None) -> Iterator[str]:
    """Ask that nobody uses the loop's networks or the name of its bridge."""
    for link in json.loads(_ip("link") if links is None else links):
        if link["ifname"] == state.BRIDGE:
            yield (
                f"There is a network link {state.BRIDGE} that is not the loop's: rename it or "
                f"remove it (`ip link delete {state.BRIDGE}`)."
            )
    ours = [ipaddress.IPv4Network(text) for text in (state.POD_NETWORK, state.SERVICE_NETWORK)]
    for route in json.loads(_ip("-4", "route") if routes is None else routes):
        if route["dst"] == "default":
            continue
        there = ipaddress.IPv4Network(route["dst"], strict=False)
        # A wider route (a VPN's 10.0.0.0/8) goes on working beside our narrower one.
        for mine in filter(there.subnet_of, ours):
            yield (
                f"{route['dst']} is routed to {route.get('dev', 'elsewhere')}, and the loop "
                f"needs {mine}: take that link down while the loop is up."
            )


def proxy_tables(tables: str | None = None) -> Iterator[str]:
    """Ask that no other cluster's kube-proxy works on this machine."""
    listed = _output("nft", "list", "tables") if tables is None else tables
    if "kube-proxy" in listed.split():
        yield (
            "Another cluster's kube-proxy works on this machine (`nft list table ip kube-proxy`), "
            "and the loop's would take its table over: stop that cluster first."
        )


def _ip(*what: str) -> str:
    return _output("ip", "-json", *what, "show") or "[]"


def _output(*command: str) -> str:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={"PATH": SEARCH}
    ).stdout
