"""Key Vault asked by a process of its own: real processes, the real protocol."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from bot.credentials.keyvault import VaultTrouble
from bot.credentials.vault_process import VaultProcess
from tests.bot.wire.process import BARE_ENVIRONMENT
from tests.servers.keyvault import harness
from tests.servers.keyvault.harness import VAULT_URL, Harness
from tests.servers.keyvault.records import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN, KEY = "discord-token", "openai-api-key"


@pytest.fixture
async def azure(tmp_path: Path) -> AsyncIterator[Harness]:
    async with harness.running(tmp_path, {TOKEN: "first", KEY: "wei\u00dfe\nzeile"}) as started:
        yield started


def made(azure: Harness, lingers: float = 15.0, seconds: float = 30.0) -> VaultProcess:
    environ = {**BARE_ENVIRONMENT, **azure.environment, **azure.workload}
    return VaultProcess(VAULT_URL, environ, lingers=lingers, seconds=seconds)


@pytest.fixture
async def vault(azure: Harness) -> AsyncIterator[VaultProcess]:
    process = made(azure)
    yield process
    await process.close()


def pid_of(vault: VaultProcess) -> int:
    assert vault._process is not None
    return vault._process.pid


async def test_two_questions_at_once_are_answered_by_one_process(
    azure: Harness, vault: VaultProcess
) -> None:
    expires = 2_000_000_000
    version = azure.server.store.set(TOKEN, "second", expires=expires)[1]

    read, looked = await asyncio.gather(vault.read(TOKEN), vault.look(KEY))
    pid = pid_of(vault)
    again = await vault.read(KEY)

    assert (read.value, read.version.id, read.version.expires) == ("second", version.id, expires)
    assert (again.value, again.version) == ("wei\u00dfe\nzeile", looked)
    assert pid_of(vault) == pid


async def test_it_ends_when_nobody_asks_and_the_next_question_starts_another(
    azure: Harness,
) -> None:
    vault = made(azure, lingers=0.2)
    await vault.read(TOKEN)
    first = pid_of(vault)
    running = vault._running
    assert running is not None

    await asyncio.wait_for(running, 10)

    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert (await vault.read(TOKEN)).value == "first"
    await vault.close()


async def test_what_the_vault_refuses_has_its_name_here_too(
    azure: Harness, vault: VaultProcess
) -> None:
    await azure.control.begin(Fault.model_validate({"kind": "forbidden"}))
    with pytest.raises(VaultTrouble) as refused:
        await vault.look(TOKEN)
    await azure.control.clear()

    assert refused.value.label == "denied"
    assert (await vault.read(TOKEN)).value == "first"


async def test_a_process_that_is_killed_is_told_and_replaced(
    azure: Harness, vault: VaultProcess
) -> None:
    await vault.read(TOKEN)
    await azure.control.begin(Fault.model_validate({"kind": "hang"}))
    asked = asyncio.create_task(vault.read(TOKEN))
    await asyncio.sleep(0.2)
    os.kill(pid_of(vault), signal.SIGKILL)
    with pytest.raises(VaultTrouble) as told:
        await asked
    await azure.control.clear()

    assert (told.value.label, told.value.detail) == ("broken", "exit code -9")
    assert (await vault.read(TOKEN)).value == "first"


async def test_a_process_that_hangs_is_replaced(azure: Harness) -> None:
    vault = made(azure, seconds=3)
    await vault.read(TOKEN)
    hanging = pid_of(vault)
    os.kill(hanging, signal.SIGSTOP)

    with pytest.raises(VaultTrouble) as told:
        await vault.read(TOKEN)

    assert told.value.label == "slow"
    assert (await vault.read(TOKEN)).value == "first"
    assert pid_of(vault) != hanging
    await vault.close()


async def test_it_is_gone_when_its_bot_stops_in_mid_question(
    azure: Harness, vault: VaultProcess
) -> None:
    await vault.read(TOKEN)
    pid = pid_of(vault)
    await azure.control.begin(Fault.model_validate({"kind": "hang"}))
    asked = asyncio.create_task(vault.read(TOKEN))
    await asyncio.sleep(0.2)
    asked.cancel()

    await vault.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
