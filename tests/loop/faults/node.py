"""Faults of the node: the bot's process, its container, its pod, and what runs them."""

import asyncio

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Pod

from tests.loop.cluster import pod_process
from tests.loop.faults.fault_case import FaultCase, FaultContext, now
from tests.loop.faults.memory_pressure import until_killed
from tests.loop.scenarios import disruptions as blows
from tests.loop.supervisor import control, state

_RESTARTS = "kube_pod_container_status_restarts_total"


async def _kill_nine(context: FaultContext) -> float:
    return blows.kill_process(context.pod)


async def _out_of_memory(context: FaultContext) -> float:
    """Fill the container's memory to its limit; the kernel kills the bot, its largest process."""
    process = pod_process.of(context.pod)
    await until_killed(process)
    return now()


async def _pod_deleted(context: FaultContext) -> float:
    process = pod_process.of(context.pod)
    struck = await blows.delete_pod(context.api, context.pod)
    context.gone = await blows.gone(process)
    return struck


async def _evicted(context: FaultContext) -> float:
    """Evict the pod as `kubectl drain` does; no surge pod replaces it first."""
    pod, process = context.pod, pod_process.of(context.pod)
    eviction = Pod.Eviction(metadata=ObjectMeta(name=pod.name, namespace=state.BOT_NAMESPACE))
    await context.api.create(eviction, name=pod.name, namespace=state.BOT_NAMESPACE)
    struck = now()
    context.gone = await blows.gone(process)
    return struck


async def _kubelet(_: FaultContext) -> float:
    await asyncio.to_thread(control.restart, "kubelet")
    return now()


async def _containerd(_: FaultContext) -> float:
    await asyncio.to_thread(control.kill, "containerd")
    await asyncio.to_thread(control.wait, "containerd")
    return now()


ENTRIES = (
    FaultCase(
        "pod-killed", _kill_nine, "kill -9 of the bot in its container", _RESTARTS, recovers=25
    ),
    FaultCase(
        "pod-out-of-memory",
        _out_of_memory,
        "the kernel kills the bot at the container's memory limit",
        "last_terminated_reason,reason=OOMKilled",
        recovers=25,
    ),
    FaultCase("pod-deleted", _pod_deleted, "the pod is deleted by force", recovers=90),
    FaultCase("pod-evicted", _evicted, "the pod is evicted, as by a drained node", recovers=60),
    FaultCase("kubelet-restarted", _kubelet, "the kubelet is restarted", recovers=10),
    FaultCase("containerd-restarted", _containerd, "containerd crashes", recovers=10),
)
