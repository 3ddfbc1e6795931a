"""The arithmetic of the bench's section `cost`, and its cgroups where there is the right to."""

import math
import os
import subprocess
from pathlib import Path

import pytest

from tests.bot.cost.cgroup import Cgroup
from tests.bot.cost.crowd import Load


def measured(*, asked: int, times: tuple[float, ...] = (), answers: tuple[float, ...] = ()) -> Load:
    return Load(asked, times, answers, first_words=times, requests=(), all_requests=0, refused=0)


def test_a_percentile_is_a_measured_figure_that_so_many_are_not_above() -> None:
    times = tuple(float(each) for each in range(100, 0, -1))
    load = measured(asked=100, times=times, answers=(1.0,) * 98 + (6.0, 7.0))

    assert (load.reaction(50), load.reaction(99), load.reaction(100)) == (50, 99, 100)
    assert [load.first_word(percentile) for percentile in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert load.within(5) == 98


def test_nothing_measured_is_not_a_good_figure() -> None:
    assert measured(asked=5).reaction(50) == math.inf
    assert measured(asked=5).first_word(50) == math.inf
    assert measured(asked=5).within(5) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="making a cgroup needs root")
def test_what_runs_in_a_cgroup_is_bounded_and_counted_there() -> None:
    cgroup = Cgroup.make("test", cores=0.25)
    try:
        spin = "import time\nwhile time.process_time() < 0.2: pass\n"
        spin += "print(open('/proc/self/cgroup').read())"
        done = subprocess.run(
            cgroup.within("python3", "-c", spin), check=True, capture_output=True, text=True
        )

        assert done.stdout.count(f"/{cgroup.name}\n") == len(cgroup.folders)
        assert 0.2 <= cgroup.cpu_seconds() < 1
        assert cgroup.name not in Path("/proc/self/cgroup").read_text()
    finally:
        cgroup.remove()
