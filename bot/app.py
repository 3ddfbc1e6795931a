"""The bot as a whole: what is made of the settings, what runs, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import time
from typing import TYPE_CHECKING

from bot import health
from bot.answering import Kit
from bot.commands import screens
from bot.commands.presses import Presses
from bot.conversation.downloads import Downloads
from bot.conversation.files import Reader
from bot.conversation.recall import Recall
from bot.credentials import mounted
from bot.credentials.access import Access
from bot.desk import Desk
from bot.discord import gateway
from bot.discord.backoff import ReconnectBackoff
from bot.discord.catchup import CatchUp
from bot.discord.channels import Channels
from bot.discord.connection import Connection
from bot.discord.interactions import House, Interactions
from bot.discord.lines import Line, Lines
from bot.discord.pulse import Pulse
from bot.discord.turnstile import Turnstile
from bot.lease.floor import Floor, shelf_of
from bot.lease.handover import Handover
from bot.limits.allowance import Allowance
from bot.lists import Lists
from bot.llm.model import OpenAIModel
from bot.metrics import Metrics
from bot.observability import tasks
from bot.personas import files as persona_files
from bot.reply.pace import Gate, Pace
from bot.safety.guard import Guard
from bot.safety.moderation import Moderation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from bot.lease.memory import Keepsake
    from bot.settings.loading import Loaded

log = logging.getLogger(__name__)

_WARM_AFTER = 10.0  # seconds; sooner if Discord is there sooner


class App:
    """Every object of the bot, put together."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str]) -> None:
        settings = self.settings = loaded.settings
        self.metrics = metrics = Metrics()
        metrics.build.labels(settings.revision).set(1)
        metrics.unknown_settings.set(len(loaded.unknown))
        self.cast, refused = persona_files.of(loaded)
        metrics.persona_problems.set(len(refused))
        self._began, self._mistakes, self._unknown = (
            int(time.time()),
            len(refused),
            len(loaded.unknown),
        )
        for sentence in refused:
            log.warning("persona refused", extra={"problem": sentence})
        self.access = access = Access(settings, environ, metrics)
        self.model = OpenAIModel(settings.openai, access.key, metrics)
        recall = Recall()
        gate = Gate()
        self.floor = floor = Floor(shelf_of(settings, environ), settings, metrics)
        pulses: list[Pulse] = []

        def make(shard: int) -> Line:
            """Make one shard's session, and what it needs."""
            pulse = Pulse(metrics, siblings=pulses)
            backoff = ReconnectBackoff()
            catchup = CatchUp(self.desk, gate, metrics, settings.work.catch_up_seconds)
            return Line(
                pulse,
                Connection(
                    lambda: gateway.Gateway(
                        self.desk,
                        recall,
                        pulse,
                        catchup,
                        presses=presses,
                        interactions=interactions,
                        shard=(shard, settings.discord.shards),
                        turnstile=turnstile,
                        backoff=backoff,
                        metrics=metrics,
                    ),
                    access.token,
                    pulse,
                    backoff,
                    settings.http.heartbeat_seconds,
                ),
                catchup,
            )

        turnstile = Turnstile(settings.discord.shards)
        self.lines = lines = Lines(settings.discord.shards, make, floor.speaking, metrics)

        def client(guild_id: int | None) -> gateway.Gateway | None:
            return lines.client(None if guild_id is None else floor.shard_of(guild_id))

        channels = Channels(client, metrics, gate, lines.logged_in)
        pace = Pace(settings.reply.edit_seconds)
        self.allowance = allowance = Allowance(settings, metrics)
        self.downloads = Downloads()
        reader = Reader(self.downloads, settings.files)
        kit = Kit(
            settings,
            recall,
            channels,
            self.model,
            channels,
            pace,
            metrics,
            allowance,
            reader,
            Guard(settings.safety, Moderation(self.model, settings.safety, metrics), metrics),
            self.cast,
        )
        self.desk = Desk(kit, self.floor)
        presses = Presses(self.desk, channels, metrics)
        keepsakes: list[Keepsake] = [self.desk.taken, lines, allowance.purse]
        self.handover = Handover(self.desk, lines, keepsakes, self._able, metrics)
        interactions = Interactions(
            House(
                settings,
                Lists(settings.access),
                self.cast,
                metrics,
                speaks=self.desk.takes,
                status=self._status,
                refusal=self.desk.refusal,
            )
        )
        self.stopping = asyncio.Event()

    def _status(self) -> str:
        return screens.status_text(
            {
                "version": self.settings.revision,
                "running since": f"<t:{self._began}:R>",
                "model": f"{self.settings.openai.model} at {self.settings.openai.base_url}",
                "ready": self.not_ready() or "yes",
                "round trip to Discord": f"{self.lines.latency() * 1000:.0f} ms",
                "answers under way": str(self.desk.under_way),
                "spent today": f"{self.allowance.purse.spent('day'):.2f}",
                "spent this month": f"{self.allowance.purse.spent('month'):.2f}",
                "personas": f"{len(list(self.cast))}, mistakes in them: {self._mistakes}",
                "unknown settings": str(self._unknown),
            }
        )

    def not_ready(self) -> str | None:
        """Why the bot could not answer a message now; None if it could."""
        if self.stopping.is_set():
            return "stopping"
        if not self.access.key.usable:
            return "there is no usable key for the language model"
        closed = self.lines.not_ready(self.settings.http.heartbeat_seconds)
        if closed is None and not self.model.loaded:
            return "the language model's client is being loaded"
        return closed or self.floor.not_ready()

    def _able(self, shard: int) -> bool:
        """Whether Discord can be heard and spoken to; who cannot leaves speaking to others."""
        if not self.floor.may_take(shard):
            return False
        if self.settings.discord.shards > 1:
            return self.access.token.usable  # the session begins with the Lease
        return self.lines.not_ready(self.settings.http.heartbeat_seconds) is None

    async def run(self) -> None:
        """Run until `stopping` is set, then finish what was taken. Raises BadSettings."""
        gateway.point_at(self.settings.discord)
        async with health.serving(self.settings.http, self.metrics, self.not_ready) as port:
            log.info("started", extra={"revision": self.settings.revision, "port": port})
            async with tasks.Group() as group:
                running = [
                    group.start(tasks.keep_running(work, name), name)
                    for name, work in self._background()
                ]
                # Not kept running: a failure ends the process, and with it what they hold.
                running.append(group.start(self.lines.run(), "sessions"))
                running.append(group.start(self.floor.run(self.handover), "leadership"))
                await self.stopping.wait()
                drain = self.settings.work.drain_seconds
                leaving = group.start(self.floor.leave(drain), "release_leases")
                await self.desk.drain()
                await leaving
                for task in running:
                    task.cancel()
            await self.model.close()
            await self.downloads.close()
            await self.access.close()
            await self.floor.close()
        log.info("stopped")

    def _background(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Name the loops that go on after a failure."""
        yield "mounted_files", lambda: mounted.watch(self.access.files)
        for keeper in self.access.keepers:
            yield "vault_poller", keeper.run
        yield "load_model_client", self._warm
        yield "handed_over", self.handover.look_again

    async def _warm(self) -> None:
        """Load the model's client after the login, not before: the first READY comes sooner so.

        All that was loaded until then is left out of garbage collection for good: nothing of it is
        ever free, and to go through it takes 37 ms of a whole core.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WARM_AFTER):
                await self.lines.ever_open()
        try:
            await self.model.warm()
        finally:
            gc.freeze()
            gc.enable()


async def run(loaded: Loaded, environ: Mapping[str, str]) -> None:
    """Run the bot until SIGTERM or SIGINT. Raises BadSettings if the port cannot be had."""
    for sentence in loaded.unknown:
        log.warning("unknown setting", extra={"problem": sentence})
    app = App(loaded, environ)
    loop = asyncio.get_running_loop()
    tasks.watch_loop(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stopping.set)
    await app.run()
