"""The order in which the loop comes up: a graph, walked as far as possible at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from lightkube import AsyncClient

from tests.loop.cluster import (
    control_plane,
    dns,
    flux,
    git_server,
    kube,
    node,
    objects,
    pki,
    registry,
    secrets_store,
    stand_ins,
    tiny_image,
)
from tests.loop.supervisor import cgroups, network, state
from tests.loop.supervisor.process import Child, Spec
from tests.tools import tool

Say = Callable[[str], None]
ROOT = "root Kustomization"
CSI = "csi registration"


class StepFailed(RuntimeError):
    """Something other than a process's crash stopped the start."""


@dataclass(frozen=True)
class Step:
    """Work that is no process, and the names of what has to be done or ready before it."""

    name: str
    needs: tuple[str, ...]
    work: Callable[[], Awaitable[object]]


def prepare() -> None:
    """Make folders, certificates, configuration, cgroups and the bridge, in well under a second."""
    for name in ("home", "tmp", "source", "image-reflector"):
        (state.STATE / name).mkdir()
    pki.create()
    stand_ins.write_credentials()
    for part in (node, dns, secrets_store, registry, git_server):
        part.write_configuration()
    cgroups.create()
    network.create()


def specs(left_out: frozenset[str]) -> list[Spec]:
    """Every process, but for those that are left out."""
    table = [
        control_plane.etcd(),
        control_plane.kube_apiserver(),
        control_plane.kube_controller_manager(),
        control_plane.kube_scheduler(),
        node.containerd(),
        node.kubelet(),
        node.kube_proxy(),
        registry.spec(),
        git_server.spec(),
        dns.coredns(),
        *flux.controllers(),
        stand_ins.discord(),
        stand_ins.openai(),
        stand_ins.vault(),
        stand_ins.github(),
        secrets_store.azure_provider(),
        secrets_store.csi_driver(),
        secrets_store.csi_registrar(),
    ]
    return [spec for spec in table if spec.name not in left_out]


async def walk(children: Mapping[str, Child], say: Say) -> str:
    """Bring everything up and return the revision that Flux fetched. Raises StepFailed."""
    began = time.monotonic()
    async with kube.async_client() as api:
        steps = [*_steps(api), *map(_start, children.values())]
        if "csi-registrar" in children:
            needs = ("csi-registrar", "node")
            steps.append(Step(CSI, needs, lambda: objects.csi_registered(api)))
        done = {step.name: asyncio.Event() for step in steps}
        results: dict[str, object] = {}

        async def take(step: Step) -> None:
            for need in step.needs:
                if need in done:  # what is left out holds nothing up
                    await done[need].wait()
            at = time.monotonic()
            try:
                results[step.name] = await step.work()
            except Exception as error:
                raise StepFailed(f"{step.name}: {error}") from error
            now = time.monotonic()
            say(f"{now - began:6.1f} s  {step.name} ready (took {now - at:.1f} s)")
            done[step.name].set()

        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(take(step))
        return str(results[ROOT])


def _start(child: Child) -> Step:
    return Step(child.spec.name, child.spec.needs, child.start)


def _steps(api: AsyncClient) -> list[Step]:
    return [
        Step("pause-image", ("containerd",), _import_pause_image),
        Step("crds", ("kube-apiserver",), lambda: objects.install_crds(api)),
        Step("objects", ("kube-apiserver",), lambda: objects.create(api)),
        Step("node", ("kubelet",), lambda: objects.node_ready(api)),
        Step(
            ROOT,
            ("source-controller", "kustomize-controller", "git", "crds", CSI, "vault"),
            lambda: objects.create_sync(api),
        ),
    ]


async def _import_pause_image() -> None:
    archive = state.STATE / "node" / "pause.tar"
    await asyncio.to_thread(tiny_image.write, archive, node.PAUSE_IMAGE, tool("pause"))
    process = await asyncio.create_subprocess_exec(
        *tiny_image.import_command(archive),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        raise StepFailed(said.decode().strip())
