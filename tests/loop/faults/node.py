"""Faults of the node: the bot's process, its container, its pod, and what runs them."""

import asyncio

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Pod

from tests.loop.cluster import pod_process
from tests.loop.faults.entry import Entry, Ground, now
from tests.loop.faults.hog import until_killed
from tests.loop.scenarios import disruptions as blows
from tests.loop.supervisor import control, state

_RESTARTS = "kube_pod_container_status_restarts_total"


async def _kill_nine(ground: Ground) -> float:
    return blows.kill_process(ground.pod)


async def _out_of_memory(ground: Ground) -> float:
    """Fill the container's memory to its limit; the kernel takes the bot, as its largest."""
    process = pod_process.of(ground.pod)
    await until_killed(process)
    return now()


async def _pod_deleted(ground: Ground) -> float:
    process = pod_process.of(ground.pod)
    struck = await blows.delete_pod(ground.api, ground.pod)
    ground.gone = await blows.gone(process)
    return struck


async def _evicted(ground: Ground) -> float:
    """Do what `kubectl drain` does to a pod. Nothing surges for it."""
    pod, process = ground.pod, pod_process.of(ground.pod)
    eviction = Pod.Eviction(metadata=ObjectMeta(name=pod.name, namespace=state.BOT_NAMESPACE))
    await ground.api.create(eviction, name=pod.name, namespace=state.BOT_NAMESPACE)
    struck = now()
    ground.gone = await blows.gone(process)
    return struck


async def _kubelet(_: Ground) -> float:
    await asyncio.to_thread(control.restart, "kubelet")
    return now()


async def _containerd(_: Ground) -> float:
    await asyncio.to_thread(control.kill, "containerd")
    await asyncio.to_thread(control.wait, "containerd")
    return now()


ENTRIES = (
    Entry("pod-killed", _kill_nine, "kill -9 of the bot in its container", _RESTARTS, recovers=25),
    Entry(
        "pod-out-of-memory",
        _out_of_memory,
        "the kernel kills the bot at the container's memory limit",
        "last_terminated_reason,reason=OOMKilled",
        recovers=25,
    ),
    Entry("pod-deleted", _pod_deleted, "the pod is deleted by force", recovers=90),
    Entry("pod-evicted", _evicted, "the pod is evicted, as by a drained node", recovers=60),
    Entry("kubelet-restarted", _kubelet, "the kubelet is restarted", recovers=10),
    Entry("containerd-restarted", _containerd, "containerd crashes", recovers=10),
)
