"""What Azure's libraries say, in our words, against the real protocol."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

import pytest

from bot.credentials.entra import EntraKey
from bot.credentials.keyvault import REMEDIES, AzureVault, VaultTrouble, load
from bot.domain.errors import CredentialMissing
from tests.servers.keyvault import harness
from tests.servers.keyvault.harness import BOT, VAULT_URL, Harness
from tests.servers.keyvault.records import Fault, Identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = "discord-token"
SCOPE = "https://cognitiveservices.azure.com/.default"


@pytest.fixture
async def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    async with harness.running(tmp_path, {TOKEN: "first"}) as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.fixture
async def vault(azure: Harness) -> AsyncIterator[AzureVault]:
    await asyncio.to_thread(load)  # which takes long on a busy machine, and is not what is timed
    made = AzureVault(VAULT_URL, azure.workload, 2.0, **azure.trust)
    yield made
    await made.close()


async def trouble(vault: AzureVault, name: str = TOKEN) -> VaultTrouble:
    with pytest.raises(VaultTrouble) as refused:
        await vault.read(name)
    assert str(refused.value).startswith(REMEDIES[refused.value.label])
    return refused.value


async def test_value_version_and_expiry_are_read(azure: Harness, vault: AzureVault) -> None:
    made = azure.server.store.set(TOKEN, "second", expires=2_000_000_000)[1]

    found = await vault.read(TOKEN)

    assert (found.value, found.version.id) == ("second", made.id)
    assert found.version.expires == 2_000_000_000
    assert "second" not in repr(found)


@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
async def test_two_first_questions_at_once_leave_no_connection_behind(vault: AzureVault) -> None:
    """Both secrets are asked about in the same moment, when the libraries are being loaded."""
    left: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: left.append(str(context["message"])))

    await asyncio.gather(vault.read(TOKEN), vault.look(TOKEN))
    await vault.close()
    gc.collect()

    assert left == []


async def test_a_look_shows_no_value_to_anyone(azure: Harness, vault: AzureVault) -> None:
    looked = await vault.look(TOKEN)

    assert looked.id == azure.server.store.get(TOKEN).newest.id
    assert {r.operation for r in await azure.control.requests()} <= {
        *("challenge", "token", "discovery", "versions"),
    }


@pytest.mark.parametrize(
    ("fault", "label"),
    [
        ({"kind": "not_found"}, "missing"),
        ({"kind": "forbidden"}, "denied"),
        ({"kind": "throttled"}, "busy"),
        ({"kind": "server_error"}, "busy"),
        ({"kind": "unavailable"}, "busy"),
        ({"kind": "hang"}, "slow"),
        ({"kind": "slow", "delay": 5}, "slow"),
        ({"kind": "unreachable"}, "unreachable"),
        ({"kind": "unreachable", "where": "token"}, "unreachable"),
        ({"kind": "hang", "where": "token"}, "slow"),
    ],
    ids=str,
)
async def test_a_fault_has_a_name_and_passes(
    azure: Harness, vault: AzureVault, fault: dict[str, Any], label: str
) -> None:
    await azure.control.begin(Fault.model_validate(fault))

    refused = await trouble(vault)
    await azure.control.clear()

    assert refused.label == label
    assert (await vault.read(TOKEN)).value == "first"


async def test_no_permission_says_who_may_not_do_what(azure: Harness, vault: AzureVault) -> None:
    nobody = Identity(name="bot", client_id=BOT.client_id, federations=BOT.federations)
    await azure.control.put(nobody)

    refused = await trouble(vault)

    assert refused.label == "denied"
    assert BOT.client_id in refused.detail
    assert "action getSecret" in refused.detail


async def test_disabled_and_deleted_are_told_apart(azure: Harness, vault: AzureVault) -> None:
    version = azure.server.store.get(TOKEN).newest
    version.enabled = False
    disabled = await trouble(vault)
    version.enabled = True
    azure.server.store.delete(TOKEN)
    deleted = await trouble(vault)

    assert (disabled.label, deleted.label) == ("disabled", "missing")


@pytest.mark.parametrize(
    ("token", "label", "code"),
    [
        ({"age": 7200}, "identity_expired", "AADSTS700024"),
        ({"age": -7200}, "identity_expired", "AADSTS700024"),
        ({"subject": "system:serviceaccount:other:bot"}, "identity_refused", "AADSTS700213"),
    ],
    ids=["expired workload token", "clock skew", "another ServiceAccount"],
)
async def test_a_workload_token_that_is_refused_is_read_again_from_its_file(
    azure: Harness, token: dict[str, Any], label: str, code: str
) -> None:
    """The library itself would keep it for ten minutes."""
    workload = azure.workload
    file = azure.folder / "azure-identity-token"
    file.write_text(azure.token(**token))
    vault = AzureVault(VAULT_URL, workload, 2.0, **azure.trust)

    refused = await trouble(vault)
    file.write_text(azure.token())
    found = await vault.read(TOKEN)
    await vault.close()

    assert (refused.label, refused.detail) == (label, code)
    assert found.value == "first"


async def test_without_any_identity_it_says_how_to_have_one(azure: Harness) -> None:
    vault = AzureVault(VAULT_URL, {}, 5.0, **azure.trust)

    assert (await trouble(vault)).label == "no_identity"
    await vault.close()


async def test_a_token_of_entra_serves_as_the_key_until_it_expires(azure: Harness) -> None:
    key = EntraKey(SCOPE, azure.workload, **azure.trust)

    first, second = await key.current(), await key.current()
    await azure.control.token_lifetime(60)
    key.refuse(first)
    again = await key.another(first, 1.0)
    await key.close()

    assert first == second
    assert first.count(".") == 2
    assert not again  # it was fetched a moment ago: another would be refused alike
    assert key.usable


async def test_no_token_of_entra_is_told_like_a_missing_key(azure: Harness) -> None:
    key = EntraKey(SCOPE, azure.workload, **azure.trust)
    await azure.control.begin(Fault.model_validate({"kind": "unreachable", "where": "token"}))

    with pytest.raises(CredentialMissing):
        await key.current()
    await azure.control.clear()

    assert await key.another(None, 1.0)
    await key.close()


async def test_whoever_is_logged_in_with_az_is_who_asks(
    azure: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is what `az account get-access-token` prints."""
    token = azure.server.directory.issue(harness.OPERATOR, "https://vault.azure.net")
    answer = {"accessToken": token["access_token"], "expires_on": 4_000_000_000}
    program = azure.folder / "bin" / "az"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    vault = AzureVault(VAULT_URL, {}, 10.0, **azure.trust)

    made = await vault.put(TOKEN, "second", expires=None, content_type="text/plain")
    who = await vault.who()
    await vault.close()

    assert azure.server.store.get(TOKEN).newest.id == made.id
    assert harness.OPERATOR.client_id in who


async def test_az_without_a_login_says_to_log_in(
    azure: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = azure.folder / "bin" / "az"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho \"ERROR: Please run 'az login'\" >&2\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    vault = AzureVault(VAULT_URL, {}, 10.0, **azure.trust)

    assert (await trouble(vault)).label == "no_identity"
    await vault.close()
