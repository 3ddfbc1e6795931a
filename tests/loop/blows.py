"""What strikes the bot's pod at once, as a node or a person does it."""

import time
from contextlib import suppress

from lightkube import ApiError, AsyncClient
from lightkube.resources.core_v1 import Pod

from tests.loop import pod_process, state
from tests.loop.observe import PodSeen


async def delete_pod(api: AsyncClient, pod: PodSeen) -> float:
    """Delete a pod by force, without grace; return when (Unix time)."""
    with suppress(ApiError):  # it is gone already
        await api.delete(Pod, pod.name, namespace=state.BOT_NAMESPACE, grace_period=0)
    return time.time()


def kill_process(pod: PodSeen) -> float:
    """Kill -9 the bot in its container; return when (Unix time)."""
    pod_process.of(pod).kill()
    return time.time()
