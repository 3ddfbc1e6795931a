"""The HTTP port."""

from __future__ import annotations

import aiohttp
import pytest

from bot.domain.errors import BadSettings
from bot.observability.health import serving
from bot.observability.metrics import Metrics
from bot.settings.schema import HttpSettings

ANY_PORT = HttpSettings(host="127.0.0.1", port=0)


async def get(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


async def test_alive_is_not_ready() -> None:
    reasons: list[str | None] = ["no gateway session is open", None]

    async with serving(ANY_PORT, Metrics(), lambda: reasons.pop(0)) as port:
        assert await get(port, "/livez") == (200, "alive\n")
        assert await get(port, "/readyz") == (503, "no gateway session is open\n")
        assert await get(port, "/readyz") == (200, "ready\n")


async def test_metrics_are_in_prometheus_format_under_one_prefix() -> None:
    metrics = Metrics()
    metrics.build.labels("abc123").set(1)

    async with serving(ANY_PORT, metrics, lambda: None) as port:
        status, text = await get(port, "/metrics")

    assert status == 200
    assert 'discord_sky_build_info{revision="abc123"} 1.0' in text
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert all(name.startswith(("discord_sky_", "process_")) for name in names)


async def test_another_path_says_what_there_is() -> None:
    async with serving(ANY_PORT, Metrics(), lambda: None) as port:
        status, text = await get(port, "/")

    assert status == 404
    assert "/metrics" in text


async def test_a_taken_port_is_a_sentence_with_the_remedy() -> None:
    async with serving(ANY_PORT, Metrics(), lambda: None) as port:
        with pytest.raises(BadSettings, match="SKY_HTTP__PORT"):
            async with serving(HttpSettings(host="127.0.0.1", port=port), Metrics(), lambda: None):
                pass
