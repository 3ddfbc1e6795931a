"""Azure's own libraries against the test servers, with production addresses and all checks on."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity.aio import ClientSecretCredential, WorkloadIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from . import harness
from .harness import BOT, OPERATOR, TENANT, VAULT_URL, Harness
from .records import Fault, FaultKind


@pytest.fixture
async def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    """Run the servers, and direct this process's clients to them."""
    async with harness.running(tmp_path, {"discord-token": "first"}) as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.fixture
async def bot(azure: Harness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SecretClient]:
    """Return a client of the vault as in the bot's pod."""
    for name, value in azure.workload.items():
        monkeypatch.setenv(name, value)
    async with (
        WorkloadIdentityCredential(**azure.trust) as credential,
        SecretClient(VAULT_URL, credential, retry_total=0, **azure.trust) as client,
    ):
        yield client


def _officer(azure: Harness) -> ClientSecretCredential:
    return ClientSecretCredential(TENANT, OPERATOR.client_id, OPERATOR.client_secret, **azure.trust)


@pytest.fixture
async def operator(azure: Harness) -> AsyncIterator[SecretClient]:
    """Return a client of the vault for a person with the officer role."""
    async with (
        _officer(azure) as credential,
        SecretClient(VAULT_URL, credential, retry_total=0, **azure.trust) as client,
    ):
        yield client


async def test_a_workload_identity_reads_a_secret(bot: SecretClient, azure: Harness) -> None:
    found = await bot.get_secret("discord-token")

    assert found.value == "first"
    assert found.properties.enabled
    assert found.properties.vault_url == VAULT_URL
    asked = [(r.operation, r.status, r.identity) for r in await azure.control.requests()]
    assert [one for one in asked if one[0] != "discovery"] == [
        ("challenge", 401, ""),
        ("token", 200, "bot"),
        ("get", 200, "bot"),
    ]


async def test_the_reader_cannot_write_and_hears_which_action_it_lacks(bot: SecretClient) -> None:
    with pytest.raises(HttpResponseError) as refused:
        await bot.set_secret("discord-token", "mine")

    assert refused.value.status_code == 403
    assert "secrets/setSecret/action" in str(refused.value)
    assert BOT.client_id in str(refused.value)


async def test_versions_are_set_listed_and_updated(operator: SecretClient) -> None:
    soon = datetime.datetime(2031, 2, 3, tzinfo=datetime.UTC)
    second = await operator.set_secret(
        "discord-token", "second", content_type="text/plain", expires_on=soon, tags={"by": "me"}
    )

    await operator.update_secret_properties(
        "discord-token", second.properties.version, enabled=True
    )
    found = await operator.get_secret("discord-token")
    versions = [one async for one in operator.list_properties_of_secret_versions("discord-token")]
    first = await operator.get_secret("discord-token", versions[0].version)

    assert (found.value, first.value) == ("second", "first")
    assert found.properties.version == second.properties.version
    assert found.properties.expires_on == soon
    assert found.properties.content_type == "text/plain"
    assert found.properties.tags == {"by": "me"}
    assert len(versions) == 2
    assert [one.name async for one in operator.list_properties_of_secrets()] == ["discord-token"]


async def test_pages_are_followed(operator: SecretClient) -> None:
    for number in range(27):
        await operator.set_secret(f"secret-{number:02}", "x")

    names = [one.name async for one in operator.list_properties_of_secrets(max_page_size=10)]

    assert len(names) == 28


async def test_a_disabled_version_is_forbidden_and_says_so(operator: SecretClient) -> None:
    version = (await operator.set_secret("discord-token", "second")).properties.version
    await operator.update_secret_properties("discord-token", version, enabled=False)

    with pytest.raises(HttpResponseError) as refused:
        await operator.get_secret("discord-token")

    assert refused.value.status_code == 403
    assert "disabled secret" in str(refused.value)


async def test_an_expired_version_is_still_answered(operator: SecretClient) -> None:
    past = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
    await operator.set_secret("discord-token", "old", expires_on=past)

    assert (await operator.get_secret("discord-token")).value == "old"


async def test_deleted_is_not_found_cannot_be_set_and_can_be_recovered(
    operator: SecretClient,
) -> None:
    await operator.delete_secret("discord-token")

    with pytest.raises(ResourceNotFoundError):
        await operator.get_secret("discord-token")
    with pytest.raises(ResourceExistsError) as conflict:
        await operator.set_secret("discord-token", "new")
    await operator.recover_deleted_secret("discord-token")

    assert conflict.value.status_code == 409
    assert (await operator.get_secret("discord-token")).value == "first"


async def test_a_restart_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions and issued access tokens survive."""
    seen: list[str] = []
    for _ in range(2):
        async with harness.running(tmp_path, {"discord-token": "first"}) as azure:
            for name, value in azure.environment.items():
                monkeypatch.setenv(name, value)
            async with (
                _officer(azure) as credential,
                SecretClient(VAULT_URL, credential, **azure.trust) as client,
            ):
                seen.append(str((await client.get_secret("discord-token")).value))
                await client.set_secret("discord-token", "second")

    assert seen == ["first", "second"]


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ({"subject": "system:serviceaccount:default:discord-sky-bot"}, "AADSTS700213"),
        ({"issuer": "https://another.example"}, "AADSTS700211"),
        ({"audience": "api://another"}, "AADSTS700212"),
        ({"age": 7200}, "AADSTS700024"),
        ({"age": -7200}, "AADSTS700024"),
    ],
)
async def test_a_token_that_is_not_the_bots_gets_nothing(
    azure: Harness, bot: SecretClient, token: dict[str, str], code: str
) -> None:
    (azure.folder / "azure-identity-token").write_text(azure.token(**token))  # type: ignore[arg-type]  # of the table

    with pytest.raises(ClientAuthenticationError, match=code):
        await bot.get_secret("discord-token")


async def test_a_token_that_another_key_signed_gets_nothing(
    azure: Harness, bot: SecretClient
) -> None:
    other = Harness(azure.folder, azure.authority, azure.server, azure.control).cluster_key
    (azure.folder / "azure-identity-token").write_text(azure.token(key=other))

    with pytest.raises(ClientAuthenticationError, match="AADSTS50013"):
        await bot.get_secret("discord-token")


async def test_clocks_that_differ_by_an_hour_and_more_refuse(
    azure: Harness, bot: SecretClient
) -> None:
    await azure.control.clock(-7200)

    with pytest.raises(ClientAuthenticationError, match="AADSTS700024"):
        await bot.get_secret("discord-token")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.FORBIDDEN, 403),
        (FaultKind.NOT_FOUND, 404),
        (FaultKind.THROTTLED, 429),
        (FaultKind.SERVER_ERROR, 500),
        (FaultKind.UNAVAILABLE, 503),
    ],
)
async def test_faults_of_the_vault_are_http_errors_and_end(
    azure: Harness, bot: SecretClient, kind: FaultKind, status: int
) -> None:
    await azure.control.begin(Fault(kind=kind, secret="discord-token", count=1))

    with pytest.raises(HttpResponseError) as refused:
        await bot.get_secret("discord-token")

    assert refused.value.status_code == status
    assert (await bot.get_secret("discord-token")).value == "first"
    assert [one.struck for one in await azure.control.faults()] == [1]


@pytest.mark.parametrize("where", ["vault", "token"])
async def test_unreachable_refuses_old_and_new_connections_until_cleared(
    azure: Harness, bot: SecretClient, where: str
) -> None:
    await azure.control.begin(Fault.model_validate({"kind": "unreachable", "where": where}))

    with pytest.raises((ServiceRequestError, ServiceResponseError, ClientAuthenticationError)):
        await bot.get_secret("discord-token")
    await azure.control.clear()

    assert (await bot.get_secret("discord-token")).value == "first"


async def test_a_vault_that_hangs_says_nothing_until_it_is_cleared(
    azure: Harness, bot: SecretClient
) -> None:
    await azure.control.begin(Fault(kind=FaultKind.HANG, identity="bot"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await bot.get_secret("discord-token")
    await azure.control.clear()

    assert (await bot.get_secret("discord-token")).value == "first"


async def test_an_access_token_that_has_expired_is_refused(
    azure: Harness, operator: SecretClient
) -> None:
    """The library keeps using it, because by its own clock it is still valid."""
    await operator.get_secret("discord-token")

    await azure.control.clock(2 * 3600)

    with pytest.raises(HttpResponseError):
        await operator.get_secret("discord-token")
    refused = (await azure.control.requests())[-1]
    assert (refused.operation, refused.status) == ("get", 401)


async def test_only_the_versions_of_the_api_that_are_used_are_known(azure: Harness) -> None:
    async with (
        _officer(azure) as credential,
        SecretClient(
            VAULT_URL, credential, api_version="7.5", retry_total=0, **azure.trust
        ) as client,
    ):
        with pytest.raises(HttpResponseError, match="is not recognized"):
            await client.get_secret("discord-token")


async def test_what_the_stand_in_does_not_know_is_an_error(operator: SecretClient) -> None:
    with pytest.raises(HttpResponseError, match="does not support POST"):
        await operator.backup_secret("discord-token")


async def test_another_host_is_not_led_anywhere(azure: Harness) -> None:
    other = "https://test-other.vault.azure.net"
    async with (
        _officer(azure) as credential,
        SecretClient(other, credential, retry_total=0, **azure.trust) as client,
    ):
        with pytest.raises(ServiceResponseError, match="502"):
            await client.get_secret("discord-token")

    assert await azure.control.counts() == []
