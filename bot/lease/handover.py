"""What happens when this process begins and ends to speak for a shard."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.lease.speaker import How

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.desk import Desk
    from bot.discord.lines import Lines
    from bot.lease.memory import Keepsake
    from bot.messages import Message
    from bot.metrics import Metrics

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class Handover:
    """The speaker of holding.py, put together from the rooms that have to know."""

    def __init__(
        self,
        desk: Desk,
        lines: Lines,
        keepsakes: Sequence[Keepsake],
        able: Callable[[int], bool],
        metrics: Metrics,
    ) -> None:
        """Know the rooms; `able` says whether this process could speak for a shard now."""
        self._able = able
        self._desk = desk
        self._lines = lines
        self._keepsakes = keepsakes
        self._metrics = metrics
        self._speaking: set[int] = set()
        desk.on_unsaid = self.unsaid

    def able(self, shard: int) -> bool:
        """See Speaker."""
        return self._able(shard)

    def notes(self, shard: int) -> Mapping[str, str]:
        """See Speaker."""
        return {each.name: each.dump(shard) for each in self._keepsakes}

    def heed(self, shard: int, notes: Mapping[str, str]) -> None:
        """See Speaker."""
        for each in self._keepsakes:
            if each.name in notes:
                each.load(shard, notes[each.name])

    def begin(self, shard: int, how: How, notes: Mapping[str, str]) -> None:
        """Take what the last speaker had not: at once if it let go, else by asking Discord."""
        self._changed(shard, how.name.lower(), speaking=True)
        self._lines.open(shard)
        self.heed(shard, notes)
        orderly = how is How.LET_GO
        unfinished = self._desk.taken.settle(shard, orderly=orderly)
        catchup = self._lines.line(shard).catchup
        if orderly:
            self._desk.begin(shard)
            catchup.follow()
        else:
            catchup.succeed(unfinished, self._desk.overheard(shard))

    def end(self, shard: int, why: str) -> None:
        """Stop in the middle of every answer: another process will end them."""
        del why  # it is in the log
        self._changed(shard, "lost", speaking=False)
        self._desk.abandon(shard)
        self._lines.close(shard)

    def pause(self, shard: int) -> None:
        """See Speaker. What is said from now on is for the next one to find."""
        self._lines.line(shard).catchup.pause()

    def idle(self, shard: int) -> bool:
        """See Speaker."""
        return not self._desk.busy(shard)

    def gave(self, shard: int) -> None:
        """See Speaker."""
        self._changed(shard, "given", speaking=False)
        self._desk.overheard(shard)
        self._lines.close(shard)

    def unsaid(self, message: Message) -> None:
        """Have a message looked at again whose answer Discord did not take."""
        shard = self._desk.shard_of(message.guild_id)
        if shard in self._speaking:
            self._lines.line(shard).catchup.look_at(message)

    async def look_again(self) -> None:
        """Look again at what a predecessor was left to finish, once it must have; for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for shard in self._speaking:
                due = self._desk.taken.overdue(shard)
                if due:
                    self._lines.line(shard).catchup.owe(min(due))

    def _changed(self, shard: int, change: str, *, speaking: bool) -> None:
        self._metrics.lease_changes.labels(str(shard), change).inc()
        self._metrics.speaking.labels(str(shard)).set(speaking)
        (self._speaking.add if speaking else self._speaking.discard)(shard)
