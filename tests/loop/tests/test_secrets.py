"""From the vault into a pod: kubelet, CSI driver, Azure's provider, a token that is verified."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.secrets import SecretClient
from lightkube import AsyncClient
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from tests.loop.cluster import azure, mounts
from tests.loop.cluster.mounts import BOT_ACCOUNT, Mounting, Mounts
from tests.loop.supervisor import control, state
from tests.servers.keyvault.control import Fault, FaultKind, Record, Role, VaultControl
from tests.tools import tool

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Chain:
    """All that a test of the chain needs; `name` is a secret of its own, with a class."""

    name: str
    value: str
    vault: SecretClient
    control: VaultControl
    mounts: Mounts

    async def set(self, value: str, name: str = "") -> str:
        """Set a new version as a person does; return its id."""
        made = await asyncio.to_thread(self.vault.set_secret, name or self.name, value)
        return str(made.properties.version)

    async def mounted(self) -> Mounting:
        """Create a pod with the secret and wait until it runs."""
        pod = await self.mounts.pod(self.name)
        await self.mounts.running(pod)
        return pod

    async def refused(self, name: str = "", seconds: float = 20) -> Record:
        """Wait until the bot's identity is refused this secret, from now on."""
        last = max((one.number for one in await self.control.requests()), default=0)
        wanted = name or self.name
        return await self.control.first(
            lambda one: one.number > last and one.secret == wanted and one.status not in {200, 401},
            seconds,
        )


def _value() -> str:
    return f"loop-test-{secrets.token_urlsafe(24)}"


@pytest.fixture(scope="module")
def image(loop: state.Loop, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that the bot's namespace accepts and that only waits."""
    assert loop.alive
    return mounts.push_image(tmp_path_factory.mktemp("image"))


@pytest.fixture
async def chain(api: AsyncClient, image: str) -> AsyncIterator[Chain]:
    """A secret that nobody else uses; faults and clock are put right at the end."""
    name, value = f"test-{secrets.token_hex(4)}", _value()
    made = Mounts(api, image)
    async with VaultControl(f"http://{state.VAULT_CONTROL}") as vault:
        with azure.operator() as client:
            chain = Chain(name, value, client, vault, made)
            await chain.set(value)
            await made.provide(name)
            try:
                yield chain
            finally:
                await vault.clear()
                await vault.clock(0)
                await made.clean()


@pytest.fixture
async def elsewhere(api: AsyncClient) -> AsyncIterator[str]:
    """Another namespace."""
    name = f"loop-test-{secrets.token_hex(4)}"
    await api.create(Namespace(metadata=ObjectMeta(name=name)))
    yield name
    await api.delete(Namespace, name)


def _kubectl(*arguments: str) -> str:
    command = [str(tool("kubectl")), f"--kubeconfig={state.KUBECONFIG}", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


async def test_the_bots_own_classes_give_the_files_that_the_bot_reads(chain: Chain) -> None:
    """By their names and paths in the Deployment, and byte for byte what the vault holds."""
    classes = {
        "discord-token": "discord-sky-secrets-discord",
        "openai-api-key": "discord-sky-secrets-openai",
    }
    pod = await chain.mounts.pod(*classes.values())

    await chain.mounts.running(pod)

    for secret, volume in classes.items():
        file = pod.file(secret, volume)
        found = await asyncio.to_thread(chain.vault.get_secret, secret)
        assert file.read_text() == found.value
        assert [path.name for path in file.parent.iterdir() if path.name[0] != "."] == [secret]
        assert file.stat().st_mode & 0o777 == 0o644  # the driver sets no owner: all may read


async def test_a_new_version_arrives_in_a_running_pod(chain: Chain) -> None:
    pod = await chain.mounted()
    newer = _value()

    await chain.set(newer)

    assert await mounts.holds(pod.file(chain.name), newer) < 20


async def test_of_two_versions_set_at_once_the_vaults_newest_arrives(chain: Chain) -> None:
    pod = await chain.mounted()

    await asyncio.gather(chain.set(_value()), chain.set(_value()))

    newest = await asyncio.to_thread(chain.vault.get_secret, chain.name)
    await mounts.holds(pod.file(chain.name), str(newest.value))


@pytest.mark.parametrize("ending", ["empty", "newline"])
async def test_a_value_is_delivered_as_it_was_set(chain: Chain, ending: str) -> None:
    """An empty one and a trailing newline too: the bot is the one who has to cope."""
    value = f"{_value()}\n" if ending == "newline" else ""
    await chain.set(value)

    pod = await chain.mounted()

    assert pod.file(chain.name).read_text() == value


async def test_a_pod_of_another_service_account_gets_nothing(chain: Chain) -> None:
    """B6: in the same namespace, with the same class."""
    await chain.mounts.account(f"{chain.name}-other")

    pod = await chain.mounts.pod(chain.name, account=f"{chain.name}-other")

    await chain.mounts.trouble(pod, "AADSTS700213")
    assert await chain.mounts.waits(pod)
    assert not pod.file(chain.name).exists()
    assert not [
        one
        for one in await chain.control.requests()
        if one.secret == chain.name and one.operation == "get"
    ]


async def test_the_same_service_account_name_in_another_namespace_gets_nothing(
    chain: Chain, elsewhere: str
) -> None:
    """B6: even with a copy of the class."""
    await chain.mounts.account(BOT_ACCOUNT, elsewhere)
    await chain.mounts.provide(chain.name, namespace=elsewhere)

    pod = await chain.mounts.pod(chain.name, namespace=elsewhere)

    said = await chain.mounts.trouble(pod, "AADSTS700213")
    assert f"system:serviceaccount:{elsewhere}:{BOT_ACCOUNT}" in said
    assert not pod.file(chain.name).exists()


async def test_only_the_bots_token_for_entra_is_exchanged(chain: Chain) -> None:
    """B6, asked directly: what a pod could mint for itself is not enough either."""
    bot = ("create", "token", BOT_ACCOUNT, f"--namespace={state.BOT_NAMESPACE}")
    default = ("create", "token", "default", f"--namespace={state.BOT_NAMESPACE}")
    audience = "--audience=api://AzureADTokenExchange"
    await chain.mounts.account(f"{chain.name}-other")  # so that `default` is there as well

    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        azure.as_bot(_kubectl(*default, audience))
    with pytest.raises(ClientAuthenticationError, match="AADSTS700212"):
        azure.as_bot(_kubectl(*bot))
    assert azure.as_bot(_kubectl(*bot, audience))


async def _disable(chain: Chain) -> None:
    def disable() -> None:
        newest = chain.vault.get_secret(chain.name).properties.version
        chain.vault.update_secret_properties(chain.name, newest, enabled=False)

    await asyncio.to_thread(disable)


async def _enable(chain: Chain) -> None:
    def enable() -> None:
        for one in chain.vault.list_properties_of_secret_versions(chain.name):
            if not one.enabled:
                chain.vault.update_secret_properties(chain.name, one.version, enabled=True)

    await asyncio.to_thread(enable)


async def _delete(chain: Chain) -> None:
    await asyncio.to_thread(lambda: chain.vault.begin_delete_secret(chain.name).wait())


async def _recover(chain: Chain) -> None:
    await asyncio.to_thread(lambda: chain.vault.begin_recover_deleted_secret(chain.name).wait())


async def _take_role(chain: Chain) -> None:
    (bot,) = [one for one in await chain.control.identities() if one.name == "bot"]
    await chain.control.put(bot.model_copy(update={"roles": ()}))


async def _give_role(chain: Chain) -> None:
    (bot,) = [one for one in await chain.control.identities() if one.name == "bot"]
    await chain.control.put(bot.model_copy(update={"roles": (Role.USER,)}))


async def _late_clock(chain: Chain) -> None:
    await chain.control.clock(7200)


async def _early_clock(chain: Chain) -> None:
    await chain.control.clock(-7200)


async def _right_clock(chain: Chain) -> None:
    await chain.control.clock(0)


async def _vault_down(chain: Chain) -> None:
    await chain.control.begin(Fault(kind=FaultKind.UNREACHABLE))


async def _entra_down(chain: Chain) -> None:
    await chain.control.begin(Fault(kind=FaultKind.UNREACHABLE, where="token"))


async def _all_clear(chain: Chain) -> None:
    await chain.control.clear()


Do = Callable[[Chain], Awaitable[None]]


@pytest.mark.parametrize(
    ("spoil", "said", "fix"),
    [
        pytest.param(_disable, "SecretDisabled", _enable, id="disabled"),
        pytest.param(_delete, "SecretNotFound", _recover, id="deleted"),
        pytest.param(_take_role, "ForbiddenByRbac", _give_role, id="no-permission"),
        pytest.param(_late_clock, "AADSTS700024", _right_clock, id="token-expired"),
        pytest.param(_early_clock, "AADSTS700024", _right_clock, id="clock-skew"),
        pytest.param(_vault_down, "Service Unavailable", _all_clear, id="vault-down"),
        pytest.param(_entra_down, "Service Unavailable", _all_clear, id="entra-down"),
    ],
)
async def test_at_first_start_the_pod_waits_an_event_says_why_and_it_starts_by_itself(
    chain: Chain, spoil: Do, said: str, fix: Do
) -> None:
    await spoil(chain)
    pod = await chain.mounts.pod(chain.name)

    message = await chain.mounts.trouble(pod, said)
    assert await chain.mounts.waits(pod)
    await fix(chain)
    await chain.mounts.running(pod, 90)

    assert chain.value not in message
    assert pod.file(chain.name).read_text() == chain.value


@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.SERVER_ERROR, FaultKind.SLOW])
async def test_a_vault_that_stumbles_or_is_slow_delays_the_pod_and_no_more(
    chain: Chain, kind: FaultKind
) -> None:
    await chain.control.begin(Fault(kind=kind, secret=chain.name, count=2, delay=2, retry_after=1))

    pod = await chain.mounted()

    assert pod.file(chain.name).read_text() == chain.value
    assert [one.struck >= 1 for one in await chain.control.faults()] == [True]


async def test_one_that_cannot_be_read_keeps_its_old_file_and_holds_no_other_up(
    chain: Chain,
) -> None:
    """Each credential has a class of its own for this."""
    fine, newer = f"{chain.name}-fine", _value()
    await chain.set(_value(), fine)
    await chain.mounts.provide(fine)
    pod = await chain.mounts.pod(chain.name, fine)
    await chain.mounts.running(pod)

    await chain.set(_value())
    await _disable(chain)
    await chain.set(newer, fine)

    await mounts.holds(pod.file(fine), newer)
    await chain.refused()
    assert pod.file(chain.name).exists()
    await _enable(chain)
    newest = await asyncio.to_thread(chain.vault.get_secret, chain.name)
    await mounts.holds(pod.file(chain.name), str(newest.value))


@pytest.mark.parametrize(
    "process", ["azure-provider", "secrets-store-csi-driver", "csi-registrar", "kubelet", "vault"]
)
async def test_what_is_killed_on_the_way_comes_back_and_the_next_version_arrives(
    chain: Chain, process: str
) -> None:
    pod = await chain.mounted()
    newer = _value()

    await asyncio.to_thread(control.kill, process)
    await asyncio.to_thread(control.wait, process)
    await chain.set(newer)

    await mounts.holds(pod.file(chain.name), newer, 40)
    other = await chain.mounts.pod(chain.name)
    await chain.mounts.running(other, 60)
    assert other.file(chain.name).read_text() == newer


@pytest.mark.timeout(420)
async def test_two_minutes_without_the_vault_at_rotation_and_at_first_start(chain: Chain) -> None:
    """B3: the running pod keeps its file, the new one waits; both get the new version unaided."""
    running = await chain.mounted()
    newer = _value()
    await chain.set(newer)
    await chain.control.begin(Fault(kind=FaultKind.UNREACHABLE, seconds=120))
    await chain.control.begin(Fault(kind=FaultKind.UNREACHABLE, where="token", seconds=120))

    starting = await chain.mounts.pod(chain.name)
    await chain.mounts.trouble(starting, chain.name)
    assert running.file(chain.name).read_text() in {chain.value, newer}

    await mounts.holds(running.file(chain.name), newer, 180)
    await chain.mounts.running(starting, 200)
    assert starting.file(chain.name).read_text() == newer


def test_make_secret_sets_a_version_as_a_person_does(loop: state.Loop) -> None:
    """The value is read from standard input, and a value on the command line is refused."""
    assert loop.alive
    name, value = f"test-{secrets.token_hex(4)}", _value()
    command = ["make", "--silent", "-C", str(Path(__file__).parents[3]), "secret", f"NAME={name}"]

    done = subprocess.run(
        [*command, "VALUE=-"], input=value, check=False, capture_output=True, text=True
    )
    wrong = subprocess.run([*command, "VALUE=abc"], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert value not in done.stdout
    with azure.operator() as vault:
        found = vault.get_secret(name)
    assert found.value == value
    assert str(found.properties.version) in done.stdout
    assert wrong.returncode != 0
    assert "seen by everyone" in wrong.stderr
