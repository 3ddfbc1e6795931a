"""When Key Vault is asked, and what is done with what it says."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bot.credentials.credential import Credential, digest
from bot.credentials.keyvault import REMEDIES, Secret, VaultTrouble, Version
from bot.credentials.vault_poller import Pauses, VaultPoller
from bot.observability.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUICK = Pauses(shortest=0.001, longest=0.004, first_look=0.005, look=1000, look_again=0.01)
OLD, NEW = Version("v1", created=1.0), Version("v2", created=2.0)


@dataclass
class FakeVault:
    """A vault whose next answers are given; the last one stays."""

    answers: list[Secret | Exception]
    latest: Version | Exception = OLD
    reads: int = 0
    looks: int = 0
    under_way: int = 0
    most_under_way: int = 0
    slowness: float = 0.0

    async def read(self, name: str) -> Secret:
        """Give the next answer."""
        assert name == "openai-api-key"
        self.reads += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.slowness)
        self.under_way -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def look(self, name: str) -> Version:
        """Give the newest version."""
        assert name == "openai-api-key"
        self.looks += 1
        if isinstance(self.latest, Exception):
            raise self.latest
        return self.latest

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Polling:
    """A credential in a file, and what keeps it."""

    credential: Credential
    vault: FakeVault
    metrics: Metrics
    file: Path

    def value(self, series: str, **labels: str) -> float:
        """Give a metric."""
        found = self.metrics.registry.get_sample_value(f"discord_sky_{series}", labels)
        return found or 0.0


@contextlib.asynccontextmanager
async def kept(
    tmp_path: Path, *answers: Secret | Exception, file: str | None = "old", environment: str = ""
) -> AsyncIterator[Polling]:
    path, metrics = tmp_path / "openai-api-key", Metrics()
    if file is not None:
        path.write_text(file)
    credential = Credential("openai", path, metrics, environment=environment, patient=True)
    vault = FakeVault(list(answers) or [Secret("old", OLD)])
    keeper = VaultPoller(credential, vault, "openai-api-key", metrics, QUICK)
    task = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(5):
            yield Polling(credential, vault, metrics, path)
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()


async def some_time() -> None:
    await asyncio.sleep(0.05)


async def test_while_all_is_well_there_is_one_look_and_no_read(tmp_path: Path) -> None:
    async with kept(tmp_path) as dispatcher:
        await some_time()

        assert (dispatcher.vault.looks, dispatcher.vault.reads) == (1, 0)


async def test_a_look_tells_version_and_expiry(tmp_path: Path) -> None:
    async with kept(tmp_path) as dispatcher:
        dispatcher.vault.latest = Version("v9", created=1.0, expires=time.time() + 1000)
        await some_time()

        labels = {"name": "openai", "source": "file", "sha256": digest("old"), "version": "v9"}
        assert dispatcher.value("credential_info", **labels) == 1
        assert 900 < dispatcher.value("credential_expiry_seconds", name="openai") <= 1000


async def test_a_version_younger_than_the_value_is_not_said_to_be_in_use(tmp_path: Path) -> None:
    """The file has not come yet: it does not name its version."""
    async with kept(tmp_path) as dispatcher:
        dispatcher.vault.latest = Version("v9", created=time.time() + 60)
        await some_time()

        labels = {"name": "openai", "source": "file", "sha256": digest("old"), "version": ""}
        assert dispatcher.value("credential_info", **labels) == 1


async def test_a_refused_value_is_exchanged_for_the_vaults(tmp_path: Path) -> None:
    async with kept(tmp_path, Secret("new\n", NEW)) as dispatcher:
        dispatcher.credential.refuse("old")

        assert await dispatcher.credential.another("old", timeout=2)
        assert dispatcher.credential.value == "new"
        assert dispatcher.credential.usable
        labels = {"name": "openai", "source": "keyvault", "sha256": digest("new"), "version": "v2"}
        assert dispatcher.value("credential_info", **labels) == 1
        assert dispatcher.vault.reads == 1


async def test_the_vault_is_asked_until_it_has_another_value(tmp_path: Path) -> None:
    same = Secret("old", OLD)
    async with kept(tmp_path, same, same, same, Secret("new", NEW)) as dispatcher:
        dispatcher.credential.refuse("old")

        assert await dispatcher.credential.another("old", timeout=2)
        assert dispatcher.vault.reads == 4


async def test_pauses_grow_to_their_limit_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses that are asked for count: how long they last depends on the machine."""
    longest = [0.001, 0.002, 0.004, 0.004, 0.004, 0.004]
    pauses: list[float] = []
    enough = asyncio.Event()
    timeout = asyncio.timeout

    def noted(delay: float) -> asyncio.Timeout:
        pauses.append(delay)
        if len(pauses) == len(longest):
            enough.set()
        return timeout(delay)

    async with kept(tmp_path) as dispatcher:
        dispatcher.credential.refuse("old")
        monkeypatch.setattr(asyncio, "timeout", noted)
        await enough.wait()

    for pause, most in zip(pauses, longest, strict=False):
        assert 0.75 * most <= pause <= most
    assert Pauses().longest == 3.0


@pytest.mark.parametrize("trouble", [VaultTrouble(label) for label in REMEDIES], ids=str)
async def test_vault_down_or_refusing_at_rotation_is_outlasted(
    tmp_path: Path, trouble: VaultTrouble, caplog: pytest.LogCaptureFixture
) -> None:
    async with kept(tmp_path, trouble, trouble, trouble, Secret("new", NEW)) as dispatcher:
        dispatcher.credential.refuse("old")

        assert await dispatcher.credential.another("old", timeout=2)
        told = [r for r in caplog.records if r.message == "Key Vault request failed"]
        assert [getattr(record, "error", "") for record in told] == [trouble.label]  # said once
        asked = {"secret": "openai-api-key", "operation": "read", "outcome": trouble.label}
        assert dispatcher.value("keyvault_requests_total", **asked) == 3


async def test_vault_down_at_first_start_is_outlasted(tmp_path: Path) -> None:
    trouble = VaultTrouble("unreachable")
    async with kept(tmp_path, trouble, trouble, Secret("first", OLD), file=None) as dispatcher:
        assert await dispatcher.credential.another(None, timeout=2)
        assert dispatcher.credential.value == "first"


async def test_a_defect_while_asking_does_not_end_the_bot(tmp_path: Path) -> None:
    async with kept(tmp_path, RuntimeError("of a library"), Secret("new", NEW)) as dispatcher:
        dispatcher.credential.refuse("old")

        assert await dispatcher.credential.another("old", timeout=2)


async def test_a_slow_vault_is_asked_once_at_a_time(tmp_path: Path) -> None:
    async with kept(tmp_path) as dispatcher:
        dispatcher.vault.slowness = 0.02
        for _ in range(20):
            dispatcher.credential.refuse("old")
            await asyncio.sleep(0.005)

        assert dispatcher.vault.most_under_way == 1


async def test_a_slow_answer_does_not_push_out_what_the_file_brought_meanwhile(
    tmp_path: Path,
) -> None:
    async with kept(tmp_path, Secret("second", NEW)) as dispatcher:
        dispatcher.vault.slowness = 0.05
        dispatcher.credential.refuse("old")
        await asyncio.sleep(0.01)
        dispatcher.file.write_text("third")
        dispatcher.credential.refresh()
        await asyncio.sleep(0.1)

        assert dispatcher.credential.value == "third"


async def test_two_rotations_at_once_end_with_the_second(tmp_path: Path) -> None:
    third = Version("v3", created=3.0)
    async with kept(tmp_path, Secret("new", NEW), Secret("newest", third)) as dispatcher:
        dispatcher.credential.refuse("old")
        assert await dispatcher.credential.another("old", timeout=2)
        dispatcher.credential.refuse("new")

        assert await dispatcher.credential.another("new", timeout=2)
        dispatcher.file.write_text("new")  # the driver is one version behind
        dispatcher.credential.refresh()
        assert dispatcher.credential.value == "newest"


async def test_a_refused_value_is_not_taken_from_the_unchanged_file(tmp_path: Path) -> None:
    async with kept(tmp_path, Secret("new", NEW)) as dispatcher:
        dispatcher.credential.refuse("old")
        assert await dispatcher.credential.another("old", timeout=2)

        for _ in range(3):
            dispatcher.credential.refresh()
        dispatcher.file.write_text("old")
        dispatcher.credential.refresh()

        assert dispatcher.credential.value == "new"


async def test_a_refused_value_of_the_vault_is_tried_again_after_a_while_only(
    tmp_path: Path,
) -> None:
    """A new key may be refused for a moment, until its provider knows it everywhere."""
    now = [0.0]
    credential = Credential("openai", tmp_path / "none", Metrics(), clock=lambda: now[0])
    assert credential.offer("first", OLD)
    credential.refuse("first")
    assert credential.offer("second", NEW)
    credential.refuse("second")

    soon = credential.offer("first", OLD)
    now[0] = 31.0
    later = credential.offer("first", OLD)

    assert (soon, later) == (False, True)


async def test_undo_sets_the_same_value_as_a_new_version_and_that_counts(tmp_path: Path) -> None:
    credential = Credential("openai", tmp_path / "none", Metrics())
    assert credential.offer("first", OLD)
    credential.refuse("first")
    assert credential.offer("second", NEW)
    credential.refuse("second")

    assert credential.offer("first", Version("v3", created=3.0))


async def test_a_new_value_that_is_refused_gives_way_to_the_one_that_worked(
    tmp_path: Path,
) -> None:
    """A mistake in a rotation costs nothing as long as the old key is valid."""
    async with kept(tmp_path) as dispatcher:
        dispatcher.credential.accept("old")
        dispatcher.file.write_text("mistaken")
        dispatcher.credential.refresh()
        taken = dispatcher.credential.value
        dispatcher.credential.refuse("mistaken")

        assert (taken, dispatcher.credential.value, dispatcher.credential.usable) == (
            "mistaken",
            "old",
            True,
        )


async def test_files_then_vault_then_environment(tmp_path: Path) -> None:
    async with kept(tmp_path, environment="of-the-laptop") as dispatcher:
        assert dispatcher.credential.value == "old"
    async with kept(tmp_path / "x", environment="of-the-laptop", file=None) as dispatcher:
        assert await dispatcher.credential.another(None, timeout=2)
        assert dispatcher.credential.value == "old"
    missing = VaultTrouble("missing")
    async with kept(tmp_path / "x", missing, environment="of-the-laptop", file=None) as dispatcher:
        assert await dispatcher.credential.another(None, timeout=2)
        assert dispatcher.credential.value == "of-the-laptop"


async def test_without_a_vault_the_environment_is_enough(tmp_path: Path) -> None:
    credential = Credential("discord", tmp_path / "none", Metrics(), environment="from-the-shell\n")
    task = asyncio.create_task(VaultPoller(credential, None, "discord-token", Metrics()).run())

    assert await credential.another(None, timeout=2)

    assert credential.value == "from-the-shell"
    task.cancel()
    await asyncio.wait({task})
