"""Install packages with apt-get, quietly, and without a service that starts by itself."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.tools.packages import Package, PackagesMissing, missing, remedy

_DAY = 86_400
_LISTS = Path("/var/lib/apt/lists")
_POLICY = Path("/usr/sbin/policy-rc.d")
# The mark lets a later run remove the file, should this one be killed before it can.
_POLICY_TEXT = """#!/bin/sh
# Written by tests/tools of Discord Sky while it installs packages; may be removed.
exit 101
"""
# Services that Debian's packages enable. The loop starts programs of its own; none of these
# shall start with the machine because somebody ran a test.
_UNITS = {"containerd": "containerd.service", "lighttpd": "lighttpd.service"}
_APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")


def may_install() -> bool:
    """Tell whether this is root on a machine with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[Package]) -> None:
    """Install PACKAGES. Raises PackagesMissing with apt-get's last lines if that fails."""
    if not packages:
        return
    names = [package.name for package in packages]
    print(f"tools: installing {' '.join(names)}", flush=True)
    with _no_services():
        if _lists_are_old():
            _run("update")
        # --no-remove: where another package provides one of these, removing it is not for us.
        command = ("install", "-y", "--no-install-recommends", "--no-remove", *names)
        try:
            _run(*command)
        except PackagesMissing:
            # The usual cause is a mirror that has moved on since the lists were fetched.
            _run("update")
            _run(*command)
        _disable_units(names)
    if absent := missing(*names):
        raise PackagesMissing(f"apt-get installed them and still {remedy(absent)}")


def _lists_are_old(now: float | None = None) -> bool:
    lists = [path.stat().st_mtime for path in _LISTS.glob("*_Packages*")]
    stamp = _LISTS.stat().st_mtime if lists else 0.0
    return (now or time.time()) - stamp > _DAY


def _run(*arguments: str) -> None:
    """Run apt-get, with a sign of life; its output is shown only if it fails."""
    command = [*_APT, *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    began = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(10):
            elapsed = time.monotonic() - began
            print(f"tools: apt-get {arguments[0]}, {elapsed:.0f} s", flush=True)

    threading.Thread(target=beat, daemon=True).start()
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    finally:
        done.set()
    if ended.returncode != 0:
        sys.stderr.write("\n".join(ended.stdout.splitlines()[-15:]) + "\n")
        raise PackagesMissing(
            f"`apt-get {' '.join(arguments)}` failed; its last lines are above. Mend that "
            "(often: no network, or a broken sources.list) and run this again"
        )


@contextlib.contextmanager
def _no_services(policy: Path = _POLICY) -> Iterator[None]:
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


def _disable_units(names: Sequence[str]) -> None:
    """Undo that the packages just installed enabled their services for the next boot."""
    units = [_UNITS[name] for name in names if name in _UNITS]
    if units and shutil.which("systemctl"):
        subprocess.run(["systemctl", "disable", *units], capture_output=True, check=False)
        print(f"tools: left stopped and not enabled: {', '.join(units)}", flush=True)
