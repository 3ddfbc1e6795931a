"""The composition root: creates every object from the settings, starts and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import time
from typing import TYPE_CHECKING

from bot.admission.admission_control import AdmissionControl
from bot.answers.dispatcher import Dispatcher
from bot.answers.pipeline import Services
from bot.answers.summary import Summaries
from bot.context.attachments import AttachmentReader, Downloads
from bot.context.message_cache import MessageCache
from bot.context.parser_process import ParserProcess
from bot.credentials import mounted_files
from bot.credentials.store import CredentialStore
from bot.discord import client as gateway
from bot.discord import command_replies
from bot.discord.backfill import Backfill
from bot.discord.buttons import ButtonHandler
from bot.discord.commands import CommandContext, CommandHandler
from bot.discord.conversations import Conversations
from bot.discord.rest import RestClient
from bot.discord.session import Connection, HeartbeatMonitor, ReconnectBackoff
from bot.discord.shards import IdentifyLimiter, ShardManager, ShardSession
from bot.leadership.coordinator import Coordinator, lease_store
from bot.leadership.handover import Handover
from bot.leadership.trial import Trial
from bot.llm.openai_client import OpenAIModel
from bot.moderation.moderation_pipeline import Moderation, ModerationPipeline
from bot.observability import health, tasks
from bot.observability.metrics import Metrics, counts
from bot.personas import loader as persona_files
from bot.reply.edit_rates import EditRate, RateLimiter
from bot.triggers.access_policy import AccessPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from bot.context.web_pages import Internet, WebPages
    from bot.leadership.handover_state import HandoverState
    from bot.settings.loading import Loaded
    from bot.settings.schema import Settings

log = logging.getLogger(__name__)

_WARM_AFTER = 10.0  # seconds; sooner if Discord is there sooner


class App:
    """Every object of the bot."""

    def __init__(
        self, loaded: Loaded, environ: Mapping[str, str], internet: Internet | None = None
    ) -> None:
        """Create everything; `internet` is another one than the public one in tests alone."""
        settings = self.settings = loaded.settings
        self.metrics = metrics = Metrics()
        metrics.build.labels(settings.revision).set(1)
        metrics.unknown_settings.set(len(loaded.unknown))
        self.personas, refused = persona_files.of(loaded)
        metrics.persona_problems.set(len(refused))
        self._began, self._mistakes, self._unknown = (
            int(time.time()),
            len(refused),
            len(loaded.unknown),
        )
        for sentence in refused:
            log.warning("invalid persona ignored", extra={"problem": sentence})
        self.access = access = CredentialStore(settings, environ, metrics)
        self.model = OpenAIModel(settings.openai, access.key, metrics)
        cache = MessageCache()
        rate_limiter = RateLimiter()
        store = lease_store(settings, environ)
        self.trial = trial = Trial(store, settings, metrics)
        self.coordinator = coordinator = Coordinator(store, settings, metrics, trial)
        heartbeats: list[HeartbeatMonitor] = []

        def make(shard: int) -> ShardSession:
            """Make one shard's session, and what it needs."""
            heartbeat = HeartbeatMonitor(metrics, siblings=heartbeats)
            backoff = ReconnectBackoff()
            backfill = Backfill(
                self.dispatcher,
                rate_limiter,
                metrics,
                conversations,
                settings.work.catch_up_seconds,
            )
            return ShardSession(
                heartbeat,
                Connection(
                    lambda: gateway.GatewayClient(
                        self.dispatcher,
                        cache,
                        heartbeat,
                        backfill,
                        button_handler=button_handler,
                        interactions=interactions,
                        conversations=conversations,
                        shard=(shard, settings.discord.shards),
                        identify_limiter=identify_limiter,
                        backoff=backoff,
                        metrics=metrics,
                    ),
                    access.token,
                    heartbeat,
                    backoff,
                    settings.http.heartbeat_seconds,
                ),
                backfill,
            )

        identify_limiter = IdentifyLimiter(settings.discord.shards)
        self.shards = shards = ShardManager(
            settings.discord.shards, make, coordinator.is_leader, metrics
        )

        channels = RestClient(shards.client, metrics, rate_limiter, shards.logged_in)
        conversations = Conversations(cache, channels, settings.threads.without_call)
        edit_rate = EditRate(settings.reply.edit_seconds)
        self.admission = admission = AdmissionControl(settings, metrics)
        self.downloads = Downloads()
        parser = _parser(settings)
        reader = AttachmentReader(
            self.downloads,
            settings.files,
            channels.addresses,
            documents=parser if settings.files.document_pages else None,
        )
        services = Services(
            settings,
            cache,
            channels,
            self.model,
            channels,
            edit_rate,
            metrics,
            admission,
            reader,
            ModerationPipeline(
                settings.safety, Moderation(self.model, settings.safety, metrics), metrics
            ),
            self.personas,
            trial.withholds,
            _web_pages(settings, metrics, parser, internet) if settings.links.pages else None,
        )
        tried = trial if trial.enabled else None
        self.dispatcher = Dispatcher(services, self.coordinator, tried)
        self.summaries = Summaries(services, channels)
        self.dispatcher.on_withdrawn = self.summaries.forget
        button_handler = ButtonHandler(self.dispatcher, channels, metrics)
        handover_states: list[HandoverState] = [
            *(self.dispatcher.taken, shards, admission.ledger, admission.usage),
            *(trial.verdict, trial),
        ]
        self.handover = Handover(
            self.dispatcher, shards, handover_states, self._can_lead, metrics, trial=trial
        )
        coordinator.may_ask = lambda: self.not_ready() is None
        interactions = CommandHandler(
            CommandContext(
                settings,
                AccessPolicy(settings.access),
                self.personas,
                metrics,
                leads=self.dispatcher.takes,
                status=self._status,
                refusal=self.dispatcher.refusal,
                usage=admission.usage,
                summaries=self.summaries,
            )
        )
        self.stopping = asyncio.Event()

    def _status(self) -> str:
        """Show what this process knows; `make status` shows the same and the cluster."""
        leads = sum(map(self.coordinator.is_leader, range(self.settings.discord.shards)))
        outcomes, budget = counts(self.metrics.answers), self.settings.budget
        return command_replies.status_text(
            {
                "version": self.settings.revision,
                "running since": f"<t:{self._began}:R>",
                "model": f"{self.settings.openai.model} at {self.settings.openai.base_url}",
                "ready": self.not_ready() or "yes",
                "leader": command_replies.leads_text(leads, self.settings.discord.shards),
                "round trip to Discord": f"{self.shards.latency() * 1000:.0f} ms",
                "answers under way": str(self.dispatcher.under_way),
                "answers a minute": command_replies.rate_text(
                    sum(outcomes.values()), time.time() - self._began
                ),
                "answers since the start": command_replies.counts_text(outcomes),
                "refused since the start": command_replies.counts_text(
                    counts(self.metrics.turned_away)
                ),
                "spent today": command_replies.spent_text(
                    self.admission.ledger.spent("day"), budget.daily
                ),
                "spent this month": command_replies.spent_text(
                    self.admission.ledger.spent("month"), budget.monthly
                ),
                "personas": f"{len(list(self.personas))}, mistakes in them: {self._mistakes}",
                "unknown settings": str(self._unknown),
            }
        )

    def not_ready(self) -> str | None:
        """Explain why the bot could not answer a message now; None if it could."""
        if self.stopping.is_set():
            return "stopping"
        if self.trial.failure:
            return self.trial.failure
        if not self.access.key.usable:
            return "there is no usable key for the language model"
        closed = self.shards.not_ready(self.settings.http.heartbeat_seconds)
        if closed is None and not self.model.loaded:
            return "the language model's client is being loaded"
        return closed or self.coordinator.not_ready()

    def _can_lead(self, shard: int) -> bool:
        """Whether Discord can be heard and answered; otherwise another process should lead."""
        if not self.coordinator.may_take(shard):
            return False
        if self.settings.discord.shards > 1:
            return self.access.token.usable  # the session begins with the Lease
        return self.shards.not_ready(self.settings.http.heartbeat_seconds) is None

    async def run(self) -> None:
        """Run until `stopping` is set, then finish what was accepted. Raises BadSettings."""
        gateway.point_at(self.settings.discord)
        async with health.serving(self.settings.http, self.metrics, self.not_ready) as port:
            log.info("started", extra={"revision": self.settings.revision, "port": port})
            async with tasks.Group() as group:
                running = [
                    group.start(tasks.keep_running(work, name), name)
                    for name, work in self._background()
                ]
                # Not kept running: a failure ends the process, and with it what they hold.
                running.append(group.start(self.shards.run(), "sessions"))
                running.append(group.start(self.coordinator.run(self.handover), "leadership"))
                await self.stopping.wait()
                drain = self.settings.work.drain_seconds
                leaving = group.start(self.coordinator.leave(drain), "release_leases")
                summaries = group.start(self.summaries.drain(), "drain_summaries")
                await self.dispatcher.drain()
                await summaries
                await leaving
                for task in running:
                    task.cancel()
            await self.model.close()
            await self.downloads.close()
            await self.access.close()
            await self.coordinator.close()
        log.info("stopped")

    def _background(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Name the loops that go on after a failure."""
        yield "mounted_files", lambda: mounted_files.watch(self.access.files)
        for keeper in self.access.keepers:
            yield "vault_poller", keeper.run
        yield "load_model_client", self._warm
        yield "handed_over", self.handover.look_again
        if self.trial.enabled:
            yield "trial", self.trial.watch
            yield "event_loop_lag", self.trial.watch_lag

    async def _warm(self) -> None:
        """Load the model's client after the login, not before, so that READY comes sooner.

        Everything loaded until then is excluded from garbage collection for good: none of it is
        ever freed, and scanning it takes 37 ms of a whole core.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WARM_AFTER):
                await self.shards.ever_open()
        try:
            await self.model.warm()
        finally:
            gc.freeze()
            gc.enable()


_PAGE_CHARACTERS = 1 << 16  # of a web page


def _parser(settings: Settings) -> ParserProcess:
    """Make what parses documents and web pages: one for both, because memory is for all files."""
    files = settings.files
    return ParserProcess(
        characters=max(_PAGE_CHARACTERS, files.document_characters + 1),
        pages=files.document_pages,
        seconds=files.document_seconds,
    )


def _web_pages(
    settings: Settings, metrics: Metrics, parser: ParserProcess, internet: Internet | None
) -> WebPages:
    """Load what reads pages, where that is on."""
    from bot.context.web_pages import WebPages  # noqa: PLC0415

    return WebPages(settings.links, parser, metrics, internet)


async def run(loaded: Loaded, environ: Mapping[str, str], internet: Internet | None = None) -> None:
    """Run the bot until SIGTERM or SIGINT. Raises BadSettings if the port is not available."""
    for sentence in loaded.unknown:
        log.warning("unknown setting", extra={"problem": sentence})
    app = App(loaded, environ, internet)
    loop = asyncio.get_running_loop()
    tasks.watch_loop(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stopping.set)
    await app.run()
