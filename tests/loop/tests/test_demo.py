"""`make demo`, as a stranger types it."""

import re
import subprocess
import sys

import pytest

from tests.loop.people.merge import ROOT

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(600)]


def test_a_merge_answers_the_next_merge_answers_and_the_revert_answers_as_before() -> None:
    """Three acts; the edition in the answer is n, n+1, n; the revert builds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.loop.scenarios.demo"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    first, second, third = map(int, re.findall(r"the bot answers: .*edition (\d+)", done.stdout))
    assert (second, third) == (first + 1, first)
    assert "nothing is built" in done.stdout.partition("Act 3")[2]
    assert "make chat" in done.stdout
