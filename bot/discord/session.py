"""Keep the bot logged in, and know whether the gateway session is really alive.

discord.py's `is_ready()` stays true while disconnected, and its `latency` keeps the last value on a
connection that went silent. But every acknowledgement sets the latency again, so a changed value
means an acknowledged heartbeat; `HeartbeatMonitor` is sampled every second.

The client resumes by itself after most disconnects. This module handles the rest: a REST API that
cannot be reached at login, a refused token, a gateway that Discord closed for good, and a break so
long that Discord has forgotten the session. Retries have growing pauses, so that the daily limit
of logins is not used up.

A refused token is tried again after long pauses even if its file has not changed: that costs a REST
call but no identify, and the refusal may have been Discord's mistake.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.discord import compat
from bot.domain.errors import CredentialMissing, Fatal, GatewayRefused, TokenRefused
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.credentials.credential import Credential
    from bot.discord.client import GatewayClient
    from bot.observability.metrics import Metrics

log = logging.getLogger(__name__)


class HeartbeatMonitor:
    """What is known of the session now.

    Of the `siblings`, one for each shard, the metrics show the one that is worst off.
    """

    def __init__(
        self,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        siblings: list[HeartbeatMonitor] | None = None,
    ) -> None:
        self._siblings = [] if siblings is None else siblings
        self._siblings.append(self)
        self._metrics = metrics
        self._clock = clock
        self._latency = math.inf
        self._acknowledged = -math.inf
        self.open = False
        self._why = "not yet logged in"
        self.ever_open = asyncio.Event()
        self.since = clock()  # when it was opened or closed last

    def opened(self, event: str) -> None:
        """Note that a session began (`ready`) or went on (`resumed`)."""
        self._metrics.gateway.labels(event).inc()
        self._acknowledged = self._clock()
        self._turn(is_open=True)
        self.ever_open.set()

    def closed(self, event: str) -> None:
        """Note that the session is interrupted or over, and why."""
        self._why = event
        self._metrics.gateway.labels(event).inc()
        self._turn(is_open=False)

    def _turn(self, *, is_open: bool) -> None:
        if self.open != is_open:
            self.since = self._clock()
        self.open = is_open
        self._metrics.gateway_open.set(all(each.open for each in self._siblings))

    def leave(self) -> None:
        """Stop counting: the session was ended on purpose."""
        self._siblings.remove(self)
        self._metrics.gateway_open.set(all(each.open for each in self._siblings))

    def sample(self, latency: float) -> None:
        """Look at the client's latency now, in seconds; infinite or NaN before the first beat."""
        if math.isfinite(latency) and latency != self._latency:
            self._latency = latency
            self._acknowledged = self._clock()
            self._metrics.latency.set(latency)
        age = max(each.heartbeat_age() for each in (self, *self._siblings))
        self._metrics.heartbeat.set(age if math.isfinite(age) else -1)

    def heartbeat_age(self) -> float:
        """Seconds since the last acknowledged beat; infinite before the first."""
        return self._clock() - self._acknowledged

    def deaf_for(self, seconds: float) -> bool:
        """Whether a session is open whose heartbeats were not acknowledged for so long."""
        return self.open and self.heartbeat_age() > seconds

    def not_ready(self, heartbeat_seconds: float) -> str | None:
        """Why the bot receives nothing from Discord now; None if it does."""
        if not self.open:
            return f"no gateway session is open: {self._why}"
        if self.heartbeat_age() > heartbeat_seconds:
            return "Discord does not acknowledge heartbeats"
        return None

    def closed_for(self) -> float:
        """Seconds since the session was interrupted; 0 while it is open."""
        return 0.0 if self.open else self._clock() - self.since


async def sample_every_second(
    heartbeat: HeartbeatMonitor,
    latency: Callable[[], float],
    metrics: Metrics,
    seconds: float = 1.0,
) -> None:
    """Sample `heartbeat` and measure the event loop's lag, until cancelled."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(seconds)
        metrics.loop_lag.set(max(0.0, time.monotonic() - began - seconds))
        heartbeat.sample(latency())


_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0  # a login is REST first: these cost no identify
_FATAL_PAUSE, _LONGEST_FATAL_PAUSE = 30.0, 600.0  # a person has to fix it
_LONG_SESSION = 60.0  # seconds: one that lasted so long did not fail to begin
_CLOSE_SECONDS = 1.5  # a silent gateway must not hold up the end
_UNSURE_SECONDS = 600.0  # at most 144 sessions a day, if every one of them is as bad
_MUTE_SECONDS = 60.0  # twice the time of one attempt
_GIVE_UP_RESUMING = 120.0  # seconds without a session; Discord has forgotten it by then
_DEAF = 0.9  # of the seconds after which the bot is not Ready: it reconnects before that
_TRANSIENT = (aiohttp.ClientError, OSError, TimeoutError, discord.DiscordException)

_REMEDIES = {
    4010: "Discord says that the shard is invalid.",
    4011: "Discord wants the bot to be sharded: it is in too many servers for one session.",
    4012: "Discord no longer knows this version of its gateway: update discord.py.",
    4013: "Discord says that the intents are invalid: update discord.py.",
    4014: "Turn on the Message Content Intent for this application at "
    "https://discord.com/developers/applications, under Bot.",
}


class Connection:
    """The current client, and the loop that replaces it."""

    def __init__(
        self,
        make: Callable[[], GatewayClient],
        token: Credential,
        heartbeat: HeartbeatMonitor,
        backoff: ReconnectBackoff,
        heartbeat_seconds: float = 60.0,
    ) -> None:
        """Log in with `token`; a gateway that is deaf for `heartbeat_seconds` is not Ready.

        `backoff` is that of the clients which `make` makes.
        """
        self._backoff = backoff
        self._tried: str | None = None
        self._deaf_seconds = _DEAF * heartbeat_seconds
        self._make = make
        self._token = token
        self._heartbeat = heartbeat
        self._client: GatewayClient | None = None
        self.logged_in = asyncio.Event()  # with a token that Discord accepted

    @property
    def client(self) -> GatewayClient | None:
        """The client that is logged in, or trying to."""
        return self._client

    def latency(self) -> float:
        """The present client's latency; infinite without one."""
        return self._client.latency if self._client else float("inf")

    async def run(self) -> None:
        """Stay connected until cancelled; then the session is closed in an orderly way."""
        failures = fatalities = 0
        while True:
            token, began = None, time.monotonic()
            try:
                token = self._token.value
                await self._session(token)
                problem: Exception = aiohttp.ClientConnectionError("the session ended")
            except Fatal as error:
                problem = error
            except _TRANSIENT as error:
                problem = error
            if time.monotonic() - began > _LONG_SESSION:
                failures = fatalities = 0
            if isinstance(problem, Fatal):
                await self._wait_for_a_person(problem, token, fatalities)
                fatalities += 1
            else:
                await self._wait_a_little(problem, failures)
                failures, fatalities = failures + 1, 0

    async def _wait_for_a_person(self, problem: Fatal, token: str | None, before: int) -> None:
        pause = min(_FATAL_PAUSE * 2**before, _LONGEST_FATAL_PAUSE)
        log.error("cannot log in", extra=_what(problem, pause))
        self._heartbeat.closed(problem.label)
        await self._token.another(token, pause)

    async def _wait_a_little(self, problem: Exception, before: int) -> None:
        pause = min(_SHORTEST_PAUSE * 2**before, _LONGEST_PAUSE)
        pause *= random.uniform(0.5, 1)  # noqa: S311  # so that not all bots come at once
        log.warning("login failed", extra=_what(problem, pause))
        self._heartbeat.closed("login_failed")
        await asyncio.sleep(pause)

    async def _session(self, token: str) -> None:
        """Log in and run until the session ends; raises Fatal or one of _TRANSIENT."""
        self._client = client = self._make()
        if token != self._tried:
            self._backoff.reset()
        self._tried = token
        watchdogs = [
            self._watch(self._restart_if_stuck, client),
            self._watch(self._reconnect_if_deaf, client),
            self._watch(self._renew_if_mute, client),
            self._watch(self._renew_if_unsure, client),
        ]
        try:
            await client.login(token)
            self._token.accept(token)
            self.logged_in.set()
            await client.connect()
        except discord.LoginFailure as error:
            self._token.refuse(token)
            raise TokenRefused("Discord refused the token: put a new one in its place.") from error
        except discord.PrivilegedIntentsRequired as error:
            raise GatewayRefused(4014, _REMEDIES[4014]) from error
        except discord.ConnectionClosed as error:
            if error.code == 4004:  # noqa: PLR2004  # authentication failed
                self._token.refuse(token)
                raise TokenRefused("The token was reset: put the new one in its place.") from error
            if error.code in _REMEDIES:
                raise GatewayRefused(error.code, _REMEDIES[error.code]) from error
            raise
        finally:
            self.logged_in.clear()
            for watchdog in watchdogs:
                watchdog.cancel()
            with contextlib.suppress(*_TRANSIENT):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.close()

    def _watch(
        self, watchdog: Callable[[GatewayClient], Awaitable[None]], client: GatewayClient
    ) -> asyncio.Task[None]:
        name = watchdog.__name__.strip("_")
        return tasks.start(tasks.keep_running(lambda: watchdog(client), name), name)

    async def _reconnect_if_deaf(self, client: GatewayClient) -> None:
        """Resume if Discord sends events but acknowledges no heartbeats.

        discord.py looks at whether anything arrives, and only when a heartbeat is due. A session
        that was resumed counts from zero, so this happens once in `_deaf_seconds` at most.
        """
        while True:
            await asyncio.sleep(1)
            if not self._heartbeat.deaf_for(self._deaf_seconds):
                continue
            log.warning("no heartbeat acknowledged, reconnecting")
            self._heartbeat.closed("deaf")
            with contextlib.suppress(*_TRANSIENT):
                await client.ws.close(code=4000)

    async def _renew_if_mute(self, client: GatewayClient) -> None:
        """Close `client` when its REST requests wait for longer than any limit explains."""
        while client.rest.mute_for() < _MUTE_SECONDS:  # noqa: ASYNC110  # no event says that
            await asyncio.sleep(1)
        log.warning("REST client is stuck, logging in again")
        self._heartbeat.closed("rest_mute")
        try:
            await client.close()
        finally:
            compat.wake_waiting(client)

    async def _renew_if_unsure(self, client: GatewayClient) -> None:
        """Start a new session if the permissions in some server are no longer known.

        Discord tells that again only then. Not before a session has lasted: it may be no better.
        """
        while True:
            await asyncio.sleep(_UNSURE_SECONDS / 20)
            long_enough = time.monotonic() - self._heartbeat.since > _UNSURE_SECONDS
            if client.unsure and self._heartbeat.open and long_enough:
                log.warning("permissions unknown, starting a new session")
                self._heartbeat.closed("unsure")
                client.forget_session()
                with contextlib.suppress(*_TRANSIENT):
                    await client.ws.close(code=4000)

    async def _restart_if_stuck(self, client: GatewayClient) -> None:
        """Close `client` when it has had no session for long, so that a fresh login is tried."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(_GIVE_UP_RESUMING / 8)
            closed_for = min(self._heartbeat.closed_for(), time.monotonic() - began)
            if closed_for > _GIVE_UP_RESUMING:
                log.warning("no gateway session for too long, logging in again")
                self._heartbeat.closed("given_up")
                await client.close()
                return


def _what(error: Exception, pause: float) -> dict[str, object]:
    if isinstance(error, GatewayRefused):
        return {"error": error.label, "code": error.code, "remedy": str(error), "pause": pause}
    if isinstance(error, (CredentialMissing, TokenRefused)):
        return {"error": error.label, "remedy": str(error), "pause": pause}
    # A status of the REST API, or a close code of the gateway.
    code = getattr(error, "status", None) or getattr(error, "code", None)
    return {"error": type(error).__name__, "code": code, "pause": round(pause, 1)}


_FIRST, _LONGEST = 1.0, 15.0  # seconds, between two connections
_QUICK = 6  # connections before their pause grows: Discord restarts many of its servers in a row
_FIRST_IDENTIFY, _LONGEST_IDENTIFY = 5.0, 160.0  # at least 80 s: 1,080 a day at the very worst
_QUICK_IDENTIFIES = 3  # before their pause grows
_LASTED = 60.0  # a session that lasted so long did not fail to begin


class ReconnectBackoff:
    """The wait before the next connection to the gateway, whatever ended the last one.

    It outlives the clients of one shard, so that a new login does not start from zero. Discord
    resets the token of a bot that identifies more than 1,000 times a day
    (https://discord.com/developers/docs/events/gateway#identifying), and a gateway that accepts and
    closes, or invalidates every session, would make a loop of reconnects. So every reconnect waits,
    except the first after a session that lasted.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._opened: float | None = None
        self.reset()

    def reset(self) -> None:
        """Forget past failures, because something has changed, such as the token."""
        self.failures = 0
        self._identifies = 0

    def opened(self) -> None:
        """Note that a session began or was resumed."""
        self._opened = self._clock()

    def identified(self) -> None:
        """Note that an IDENTIFY is sent."""
        self._identifies += 1

    def pause(self, *, identify: bool) -> float:
        """Return the seconds to wait now; `identify` says that the session is to start over."""
        if self._opened is not None and self._clock() - self._opened >= _LASTED:
            self.reset()
        self._opened = None
        pause = _growing(_FIRST, self.failures - _QUICK, _LONGEST) if self.failures else 0.0
        self.failures += 1
        if identify and self._identifies:
            doublings = self._identifies - _QUICK_IDENTIFIES
            pause = max(pause, _growing(_FIRST_IDENTIFY, doublings, _LONGEST_IDENTIFY))
        return pause * self._jitter(0.5, 1)


def _growing(first: float, doublings: int, longest: float) -> float:
    return min(math.ldexp(first, min(max(doublings, 0), 10)), longest)
