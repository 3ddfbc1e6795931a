"""What is asked of az, and what becomes of its answers; az is a script that knows a few answers."""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from clusters.azure.doctor import azure_look
from clusters.azure.doctor.facts import Azure, Identity
from tests.azure.cli import judge
from tests.azure.doctor.healthy import BOT_CLIENT, BOT_SUBJECT, ISSUER, REFLECTOR_CLIENT, facts
from tests.azure.doctor.test_chain import FAULTS, found

_SCRIPT = """\
#!{python}
import json, sys
with open({calls!r}, "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
answers = json.loads({answers!r})
asked = " ".join(word for word in sys.argv[1:] if not word.startswith("--"))
for beginning, answer in answers.items():
    if asked.startswith(beginning):
        if isinstance(answer, int):
            sys.exit(answer)
        print(json.dumps(answer))
        sys.exit(0)
sys.exit(f"ERROR: the script does not know {{asked}}")
"""
_PRINCIPAL = "principal-of-"
_WELL = {
    "account show": {"id": "subscription"},
    "identity list": [
        {"name": "sky-bot", "group": "sky", "client": BOT_CLIENT, "principal": f"{_PRINCIPAL}bot"},
        {"name": "other", "group": "sky", "client": "other", "principal": f"{_PRINCIPAL}other"},
    ],
    "keyvault show example-vault": "/vaults/example-vault",
    "acr list": ["/registries/example"],
    "identity federated-credential list sky-bot sky": [[ISSUER, BOT_SUBJECT]],
    f"role assignment list {_PRINCIPAL}bot /vaults/example-vault": ["Key Vault Secrets User"],
}


def ask(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, object]
) -> tuple[Azure | None, list[str]]:
    """Ask a script in the place of az; return what was told, and what could not be looked at."""
    script = folder / "az"
    script.write_text(
        _SCRIPT.format(
            python=sys.executable, answers=json.dumps(answers), calls=str(folder / "calls")
        )
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    unseen: list[str] = []
    return azure_look.look(dict(facts().settings or {}), unseen), unseen


def test_az_shows_identities_with_whom_they_trust_and_their_roles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, unseen = ask(tmp_path, monkeypatch, _WELL)

    assert told == Azure(
        bot=Identity(
            name="sky-bot",
            group="sky",
            trusts=((ISSUER, BOT_SUBJECT),),
            roles=("Key Vault Secrets User",),
        ),
        reflector=None,
        unknown_clients=("IMAGE_REFLECTOR_CLIENT_ID",),
        vault=True,
    )
    assert unseen == []
    assert REFLECTOR_CLIENT not in str(told)


@pytest.mark.timeout(1500)  # the Azure CLI is installed within it the first time
def test_the_real_az_understands_all_that_is_asked_and_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(tmp_path, monkeypatch, _WELL)
    asked = {tuple(json.loads(line)) for line in (tmp_path / "calls").read_text().splitlines()}
    advised = {
        tuple(shlex.split(command)[1:])
        for seen, _, _ in FAULTS.values()
        for command in found(seen).verdict.commands
        if command.startswith("az ")
    }

    verdicts = judge([*sorted(asked), *sorted(advised)], tmp_path)

    assert [(one.argv, one.said) for one in verdicts if not one.understood] == []
    assert [(one.argv, one.said) for one in verdicts if one.argv in asked and not one.sound] == []
    assert len(asked) == 6
    assert len(advised) > 10


def test_a_vault_that_az_does_not_find_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, _ = ask(tmp_path, monkeypatch, {**_WELL, "keyvault show example-vault": 3})

    assert told is not None
    assert told.vault is False
    assert told.bot is not None
    assert told.bot.roles is None


def test_without_a_login_it_is_said_what_could_not_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, unseen = ask(tmp_path, monkeypatch, {"account show": 1})

    assert told is None
    assert unseen == [
        "identities, federated credentials and roles, as Azure has them: az ended with code 1"
    ]


def test_an_answer_that_fails_on_the_way_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {asked: answer for asked, answer in _WELL.items() if "role" not in asked}

    told, unseen = ask(tmp_path, monkeypatch, some)

    assert told is None
    assert "does not know role assignment list" in unseen[0]
