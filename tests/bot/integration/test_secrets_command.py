"""`python -m bot secrets`, against a vault, the services and a running bot; the person is ours."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bot.cli import main as command_line
from bot.cli.main import main
from bot.cli.secrets import actions
from bot.cli.secrets.actions import Terminal
from bot.settings.loading import load
from tests.servers.keyvault.harness import ISSUER, OPERATOR, TENANT, VAULT_URL, Harness
from tests.servers.keyvault.records import Federation, Identity, Role
from tests.servers.openai.keys import digest

from .conftest import FreshStage
from .servers import new_token
from .with_key_vault import KEY, TOKEN, Vaulted, vaulted

SUBJECT = "system:serviceaccount:discord-sky:operator"


@dataclass
class Sitting:
    """A person at a terminal: what was typed unseen, what was said."""

    story: Vaulted
    environ: dict[str, str]
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.said)

    async def run(self, *line: str, typed: str = "") -> bool:
        """Run a command line; `typed` is what the person answers to the prompt."""
        parser = argparse.ArgumentParser()
        command_line.add_secrets(parser.add_subparsers())
        self.said.clear()

        def type_unseen(prompt: str) -> str:
            self.said.append(prompt)
            return typed + "\n"

        bot = f"http://127.0.0.1:{self.story.stage.bot.port}"
        where = ["--vault", VAULT_URL, "--metrics-url", bot]
        chosen = parser.parse_args(["secrets", *line, *where])
        settings = load(None, self.environ).settings
        person = Terminal(self.said.append, type_unseen)
        trust = self.story.azure.trust
        well = await actions.run_secrets(chosen, settings, self.environ, person, **trust)
        if typed:
            assert typed not in self.text
        return well


@asynccontextmanager
async def sitting(
    azure: Harness,
    fresh: FreshStage,
    monkeypatch: pytest.MonkeyPatch,
    role: Role | None = Role.OFFICER,
) -> AsyncIterator[Sitting]:
    """Sit down as an operator with that role, in front of a bot that is Ready."""
    roles = (role,) if role else ()
    who = Federation(issuer=ISSUER, subject=SUBJECT)
    operator = Identity(
        name="operator", client_id=OPERATOR.client_id, roles=roles, federations=(who,)
    )
    await azure.control.put(operator)
    token = azure.folder / "operator-token"
    token.write_text(azure.token(subject=SUBJECT))
    for name, value in azure.environment.items():
        monkeypatch.setenv(name, value)
    async with vaulted(azure, fresh) as story:
        await story.scene.bot.ready()
        environ = {
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": operator.client_id,
            "AZURE_FEDERATED_TOKEN_FILE": str(token),
            "SKY_DISCORD__API_URL": story.stage.servers.discord.api_url,
            "SKY_OPENAI__BASE_URL": story.stage.servers.openai.url,
            "SKY_DISCORD__TOKEN_FILE": str(story.stage.token.path),
            "SKY_OPENAI__API_KEY_FILE": str(story.stage.api_key.path),
        }
        yield Sitting(story, environ)


@pytest.fixture
async def person(
    azure: Harness, fresh: FreshStage, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sitting]:
    async with sitting(azure, fresh, monkeypatch) as made:
        yield made


async def test_check_says_that_all_is_well(person: Sitting) -> None:
    assert await person.run("check")

    assert person.text.count("enabled, without an expiry") == 2
    assert "Discord accepts it, as Sky" in person.text
    assert "the model's provider accepts it" in person.text
    assert person.text.count("from the file: the same") == 2
    for value in (person.story.stage.token.value, person.story.stage.api_key.value):
        assert value not in person.text
        assert digest(value) in person.text


async def test_check_names_what_is_wrong_with_each(person: Sitting) -> None:
    person.story.set(TOKEN, "x" * 30)
    person.story.set(KEY, "sk-loop-disabled")
    person.story.enable(KEY, on=False)

    assert not await person.run("check")

    assert "Discord refuses it" in person.text
    assert "The newest version of the secret is disabled" in person.text
    assert "another value than the vault's" in person.text


async def test_rotate_of_the_openai_key_step_by_step(person: Sitting) -> None:
    story, new = person.story, "sk-loop-rotated-by-hand"
    old = story.stage.api_key.value
    story.stage.api_key.all_values.append(new)
    await story.scene.openai.accept(old, new)

    async def revoke_when_set() -> None:
        await story.azure.control.first(lambda r: r.operation == "set" and r.status == 200)
        await story.scene.openai.accept(new)
        await story.scene.answer(await story.scene.call("who notices?"))

    revoking = asyncio.create_task(revoke_when_set())
    well = await person.run("rotate", "openai-api-key", typed=new)
    await revoking

    version = story.azure.server.store.get(KEY).newest
    assert well
    assert version.value == new
    assert version.content_type == "text/plain"
    assert version.expires is not None
    assert "platform.openai.com" in person.text
    assert f"{digest(new)}: the model's provider accepts it" in person.text
    assert "The bot uses it, from the keyvault" in person.text
    assert f"The old value {digest(old)} is refused" in person.text


async def test_rotate_of_the_discord_token_brings_the_bot_back(person: Sitting) -> None:
    story, new = person.story, new_token()
    story.stage.token.all_values.append(new)
    await story.scene.discord.accept_token(new)  # the person has pressed Reset Token
    await story.scene.bot.probe("/readyz", 503)
    question = await story.scene.call("are you there?")

    assert await person.run("rotate", "discord-token", typed=new)

    assert len((await story.scene.answer(question)).parts) == 1
    assert "Discord accepts it, as Sky" in person.text
    assert "The bot uses it, from the keyvault" in person.text


async def test_what_the_service_refuses_is_not_set(person: Sitting) -> None:
    before = len(person.story.azure.server.store.get(KEY).versions)

    assert not await person.run("set", "openai-api-key", typed="sk-loop-mistyped")

    assert len(person.story.azure.server.store.get(KEY).versions) == before
    assert "the model's provider refuses it" in person.text
    assert "nothing was set" in person.text


@pytest.mark.parametrize(
    ("typed", "said"),
    [("", "it is empty"), ("sk-loop-a-key", "a key for OpenAI, not a token for Discord")],
    ids=["empty", "wrong kind"],
)
async def test_what_cannot_be_a_token_is_not_even_tried(
    person: Sitting, typed: str, said: str
) -> None:
    assert not await person.run("set", "discord-token", typed=typed)

    assert said in person.text


async def test_the_value_that_is_set_already_is_no_rotation(person: Sitting) -> None:
    value = person.story.stage.api_key.value

    assert not await person.run("rotate", "openai-api-key", typed=value)

    assert "set already" in person.text


async def test_undo_sets_the_value_before_as_a_new_version(person: Sitting) -> None:
    story, first = person.story, person.story.stage.api_key.value
    await story.scene.answer(await story.scene.call("is all well?"))
    story.set(KEY, "sk-loop-mistaken")
    story.stage.api_key.swap("sk-loop-mistaken")
    await story.uses("openai", "sk-loop-mistaken")
    await story.scene.answer(await story.scene.call("is this harmful?"))  # the old one still works

    assert await person.run("undo", "openai-api-key")

    secret = story.azure.server.store.get(KEY)
    assert [version.value for version in secret.versions] == [first, "sk-loop-mistaken", first]
    assert "The bot uses it" in person.text


async def test_undo_of_a_discord_token_says_that_a_reset_token_is_gone(person: Sitting) -> None:
    story, new = person.story, new_token()
    story.set(TOKEN, new)
    await story.scene.discord.accept_token(new)

    assert not await person.run("undo", "discord-token")

    assert "never comes back" in person.text


async def test_undo_without_an_earlier_value_changes_nothing(person: Sitting) -> None:
    assert not await person.run("undo", "openai-api-key")

    assert "no earlier version" in person.text


@pytest.mark.parametrize(
    ("role", "line", "lacks"),
    [
        (None, "check", "Key Vault Secrets User"),
        (Role.USER, "set openai-api-key", "Key Vault Secrets Officer"),
    ],
    ids=["no role", "a reader sets"],
)
async def test_a_missing_role_is_named_with_who_lacks_it_and_how_to_give_it(  # noqa: PLR0917  # fixtures and a table
    azure: Harness,
    fresh: FreshStage,
    monkeypatch: pytest.MonkeyPatch,
    role: Role | None,
    line: str,
    lacks: str,
) -> None:
    async with sitting(azure, fresh, monkeypatch, role) as person:
        typed = person.story.stage.servers.key if line != "check" else ""

        assert not await person.run(*line.split(), typed=typed)

        assert f'application {OPERATOR.client_id} lacks the role "{lacks}"' in person.text
        assert f'az role assignment create --role "{lacks}" --assignee-object-id' in person.text
        assert azure.server.directory.object_id(OPERATOR.client_id) in person.text


async def test_a_bot_that_is_not_seen_is_said_and_the_secret_is_set_all_the_same(
    person: Sitting,
) -> None:
    story, new = person.story, "sk-loop-while-the-bot-is-away"
    await story.scene.openai.accept(story.stage.servers.key, new)
    story.stage.bot.kill()

    assert not await person.run("set", "openai-api-key", "--wait", "2", typed=new)

    assert story.azure.server.store.get(KEY).newest.value == new
    assert "It is set, but the bot has not reported using it" in person.text


def test_without_a_vault_it_says_how_to_name_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKY_CREDENTIALS__KEYVAULT_URL", raising=False)

    assert main(["secrets", "check"]) == 2

    assert "--vault https://my-vault.vault.azure.net" in capsys.readouterr().err


@pytest.mark.parametrize("line", [["secrets"], ["secrets", "rotate"]])
def test_help_teaches(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*line, "--help"])

    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert max(len(each) for each in said.splitlines()) <= 100
    assert "Key Vault" in said or "discord-token" in said
