"""Takes calls, answers a bounded number at once, and finishes what was taken before it stops."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.answering import Answering, Call, Kit
from bot.decision import Answer, Rules, called, decide
from bot.errors import OverLimit, QuestionGone, TooBusy, UnknownPersona
from bot.lists import Lists
from bot.temper import Temper

if TYPE_CHECKING:
    from bot.errors import SkyError
    from bot.messages import Message

log = logging.getLogger(__name__)

_REMEMBERED = 10_000  # ids of calls: Discord repeats an event after a resume, minutes later at most
_APOLOGIES = 8  # at once, to those who are turned away: a flood is not answered by a flood
_LAST_WORDS_SECONDS = 3.0  # of the drain, for telling those whose answer does not end in time


class Desk:
    """Every answer under way is a task of its own, whichever channel it is for."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._work = kit.settings.work
        self._places = asyncio.Semaphore(self._work.in_flight)
        self._answering: dict[asyncio.Task[None], Answering] = {}
        self._apologies: set[asyncio.Task[None]] = set()
        self._taken: OrderedDict[int, None] = OrderedDict()
        self._open = True
        settings = kit.settings
        self._rules = Rules(settings.discord.command, Lists(settings.access))
        self._temper = Temper(settings.access, settings.ambient)

    @property
    def under_way(self) -> int:
        """How many answers are being written or wait for a place."""
        return len(self._answering)

    def receive(self, message: Message, me: int) -> None:
        """Look at a message, and take it if it calls the bot, whose user id is `me`."""
        self._hear(message, me, late=False)

    def _hear(self, message: Message, me: int, *, late: bool) -> None:
        decision = decide(message, me=me, rules=self._rules)
        decision = self._temper.judge(message, decision, late=late)
        if message.author.id != me:
            self._kit.recall.hear(message)
        if not isinstance(decision, Answer):
            self._kit.metrics.messages.labels(decision.reason).inc()
            return
        self._kit.metrics.messages.labels(decision.how).inc()
        if not self._open:
            self._turn_away(message, "draining")
        elif self._seen(message.id):
            self._turn_away(message, "repeated")
        else:
            self._take(self._call(message, decision, me))

    def _call(self, message: Message, decision: Answer, me: int) -> Call:
        call = Call(
            message,
            decision.prompt,
            me,
            time.monotonic(),
            persona=self._kit.cast.at(message.place),
            image=decision.image,
            unasked=decision.how == "ambient",
        )
        if decision.persona is not None:
            try:
                call = replace(call, persona=self._kit.cast.named(decision.persona))
            except UnknownPersona as error:
                call = replace(call, refused=error)  # told like an answer: limits count it
        return call

    def missed(self, message: Message, me: int) -> bool:
        """Receive a message that was not heard when it was written; says whether it was taken."""
        if message.id in self._taken or message.author.bot:
            return False
        self._hear(message, me, late=True)
        return message.id in self._taken

    def withdraw(self, message_id: int) -> None:
        """Stop answering a message that was deleted."""
        self.stop(message_id, QuestionGone())

    @property
    def open(self) -> bool:
        """Whether calls are taken."""
        return self._open

    def is_answering(self, question_id: int) -> bool:
        """Whether an answer to that message is being written, or waits for its turn."""
        return any(each.is_about(question_id) for each in self._answering.values())

    def stop(self, question_id: int, why: SkyError) -> bool:
        """Stop the answer to that message; False if none is being written."""
        found = [each for each in self._answering.values() if each.is_about(question_id)]
        for answering in found:
            answering.stop(why)
        return bool(found)

    def again(
        self, question: Message, me: int, *, stem: int, replaces: tuple[int, ...]
    ) -> SkyError | None:
        """Answer a message anew, in the place of the earlier answer; or return why not."""
        decision = called(question, me=me, command=self._rules.command)
        if decision is None:  # nobody called the bot: it had joined in
            decision = Answer("ambient", question.text)
        call = replace(self._call(question, decision, me), stem=stem, replaces=replaces)
        over = self._kit.allowance.admit(question, unasked=False)
        if over is not None:
            return OverLimit(over.scope, over.until)
        if self._full:
            return TooBusy()
        self._start(call)
        return None

    def _turn_away(self, message: Message, reason: str) -> None:
        self._kit.metrics.turned_away.labels(reason).inc()
        log.info("not taken", extra={"message_id": message.id, "reason": reason})

    def _seen(self, message_id: int) -> bool:
        if message_id in self._taken:
            return True
        self._taken[message_id] = None
        if len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
        return False

    def _take(self, call: Call) -> None:
        if self._full:
            self._turn_away(call.message, "too_busy")
            self._apologise(call, TooBusy())
            return
        over = self._kit.allowance.admit(call.message, unasked=call.unasked)
        if over is not None:
            self._turn_away(call.message, f"over_limit_{over.scope}")
            if over.tell:
                self._apologise(call, OverLimit(over.scope, over.until))
            return
        self._start(call)

    @property
    def _full(self) -> bool:
        return len(self._answering) >= self._work.in_flight + self._work.waiting

    def _start(self, call: Call) -> None:
        answering = Answering(call, self._kit)
        task = asyncio.create_task(self._answer(answering), name=f"answer {call.message.id}")
        self._answering[task] = answering
        task.add_done_callback(self._done)
        self._count()

    def _apologise(self, call: Call, error: SkyError) -> None:
        if len(self._apologies) < _APOLOGIES:
            sorry = asyncio.create_task(Answering(call, self._kit).apologise(error))
            self._apologies.add(sorry)
            sorry.add_done_callback(self._apologies.discard)

    async def _answer(self, answering: Answering) -> None:
        async with self._places:
            await answering.run()

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._answering[task]
        self._count()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("answering broke", exc_info=error)
            self._kit.metrics.answers.labels("broken").inc()

    def _count(self) -> None:
        taken = len(self._answering)
        self._kit.metrics.in_flight.set(min(taken, self._work.in_flight))
        self._kit.metrics.waiting.set(max(0, taken - self._work.in_flight))

    async def drain(self) -> None:
        """Take nothing more and finish what was taken; what does not end in time is told so."""
        self._open = False
        began = time.monotonic()
        log.info("draining", extra={"answers": len(self._answering)})
        await self._wait(self._work.drain_seconds - _LAST_WORDS_SECONDS)
        for answering in list(self._answering.values()):
            answering.interrupt()
        await self._wait(_LAST_WORDS_SECONDS)
        late = len(self._answering)
        for task in [*self._answering, *self._apologies]:
            task.cancel()
        await self._wait(1)
        seconds = round(time.monotonic() - began, 3)
        log.info("drained", extra={"seconds": seconds, "cancelled": late})

    async def _wait(self, seconds: float) -> None:
        tasks = [*self._answering, *self._apologies]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))
