"""Debian packages that the one-machine loop needs: which, why, and how they are installed."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Where Debian puts programs that a person's PATH may not name.
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_DAY = 86_400
_LISTS = Path("/var/lib/apt/lists")
_POLICY = Path("/usr/sbin/policy-rc.d")
# The comment lets a later run remove the file, should this one be killed before it can.
_POLICY_TEXT = """#!/bin/sh
# Written by tests/tools of Discord Sky while it installs packages; may be removed.
exit 101
"""
# Services that Debian's packages enable. The loop starts programs of its own; none of these
# shall start with the machine because somebody ran a test.
_UNITS = {"containerd": "containerd.service", "lighttpd": "lighttpd.service"}
_APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
_HEARTBEAT_SECONDS = 10


class PackagesMissing(RuntimeError):
    """Programs of the system are missing; the message names them and the remedy."""


@dataclass(frozen=True)
class Package:
    """A Debian package, the programs or files that prove it is there, and what it is for.

    The proof is not dpkg's word: another containerd or runc (Docker's) does as well.
    """

    name: str
    proofs: tuple[str, ...]
    purpose: str


PACKAGES = (
    Package("containerd", ("containerd", "containerd-shim-runc-v2", "ctr"), "runs the pods"),
    Package("runc", ("runc",), "runs a container, for containerd"),
    Package("buildah", ("buildah",), "builds the bot's image from its Dockerfile"),
    Package("mmdebstrap", ("mmdebstrap",), "makes the root that stands in for the base image"),
    Package(
        "debian-archive-keyring",
        ("/usr/share/keyrings/debian-archive-keyring.gpg",),
        "lets mmdebstrap check Debian's signatures",
    ),
    Package(
        "lighttpd",
        ("lighttpd", "/usr/lib/lighttpd/mod_cgi.so"),
        "serves Git over HTTP",
    ),
    Package(
        "containernetworking-plugins",
        ("/usr/lib/cni/bridge", "/usr/lib/cni/portmap", "/usr/lib/cni/host-local"),
        "connects pods to the bridge",
    ),
    Package("iptables", ("iptables",), "is what the portmap plugin calls"),
    Package("mount", ("mount", "umount"), "is what kubelet calls; the smallest Debian has none"),
    Package("iproute2", ("ip",), "makes the bridge and its addresses"),
    Package("nftables", ("nft",), "carries kube-proxy's rules"),
    Package("conntrack", ("conntrack",), "lets kube-proxy drop stale connections"),
    Package(
        "git",
        ("git", "/usr/lib/git-core/git-http-backend"),
        "is the repository that Flux follows",
    ),
    Package("dnsmasq-base", ("dnsmasq",), "is the name server that the fault matrix takes away"),
    Package("faketime", ("faketime",), "lets the bot's clock jump in the fault matrix"),
    Package(
        "ca-certificates",
        ("/etc/ssl/certs/ca-certificates.crt",),
        "lets Go and pip trust the sites they download from",
    ),
)


def is_there(proof: str) -> bool:
    """Tell whether a program (or, with a leading slash, a file) exists."""
    if proof.startswith("/"):
        return Path(proof).exists()
    path = os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS))
    return shutil.which(proof, path=path) is not None


def missing(*names: str) -> list[Package]:
    """Return those packages that are not there; of NAMES, or of all that the loop needs."""
    known = {package.name for package in PACKAGES}
    if unknown := set(names) - known:
        raise ValueError(f"not in the table of packages: {', '.join(sorted(unknown))}")
    return [
        package
        for package in PACKAGES
        if (not names or package.name in names) and not all(map(is_there, package.proofs))
    ]


def remedy(packages: list[Package]) -> str:
    """Say what is missing and the command that installs it."""
    what = "; ".join(f"{package.name} ({package.purpose})" for package in packages)
    names = " ".join(package.name for package in packages)
    if shutil.which("apt-get") is None:
        return f"missing: {what}. Install what this system calls them; the names are Debian's"
    return (
        f"missing: {what}. As root, run `python3 -m tests.tools packages --install`, "
        f"or `apt-get install --no-install-recommends {names}`"
    )


def require_packages(*names: str) -> None:
    """Raise PackagesMissing unless the packages NAMES (all, if none is named) are there."""
    if absent := missing(*names):
        raise PackagesMissing(remedy(absent))


def may_install() -> bool:
    """Tell whether this is root on a machine with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[Package]) -> None:
    """Install PACKAGES, start none of their services, and leave these disabled.

    Raises PackagesMissing after apt-get's last lines if that fails.
    """
    names = [package.name for package in packages]
    print(f"tools: installing {' '.join(names)}", flush=True)
    with no_services():
        lists = [path.stat().st_mtime for path in _LISTS.glob("*_Packages*")]
        if time.time() - max(lists, default=0) > _DAY:
            _apt_get("update")
        # --no-remove: where another package provides one of these, removing it is not for us.
        command = ("install", "-y", "--no-install-recommends", "--no-remove", *names)
        try:
            _apt_get(*command)
        except PackagesMissing:
            # The usual cause is a mirror that has changed since the lists were fetched.
            _apt_get("update")
            _apt_get(*command)
        units = [_UNITS[name] for name in names if name in _UNITS]
        if units and shutil.which("systemctl"):
            subprocess.run(["systemctl", "disable", *units], capture_output=True, check=False)
            print(f"tools: left stopped and not enabled: {', '.join(units)}", flush=True)
    if absent := missing(*names):
        raise PackagesMissing(f"apt-get installed them and still {remedy(absent)}")


def _apt_get(*arguments: str) -> None:
    """Run apt-get, with a sign of life; its output is shown only if it fails."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    began = time.monotonic()
    process = subprocess.Popen(
        [*_APT, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    while True:
        try:
            said, _ = process.communicate(timeout=_HEARTBEAT_SECONDS)
            break
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - began
            print(f"tools: apt-get {arguments[0]}, {elapsed:.0f} s", flush=True)
    if process.returncode != 0:
        sys.stderr.write("\n".join(said.splitlines()[-15:]) + "\n")
        raise PackagesMissing(
            f"`apt-get {' '.join(arguments)}` failed; its last lines are above. Fix the cause "
            "(often: no network, or a broken sources.list) and run this again"
        )


@contextlib.contextmanager
def no_services(policy: Path = _POLICY) -> Iterator[None]:
    """Forbid package scripts to start services; a policy that is already there is left alone."""
    ours = not policy.exists() or policy.read_text() == _POLICY_TEXT
    if ours:
        policy.write_text(_POLICY_TEXT)
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink(missing_ok=True)
