"""A credential is rotated under the bot in its pod: the chain is real, the vault is ours.

`make bench SECTIONS="rotation rotation-late"` has the whole counts; this is the part that fits.
"""

from collections.abc import AsyncIterator

import pytest

from tests.loop.people.editions import deployed
from tests.loop.people.observe import Observer
from tests.loop.scenarios import rotation
from tests.loop.supervisor import state

DRIVERS_POLL = 120.0  # seconds: a reader of the file waits so long

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(240)]


@pytest.fixture
async def seen(loop: state.Loop) -> AsyncIterator[Observer]:
    """The cluster, with the bot in its pod."""
    assert loop.alive
    async with Observer(str(state.KUBECONFIG)) as watched:
        await deployed(watched)
        yield watched


async def test_an_openai_key_rotated_three_times_under_load_costs_no_answer(
    seen: Observer,
) -> None:
    """Each old key is refused at once; the pod does not restart."""
    found = await rotation.keys_under_load(seen, count=80)

    assert found.load.wrong == ()
    assert found.load.exact == found.load.asked == 80
    assert found.refused > 0  # else nothing was tested
    assert found.restarts == 0
    assert found.same_process


async def test_a_discord_token_that_was_reset_is_fetched_though_the_file_is_stale(
    seen: Observer,
) -> None:
    """What was asked in between is answered once each, for two logins at most."""
    found = await rotation.token_reset(seen, wait=4.0)

    assert found.stale
    assert found.again <= DRIVERS_POLL / 4  # the bar, of 5 s, is measured by the bench
    assert [fate for fate in found.between.fates if fate.whole is None or fate.doubled] == []
    assert len(found.between.fates) == 5
    assert found.identifies <= 2
    assert found.same_process
