"""When reconciliations run."""

import asyncio
from collections.abc import Callable

from tests.loop.image_controllers.model import Key, Outcome
from tests.loop.image_controllers.wakeups import Wake
from tests.loop.image_controllers.workqueue import WorkQueue, delay

ONE = Wake("ImagePolicy", Key("ns", "one"))


class Runs:
    """Answers each run in turn, and counts; blocks while `gate` is closed."""

    def __init__(self, *outcomes: Outcome | None) -> None:
        self._outcomes = list(outcomes)
        self.count = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.changed = asyncio.Condition()

    async def __call__(self, _wake: Wake) -> Outcome | None:
        """Be the reconciler."""
        async with self.changed:
            self.count += 1
            self.changed.notify_all()
        await self.gate.wait()
        return self._outcomes.pop(0) if self._outcomes else Outcome({})

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for a run after which this is true."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(true)


async def test_a_key_that_is_woken_while_it_runs_runs_once_more() -> None:
    runs = Runs()
    runs.gate.clear()
    async with asyncio.TaskGroup() as group:
        queue = WorkQueue(group, runs)
        queue.add(ONE)
        await runs.until(lambda: runs.count == 1)
        for _ in range(3):
            queue.add(ONE)
        runs.gate.set()

    assert runs.count == 2


async def test_success_runs_again_after_its_time_and_a_failure_after_the_first_delay() -> None:
    runs = Runs(Outcome({}, after=0.01), Outcome({}, retry=True), Outcome({}))
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with asyncio.TaskGroup() as group:
        queue = WorkQueue(group, runs)
        queue.add(ONE)
        await runs.until(lambda: runs.count == 2)
        second = loop.time()
        await runs.until(lambda: runs.count == 3)

    assert second - begin < 0.5
    assert loop.time() - second >= 0.74


async def test_a_run_in_between_does_not_put_the_interval_off() -> None:
    runs = Runs(Outcome({}, after=0.2), Outcome({}, after=60))
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        queue = WorkQueue(group, runs)
        queue.add(ONE)
        await runs.until(lambda: runs.count == 1)
        queue.add(ONE)
        await runs.until(lambda: runs.count == 2)
        second = loop.time()
        await runs.until(lambda: runs.count == 3)
        queue.stop()

    assert loop.time() - second < 1


async def test_an_object_that_is_gone_is_forgotten() -> None:
    runs = Runs(Outcome({}, after=0.02), None)
    async with asyncio.TaskGroup() as group:
        queue = WorkQueue(group, runs)
        queue.add(ONE)
        await runs.until(lambda: runs.count == 2)

    await asyncio.sleep(0.05)
    assert runs.count == 2
    assert queue._states == {}


def test_delays_double_up_to_a_quarter_of_an_hour() -> None:
    assert [delay(failures) for failures in (0, 1, 2)] == [0.75, 1.5, 3.0]
    assert delay(10) == 768
    assert delay(11) == delay(10_000) == 900
