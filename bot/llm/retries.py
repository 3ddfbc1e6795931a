"""Request one answer from one model: retries, a smaller request, a key that may be replaced.

A stream that just ends is not an answer: each API's own completion marker is required. A request
is retried only while no text has arrived, because what a person has read cannot be taken back. An
answer that breaks off is continued once. After a refusal a smaller request is tried, as long as
one is left. Each request is charged when it ends, however it ends; another one is made only if
the rest of the answer's reservation covers it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from bot.domain.errors import (
    BadPicture,
    CredentialMissing,
    CutShort,
    Filtered,
    KeyRefused,
    ModelDown,
    ModelMissing,
    ModelPaused,
    ModelSlow,
    OnlyReasoning,
    OutOfRoom,
    QuotaSpent,
    RequestRefused,
    Retried,
    SkyError,
    TooMuchText,
)
from bot.domain.model_request import (
    Citation,
    Ended,
    Finish,
    Image,
    Reasoned,
    Reduced,
    Searched,
    Text,
    Usage,
    completed,
)
from bot.domain.text import sanitize
from bot.llm import error_mapping
from bot.llm.error_mapping import FeatureRefused
from bot.llm.provider_dialects import Refusal
from bot.llm.transport import post

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from openai import AsyncOpenAI

    from bot.domain.model_request import Account, ModelEvent, ModelRequest, ProviderEvent
    from bot.llm.provider_apis import ProviderApi
    from bot.llm.provider_dialects import Knowledge
    from bot.llm.transport import Payload
    from bot.observability.metrics import Metrics

log = logging.getLogger(__name__)

_OTHER_KEY_SECONDS = 2.0  # usually enough for a rotated key to reach the file
_ROTATION_SECONDS = 150.0  # since the first refusal, where Key Vault is asked for another
_EXCHANGES = 5  # of keys, for one question
_LONGEST_PAUSE = 8.0
_STEPS = ("parameters", "length", "streaming", "pictures", "history")
_LEAST_OUTPUT = 256  # tokens: a shorter answer is not asked for
_PER_TOKEN = 6  # characters, at the most that is usual
# Errors that are shown as they are below a partial answer; any other becomes CutShort.
_TOLD_IN_PART = (CutShort, Filtered, OutOfRoom, QuotaSpent)


class Key(Protocol):
    """The credential sent to the provider: credentials.Credential, or an Entra token."""

    @property
    def patient(self) -> bool:
        """Whether another value is looked for while this one is refused."""

    @property
    def needed_for(self) -> float:
        """Seconds since there was a usable value."""

    async def current(self) -> str:
        """Return the value now; raises CredentialMissing."""

    def accept(self, value: str, asked: float) -> None:
        """Note that the provider accepted `value` in a request that began then (monotonic)."""

    def refuse(self, value: str) -> None:
        """Note that the provider refused `value`."""

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109  # see Credential
        """Wait until there is a value, and one that is not `than`; False if none came in time."""


async def exchange(key: Key, failed: KeyRefused, used: str) -> None:
    """Wait for a key other than `used`, which was refused; raises `failed` if none comes.

    A question asked while a key is being rotated is answered, a little later; when a key has long
    been dead, nobody waits for it any more.
    """
    if used:
        key.refuse(used)
    patience = _ROTATION_SECONDS - key.needed_for if key.patient else 0.0
    if not await key.another(used or None, max(patience, _OTHER_KEY_SECONDS)):
        raise failed


class StreamRecorder:
    """Records the text of one answer over all of its requests, and when it began."""

    def __init__(self) -> None:
        self.since = 0.0
        self.images = self.searches = self.reasoned = 0
        self._pieces: list[str] = []
        self._resumed = False

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self._pieces)

    def record(self, event: ProviderEvent) -> ModelEvent | None:
        """Record an event; return what the consumer of the answer sees of it."""
        match event:
            case Text():
                return self._say(event.text)
            case Image():
                self.since = self.since or time.monotonic()
                self.images += 1
                return event
            case Citation():
                return event
            case Searched():
                self.searches += 1
            case Reasoned():
                self.reasoned += event.characters
        return None

    def resume(self) -> str:
        """Return the text so far, for the model to continue."""
        self._resumed = True
        return self.text.rstrip()

    def _say(self, text: str) -> Text | None:
        text = sanitize(text)
        if self._resumed and self._pieces and self._pieces[-1][-1:].isspace():
            text = text.lstrip(" ")  # the space before the next word has been said
        if not text:
            return None
        self._resumed = False
        self.since = self.since or time.monotonic()
        self._pieces.append(text)
        return Text(text)


class _Charged:
    """What one request contributed: the answer so far, minus what it had before."""

    def __init__(self, recorder: StreamRecorder) -> None:
        self._recorder = recorder
        self._before = (
            len(recorder.text),
            recorder.images,
            recorder.searches,
            recorder.reasoned,
        )

    def counted(self, told: Usage) -> tuple[Usage, str]:
        """Return the reported usage, but at least what was received and written.

        Hidden reasoning counts as output too.
        """
        said, images, searches, reasoned = self._before
        recorder = self._recorder
        received = replace(
            told,
            images=max(told.images, recorder.images - images),
            searches=max(told.searches, recorder.searches - searches),
        )
        return received, recorder.text[said:] + "abcde " * ((recorder.reasoned - reasoned) // 6)

    def estimated(self, told: Usage | None, request: ModelRequest) -> tuple[Usage, str]:
        """Return the same for a request that failed: a picture may have been drawn and lost."""
        drawn = int(request.image and told is None)
        return self.counted(told or Usage(str(request.model), images=drawn))


@dataclass(slots=True)
class _Attempts:
    """The attempts that may be made, and those that failed; exchanging a key costs none."""

    most: int
    made: int = 0
    exchanges: int = _EXCHANGES  # that are left


class RetryingRequest:
    """The requests to one model for one answer: retries, a smaller request, continuation."""

    def __init__(
        self,
        request: ModelRequest,
        recorder: StreamRecorder,
        model: str,
        *,
        api: ProviderApi,
        knowledge: Knowledge,
        key: Key,
        breaker: Breaker,
        metrics: Metrics,
        account: Account,
        most_output: int,
    ) -> None:
        self._request = replace(request, model=model)
        self._recorder = recorder
        self._model = model
        self._api = api
        self._knowledge = knowledge
        self._key = key
        self._breaker = breaker
        self._metrics = metrics
        self._account = account
        self._most_output = most_output
        self._smaller = _Smaller(most_output)
        self._used = ""  # the key that the last request was made with

    async def stream(self, client: AsyncOpenAI, attempts: int) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer until it is complete; raises Retried and UserFacing errors."""
        tries = _Attempts(attempts)
        while True:
            for reduced in self._prepare():
                yield reduced
            try:
                async with contextlib.aclosing(self._once(client)) as events:
                    async for event in events:
                        yield event
            except SkyError as error:
                failed = error
            else:
                return
            await self._recover(failed, tries)

    async def _recover(self, failed: SkyError, tries: _Attempts) -> None:
        """Prepare the next request after a failure; raises if none should be made."""
        if self._may_go_on(failed) and self._covered(self._resumed):
            self._go_on()
            return
        if self._recorder.since or self._request.begun:
            raise self._broken_off(failed)
        if self._takes_less(failed):
            return
        if not isinstance(failed, Retried):
            raise failed
        if isinstance(failed, KeyRefused) and tries.exchanges:
            tries.exchanges -= 1
            await exchange(self._key, failed, self._used)
            return
        tries.made += 1
        if tries.made >= tries.most or isinstance(failed, ModelPaused):
            raise failed
        if not self._covered(self._request):
            log.warning("not retried: the reservation does not cover another request")
            raise failed
        await self._pause(failed, tries.made)

    def _prepare(self) -> list[Reduced]:
        """Leave out what the model is known to refuse; return what the consumer should know."""
        if self._request.pictures and self._knowledge.of(self._model).pictures:
            self._smaller.pictures = True
        self._request, news = self._smaller.apply(self._request)
        return news

    def _takes_less(self, failed: SkyError) -> bool:
        """Make the request smaller if that may help after this failure; return whether it was."""
        if not failed.unbilled and not self._covered(self._request):
            return False
        return self._smaller.after(failed, self._request, self._payload, self._knowledge)

    @property
    def _payload(self) -> Payload:
        learned = self._knowledge.of(self._model)
        if self._smaller.whole:
            learned = replace(learned, streaming=True)
        payload = self._api.payload(self._request, learned, self._smaller.output)
        return payload.without(self._smaller.parameters)

    def _broken_off(self, failed: SkyError) -> SkyError:
        """Return the error to show below a partial answer."""
        if isinstance(failed, FeatureRefused) and failed.what is Refusal.LAST_TURN:
            self._knowledge.refuses(self._model, failed.what)
        return failed if isinstance(failed, _TOLD_IN_PART) else CutShort(failed.label)

    async def _once(self, client: AsyncOpenAI) -> AsyncGenerator[ModelEvent, None]:
        """Make one request and charge it; raises what went wrong."""
        self._used, began = "", time.monotonic()
        charged, payload = _Charged(self._recorder), self._payload
        try:
            self._breaker.admit()
            self._used = await self._key.current()
        except CredentialMissing as error:
            raise self._note(KeyRefused(str(error)), began, payload) from error
        except SkyError as error:
            raise self._note(error, began, payload) from error
        ended: Ended | None = None
        try:
            async with contextlib.aclosing(self._events(client, payload)) as events:
                async for event in events:
                    if isinstance(event, Ended):
                        ended = event
                    elif (shown := self._recorder.record(event)) is not None:
                        self._check_length(payload)
                        yield shown
            self._check_end(ended)
        except SkyError as error:
            error.usage = error.usage or (ended.usage if ended else None)
            if not error.unbilled:
                self._charge(charged.estimated(error.usage, self._request))
            raise self._note(error, began, payload) from error.__cause__
        except BaseException:  # stopped, or out of time: no usage is reported then
            self._charge(charged.estimated(None, self._request))
            raise
        assert ended is not None
        self._succeeded(began)
        self._knowledge.of(self._model).usage = ended.usage.output > 0
        usage = self._charge(charged.counted(ended.usage))
        self._metrics.tokens.labels("input").inc(usage.input)
        self._metrics.tokens.labels("output").inc(usage.output)

    async def _events(
        self, client: AsyncOpenAI, payload: Payload
    ) -> AsyncGenerator[ProviderEvent, None]:
        with error_mapping.mapped(payload):
            response = await post(client, self._used, payload)
            try:
                read = self._api.read(response, self._request, self._model)
                async with contextlib.aclosing(read) as events:
                    async for event in events:
                        yield event
            finally:
                await response.close()

    def _check_end(self, ended: Ended | None) -> None:
        """Raise unless the answer is complete: an unknown end is not a success."""
        said = bool(self._recorder.since)
        if ended is None or ended.finish is Finish.BROKEN:
            why = "no end" if ended is None else "an end that is no success"
            raise CutShort(why) if said else ModelDown(why)
        if ended.finish is Finish.LENGTH:
            raise OutOfRoom("length") if said else OnlyReasoning("length without any text")
        if ended.finish is Finish.FILTERED:
            raise Filtered("the answer was filtered")
        if not said and not ended.reason:
            raise ModelDown("an empty answer")

    def _check_length(self, payload: Payload) -> None:
        """Stop an answer that is too long if the model accepts no length limit."""
        if not payload.bounded and len(self._recorder.text) > self._most_output * _PER_TOKEN:
            raise OutOfRoom("longer than it may be")

    def _succeeded(self, began: float) -> None:
        self._count("complete", began)
        if self._breaker.open:
            self._metrics.breaker.labels(self._model).set(0)
        self._breaker.succeeded()
        self._key.accept(self._used, began)
        self._smaller.succeeded(self._model, self._knowledge)

    def _note(self, failed: SkyError, began: float, payload: Payload) -> SkyError:
        """Count a failure. One with pictures says nothing about the model's health."""
        self._count(failed.label, began)
        if isinstance(failed, ModelDown | ModelSlow):
            if not (payload.pictures and failed.unbilled):
                self._breaker.failed()
        elif not isinstance(failed, ModelPaused | KeyRefused):
            self._breaker.succeeded()
        self._metrics.breaker.labels(self._model).set(self._breaker.open)
        return failed

    def _charge(self, request: tuple[Usage, str]) -> Usage:
        told, said = request
        usage = completed(told, self._request.likely_tokens, said, self._most_output)
        self._account.charge(usage)
        return usage

    def _covered(self, request: ModelRequest) -> bool:
        return self._account.covers(request.ceiling(self._model, self._most_output))

    def _may_go_on(self, failed: SkyError) -> bool:
        """Whether the answer broke off and can be continued."""
        broke = isinstance(failed, CutShort | Retried) and not isinstance(failed, KeyRefused)
        known = not self._knowledge.of(self._model).last_turn
        return broke and known and not self._request.begun and bool(self._recorder.text.strip())

    @property
    def _resumed(self) -> ModelRequest:
        return self._request.resumed(self._recorder.text.rstrip())

    def _go_on(self) -> None:
        self._metrics.continued.inc()
        self._request = self._request.resumed(self._recorder.resume())
        log.warning("continuing an answer that broke off")

    async def _pause(self, failed: Retried, attempt: int) -> None:
        """Wait before the next attempt; raises `failed` if another attempt makes no sense."""
        pause = failed.after or random.uniform(0.5, 1) * 0.5 * 2**attempt  # noqa: S311  # jitter
        if pause > _LONGEST_PAUSE:
            raise failed
        log.warning("retrying the model request", extra={"error": failed.label, "attempt": attempt})
        await asyncio.sleep(pause)

    def _count(self, outcome: str, began: float) -> None:
        self._metrics.model.labels(outcome).inc()
        if self._recorder.since > began:
            self._metrics.first_text.observe(self._recorder.since - began)


class _Smaller:
    """What is left out of a request that was refused, and in which order it is tried.

    What a refusal names is left out, for good. A refusal that names nothing is tried without
    optional parameters, then without the bound of the length, not as a stream, without pictures,
    and without the older half of the conversation, each once.
    """

    def __init__(self, output: int) -> None:
        self.output = output
        self.parameters: set[str] = set()  # left out on suspicion
        self.whole = False  # whether the answer is asked for without a stream, on suspicion
        self.pictures = False
        self._halves = 0  # still to be applied
        self._news: list[Reduced] = []
        self._told: set[Reduced] = set()
        self._steps = list(_STEPS)

    def apply(self, request: ModelRequest) -> tuple[ModelRequest, list[Reduced]]:
        """Return the request without the parts that have to be left out, and which are new.

        Each is new once per answer.
        """
        if self.pictures and request.pictures:
            turns = tuple(replace(turn, images=()) for turn in request.turns)
            request = replace(request, turns=turns)
            self._tell(Reduced.WITHOUT_PICTURES)
        if self._halves:
            self._halves = 0
            request = replace(request, turns=request.turns[len(request.turns) // 2 :])
            self._tell(Reduced.WITHOUT_OLDER_HALF)
        news, self._news = self._news, []
        return request, news

    def after(
        self, failed: SkyError, request: ModelRequest, payload: Payload, knowledge: Knowledge
    ) -> bool:
        """Leave out one more part after a failure; False if nothing is left to try."""
        if isinstance(failed, FeatureRefused) and self._learn(failed, request, payload, knowledge):
            return True
        if isinstance(failed, TooMuchText):
            return self._halve(request)
        about_pictures = isinstance(failed, BadPicture | ModelMissing)
        if about_pictures or (isinstance(failed, ModelDown) and failed.unbilled):
            return self._drop_pictures(request)
        return isinstance(failed, RequestRefused) and self._try_less(request, payload)

    def succeeded(self, model: str, knowledge: Knowledge) -> None:
        """Remember that what was left out on suspicion was the cause, for later requests."""
        for name in sorted(self.parameters):
            knowledge.refuses_parameter(model, name)
        if self.whole:
            knowledge.refuses(model, Refusal.STREAMING)
        self.parameters, self.whole = set(), False

    def _learn(
        self, failed: FeatureRefused, request: ModelRequest, payload: Payload, knowledge: Knowledge
    ) -> bool:
        """Leave out what was refused from now on; return False if it was left out already."""
        model = str(request.model)
        if failed.what is Refusal.PARAMETER:
            sent = {each.name for each in payload.optional} & set(failed.parameters)
            for name in sorted(sent):
                knowledge.refuses_parameter(model, name)
            return bool(sent)
        if failed.what is Refusal.PICTURES:
            knowledge.refuses(model, failed.what)
            return self._drop_pictures(request)
        known = getattr(knowledge.of(model), failed.what.value)
        knowledge.refuses(model, failed.what)
        return not known and failed.what is not Refusal.LAST_TURN

    def _try_less(self, request: ModelRequest, payload: Payload) -> bool:
        """Take the next step that makes the request smaller; see the class."""
        while self._steps:
            step = self._steps.pop(0)
            if self._step(step, request, payload):
                return True
        return False

    def _step(self, step: str, request: ModelRequest, payload: Payload) -> bool:
        if step in {"parameters", "length"}:
            names = {each.name for each in payload.optional if step == "length" or not each.bounds}
            self.parameters |= names
            return bool(names)
        if step == "streaming":
            self.whole = payload.streamed
            return self.whole
        self.parameters, self.whole = set(), False  # they were not the cause
        return self._drop_pictures(request) if step == "pictures" else self._halve(request)

    def _drop_pictures(self, request: ModelRequest) -> bool:
        had = bool(request.pictures)
        self.pictures = self.pictures or had
        return had

    def _halve(self, request: ModelRequest) -> bool:
        """Leave out the older half; the second time, ask for a shorter answer as well.

        Some providers count the answer's limit as part of the context.
        """
        if len(request.turns) > 1:
            self._halves = 1
        elif self.output <= _LEAST_OUTPUT:
            return False
        if len(request.turns) == 1 or Reduced.WITHOUT_OLDER_HALF in self._told:
            self.output = max(_LEAST_OUTPUT, self.output // 2)
        return True

    def _tell(self, reduced: Reduced) -> None:
        if reduced not in self._told:
            self._told.add(reduced)
            self._news.append(reduced)


class Breaker:
    """The circuit breaker of one model: while a provider is down, people are told at once.

    It opens after `failures` in a row (0: never), for `seconds`. After that, one question is let
    through as a test; if it succeeds, all questions are let through again.
    """

    def __init__(
        self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._trying: float | None = None  # when the current test request began, while it is open
        self._opened = 0.0

    @property
    def open(self) -> bool:
        """Whether people are told at once that the model is down."""
        return bool(self._most) and self._failures >= self._most

    def admit(self) -> None:
        """Let a question through, or raise ModelPaused."""
        if not self.open:
            return
        now = self._clock()
        # The test request may be cancelled silently: after a while another one is let through.
        since = self._opened if self._trying is None else self._trying
        left = since + self._seconds - now
        if left > 0:
            raise ModelPaused(left)
        self._trying = now

    def failed(self) -> None:
        """Note that the model is down."""
        self._failures += 1
        self._opened, self._trying = self._clock(), None

    def succeeded(self) -> None:
        """Note that the model responded, even if with a refusal."""
        self._failures, self._trying = 0, None
