"""Names, subjects, quantities, prices and the record: what goes in and what comes out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

from clusters.azure.preflight import subject
from clusters.azure.prices import lines
from clusters.azure.runner import Stop, az, gh
from clusters.azure.state import load_record, record_path, save_record, with_defaults
from clusters.azure.steps.catalog import PAID
from clusters.azure.steps.cluster import quantities
from clusters.azure.steps.github import new_pair

REPOSITORY = {
    "full_name": "example/sky",
    "name": "sky",
    "id": 22,
    "owner": {"login": "example", "id": 11},
}


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ({}, "repo:example/sky"),
        ({"use_default": True, "use_immutable_subject": False}, "repo:example/sky"),
        ({"use_default": True, "use_immutable_subject": True}, "repo:example@11/sky@22"),
        ({"use_default": True, "sub_claim_prefix": "repo:e@1/s@2"}, "repo:e@1/s@2"),
        ({"use_default": False, "include_claim_keys": ["repo", "context"]}, "repo:example/sky"),
    ],
)
def test_the_subject_is_the_repositorys_own(setting: dict[str, object], wanted: str) -> None:
    assert subject(REPOSITORY, setting) == f"{wanted}:ref:refs/heads/main"


@pytest.mark.parametrize("claims", [["repository_owner"], None])
def test_a_custom_subject_template_needs_ci_subject(claims: list[str] | None) -> None:
    setting = {"use_default": False, "include_claim_keys": claims}

    with pytest.raises(Stop, match="--ci-subject"):
        subject(REPOSITORY, setting)


def test_globally_unique_names_derive_from_the_subscription() -> None:
    """The same on every machine, another in every subscription."""
    one = with_defaults({"NAME": "my-bot", "AZURE_SUBSCRIPTION_ID": "1"})
    same = with_defaults({"NAME": "my-bot", "AZURE_SUBSCRIPTION_ID": "1"})
    other = with_defaults({"NAME": "my-bot", "AZURE_SUBSCRIPTION_ID": "2"})

    assert one == same
    assert one["ACR_NAME"] != other["ACR_NAME"]
    assert one["ACR_NAME"].startswith("mybot")
    assert one["KEYVAULT_NAME"].startswith("my-bot-")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"NAME": "My_Bot"}, "NAME is 'My_Bot' and has to be 3 to 22 lower-case letters"),
        ({"NAME": "x" * 30}, "3 to 22 lower-case letters"),
        ({"NAME": "sky", "ACR_NAME": "no-hyphens"}, "5 to 50 letters and digits"),
        ({"NAME": "sky", "KEYVAULT_NAME": "two--hyphens"}, "single hyphens"),
        ({"NAME": "sky", "GITHUB_REPOSITORY": "sky"}, "OWNER/NAME"),
    ],
)
def test_a_name_that_azure_would_refuse_is_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(Stop, match=words):
        with_defaults(values)


@pytest.mark.parametrize("name", ["sky", "a-name-of-twenty-two-x", "discord-sky"])
def test_every_allowed_name_yields_names_that_azure_accepts(name: str) -> None:
    """The vault's has 24 letters at most."""
    with_defaults({"NAME": name, "AZURE_SUBSCRIPTION_ID": "1"})


def test_a_record_survives_a_round_trip_and_a_shell_can_read_it(tmp_path: Path) -> None:
    values = {"NAME": "sky", "MADE": "a role, with spaces", "ODD": "it's $HOME; `x`"}
    path = record_path("sky", tmp_path)

    save_record(path, values)

    assert load_record(path) == values
    assert path.stat().st_mode & 0o777 == 0o600
    command = ["sh", "-c", f'. {path}; printf %s "$ODD"']
    assert (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout == values["ODD"]
    )
    assert [one.name for one in tmp_path.iterdir()] == ["sky.local.env"]


def test_a_command_line_is_shown_as_a_shell_reads_it() -> None:
    """What is known is filled in and quoted; what is not stays for the shell to fill in."""
    line = gh("api repos/$REPO/keys -f title='$NAME: the key' -f key=$KEY")

    assert line.display({"NAME": "sky"}) == (
        "gh api repos/$REPO/keys -f 'title=sky: the key' -f key=$KEY"
    )
    assert line.display({"NAME": "$(rm)", "REPO": "a;b"}) == (
        "gh api 'repos/a;b/keys' -f 'title=$(rm): the key' -f key=$KEY"
    )


def test_what_is_not_known_is_never_run() -> None:
    with pytest.raises(KeyError, match="GROUP"):
        az("group show --name $GROUP").argv({"AZURE_SUBSCRIPTION_ID": "1"})


def test_both_halves_of_a_key_belong_together() -> None:
    pair = new_pair()

    key = load_ssh_private_key(pair.private.encode(), password=None)

    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert public.decode() == pair.public
    assert pair.public.startswith("ssh-ed25519 ")
    assert "PRIVATE" not in repr(pair)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"cpu": "1900m", "memory": "5350884Ki"}, "1900m CPU, 5225 MiB"),
        ({"cpu": "2", "memory": "1Gi"}, "2000m CPU, 1024 MiB"),
        ({"cpu": "0.5"}, "500m CPU, 0 MiB"),
        (None, "0m CPU, 0 MiB"),
    ],
)
def test_quantities_are_read(given: dict[str, str] | None, shown: str) -> None:
    assert str(quantities(given)) == shown


def test_an_unknown_quantity_is_refused() -> None:
    with pytest.raises(Stop, match="12Q"):
        quantities({"cpu": "12Q"})


ROOT = Path(__file__).parents[2]


def test_the_documentation_has_every_line_of_the_bill() -> None:
    text = (ROOT / "clusters/azure/README.md").read_text()
    bill = [line for step in PAID for line in lines(step, "Standard_D2s_v5")]

    for line in bill:
        assert f"| {line.what} | {line.dollars or 0:.2f}".replace(" 0.00", " 0") in text
    total = sum(line.dollars or 0 for line in bill)
    assert f"| together, about | {total:.0f} |" in text
    assert f"about {total:.0f} US dollars" in (ROOT / "README.md").read_text()
