"""Leases as locked files: one machine, several processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bot.leadership.file_lease import FileLeaseStore
from bot.leadership.lease_record import HolderStatus, LeaseChanged, LeaseUnreachable

ROOT = Path(__file__).parents[3]
HOLD = """
import asyncio, sys, time
from pathlib import Path
from bot.leadership.file_lease import FileLeaseStore

async def hold():
    shelf = FileLeaseStore(Path(sys.argv[1]), "another")
    record = await shelf.read(0)
    record = await shelf.write(0, record.taken("another"))
    await shelf.write(0, record.kept({"taken": "5"}))
    print("held", flush=True)
    time.sleep(60)

asyncio.run(hold())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "not-made-yet" / "lease"


async def test_one_holds_it_and_the_next_reads_what_it_left(path: Path) -> None:
    one, other = FileLeaseStore(path, "one"), FileLeaseStore(path, "other")
    held = await one.write(0, (await one.read(0)).taken("one"))

    seen = await other.read(0)
    holder_status = await other.holder_status(0, seen)
    with pytest.raises(LeaseChanged):
        await other.write(0, seen.taken("other"))
    await one.write(0, held.let_go({"taken": "5"}))
    free = await other.read(0)
    taken = await other.write(0, free.taken("other"))

    assert (seen.holder, holder_status) == ("one", HolderStatus.ALIVE)
    assert (free.holder, free.annotations) == ("", {"taken": "5"})
    assert taken.holder == "other"
    await one.close()
    await other.close()


async def test_of_two_writes_of_one_version_the_second_is_refused(path: Path) -> None:
    one = FileLeaseStore(path, "one")
    held = await one.write(0, (await one.read(0)).taken("one"))
    await one.write(0, held.kept({}))

    with pytest.raises(LeaseChanged):
        await one.write(0, held.kept({}))
    await one.close()


def test_a_holder_that_was_killed_is_seen_to_have_ended(path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(path)]
    next_one = FileLeaseStore(path, "next")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        held = asyncio.run(next_one.read(0))
        alive = asyncio.run(next_one.holder_status(0, held))
        holder.kill()
        holder.wait()

    left = asyncio.run(next_one.read(0))

    assert (alive, asyncio.run(next_one.holder_status(0, left))) == (
        HolderStatus.ALIVE,
        HolderStatus.ENDED,
    )
    assert (left.holder, left.annotations) == ("another", {"taken": "5"})
    assert asyncio.run(next_one.write(0, left.taken("next"))).holder == "next"
    asyncio.run(next_one.close())


async def test_a_file_that_cannot_be_understood_counts_as_none(path: Path) -> None:
    one = FileLeaseStore(path, "one")
    await one.write(0, (await one.read(0)).taken("one"))
    await one.close()
    path.with_name("lease-0.json").write_text('{"holder": ')

    assert (await one.read(0)).holder == ""


async def test_a_place_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(LeaseUnreachable, match="SKY_LEASE__FILE"):
        await FileLeaseStore(tmp_path / "file" / "lease").read(0)


def test_shards_have_files_of_their_own(path: Path) -> None:
    store = FileLeaseStore(path)

    assert store._file(0, "json") != store._file(1, "json")
