"""One answer being asked of one model: attempts, a key that may be exchanged, and going on.

A stream that just ends is not an answer: the library reports a cut connection as the end, so each
API's own mark of completion is required. A request is tried again only while no text has come,
because what a person has read cannot be taken back. An answer that breaks off is gone on with once.
Each request is charged when it ends, however it ends; another one is made only where what was
reserved for the answer covers it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from bot.errors import (
    CredentialMissing,
    CutShort,
    KeyRefused,
    ModelDown,
    ModelPaused,
    ModelSlow,
    Retried,
    SkyError,
)
from bot.llm import provider_errors
from bot.usage import Usage, completed
from bot.well_formed import well_formed

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AsyncOpenAI

    from bot.ask import Ask
    from bot.llm.breaker import Breaker
    from bot.llm.streams import Api
    from bot.messages import Picture
    from bot.metrics import Metrics
    from bot.usage import Account

log = logging.getLogger(__name__)

_OTHER_KEY_SECONDS = 2.0  # a rotated key is in the file sooner; a person is waiting
_ROTATION_SECONDS = 150.0  # since the first refusal, where Key Vault is asked for another
_EXCHANGES = 5  # of keys, for one question
_LONGEST_PAUSE = 8.0


class Key(Protocol):
    """What the provider is shown: credentials.Credential, or a token of Entra's."""

    @property
    def patient(self) -> bool:
        """Whether somebody is asked for another while it is refused."""

    @property
    def needed_for(self) -> float:
        """Seconds since there is no usable value."""

    async def current(self) -> str:
        """Give the value now; raises CredentialMissing."""

    def accept(self, value: str, asked: float) -> None:
        """Note that the provider accepted `value` in a request that began then (monotonic)."""

    def refuse(self, value: str) -> None:
        """Note that the provider refused `value`."""

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109  # see Credential
        """Wait until there is a value, and one that is not `than`; False if none came in time."""


async def exchange(key: Key, failed: KeyRefused, used: str) -> None:
    """Wait for another key than `used`, which was refused; raises `failed` if none comes.

    Whoever asks while a key is being rotated is answered, a little later; when a key has long been
    dead, nobody waits for it any more.
    """
    if used:
        key.refuse(used)
    patience = _ROTATION_SECONDS - key.needed_for if key.patient else 0.0
    if not await key.another(used or None, max(patience, _OTHER_KEY_SECONDS)):
        raise failed


class Spoken:
    """Passes on what the model says, and knows all of it and since when there is some."""

    def __init__(
        self,
        say: Callable[[str], object],
        show: Callable[[Picture], object],
        cite: Callable[[str], object],
    ) -> None:
        self._say = say
        self._show = show
        self._cite = cite
        self.since = 0.0
        self.images = self.searches = 0
        self._pieces: list[str] = []
        self._resumed = False

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self._pieces)

    def say(self, text: str) -> None:
        """See hosted_tools.Hearer."""
        text = well_formed(text)
        if self._resumed and self._pieces and self._pieces[-1][-1:].isspace():
            text = text.lstrip(" ")  # the space before the next word has been said
        if text:
            self._resumed = False
            self.since = self.since or time.monotonic()
            self._pieces.append(text)
            self._say(text)

    def show(self, picture: Picture) -> None:
        """See hosted_tools.Hearer."""
        self.since = self.since or time.monotonic()
        self.images += 1
        self._show(picture)

    def searched(self) -> None:
        """See hosted_tools.Hearer."""
        self.searches += 1

    def cite(self, url: str) -> None:
        """See hosted_tools.Hearer."""
        self._cite(url)

    def resume(self) -> str:
        """Give what was said, for the model to go on."""
        self._resumed = True
        return self.text.rstrip()


class _Request:
    """What one request brought: what an answer has by now, but for what it had before."""

    def __init__(self, spoken: Spoken) -> None:
        self._spoken = spoken
        self._before = len(spoken.text), spoken.images, spoken.searches

    def counted(self, told: Usage) -> tuple[Usage, str]:
        """Give what the provider told, at least with what was heard, and what was said."""
        said, images, searches = self._before
        spoken = self._spoken
        heard = replace(
            told,
            images=max(told.images, spoken.images - images),
            searches=max(told.searches, spoken.searches - searches),
        )
        return heard, spoken.text[said:]

    def estimated(self, told: Usage | None, ask: Ask) -> tuple[Usage, str]:
        """Give the same for a request that failed: a picture may have been drawn and lost."""
        drawn = int(ask.image and told is None)
        return self.counted(told or Usage(str(ask.model), images=drawn))


class Asking:
    """See the module."""

    def __init__(
        self,
        ask: Ask,
        spoken: Spoken,
        model: str,
        *,
        api: Api,
        key: Key,
        breaker: Breaker,
        metrics: Metrics,
        account: Account,
        most_output: int,
    ) -> None:
        self._ask = replace(ask, model=model)
        self._spoken = spoken
        self._model = model
        self._api = api
        self._key = key
        self._breaker = breaker
        self._metrics = metrics
        self._account = account
        self._most_output = most_output

    async def run(self, client: AsyncOpenAI, attempts: int) -> None:
        """Ask until there is an answer or no sense in it; raises Retried and Told errors."""
        failures = exchanges = 0  # a key that is exchanged costs no attempt
        while True:
            failed, used = await self._once(client)
            if failed is None:
                return
            if self._may_go_on(failed) and self._covered(self._resumed):
                self._go_on()
                continue
            if not isinstance(failed, Retried):
                raise failed
            if self._spoken.since:
                raise CutShort(failed.label) from failed
            if isinstance(failed, KeyRefused) and exchanges < _EXCHANGES:
                exchanges += 1
                await exchange(self._key, failed, used)
                continue
            failures += 1
            if failures >= attempts or isinstance(failed, ModelPaused):
                raise failed
            if not self._covered(self._ask):
                log.warning("not asked again: what was reserved does not cover it")
                raise failed
            await self._pause(failed, failures)

    async def _once(self, client: AsyncOpenAI) -> tuple[SkyError | None, str]:
        """Ask once and charge that; gives what went wrong, and the key that was shown."""
        used, began = "", time.monotonic()
        spoken, charged = self._spoken, _Request(self._spoken)
        try:
            self._breaker.admit()
            used = await self._key.current()
        except CredentialMissing as error:
            return self._note(KeyRefused(str(error)), began), used
        except SkyError as error:
            return self._note(error, began), used
        try:
            with provider_errors.mapped():
                usage = await self._api.answer(client, used, self._ask, spoken)
        except SkyError as error:
            if not error.unbilled:
                self._charge(charged.estimated(error.usage, self._ask))
            return self._note(error, began), used
        except BaseException:  # stopped, or out of time: the provider tells nothing then
            self._charge(charged.estimated(None, self._ask))
            raise
        self._count("complete", began)
        if self._breaker.open:
            self._metrics.breaker.labels(self._model).set(0)
        self._breaker.succeeded()
        self._key.accept(used, began)
        usage = self._charge(charged.counted(usage))
        self._metrics.tokens.labels("input").inc(usage.input)
        self._metrics.tokens.labels("output").inc(usage.output)
        return None, used

    def _note(self, failed: SkyError, began: float) -> SkyError:
        """Count a failure."""
        self._count(failed.label, began)
        if isinstance(failed, ModelDown | ModelSlow):
            self._breaker.failed()
        elif not isinstance(failed, ModelPaused | KeyRefused):
            self._breaker.succeeded()
        self._metrics.breaker.labels(self._model).set(self._breaker.open)
        return failed

    def _charge(self, request: tuple[Usage, str]) -> Usage:
        told, said = request
        usage = completed(told, self._ask.likely_tokens, said, self._most_output)
        self._account.charge(usage)
        return usage

    def _covered(self, ask: Ask) -> bool:
        return self._account.covers(ask.ceiling(self._model, self._most_output))

    def _may_go_on(self, failed: SkyError) -> bool:
        """Whether an answer broke off that can be gone on with."""
        broke = isinstance(failed, CutShort | Retried) and not isinstance(failed, KeyRefused)
        return broke and not self._ask.begun and bool(self._spoken.text.strip())

    @property
    def _resumed(self) -> Ask:
        return self._ask.resumed(self._spoken.text.rstrip())

    def _go_on(self) -> None:
        self._metrics.continued.inc()
        self._ask = self._ask.resumed(self._spoken.resume())
        log.warning("going on with an answer that broke off")

    async def _pause(self, failed: Retried, attempt: int) -> None:
        """Wait as long as makes sense before the next attempt; raises `failed` if none does."""
        pause = failed.after or random.uniform(0.5, 1) * 0.5 * 2**attempt  # noqa: S311  # jitter
        if pause > _LONGEST_PAUSE:
            raise failed
        log.warning("asking again", extra={"error": failed.label, "attempt": attempt})
        await asyncio.sleep(pause)

    def _count(self, outcome: str, began: float) -> None:
        self._metrics.model.labels(outcome).inc()
        if self._spoken.since > began:
            self._metrics.first_text.observe(self._spoken.since - began)
