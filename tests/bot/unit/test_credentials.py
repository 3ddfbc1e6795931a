"""Credentials from mounted files."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from bot.credentials.credential import Credential
from bot.credentials.mounted_files import watch
from bot.credentials.store import CredentialStore
from bot.domain.errors import CredentialMissing
from bot.observability.metrics import Metrics
from bot.settings.loading import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NEVER = 1000.0


class Mount:
    """A volume as the kubelet mounts it: the file is a link through `..data`, which is swapped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._version = 0
        self.path = directory / "discord-token"

    def put(self, value: str) -> None:
        """Swap in a new version."""
        self._version += 1
        version = self._directory / f"..{self._version}"
        version.mkdir()
        (version / self.path.name).write_text(value)
        fresh = self._directory / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self._directory / "..data")
        if not self.path.is_symlink():
            self.path.symlink_to(f"..data/{self.path.name}")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


def made(mount: Mount, metrics: Metrics | None = None) -> Credential:
    return Credential("discord", mount.path, metrics or Metrics())


@pytest.mark.parametrize("text", ["abc", "abc\n", "  abc \r\n\n", "\tabc"])
async def test_white_space_around_a_value_is_dropped(mount: Mount, text: str) -> None:
    mount.put(text)

    assert made(mount).value == "abc"


@pytest.mark.parametrize("text", [None, "", "\n \n"])
async def test_a_missing_or_empty_file_is_named(mount: Mount, text: str | None) -> None:
    if text is not None:
        mount.put(text)

    with pytest.raises(CredentialMissing, match=str(mount.path)):
        _ = made(mount).value


async def test_what_is_missing_is_told_with_every_place_that_it_may_come_from(
    tmp_path: Path,
) -> None:
    variables = {"OPENAI_API_KEY": f"{'a' * 24}.bbbbbb.{'c' * 27}"}  # as a token for Discord is
    settings = load(None, {"SKY_DISCORD__TOKEN_FILE": str(tmp_path / "token")}).settings
    access = CredentialStore(settings, variables, Metrics())
    assert isinstance(access.key, Credential)
    access.key.fall_back()

    with pytest.raises(CredentialMissing) as token:
        _ = access.token.value
    with pytest.raises(CredentialMissing) as key:
        _ = access.key.value

    for place in (f"{tmp_path}/token", "environment variable DISCORD_TOKEN", "Key Vault"):
        assert place in str(token.value)
    assert "not taken" not in str(token.value)
    assert "variable OPENAI_API_KEY" in str(key.value)
    assert "not taken: it is a token for Discord, not a key for OpenAI" in str(key.value)
    assert variables["OPENAI_API_KEY"] not in str(key.value)


async def test_a_value_outlives_the_loss_of_its_file(mount: Mount) -> None:
    mount.put("abc")
    credential = made(mount)

    mount.path.unlink()
    credential.refresh()

    assert credential.value == "abc"


async def test_every_swap_of_the_mounted_link_is_seen(mount: Mount) -> None:
    """The second and third as well: a watch on the file itself would see the first only."""
    mount.put("version-0")
    credential = made(mount)
    watching = asyncio.create_task(watch([credential], compare_seconds=NEVER))
    await asyncio.sleep(0.3)

    for number in range(1, 4):
        before = credential.value
        mount.put(f"version-{number}")
        assert await credential.another(before, timeout=5)
        assert credential.value == f"version-{number}"
    watching.cancel()


async def test_the_slow_compare_finds_what_the_watch_missed(mount: Mount) -> None:
    async def blind(directories: set[Path]) -> AsyncIterator[object]:
        await asyncio.Event().wait()
        yield directories

    mount.put("old")
    credential = made(mount)
    watching = asyncio.create_task(watch([credential], blind, compare_seconds=0.02))

    mount.put("new")
    assert await credential.another("old", timeout=5)

    watching.cancel()


async def test_a_broken_watch_is_begun_again(mount: Mount) -> None:
    begun = 0

    async def breaking(directories: set[Path]) -> AsyncIterator[object]:
        nonlocal begun
        begun += 1
        yield directories
        raise OSError("no space left for watches")

    mount.put("old")
    watching = asyncio.create_task(watch([made(mount)], breaking, compare_seconds=0.01))
    async with asyncio.timeout(5):
        while begun < 3:  # noqa: ASYNC110  # the watch is the thing that is watched
            await asyncio.sleep(0.01)
    watching.cancel()


async def test_a_refused_value_is_not_usable_until_another_or_the_service_accepts_it(
    mount: Mount,
) -> None:
    mount.put("bad")
    credential = made(mount)

    credential.refuse("bad")
    refused = credential.usable
    credential.accept("bad")
    accepted = credential.usable
    credential.refuse("bad")
    mount.put("good")
    credential.refresh()

    assert (refused, accepted, credential.usable) == (False, True, True)


async def test_the_refusal_of_an_older_value_is_not_about_this_one(mount: Mount) -> None:
    mount.put("new")
    credential = made(mount)

    credential.refuse("old")

    assert credential.usable


async def test_waiting_for_another_value_ends(mount: Mount) -> None:
    mount.put("same")

    assert not await made(mount).another("same", timeout=0.02)
    assert await made(mount).another("other", timeout=0.02)


async def test_who_waits_for_another_value_hears_that_the_refused_one_is_accepted_after_all(
    mount: Mount,
) -> None:
    """A provider may refuse by mistake; what is asked next finds out, and all go on."""
    mount.put("same")
    credential = made(mount)
    credential.refuse("same")
    waiting = asyncio.create_task(credential.another("same", timeout=5))
    await asyncio.sleep(0)

    credential.accept("same")

    assert await waiting


async def test_an_answer_that_was_asked_for_before_the_refusal_says_nothing_against_it(
    mount: Mount,
) -> None:
    """It streams on with a key that was revoked meanwhile."""
    mount.put("old")
    credential = made(mount)
    before = time.monotonic()
    credential.refuse("old")

    credential.accept("old", before)
    still = credential.usable
    credential.accept("old", time.monotonic())

    assert (still, credential.usable) == (False, True)


async def test_changes_are_counted_and_logged_without_the_value(
    mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    metrics = Metrics()
    mount.put("top-secret-1")
    credential = made(mount, metrics)
    mount.put("top-secret-2")
    credential.refresh()

    name = {"name": "discord"}
    changes = metrics.registry.get_sample_value("discord_sky_credential_changes_total", name)
    assert changes == 2
    assert len(caplog.records) >= 2
    assert not any("top-secret" in str(vars(record)) for record in caplog.records)
