"""Who is reconciled when: a key once at a time, a woken key at once, a failing key later and later.

As in Flux's controllers: a key that is woken while it runs runs once more afterwards; of two times
set for a key the earlier one holds, so a run in between does not put the interval off.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.loop.image_controllers.model import Outcome
from tests.loop.image_controllers.wakeups import Wake

_FIRST_DELAY = 0.75  # seconds; this and the next are the defaults of Flux's --*-retry-delay
_LONGEST_DELAY = 900.0
_DOUBLINGS = 20  # more would only make large numbers


@dataclass
class _State:
    running: bool = False
    again: bool = False
    failures: int = 0
    timer: asyncio.TimerHandle | None = None


class WorkQueue:
    """Runs reconciliations in a task group. `run` returns None for an object that is gone."""

    def __init__(
        self, group: asyncio.TaskGroup, run: Callable[[Wake], Awaitable[Outcome | None]]
    ) -> None:
        self._group = group
        self._run = run
        self._states: dict[Wake, _State] = {}

    def add(self, wake: Wake) -> None:
        """Run now, or right after the run that is under way."""
        state = self._states.setdefault(wake, _State())
        if state.running:
            state.again = True
            return
        state.running = True
        self._group.create_task(self._once(wake, state), name=f"{wake.kind} {wake.key}")

    def stop(self) -> None:
        """Forget what was to run later."""
        for state in self._states.values():
            if state.timer:
                state.timer.cancel()
        self._states.clear()

    async def _once(self, wake: Wake, state: _State) -> None:
        outcome = await self._run(wake)
        state.running = False
        if outcome is None:
            if state.timer:
                state.timer.cancel()
            if not state.again:
                self._states.pop(wake, None)
                return
        elif outcome.retry:
            self._later(wake, state, delay(state.failures))
            state.failures += 1
        else:
            state.failures = 0
            if outcome.after is not None:
                self._later(wake, state, outcome.after)
        if state.again:
            state.again = False
            self.add(wake)

    def _later(self, wake: Wake, state: _State, after: float) -> None:
        loop = asyncio.get_running_loop()
        if state.timer and state.timer.when() <= loop.time() + after:
            return
        if state.timer:
            state.timer.cancel()
        state.timer = loop.call_later(after, self._due, wake, state)

    def _due(self, wake: Wake, state: _State) -> None:
        state.timer = None
        self.add(wake)


def delay(failures: int) -> float:
    """Return the seconds to wait after so many failures before this one."""
    return float(min(_FIRST_DELAY * 2 ** min(failures, _DOUBLINGS), _LONGEST_DELAY))
