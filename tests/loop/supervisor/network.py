"""The loop's part of the host's network: one bridge, and the sysctls that its programs change."""

import json
import subprocess
from pathlib import Path

from tests.loop.supervisor import state

# A bridge without an address of its own takes over a port's, and changes it as pods come and go,
# so clients would for a moment send to a machine that is gone.
_MAC = "02:5c:79:00:00:01"
# How leftovers.py knows the bridge for ours.
ALIAS = "discord-sky-loop"

_SAVED = state.STATE / "sysctls.json"
# What kubelet, kube-proxy and the bridge plugin may write; `down` puts back what was there.
_SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/ip_forward",
    "net/netfilter/nf_conntrack_max",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


class CommandFailed(RuntimeError):
    """A program of the host ended with an error; the message holds what it said."""


def run(*command: str) -> str:
    """Run a program of the host and return what it printed. Raises CommandFailed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise CommandFailed(f"`{' '.join(command)}` ended with {done.returncode}: {said}")
    return done.stdout


def create() -> None:
    """Make the bridge, after saving the sysctls that the cluster's programs will change."""
    saved = {name: value for name in _SYSCTLS if (value := _sysctl(name)) is not None}
    _SAVED.write_text(json.dumps(saved, indent=1) + "\n")
    run("ip", "link", "add", "name", state.BRIDGE, "address", _MAC, "type", "bridge")
    run("ip", "link", "set", state.BRIDGE, "alias", ALIAS)
    run("ip", "address", "add", f"{state.HOST}/24", "dev", state.BRIDGE)
    run("ip", "link", "set", state.BRIDGE, "up")


def restore_sysctls() -> list[str]:
    """Put back the sysctls that differ from what was saved; return their names."""
    try:
        saved: dict[str, str] = json.loads(_SAVED.read_text())
    except (OSError, ValueError):
        return []
    changed = [name for name, value in saved.items() if _sysctl(name) not in {None, value}]
    for name in changed:
        Path("/proc/sys", name).write_text(saved[name])
    return changed


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:  # this kernel does not have it, or will not tell
        return None
