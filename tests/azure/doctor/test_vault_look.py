"""The vault asked as the bot, with a ServiceAccount's token, over the real protocol."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from clusters.azure.doctor import vault_look
from clusters.azure.doctor.facts import SecretLook
from clusters.azure.doctor.kubectl import Kubectl, Unanswered
from tests.servers.keyvault import harness
from tests.servers.keyvault.harness import BOT, TENANT, VAULT, Harness
from tests.servers.keyvault.records import Fault, FaultKind, Identity

SETTINGS = {
    "KEYVAULT_NAME": VAULT,
    "AZURE_TENANT_ID": TENANT,
    "BOT_CLIENT_ID": BOT.client_id,
}


class Tokens(Kubectl):
    """A kubectl that only knows `create token`."""

    def __init__(self, token: Callable[[], str]) -> None:
        super().__init__()
        self._token = token

    def text(self, *arguments: str) -> str:
        """Hand a token out, for the account and the audience that the bot has."""
        wanted = ("create", "token", "discord-sky-bot", "--namespace=discord-sky")
        assert arguments == (*wanted, "--audience=api://AzureADTokenExchange")
        return self._token()


@pytest.fixture
async def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    """A vault with both secrets."""
    values = {"discord-token": "one", "openai-api-key": "two"}
    async with harness.running(tmp_path, values) as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started


async def look(azure: Harness, **settings: str) -> tuple[tuple[SecretLook, ...], list[str]]:
    """Look; return what was seen, and what could not be."""
    unseen: list[str] = []
    kubectl, known = Tokens(azure.token), {**SETTINGS, **settings}
    found = await asyncio.to_thread(lambda: vault_look.look(kubectl, known, unseen, **azure.trust))
    return found, unseen


async def test_both_secrets_are_seen_and_no_value_is_asked_for(azure: Harness) -> None:
    found, unseen = await look(azure)

    assert [(one.name, one.label) for one in found] == [
        ("discord-token", "ok"),
        ("openai-api-key", "ok"),
    ]
    assert unseen == []
    asked = {one.operation for one in await azure.control.requests() if one.where == "vault"}
    assert asked == {"challenge", "versions"}


async def test_who_is_refused_is_told_by_azures_own_number(azure: Harness) -> None:
    stranger = "00000000-0000-0000-0000-0000000000ff"

    unknown, _ = await look(azure, BOT_CLIENT_ID=stranger)
    await azure.control.put(Identity(**{**BOT.model_dump(), "federations": ()}))
    untrusted, _ = await look(azure)
    await azure.control.put(Identity(**{**BOT.model_dump(), "roles": ()}))
    powerless, _ = await look(azure)

    assert {(one.label, one.detail) for one in unknown} == {("identity_refused", "AADSTS700016")}
    assert {(one.label, one.detail) for one in untrusted} == {("identity_refused", "AADSTS700211")}
    assert {one.label for one in powerless} == {"denied"}


async def test_a_disabled_and_a_missing_secret_are_told_apart(azure: Harness) -> None:
    store = azure.server.store
    store.get("discord-token").newest.enabled = False
    store.delete("openai-api-key")

    found, _ = await look(azure)

    assert [one.label for one in found] == ["disabled", "missing"]


async def test_a_vault_out_of_this_machines_reach_says_nothing_about_the_bots(
    azure: Harness,
) -> None:
    await azure.control.begin(Fault(kind=FaultKind.UNREACHABLE))

    found, unseen = await look(azure)

    assert found == ()
    assert len(unseen) == 2
    assert unseen[0].startswith("discord-token in the vault, from this machine")


def test_without_the_right_to_make_tokens_it_is_said() -> None:
    def forbidden() -> str:
        raise Unanswered("cannot create resource serviceaccounts/token")

    unseen: list[str] = []
    found = vault_look.look(Tokens(forbidden), SETTINGS, unseen)

    assert found == ()
    assert unseen == ["the vault, as the bot: cannot create resource serviceaccounts/token"]
