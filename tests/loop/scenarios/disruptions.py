"""Immediate disruptions of the bot's pod, as a node or a person causes them."""

import asyncio
import time
from contextlib import suppress

from lightkube import ApiError, AsyncClient
from lightkube.resources.core_v1 import Pod

from tests.loop.cluster import pod_process
from tests.loop.cluster.pod_process import BotProcess
from tests.loop.people.observe import PodSeen
from tests.loop.supervisor import control, state

_API_SERVER_STARTS = 6.0  # seconds, as a rule


async def delete_pod(api: AsyncClient, pod: PodSeen) -> float:
    """Delete a pod by force, without grace; return when (Unix time)."""
    with suppress(ApiError):  # it is gone already
        await api.delete(Pod, pod.name, namespace=state.BOT_NAMESPACE, grace_period=0)
    return time.time()


async def retire_pod(api: AsyncClient, pod: PodSeen) -> None:
    """Delete a pod gracefully: its bot finishes the accepted calls and releases its Lease."""
    with suppress(ApiError):  # it is gone already
        await api.delete(Pod, pod.name, namespace=state.BOT_NAMESPACE)


async def without_api_server(seconds: float) -> float:
    """Stop the API server for about `seconds`; return for how long it was down.

    It takes some seconds to serve again, and those are a part of it. Its machine is lost: one that
    shuts down in good order takes its address out of the Service `kubernetes`, and pods are refused
    for up to a minute after it serves again, for so long kube-proxy may wait to ask again.
    """
    began = time.monotonic()
    await asyncio.to_thread(control.lose, "kube-apiserver")
    await asyncio.sleep(max(0.0, began + seconds - _API_SERVER_STARTS - time.monotonic()))
    await asyncio.to_thread(control.start, "kube-apiserver")
    return time.monotonic() - began


async def gone(process: BotProcess) -> float:
    """Wait until a process has ended: a pod that is deleted works on for a while; return when."""
    while process.alive:  # noqa: ASYNC110 - no event tells of another's child
        await asyncio.sleep(0.02)
    return time.time()


def kill_process(pod: PodSeen) -> float:
    """Kill -9 the bot in its container; return when (Unix time)."""
    pod_process.of(pod).kill()
    return time.time()
