"""What of the loop is on this machine: found by what it is, never by what it is called.

Processes are ours by the marker in their environment or by our cgroups; mounts, network
namespaces and sockets by lying under our folders; the bridge by its alias, links by being plugged
into it; nft tables by holding our addresses. `down` removes what is found here, and the tests
compare it before and after.
"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tests.loop.supervisor import cgroups, network, state

# containerd puts the sockets of its shims here, whatever its configuration says.
SHIM_SOCKETS = Path("/run/containerd/s")
# The kubelet's and the CNI library's paths that no setting moves.
FIXED = (
    Path("/var/lib/kubelet"),
    Path("/var/lib/cni"),
    Path("/var/log/containers"),
    Path("/run/containerd"),
)
CNI_NETWORK = "discord-sky"

_LINE = 150
_ID = re.compile(r"([0-9a-f]{8})(?:[0-9a-f]{56}|(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True)
class Leftovers:
    """Each field holds what a person would type to look at it; all empty when nothing is left."""

    processes: tuple[tuple[int, int, str], ...] = ()  # pid, start ticks, command
    mounts: tuple[str, ...] = ()  # the network namespaces of pods are among them
    links: tuple[str, ...] = ()
    nft_tables: tuple[str, ...] = ()
    cgroups: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def lines(self) -> list[str]:
        """One line for each kind of which something is there."""
        kinds = {field.name.replace("_", " "): getattr(self, field.name) for field in fields(self)}
        return [_line(kind, found) for kind, found in kinds.items() if found]


def _line(kind: str, found: Sequence[object]) -> str:
    """Name as many of FOUND as fit a line or two, with the long ids of pods cut short."""
    names = [f"{item[0]} {item[2]}" if isinstance(item, tuple) else str(item) for item in found]
    shown: list[str] = []
    for name in names:
        short = _ID.sub(r"\1…", name)
        if shown and len(", ".join([*shown, short])) > _LINE:
            break
        shown.append(short)
    more = f", and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{len(names)} {kind if len(names) > 1 else kind[:-1]}: {', '.join(shown)}{more}"


def find() -> Leftovers:
    """Look at the whole machine; change nothing."""
    return Leftovers(
        processes=tuple(sorted(processes())),
        mounts=tuple(mounts()),
        links=tuple(links()),
        nft_tables=tuple(nft_tables()),
        cgroups=tuple(str(folder) for folder in cgroups.folders()),
        sockets=tuple(sockets()),
        files=tuple(str(path) for path in files()),
    )


def processes() -> Iterator[tuple[int, int, str]]:
    """Every live process of ours, but for the caller and its parents.

    One with our marker in a PID namespace of its own is another machine's within this one: what the
    loop starts is in its own, and the containers' processes are in our cgroups.
    """
    marker = state.MARKER.encode() + b"="
    here = Path("/proc/self/ns/pid").readlink()
    callers = set(_ancestry(os.getpid()))
    inside = cgroups.pids()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or (pid := int(folder.name)) in callers:
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "comm").read_text().strip()
            beside = (folder / "ns/pid").readlink() == here
        except OSError:  # it has ended
            continue
        marked = beside and any(item.startswith(marker) for item in environment)
        ours = pid in inside or marked
        if ours and (ticks := state.start_ticks(pid)):
            yield pid, ticks, command


def _ancestry(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return
        pid = int(stat.rpartition(")")[2].split()[1])


def mounts(mountinfo: str | None = None) -> list[str]:
    """Mount points under our folders, each after those inside it."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    points = [line.split()[4].encode().decode("unicode_escape") for line in text.splitlines()]
    roots = (f"{state.STATE}/", f"{state.RUN}/")
    return [point for point in reversed(points) if point.startswith(roots)]


def links() -> list[str]:
    """Our bridge, after everything that is plugged into it."""
    found = json.loads(_output("ip", "-json", "link", "show") or "[]")
    bridge = [item for item in found if item.get("ifalias") == network.ALIAS]
    names = {item["ifname"] for item in bridge}
    ports = [item["ifname"] for item in found if item.get("master") in names]
    return ports + sorted(names)


def nft_tables() -> list[str]:
    """kube-proxy's tables, when they are this loop's and not another cluster's."""
    if not shutil.which("nft"):
        return []
    listed = [line.removeprefix("table ") for line in _output("nft", "list", "tables").splitlines()]
    proxy = [table for table in listed if table.split()[1] == "kube-proxy"]
    if state.STATE.exists():
        return proxy
    content = "".join(_output("nft", "list", "table", *table.split()) for table in proxy)
    return proxy if state.HOST in content or state.KUBERNETES_SERVICE in content else []


def sockets() -> list[str]:
    """Sockets of our containers' shims, which lie outside our folders; and our own."""
    found = []
    for bundle in (state.RUN / "containerd").glob("io.containerd.runtime.v2.task/*/*/address"):
        try:
            path = Path(bundle.read_text().strip().removeprefix("unix://"))
        except OSError:  # removed meanwhile
            continue
        if path.parent == SHIM_SOCKETS and path.exists():
            found.append(str(path))
    if state.RUN.exists():
        found += [str(path) for path in state.RUN.rglob("*") if path.is_socket()]
    return sorted(set(found))


def dead_shim_sockets() -> list[Path]:
    """Sockets of shims, ours or not, at which nobody listens: a shim that was killed left them."""
    return [path for path in SHIM_SOCKETS.glob("*") if path.is_socket() and not _answers(path)]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # it is gone, or busy: not known to be dead
            return True
    return True


def files() -> list[Path]:
    """Our folders, and what programs of ours put at paths that cannot be moved."""
    found = [path for path in (state.STATE, state.RUN) if path.exists() and not _is_volume(path)]
    found += _cni_results()
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(state.STATE):
            found.append(link)
    found += _fixed_folders_of_ours()
    return found


def _is_volume(folder: Path) -> bool:
    """Whether it is empty and mounted by somebody else, as the development container does."""
    return folder.is_mount() and not any(folder.iterdir())


def _cni_results(folder: Path = Path("/var/lib/cni/results")) -> list[Path]:
    """What the CNI library remembers of our pods; their loopback is known by the pod's id only."""
    found = list(folder.glob(f"{CNI_NETWORK}-*-eth0"))
    ids = [path.name.removeprefix(f"{CNI_NETWORK}-").removesuffix("-eth0") for path in found]
    loopbacks = [folder / f"cni-loopback-{pod}-lo" for pod in ids]
    return found + [path for path in loopbacks if path.exists()]


def _fixed_folders_of_ours() -> list[Path]:
    """Those of FIXED that were not there before the loop, as `up` noted."""
    try:
        noted = json.loads((state.STATE / "fixed-paths.json").read_text())
    except (OSError, ValueError):
        return []
    return [Path(path) for path in noted if Path(path).exists()]


def note_fixed_paths() -> None:
    """Note which of FIXED are not there yet, so that `down` may remove them."""
    missing = [str(path) for path in FIXED if not path.exists()]
    (state.STATE / "fixed-paths.json").write_text(json.dumps(missing) + "\n")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return ""
