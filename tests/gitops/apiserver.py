"""A real API server of our own, for dry runs: etcd and kube-apiserver, nothing else.

It needs no root, no node and no loop: two processes on free loopback ports, and a temporary folder,
all removed when the context ends. A client with the token may do everything; admission has its
defaults, including Pod Security.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.gitops.findings import KubeObject
from tests.servers.ports import free_port
from tests.tools import share, tool

START_SECONDS = 60.0


class ServerFailed(RuntimeError):
    """The API server did not come up; the message has its last log lines."""


@dataclass(frozen=True)
class ApiServer:
    """A running API server with the pinned CRDs; `kubectl` talks to it."""

    kubeconfig: Path

    def kubectl(
        self, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the pinned kubectl; the caller looks at returncode, stdout and stderr."""
        return subprocess.run(
            [tool("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            env={**os.environ, "HOME": str(self.kubeconfig.parent)},  # its discovery cache
            check=False,
            capture_output=True,
            text=True,
        )

    def apply(
        self, objects: Sequence[KubeObject], *, dry_run: bool
    ) -> subprocess.CompletedProcess[str]:
        """Server-side apply, as Flux does; unknown fields and warnings are errors."""
        return self.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--validate=strict"),
            *("--warnings-as-errors", "-f", "-", "-o", "name"),
            *(("--dry-run=server",) if dry_run else ()),
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}),
        )


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """Run etcd and kube-apiserver, with the pinned CRDs established. Raises ServerFailed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sky-api-")))
        etcd_port, peer_port, port = (free_port() for _ in range(3))
        etcd, peer = f"http://127.0.0.1:{etcd_port}", f"http://127.0.0.1:{peer_port}"
        etcd_command: list[str | Path] = [
            tool("etcd"),
            f"--data-dir={folder}/etcd",
            "--unsafe-no-fsync",  # nothing in it outlives the context
            "--log-level=warn",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]
        stack.enter_context(_process(etcd_command))
        command = _server_command(folder, etcd, port)
        stack.enter_context(_process(command, until=f"Serving securely on 127.0.0.1:{port}"))
        server = ApiServer(_kubeconfig(folder, port))
        _install_crds(server)
        yield server


def _install_crds(server: ApiServer) -> None:
    for arguments in (
        ("wait", "--for=create", "namespace/default", "--timeout=30s"),
        ("apply", "--server-side", "-f", str(share("crds")), "-f", str(share("csi-crds"))),
        ("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"),
        ("create", "namespace", "flux-system"),
    ):
        done = server.kubectl(*arguments)
        if done.returncode:
            raise ServerFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")


def _server_command(folder: Path, etcd: str, port: int) -> list[str | Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    (folder / "service-accounts.key").write_bytes(pem)
    (folder / "token").write_text(secrets.token_hex(16))
    (folder / "tokens.csv").write_text(
        f"{(folder / 'token').read_text()},checker,checker,system:masters\n"
    )
    return [
        tool("kube-apiserver"),
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}/tls",
        f"--token-auth-file={folder}/tokens.csv",
        "--anonymous-auth=false",
        "--allow-privileged",  # as every cluster has it; Pod Security is what refuses
        "--authorization-mode=RBAC",  # for ServiceAccounts; the checker is a master
        "--advertise-address=192.0.2.1",  # unused; without it the server looks for a default route
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder}/service-accounts.key",
        f"--service-account-signing-key-file={folder}/service-accounts.key",
    ]


def _kubeconfig(folder: Path, port: int) -> Path:
    """Write a kubeconfig that trusts the certificate the server made for itself."""
    server = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority": str(folder / "tls/apiserver.crt"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "checks", "cluster": server}],
        "users": [{"name": "checks", "user": {"tokenFile": str(folder / "token")}}],
        "contexts": [{"name": "checks", "context": {"cluster": "checks", "user": "checks"}}],
        "current-context": "checks",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def _process(command: Sequence[str | Path], until: str = "") -> Iterator[None]:
    """Run COMMAND for the context, after it has logged UNTIL; its log is kept for the error."""
    # Linux ends the server with the test run, even if that is killed.
    with_parent = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    process = subprocess.Popen(
        [*with_parent, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    log: list[str] = []
    seen = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line)
            if until in line:
                seen.set()
        seen.set()  # it ended

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if until:
            seen.wait(START_SECONDS)
            if not any(until in line for line in log):
                raise ServerFailed(f"{Path(command[0]).name} did not start:\n{''.join(log[-5:])}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
