"""kubectl, as the programs for operators run it: objects as JSON, and a port-forward to a pod."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

_KUBECTL_SECONDS = 20
_FORWARD_SECONDS = 10.0
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


class KubectlError(Exception):
    """kubectl failed; the message is its last line, or why it could not be started."""


def http_get(address: str, seconds: float) -> str:
    """Read a page at the ADDRESS of a port-forward. Raises OSError, for a status as HTTPError."""
    # The person's proxy does not apply to an address of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=seconds) as answer:
        return str(answer.read().decode(errors="replace"))


class Kubectl:
    """kubectl with one context of one kubeconfig; by default those that kubectl chooses."""

    def __init__(self, kubeconfig: str = "", context: str = "") -> None:
        options = {"--kubeconfig": kubeconfig, "--context": context}
        self._context = context
        self._command = [
            "kubectl",
            *(f"{name}={value}" for name, value in options.items() if value),
        ]

    def context(self) -> str:
        """Say which context is used; it never fails."""
        with contextlib.suppress(KubectlError):
            return f"context {self._context or self.text('config', 'current-context').strip()}"
        return "no context"

    def text(self, *arguments: str) -> str:
        """Run kubectl and return its output. Raises KubectlError."""
        try:
            done = subprocess.run(
                [*self._command, f"--request-timeout={_KUBECTL_SECONDS}s", *arguments],
                check=False,
                capture_output=True,
                text=True,
                timeout=2 * _KUBECTL_SECONDS,
            )
        except FileNotFoundError:
            raise KubectlError("there is no kubectl in PATH") from None
        except subprocess.TimeoutExpired:
            raise KubectlError(f"kubectl did not answer within {2 * _KUBECTL_SECONDS} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise KubectlError(lines[-1].strip())
        return done.stdout

    def items(self, kind: str, namespace: str, *arguments: str) -> list[dict[str, Any]]:
        """Return all objects of KIND in NAMESPACE. Raises KubectlError."""
        found = self.text("get", kind, f"--namespace={namespace}", "--output=json", *arguments)
        items: list[dict[str, Any]] = json.loads(found)["items"]
        return items

    @contextlib.contextmanager
    def forwarded(self, pod: str, namespace: str, port: int) -> Iterator[str]:
        """Forward a local port to the pod: through the kubelet, so no NetworkPolicy applies.

        Yields the address. Raises KubectlError.
        """
        command = [*self._command, f"--namespace={namespace}", "port-forward", pod, f":{port}"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            late = threading.Timer(_FORWARD_SECONDS, process.terminate)
            late.start()
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                late.cancel()
                if not (found := _FORWARDING.search(line)):
                    raise KubectlError(line.strip() or "kubectl port-forward ended")
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                late.cancel()
                process.terminate()
