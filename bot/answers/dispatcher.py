"""Accepts or refuses requests, bounds how many answers are written at once, drains at the end."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.admission.admission_control import AnswerRequest
from bot.admission.hourly_limits import Caller, LimitReached
from bot.answers.pipeline import AnswerTask, Outcome, Services
from bot.domain.errors import OverLimit, QuestionGone, TooBusy, Unexpected, UnknownPersona
from bot.domain.messages import snowflake_time
from bot.leadership.coordinator import SingleProcess
from bot.leadership.handover_state import ProcessedMessages, StandbyBuffer
from bot.observability import log as json_log
from bot.observability import tasks
from bot.triggers.access_policy import AccessPolicy
from bot.triggers.ambient import AmbientPolicy
from bot.triggers.match import (
    Trigger,
    TriggerRules,
    addressed,
    match,
    may_continue,
    opens_thread,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.admission.admission_control import Booking
    from bot.admission.budget import Reservation
    from bot.answers.pipeline import Services
    from bot.domain.errors import SkyError
    from bot.domain.messages import Author, Location, Message
    from bot.leadership.coordinator import Leadership
    from bot.leadership.trial import Calls, Trial
    from bot.triggers.access_policy import Denial

log = logging.getLogger(__name__)


_AT_ONCE = 8  # a flood of calls must not cause a flood of refusals


class Refusals:
    """The refusals that are being sent."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.under_way: set[asyncio.Task[None]] = set()

    def say(self, request: AnswerRequest, error: SkyError) -> None:
        """Start to send the reason why a call is not answered, unless too many are being sent.

        A person who used a command is always told: Discord waits for a response.
        """
        if len(self.under_way) < _AT_ONCE or request.message.asked is not None:
            self.start(AnswerTask(request, self._services).refuse(error))

    def start(self, sending: Coroutine[None, None, None]) -> None:
        """Start to send something that a drain waits for."""
        sorry = tasks.start(sending, "refusal")
        self.under_way.add(sorry)
        sorry.add_done_callback(self.under_way.discard)


_LAST_WORDS_SECONDS = 3.0  # of the drain, for telling people whose answer does not finish in time
_BOOKED_SECONDS = 0.1  # within which a booking becomes an answer or is cancelled
_ENDING_SECONDS = 35.0  # terminationGracePeriodSeconds, and a little


class Dispatcher:
    """Starts answers, each as a task of its own, and tracks those in progress.

    Calls of a shard that another process leads are kept for a while, in case that changes.
    """

    def __init__(
        self,
        services: Services,
        coordinator: Leadership | None = None,
        trial: Trial | None = None,
    ) -> None:
        self._services = services
        self._trial = trial
        self._coordinator = coordinator or SingleProcess()
        self.taken = ProcessedMessages(_ENDING_SECONDS)
        self._standby_buffer = StandbyBuffer()
        self.on_withdrawn: Callable[[int], None] = lambda _: None  # a message was deleted
        self.on_undelivered: Callable[[Message], None] = lambda _: None  # Discord did not take it
        self._work = services.settings.work
        self._slots = asyncio.Semaphore(self._work.in_flight)
        self._answer_tasks: dict[asyncio.Task[None], AnswerTask] = {}
        self._aborted: dict[int, AnswerTask] = {}  # by the call, when a trial failed
        self._booked: dict[int, Booking] = {}  # by the question that will be answered again
        self._refusals = Refusals(services)
        self._open = True
        settings = services.settings
        self._rules = TriggerRules(
            settings.discord.command, AccessPolicy(settings.access), settings.threads
        )
        self._ambient_policy = AmbientPolicy(settings.access, settings.ambient)

    @property
    def under_way(self) -> int:
        """How many answers are being written or wait for a place."""
        return len(self._answer_tasks)

    def receive(
        self, message: Message, me: int, *, late: bool = False, replaces: tuple[int, ...] = ()
    ) -> None:
        """Answer a message if it calls the bot, whose user id is `me`.

        `late` is one that was missed when it was posted. An answer to it comes in the place of the
        messages that it `replaces`.
        """
        with json_log.bound(**_ids(message)):
            if message.author.id != me:
                self._services.cache.hear(message)
            decision = match(message, me=me, rules=self._rules)
            shard = self._coordinator.shard_of(message.guild_id)
            if not self._coordinator.is_leader(shard):
                if isinstance(decision, Trigger):
                    self._services.metrics.messages.labels("overheard").inc()
                    self._standby_buffer.put(shard, message, me)
                return
            decision = self._ambient_policy.judge(message, decision, late=late)
            if not isinstance(decision, Trigger):
                self._services.metrics.messages.labels(decision.reason).inc()
                return
            self._services.metrics.messages.labels(decision.how).inc()
            if not self._open:
                self._turn_away("draining")
            elif not self.taken.take(shard, message.id):
                self._turn_away("repeated")
            elif not self._take(
                replace(self._request(message, decision, me), replaces=replaces, late=late)
            ):
                self.taken.finish(shard, message.id)

    def _request(self, message: Message, decision: Trigger, me: int) -> AnswerRequest:
        request = AnswerRequest(
            message,
            decision.prompt,
            me,
            time.monotonic(),
            persona=self._services.personas.at(message.place),
            image=decision.image,
            ambient=decision.how == "ambient",
            in_thread=opens_thread(message, decision, self._rules),
        )
        if decision.persona is not None:
            try:
                request = replace(request, persona=self._services.personas.named(decision.persona))
            except UnknownPersona as error:
                # Counts like an answer, and is none that a thread is opened for.
                request = replace(request, refused=error, in_thread=False)
        return request

    def missed(self, message: Message, me: int, replaces: tuple[int, ...] = ()) -> bool:
        """Receive a message that was missed when it was posted; return whether it was taken.

        `replaces` are the messages of an answer that another process began and did not end.
        """
        if message.id in self.taken or message.author.bot:
            return False
        self.receive(message, me, late=True, replaces=replaces)
        return message.id in self.taken

    def needs_roles(self, message: Message, me: int) -> bool:
        """Return whether a message is for the bot and its author's roles are needed but unknown."""
        rules = self._rules
        unknown = message.author.roles is None and not message.direct and message.asked is None
        if not unknown or not rules.lists.ask_for_roles:
            return False
        return addressed(message, me=me, rules=rules) is not None

    def may_continue(self, message: Message, me: int) -> bool:
        """See triggers.match: whether it depends on the thread if a message is answered."""
        return may_continue(message, me=me, rules=self._rules)

    async def wait_for_capacity(self) -> None:
        """Wait until one more call can be taken."""
        while self._full:
            if self._answer_tasks:
                await asyncio.wait(self._answer_tasks, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(_BOOKED_SECONDS)

    def calls(self, message: Message, me: int) -> bool:
        """Return whether a message would be taken if it were not too old."""
        decision = match(message, me=me, rules=self._rules)
        return isinstance(decision, Trigger) and message.id not in self.taken

    def begin(self, shard: int) -> None:
        """Take the calls received on standby; the last leader released the Lease cleanly."""
        for message, me in self._standby_buffer.pop(shard):
            self.receive(message, me)

    def buffered(self, shard: int) -> list[Message]:
        """Return the calls received on standby, some of which the last leader may have taken."""
        return [message for message, _ in self._standby_buffer.pop(shard)]

    def busy(self, shard: int) -> bool:
        """Whether an answer for a shard is being written or waits."""
        messages = (each.request.message for each in self._answer_tasks.values())
        return any(self._coordinator.shard_of(each.guild_id) == shard for each in messages)

    def abandon(self, shard: int) -> None:
        """Abort every answer for a shard: from now on another process may write it."""
        for task, answer_task in list(self._answer_tasks.items()):
            message = answer_task.request.message
            if self._coordinator.shard_of(message.guild_id) == shard:
                task.cancel()
                self.taken.forget(shard, message.id)
                self._services.metrics.answers.labels("abandoned").inc()

    def give_back(self, shard: int) -> Calls | None:
        """Abort every answer for a shard, and return its calls with the messages shown so far.

        None means that some of them have not ended yet: no answer may change anything on Discord
        any more when another process writes it. Call it again. A single request that was under way
        may still be executed: during Discord's global rate limit none is cancelled.

        An answer that a button asked for cannot be returned: it is ended with a sentence. What the
        bot has said unprompted is deleted.
        """
        waits = False
        for task, answer_task in self._answer_tasks.items():
            message = answer_task.request.message
            if self._coordinator.shard_of(message.guild_id) != shard:
                continue
            waits = waits or answer_task.request.nonce_base is None
            if message.id not in self._aborted:
                self._abort(task, answer_task)
        if waits:
            return None
        aborted, self._aborted = self._aborted, {}
        calls = {}
        for message_id, each in aborted.items():
            if each.request.nonce_base is not None:
                continue
            if not each.request.ambient:
                calls[message_id] = each.messages
            elif each.messages:
                self._refusals.start(each.delete())
        return calls

    def _abort(self, task: asyncio.Task[None], answer_task: AnswerTask) -> None:
        if answer_task.request.nonce_base is not None:
            answer_task.interrupt()
        elif task.cancel():
            self._services.metrics.answers.labels("given_back").inc()
        else:  # it has just ended
            return
        self._aborted[answer_task.request.message.id] = answer_task

    def take_back(self, shard: int, calls: Calls) -> list[int]:
        """Answer calls that a pod on trial did not answer, in the place of what it has shown.

        Whether this process leads does not matter. Returns the calls that were not received here.
        """
        unheard = []
        for message_id, shown in calls.items():
            found = self._standby_buffer.take(message_id)
            if found is None:
                unheard.append(message_id)
                continue
            message, me = found
            decision = match(message, me=me, rules=self._rules)
            if not isinstance(decision, Trigger) or self.is_answering(message_id):
                continue
            self.taken.retake(shard, message_id)
            request = replace(self._request(message, decision, me), replaces=shown)
            with json_log.bound(**_ids(message)):
                if not self._take(request):
                    self.taken.finish(shard, message_id)
        return unheard

    def edit(self, message: Message, me: int) -> None:
        """Note an edited message; a waiting call is answered with its text at that time.

        One that did not call the bot before and does now, and is not old, is received.
        """
        before = self._services.cache.get(message.id)
        if before is not None and before.continues:
            message = replace(message, continues=True)
        self._services.cache.put(message)
        self._standby_buffer.edit(message)
        age = time.time() - snowflake_time(message.id)
        if before is None or age > self._work.catch_up_seconds or self.calls(before, me):
            return
        if self.calls(message, me):
            self.receive(message, me)

    def withdraw(self, message_id: int) -> None:
        """Forget a message that was deleted, and stop answering it."""
        self._services.cache.forget(message_id)
        self.on_withdrawn(message_id)
        self._standby_buffer.forget(message_id)
        self.stop(message_id, QuestionGone())

    def shard_of(self, guild_id: int | None) -> int:
        """See Leadership."""
        return self._coordinator.shard_of(guild_id)

    def takes(self, guild_id: int | None) -> bool:
        """Whether calls from a server, or direct ones, are taken here and now."""
        return self._open and self._coordinator.is_leader(self._coordinator.shard_of(guild_id))

    def denies(self, author: Author, place: Location, *, direct: bool) -> Denial | None:
        """Return why a person may not be answered in a place now; None if they may."""
        return self._rules.lists.denies(author, place, direct=direct)

    def refusal(self, caller: Caller) -> SkyError | None:
        """Return why a question would be turned away now; changes nothing."""
        if self._full:
            return TooBusy()
        over = self._services.admission.over(caller)
        return OverLimit(over.scope, over.until) if over else None

    def is_answering(self, question_id: int) -> bool:
        """Whether an answer to that message is being written, or waits for its turn."""
        return question_id in self._booked or any(
            each.is_about(question_id) for each in self._answer_tasks.values()
        )

    def is_finishing(self, question_id: int) -> bool:
        """Whether the answer to that message may look complete on Discord already."""
        found = [each for each in self._answer_tasks.values() if each.is_about(question_id)]
        unwritten = question_id in self._booked
        return bool(found) and not unwritten and all(each.finishing for each in found)

    def stop(self, question_id: int, why: SkyError) -> bool:
        """Stop the answer to that message; False if none is being written."""
        found = [each for each in self._answer_tasks.values() if each.is_about(question_id)]
        for answer_task in found:
            answer_task.stop(why)
        return bool(found)

    def book(self, question_id: int, caller: Caller) -> SkyError | None:
        """Reserve capacity, a call and money to answer a message again; or return why not.

        `again` or `cancel` has to follow.
        """
        if self._full:
            return TooBusy()
        booking = self._services.admission.book(
            caller, (each for _, each in self._services.personas)
        )
        if isinstance(booking, LimitReached):
            return OverLimit(booking.scope, booking.until)
        self._booked[question_id] = booking
        return None

    def cancel(self, question_id: int) -> None:
        """Release what was booked for a message, if no answer came of it."""
        if (booking := self._booked.pop(question_id, None)) is not None:
            booking.cancel()

    def again(
        self, question: Message, me: int, *, nonce_base: int, replaces: tuple[int, ...]
    ) -> None:
        """Answer a message that was booked to be answered again, in the place of its old answer."""
        booking = self._booked.pop(question.id)
        if may_continue(question, me=me, rules=self._rules):  # it was answered before
            question = replace(question, continues=True)
        decision = addressed(question, me=me, rules=self._rules)
        if decision is None:  # an ambient reply: nobody called the bot
            decision = Trigger("ambient", question.text)
        request = replace(
            self._request(question, decision, me), nonce_base=nonce_base, replaces=replaces
        )
        if self.is_answering(question.id):  # found by the backfill meanwhile
            booking.cancel()
            return
        if request.age < self._work.catch_up_seconds:  # no successor checks older ones
            self.taken.retake(self._coordinator.shard_of(question.guild_id), question.id)
        with json_log.bound(**_ids(question)):
            self._start(request, self._services.admission.take(booking, request))

    def _turn_away(self, reason: str) -> None:
        self._services.metrics.turned_away.labels(reason).inc()
        log.info("request refused", extra={"reason": reason})

    def _take(self, request: AnswerRequest) -> bool:
        """Start an answer; False if the call is turned away."""
        message = request.message
        if self._full:
            self._turn_away("too_busy")
            self._refusals.say(request, TooBusy())
            return False
        over = self._services.admission.admit(
            Caller(message.author.id, message.channel_id, message.guild_id, request.ambient)
        )
        if over is not None:
            self._turn_away(f"over_limit_{over.scope}")
            if (
                over.tell or request.message.asked is not None
            ):  # a visible question needs a visible result
                self._refusals.say(request, OverLimit(over.scope, over.until))
            return False
        # Reserved now: other requests are admitted before the task runs.
        self._start(request, self._services.admission.reserve(request))
        return True

    @property
    def _full(self) -> bool:
        return (
            len(self._answer_tasks) + len(self._booked) >= self._work.in_flight + self._work.waiting
        )

    def _start(self, request: AnswerRequest, reservation: Reservation) -> None:
        answer_task = AnswerTask(request, self._services)
        task = tasks.start(self._answer(answer_task, reservation), "answer")
        self._answer_tasks[task] = answer_task
        task.add_done_callback(self._done)
        task.add_done_callback(lambda _: reservation.end())
        self._count()

    async def _answer(self, answer_task: AnswerTask, reservation: Reservation) -> None:
        async with self._slots:
            try:
                outcome = await answer_task.run(reservation)
            except asyncio.CancelledError:
                if answer_task.request.message.id in self._aborted:
                    reservation.forfeit()
                raise
            except Exception as error:
                answer_task.failure = defect = Unexpected(type(error).__name__)
                if self._trial is None or not self._trial.withholds(defect):
                    raise
                if not answer_task.withholds(defect):
                    self._trial.answered(defect)
                    raise
                tasks.report("answer", error)
                self._services.metrics.answers.labels("given_back").inc()
                outcome = Outcome.GIVEN_BACK
        if self._trial is not None:
            if outcome is Outcome.GIVEN_BACK and not answer_task.request.ambient:
                message = answer_task.request.message
                shard = self._coordinator.shard_of(message.guild_id)
                self.taken.pass_on(shard, [message.id])
                self._trial.give_back({message.id: answer_task.messages})
                reservation.forfeit()  # a process that does not lead cannot report what it spends
            if answer_task.failure is not None or outcome is Outcome.COMPLETE:
                self._trial.answered(answer_task.failure)
        if outcome is Outcome.UNDELIVERED and not answer_task.request.late:
            # Discord may have accepted a part of it, or nothing: the backfill finds out.
            message = answer_task.request.message
            self.taken.forget(self._coordinator.shard_of(message.guild_id), message.id)
            self.on_undelivered(message)

    def _done(self, task: asyncio.Task[None]) -> None:
        message = self._answer_tasks.pop(task).request.message
        self.taken.finish(self._coordinator.shard_of(message.guild_id), message.id)
        self._count()
        if not task.cancelled() and task.exception() is not None:
            self._services.metrics.answers.labels("broken").inc()

    def _count(self) -> None:
        taken = len(self._answer_tasks)
        self._services.metrics.in_flight.set(min(taken, self._work.in_flight))
        self._services.metrics.waiting.set(max(0, taken - self._work.in_flight))

    async def drain(self) -> None:
        """Take no more calls and finish those taken; answers that do not end in time say so."""
        self._open = False
        began = time.monotonic()
        log.info("draining", extra={"answers": len(self._answer_tasks)})
        await self._wait(self._work.drain_seconds - _LAST_WORDS_SECONDS)
        for answer_task in list(self._answer_tasks.values()):
            answer_task.interrupt()
        await self._wait(_LAST_WORDS_SECONDS)
        late = len(self._answer_tasks)
        for task in [*self._answer_tasks, *self._refusals.under_way]:
            task.cancel()
        await self._wait(1)
        seconds = round(time.monotonic() - began, 3)
        log.info("drained", extra={"seconds": seconds, "cancelled": late})

    async def _wait(self, seconds: float) -> None:
        tasks = [*self._answer_tasks, *self._refusals.under_way]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))


def _ids(message: Message) -> dict[str, object]:
    """Name the message that a log line is about."""
    return {
        "message_id": message.id,
        "channel_id": message.channel_id,
        "guild_id": message.guild_id,
    }
