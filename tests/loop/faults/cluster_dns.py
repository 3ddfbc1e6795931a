"""DNS fails. The loop uses no names, so this case gives the stand-ins some, by a merge.

A real name server (dnsmasq) serves them on the bridge, and the pod asks nobody else.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.loop.faults.fault_case import FaultCase, FaultContext, now
from tests.loop.people.observe import NotSeen
from tests.loop.people.releases import Releases
from tests.loop.supervisor import state

_MANIFEST = Path("clusters/local/kustomization-discord-sky.yaml")
_DISCORD, _OPENAI = "discord.loop.internal", "openai.loop.internal"
_GONE = 15.0
_PATIENCE = 30.0
_SPEC = "              volumes:\n"  # of the pod, in the patch
_RESOLVER = f"""\
              dnsPolicy: None
              dnsConfig:
                nameservers: [{state.HOST}]
                options: [{{name: timeout, value: "1"}}, {{name: attempts, value: "1"}}]
"""


def _by_name(tree: Path) -> None:
    """Let the bot reach Discord and the model by name."""
    file = tree / _MANIFEST
    text = file.read_text()
    for place, name in ((state.DISCORD_LISTEN, _DISCORD), (state.OPENAI_LISTEN, _OPENAI)):
        text = text.replace(f"//{place}/", f"//{name}:{place.rpartition(':')[2]}/")
    assert _DISCORD in text
    assert _SPEC in text
    file.write_text(text.replace(_SPEC, _RESOLVER + _SPEC))


def _server() -> subprocess.Popen[bytes]:
    """Start the name server; it knows two names."""
    return subprocess.Popen(
        [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
            *("--no-resolv", "--no-hosts", "--user=root", "--bind-interfaces"),
            f"--listen-address={state.HOST}",
            *(f"--address=/{name}/{state.HOST}" for name in (_DISCORD, _OPENAI)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # So that `down` knows it, should this program be killed.
        env={**os.environ, state.MARKER: state.load().id},
    )


@asynccontextmanager
async def _reached_by_name(context: FaultContext) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """Within the block the bot has only names for Discord and the model."""
    servers = [_server()]
    releases = Releases.beside(context.seen, context.api, context.pod.image)
    try:
        merge = await asyncio.to_thread(releases.clone.merge, "By name", _by_name)
        try:
            await releases.agree()
            yield servers
        finally:
            await releases.revert(merge)
            await releases.agree()
    finally:
        for server in servers:
            server.kill()
            server.wait()


async def _gone(context: FaultContext) -> float:
    """Stop the name server for a while, and break all connections at the beginning."""
    async with _reached_by_name(context) as servers:
        await context.load.answered(now(), _PATIENCE)
        servers[-1].kill()
        servers[-1].wait()
        try:
            await context.load.discord.fault("listener", "refuse", seconds=1)
            await asyncio.sleep(_GONE)
            cut_off = not (await context.load.discord.counts()).live_sessions
        finally:
            servers.append(_server())
            over = now()
        if not cut_off:
            raise NotSeen("the bot is cut off without names", "discord", _GONE)
        await context.load.answered(over, 2 * _PATIENCE)
    return over


ENTRIES = (
    FaultCase(
        "dns-gone",
        _gone,
        "no name can be resolved for 15 s, and every connection breaks at its beginning",
        metric="gateway_events",
        log="login failed|gateway (resumed|ready)",
        per_second=2.0,
    ),
)
