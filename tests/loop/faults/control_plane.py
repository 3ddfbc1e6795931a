"""Faults of Kubernetes' control plane: the bot must not be affected."""

import asyncio

from tests.loop.faults.fault_case import FaultCase, FaultContext, now
from tests.loop.scenarios import disruptions as blows
from tests.loop.supervisor import control


async def _api_server_away(context: FaultContext) -> float:
    away = await blows.without_api_server(60)
    context.note(f"the API server was away for {away:.0f} s")
    return now()


async def _etcd_restarted(_: FaultContext) -> float:
    await asyncio.to_thread(control.kill, "etcd")
    await asyncio.to_thread(control.wait, "etcd")
    return now()


ENTRIES = (
    FaultCase(
        "apiserver-away",
        _api_server_away,
        "the API server is away for 60 s",
        log="lease unreachable",
        never="lease lost",
        recovers=10,
    ),
    FaultCase(
        "etcd-restarted",
        _etcd_restarted,
        "etcd crashes and is started again",
        never="lease lost",
        recovers=10,
    ),
)
