"""Debian packages that the one-machine loop needs: which, why, and how they are installed."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

# Where Debian puts programs that a person's PATH may not name.
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


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
