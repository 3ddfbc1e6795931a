"""Pods that do nothing but mount secrets from the vault, for tests of the chain without the bot."""

import asyncio
import secrets
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightkube import AsyncClient
from lightkube.codecs import from_dict
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import Event, Pod, ServiceAccount

from tests.loop.cluster import kube, secrets_store, tiny_image
from tests.loop.supervisor import state
from tests.tools import tool

BOT_ACCOUNT = "discord-sky-bot"
# The only repository that the namespace's admission policy lets in; no policy takes this tag.
_IMAGE = f"{state.REGISTRY}/discordskybot:mounts"


def push_image(folder: Path) -> str:
    """Push the program that only waits; return its reference by digest."""
    archive = folder / "mounts.tar"
    tiny_image.write(archive, _IMAGE, tool("pause"))
    pushed = subprocess.run(
        [tool("crane"), "push", "--insecure", archive, _IMAGE],
        check=True,
        capture_output=True,
        text=True,
    )
    return pushed.stdout.strip()


@dataclass(frozen=True)
class Mounting:
    """One such pod. `file` is what the pod sees, looked at from the node."""

    name: str
    namespace: str
    uid: str

    def folder(self, volume: str) -> Path:
        """Where the node has the pod's volume."""
        pod = state.STATE / "kubelet" / "pods" / self.uid
        return pod / "volumes" / "kubernetes.io~csi" / volume / "mount"

    def file(self, secret: str, volume: str | None = None) -> Path:
        """Where the node has the file SECRET of VOLUME, which has the same name by default."""
        return self.folder(volume or secret) / secret


class Mounts:
    """Makes classes and pods, and removes what it made."""

    def __init__(self, api: AsyncClient, image: str) -> None:
        self._api = api
        self._image = image
        self._pods: list[Mounting] = []
        self._others: list[tuple[Any, str, str]] = []

    async def provide(self, *names: str, namespace: str = state.BOT_NAMESPACE) -> None:
        """Make a SecretProviderClass of its own for each of these secrets, as the bot's are."""
        for name in names:
            await self._make(kube.SecretProviderClass, _class(name, namespace))

    async def account(self, name: str, namespace: str = state.BOT_NAMESPACE) -> None:
        """Make a ServiceAccount."""
        meta = {"name": name, "namespace": namespace}
        document = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
        await self._make(ServiceAccount, document)

    async def pod(
        self,
        *classes: str,
        account: str = BOT_ACCOUNT,
        namespace: str = state.BOT_NAMESPACE,
    ) -> Mounting:
        """Create a pod that mounts these classes; it may never run."""
        name = f"mounts-{secrets.token_hex(4)}"
        document = _pod(name, namespace, account, self._image, classes)
        made: Any = await self._api.create(from_dict(document))
        pod = Mounting(name, namespace, made.metadata.uid)
        self._pods.append(pod)
        return pod

    async def running(self, pod: Mounting, seconds: float = 30) -> None:
        """Wait until the pod runs: all its files are there."""
        async with asyncio.timeout(seconds):
            await kube.until(
                self._api,
                Pod,
                pod.name,
                lambda item: item.status is not None and item.status.phase == "Running",
                pod.namespace,
            )

    async def trouble(self, pod: Mounting, said: str, seconds: float = 40) -> str:
        """Wait for an event in which the kubelet says that it cannot mount, with SAID in it."""
        events = self._api.watch(
            Event, namespace=pod.namespace, fields={"involvedObject.uid": pod.uid}
        )
        async with asyncio.timeout(seconds):
            async for _, event in events:
                if event.reason == "FailedMount" and said in (event.message or ""):
                    return str(event.message)
        raise RuntimeError("the watch on events ended")

    async def waits(self, pod: Mounting) -> bool:
        """Say whether the pod does not run yet."""
        found = await self._api.get(Pod, pod.name, namespace=pod.namespace)
        return found.status is not None and found.status.phase == "Pending"

    async def clean(self) -> None:
        """Remove all, the pods first."""
        for pod in self._pods:
            with suppress(ApiError):
                await self._api.delete(Pod, pod.name, namespace=pod.namespace, grace_period=0)
        for kind, name, namespace in self._others:
            with suppress(ApiError):
                await self._api.delete(kind, name, namespace=namespace)

    async def _make(self, kind: Any, document: dict[str, Any]) -> None:
        await self._api.create(from_dict(document))
        meta = document["metadata"]
        self._others.append((kind, meta["name"], meta["namespace"]))


async def holds(file: Path, value: str, seconds: float = 25) -> float:
    """Wait until FILE is there with VALUE; return after how many seconds. Raises TimeoutError."""
    # The driver swaps a link in a folder that may be mounted over at any moment: nothing that
    # could be watched holds still, so it is looked at in a thread.
    return await asyncio.to_thread(_look, file, value, seconds)


def _look(file: Path, value: str, seconds: float) -> float:
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        with suppress(FileNotFoundError):
            if file.read_text() == value:
                return elapsed
        time.sleep(0.05)
    raise TimeoutError(f"{file} does not hold the expected value after {seconds:.0f} s")


def _class(name: str, namespace: str) -> dict[str, Any]:
    item = f"objectName: {name}\nobjectType: secret\n"
    return {
        "apiVersion": "secrets-store.csi.x-k8s.io/v1",
        "kind": "SecretProviderClass",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "provider": "azure",
            "parameters": {
                "keyvaultName": state.VAULT_NAME,
                "tenantID": state.TENANT,
                "clientID": state.BOT_CLIENT,
                "objects": "array:\n  - |\n    " + item.replace("\n", "\n    ").rstrip() + "\n",
            },
        },
    }


def _pod(
    name: str, namespace: str, account: str, image: str, classes: Sequence[str]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["192.0.2.1"]},  # it asks nobody anything
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": one, "mountPath": f"/secrets/{one}", "readOnly": True}
                        for one in classes
                    ],
                }
            ],
            "volumes": [
                {
                    "name": one,
                    "csi": {
                        "driver": secrets_store.DRIVER,
                        "readOnly": True,
                        "volumeAttributes": {"secretProviderClass": one},
                    },
                }
                for one in classes
            ],
        },
    }
