"""The doctor in the loop: ten faults planted in the real chain, each named first, with its remedy.

Those that Entra or the vault decide are found twice: from what the cluster shows, and by asking
them as the bot does.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.loop.people.doctor import examine
from tests.loop.people.releases import Releases, start
from tests.loop.scenarios.planted_faults import FAULTS, Fault
from tests.loop.supervisor import state

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(240)]

ASKED = {"identity", "federation", "role", "secrets"}  # what the vault and Entra say themselves


@pytest.fixture
async def releases(loop: state.Loop) -> AsyncIterator[Releases]:
    """The loop, with an image that runs."""
    assert loop.alive
    async with start() as started:
        yield started


async def test_a_loop_that_is_well_has_no_broken_link(releases: Releases, tmp_path: Path) -> None:
    assert releases.seen.now.pods

    code, said = await examine(tmp_path)

    assert (code, said["broken"]) == (0, None)
    status = {link["name"]: link["status"] for link in said["links"]}
    assert {status[name] for name in status if name != "key"} == {"ok"}
    assert [line for line in said["not_checked"] if "az" not in line] == []


@pytest.mark.parametrize(("fault", "link", "command"), FAULTS.values(), ids=FAULTS.keys())
async def test_the_planted_fault_is_named_first_with_its_remedy(
    releases: Releases, tmp_path: Path, fault: Fault, link: str, command: str
) -> None:
    async with fault(releases):
        found = [await examine(tmp_path, "--passive")]
        if link in ASKED:
            found.append(await examine(tmp_path))

    for code, said in found:
        shown = {one["name"]: one for one in said["links"]}
        assert (code, said["broken"]) == (1, link), shown[said["broken"] or "ready"]
        assert command in "\n".join(shown[link]["commands"])
        assert shown[link]["remedy"]
