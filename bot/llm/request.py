"""One request to the provider, as a stream of plain JSON, without what the model refuses.

One answer being asked of one model: attempts, a key that may be exchanged, and going on.

A stream that just ends is not an answer: the library reports a cut connection as the end, so each
API's own mark of completion is required. A request is tried again only while no text has come,
because what a person has read cannot be taken back. An answer that breaks off is continued once.
Each request is charged when it ends, however it ends; another one is made only where what was
reserved for the answer covers it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.errors import (
    CredentialMissing,
    CutShort,
    KeyRefused,
    ModelDown,
    ModelPaused,
    ModelSlow,
    Retried,
    SkyError,
)
from bot.domain.model_request import Usage, completed
from bot.domain.text import sanitize
from bot.llm import provider_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openai import AsyncOpenAI, AsyncStream

    from bot.domain.messages import Picture
    from bot.domain.model_request import Account, ModelRequest
    from bot.llm.apis import ProviderApi
    from bot.llm.breaker import Breaker
    from bot.observability.metrics import Metrics

log = logging.getLogger(__name__)


_DRAIN_SECONDS = 0.25  # the rest of a completed stream, so that its connection is used again


@dataclass(frozen=True, slots=True)
class OptionalParameter:
    """A parameter that some models refuse: what is sent, and what to a model that refuses it.

    `name` is what the provider calls it when it refuses.
    """

    name: str
    fields: dict[str, Any]
    instead: dict[str, Any] = field(default_factory=dict)

    def is_about(self, refused: str | None) -> bool:
        """Whether a refused parameter is sent by this: one of its fields goes with all of them."""
        return refused == self.name or refused in self.fields


class ProviderRequests:
    """Remembers which model refuses what, so that it costs a request once."""

    def __init__(self) -> None:
        self._refused: set[tuple[str, str]] = set()

    async def stream(
        self,
        client: AsyncOpenAI,
        key: str,
        path: str,
        body: dict[str, Any],
        knobs: Sequence[OptionalParameter],
        *,
        seconds: float | None = None,
    ) -> AsyncStream[Any]:
        """Ask; raises the library's errors. `seconds` are those that the provider may be silent."""
        from openai import BadRequestError  # noqa: PLC0415  # loaded late, see model.py

        model = str(body["model"])
        while True:
            extra: dict[str, Any] = {}
            for knob in knobs:
                extra |= knob.instead if (model, knob.name) in self._refused else knob.fields
            try:
                return await _post(client, key, path, {**body, **extra}, seconds)
            except BadRequestError as error:
                names = (knob.name for knob in knobs if knob.is_about(error.param))
                refused = (model, next(names, ""))
                if refused in self._refused or not refused[1]:
                    raise
                self._refused.add(refused)
                log.warning("the model refuses a parameter", extra={"parameter": error.param})


async def _post(
    client: AsyncOpenAI, key: str, path: str, body: dict[str, Any], seconds: float | None
) -> AsyncStream[Any]:
    from openai import AsyncStream  # noqa: PLC0415  # loaded late, see model.py

    options: Any = {"headers": {"Authorization": f"Bearer {key}"}}
    if seconds is not None:
        options["timeout"] = seconds
    return await client.post(
        path,
        body={**body, "stream": True},
        options=options,
        cast_to=object,
        stream=True,
        stream_cls=AsyncStream[object],
    )


async def drain(stream: Any) -> list[dict[str, Any]]:
    """Read what still comes after the answer's end, if it comes at once."""
    rest = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for event in stream:
                if isinstance(event, dict):
                    rest.append(event)  # noqa: PERF401  # kept although the time runs out
    return rest


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

    A question asked while a key is being rotated is answered, a little later; when a key has long
    been dead, nobody waits for it any more.
    """
    if used:
        key.refuse(used)
    patience = _ROTATION_SECONDS - key.needed_for if key.patient else 0.0
    if not await key.another(used or None, max(patience, _OTHER_KEY_SECONDS)):
        raise failed


class StreamRecorder:
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
        text = sanitize(text)
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

    def __init__(self, recorder: StreamRecorder) -> None:
        self._recorder = recorder
        self._before = len(recorder.text), recorder.images, recorder.searches

    def counted(self, told: Usage) -> tuple[Usage, str]:
        """Give what the provider told, at least with what was heard, and what was said."""
        said, images, searches = self._before
        recorder = self._recorder
        heard = replace(
            told,
            images=max(told.images, recorder.images - images),
            searches=max(told.searches, recorder.searches - searches),
        )
        return heard, recorder.text[said:]

    def estimated(self, told: Usage | None, ask: ModelRequest) -> tuple[Usage, str]:
        """Give the same for a request that failed: a picture may have been drawn and lost."""
        drawn = int(ask.image and told is None)
        return self.counted(told or Usage(str(ask.model), images=drawn))


class RetryingRequest:
    """See the module."""

    def __init__(
        self,
        ask: ModelRequest,
        recorder: StreamRecorder,
        model: str,
        *,
        api: ProviderApi,
        key: Key,
        breaker: Breaker,
        metrics: Metrics,
        account: Account,
        most_output: int,
    ) -> None:
        self._ask = replace(ask, model=model)
        self._recorder = recorder
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
            if self._recorder.since:
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
        recorder, charged = self._recorder, _Request(self._recorder)
        try:
            self._breaker.admit()
            used = await self._key.current()
        except CredentialMissing as error:
            return self._note(KeyRefused(str(error)), began), used
        except SkyError as error:
            return self._note(error, began), used
        try:
            with provider_errors.mapped():
                usage = await self._api.answer(client, used, self._ask, recorder)
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

    def _covered(self, ask: ModelRequest) -> bool:
        return self._account.covers(ask.ceiling(self._model, self._most_output))

    def _may_go_on(self, failed: SkyError) -> bool:
        """Whether an answer broke off that can be continued."""
        broke = isinstance(failed, CutShort | Retried) and not isinstance(failed, KeyRefused)
        return broke and not self._ask.begun and bool(self._recorder.text.strip())

    @property
    def _resumed(self) -> ModelRequest:
        return self._ask.resumed(self._recorder.text.rstrip())

    def _go_on(self) -> None:
        self._metrics.continued.inc()
        self._ask = self._ask.resumed(self._recorder.resume())
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
        if self._recorder.since > began:
            self._metrics.first_text.observe(self._recorder.since - began)
