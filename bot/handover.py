"""What happens when this process begins and ends to speak for a shard."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.lease import How

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.catchup import CatchUp
    from bot.desk import Desk
    from bot.memory import Keepsake
    from bot.metrics import Metrics

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class Handover:
    """The speaker of bot/lease.py, put together from the rooms that have to know."""

    def __init__(
        self,
        desk: Desk,
        catchups: Mapping[int, CatchUp],
        keepsakes: Sequence[Keepsake],
        able: Callable[[int], bool],
        metrics: Metrics,
    ) -> None:
        """Know the rooms; `able` says whether this process could speak for a shard now."""
        self.able = able
        self._desk = desk
        self._catchups = catchups
        self._keepsakes = keepsakes
        self._metrics = metrics

    def notes(self, shard: int) -> Mapping[str, str]:
        """See Speaker."""
        return {each.name: each.dump(shard) for each in self._keepsakes}

    def begin(self, shard: int, how: How, notes: Mapping[str, str]) -> None:
        """Take what the last speaker had not: at once if it let go, else by asking Discord."""
        self._metrics.lease_changes.labels(str(shard), how.name.lower()).inc()
        self._metrics.speaking.labels(str(shard)).set(1)
        for each in self._keepsakes:
            if each.name in notes:
                each.load(shard, notes[each.name])
        orderly = how is How.LET_GO
        unfinished = self._desk.taken.settle(shard, orderly=orderly)
        catchup = self._catchups[shard]
        if orderly:
            self._desk.begin(shard)
            catchup.follow()
        else:
            catchup.succeed(unfinished, self._desk.overheard(shard))

    def end(self, shard: int, why: str) -> None:
        """Stop in the middle of every answer: another process will end them."""
        del why  # it is in the log
        self._metrics.lease_changes.labels(str(shard), "lost").inc()
        self._metrics.speaking.labels(str(shard)).set(0)
        self._desk.abandon(shard)

    async def look_again(self) -> None:
        """Look again at what a predecessor was left to finish, once it must have; for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for shard, catchup in self._catchups.items():
                due = self._desk.taken.overdue(shard)
                if due:
                    catchup.owe(min(due))
