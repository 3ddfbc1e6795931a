"""What happens when this process gains or loses leadership of a shard."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from bot.leadership.elector import Acquisition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bot.domain.messages import Message
    from bot.leadership.handover_state import HandoverState, ProcessedMessages
    from bot.leadership.trial import Calls, Trial
    from bot.observability.metrics import Metrics

log = logging.getLogger(__name__)


_LOOK_SECONDS = 1.0
_ENDING_SECONDS = 35.0  # terminationGracePeriodSeconds, and a little


class Requests(Protocol):
    """What a hand-over asks of the dispatcher: see answers/dispatcher.py."""

    taken: ProcessedMessages
    on_undelivered: Callable[[Message], None]

    def shard_of(self, guild_id: int | None) -> int:
        """Name the shard that a server belongs to."""

    def begin(self, shard: int) -> None:
        """Answer the calls received on standby."""

    def buffered(self, shard: int) -> list[Message]:
        """Return the calls received on standby, and forget them."""

    def busy(self, shard: int) -> bool:
        """Say whether an answer for the shard is still being written."""

    def abandon(self, shard: int) -> None:
        """Drop every answer for the shard."""

    def give_back(self, shard: int) -> Calls | None:
        """Drop every answer for the shard, and return what they were about once they ended."""

    def take_back(self, shard: int, calls: Calls) -> list[int]:
        """Answer calls that another process did not; returns those that were not heard here."""


class MissedMessages(Protocol):
    """What a hand-over asks of one shard's backfill: see discord/backfill.py."""

    def follow(self) -> None:
        """Begin after a leader that released its Lease."""

    def succeed(self, unfinished: Sequence[int], buffered: Iterable[Message]) -> None:
        """Begin after a leader that did not."""

    def pause(self) -> None:
        """Leave messages from now on to the next leader."""

    def look_at(self, message: Message) -> None:
        """Check later whether a message was answered."""

    def check_again(self, message_ids: Iterable[int]) -> None:
        """Check messages, and all after them, unless they are too old to be answered."""

    def wake(self) -> None:
        """Check what became due while another process seemed to lead."""


class Session(Protocol):
    """One shard's session with Discord."""

    @property
    def backfill(self) -> MissedMessages:
        """The backfill of messages that nobody received."""


class Sessions(Protocol):
    """What a hand-over asks of the sessions with Discord: see discord/shards.py."""

    def open(self, shard: int) -> None:
        """Begin a shard's session, unless there is one."""

    def close(self, shard: int) -> None:
        """End a shard's session where only the leader has one."""

    def line(self, shard: int) -> Session:
        """Give a shard's session."""


class Handover:
    """Tells the dispatcher, the sessions and the backfill when leadership of a shard changes."""

    def __init__(
        self,
        dispatcher: Requests,
        shards: Sessions,
        handover_states: Sequence[HandoverState],
        can_lead: Callable[[int], bool],
        metrics: Metrics,
        *,
        trial: Trial,
    ) -> None:
        """`can_lead` says whether this process could lead a shard now."""
        self._can_lead = can_lead
        self._dispatcher = dispatcher
        self._shards = shards
        self._handover_states = handover_states
        self._metrics = metrics
        self._trial = trial
        self._leading: set[int] = set()
        self._unheard: set[int] = set()  # given back, and not heard here
        trial.on_received = self.received
        trial.on_alone = self.alone
        dispatcher.on_undelivered = self.undelivered

    def can_lead(self, shard: int) -> bool:
        """See LeadershipListener."""
        return self._can_lead(shard)

    def annotations(self, shard: int) -> Mapping[str, str]:
        """See LeadershipListener."""
        return {each.name: each.dump(shard) for each in self._handover_states}

    def restore(self, shard: int, annotations: Mapping[str, str]) -> None:
        """See LeadershipListener."""
        for each in self._handover_states:
            if each.name in annotations:
                each.load(shard, annotations[each.name])

    def begin(self, shard: int, how: Acquisition, annotations: Mapping[str, str]) -> None:
        """Answer what the predecessor left: at once if it released its Lease, else via Discord."""
        self._changed(shard, how.name.lower(), is_leader=True)
        self._shards.open(shard)
        self.restore(shard, annotations)
        orderly = how is Acquisition.LET_GO
        self._trial.begin(orderly=orderly, ended=how in {Acquisition.ENDED, Acquisition.EXPIRED})
        unfinished = self._dispatcher.taken.settle(shard, orderly=orderly)
        backfill = self._shards.line(shard).backfill
        if orderly:
            self._dispatcher.begin(shard)
            backfill.follow()
        else:
            backfill.succeed(unfinished, self._dispatcher.buffered(shard))
        if self._unheard:
            for message_id in self._unheard:
                self._dispatcher.taken.forget(shard, message_id)
            backfill.check_again(self._unheard)
            self._unheard = set()

    def end(self, shard: int, why: str) -> None:
        """Stop in the middle of every answer: another process will finish them."""
        del why  # it is in the log
        self._changed(shard, "lost", is_leader=False)
        self._dispatcher.abandon(shard)
        self._shards.close(shard)

    def pause(self, shard: int) -> None:
        """See LeadershipListener. The next leader finds messages from now on."""
        self._shards.line(shard).backfill.pause()

    def idle(self, shard: int) -> bool:
        """See LeadershipListener."""
        return not self._dispatcher.busy(shard)

    def gave(self, shard: int) -> None:
        """See LeadershipListener."""
        self._changed(shard, "given", is_leader=False)
        self._dispatcher.buffered(shard)
        self._shards.close(shard)

    def parting(self, shard: int) -> Mapping[str, str] | None:
        """See LeadershipListener. A predecessor finishes its answers; a failed trial returns them.

        To be called again if the Lease could not be written.
        """
        taken = self._dispatcher.taken
        returned = bool(self._trial.predecessor)
        if returned:
            calls = self._dispatcher.give_back(shard)
            if calls is None:
                return None
            taken.pass_on(shard, calls)
            self._trial.give_back(calls)
        return {**self.annotations(shard), taken.name: taken.dump(shard, staying=not returned)}

    def parted(self, shard: int) -> None:
        """See LeadershipListener."""
        self._trial.parted()
        self._changed(shard, "yielded", is_leader=False)

    def resumed(self, shard: int) -> None:
        """See LeadershipListener."""
        self._trial.parted()
        self._dispatcher.begin(shard)
        self._shards.line(shard).backfill.wake()

    def received(self, shard: int, calls: Calls) -> None:
        """Answer the calls that a leader on trial gives back, although that one leads."""
        log.info("calls given back", extra={"shard": shard, "calls": len(calls)})
        self._unheard.update(self._dispatcher.take_back(shard, calls))

    def alone(self, leaving: bool) -> None:  # noqa: FBT001
        """Check soon what was left to the predecessor: it is being stopped, or has ended."""
        for shard in self._leading:
            self._dispatcher.taken.hasten(shard, _ENDING_SECONDS if leaving else 0.0)

    def undelivered(self, message: Message) -> None:
        """Have a message checked again whose answer Discord did not accept."""
        shard = self._dispatcher.shard_of(message.guild_id)
        if shard in self._leading:
            self._shards.line(shard).backfill.look_at(message)

    async def look_again(self) -> None:
        """Check what a predecessor was left to finish, once it must have ended; until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for shard in self._leading:
                due = self._dispatcher.taken.overdue(shard)
                if due:
                    self._shards.line(shard).backfill.check_again(due)

    def _changed(self, shard: int, change: str, *, is_leader: bool) -> None:
        self._metrics.lease_changes.labels(str(shard), change).inc()
        self._metrics.is_leader.labels(str(shard)).set(is_leader)
        (self._leading.add if is_leader else self._leading.discard)(shard)
