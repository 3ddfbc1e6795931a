"""What the doctor gathers: Kubernetes' objects, az, the bot in its pod, and the vault."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.observability.metrics import Metrics
from clusters.azure.doctor.facts import Azure, Build, GitHub, ManagedIdentity, SecretState
from clusters.azure.doctor.probes import (
    Collector,
    Json,
    failed_alerts,
    flux_object,
    github_repository,
    is_plain,
    pods,
    probe_azure,
    probe_github,
    probe_vault,
    samples,
)
from clusters.kubectl import Kubectl, KubectlError
from tests.azure.azure_cli import run_azure_cli
from tests.azure.doctor.healthy import BOT_CLIENT, BOT_SUBJECT, ISSUER, REFLECTOR_CLIENT, facts
from tests.azure.doctor.test_links import FAULTS, found
from tests.servers.keyvault import harness
from tests.servers.keyvault.harness import BOT, TENANT, VAULT, Harness
from tests.servers.keyvault.records import Fault, FaultKind
from tests.servers.keyvault.records import Identity as VaultIdentity


def a_pod(name: str, created: str, **status: object) -> Json:
    """A pod as the API server gives it, as far as it matters here."""
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": created},
        "spec": {"nodeName": "node", "containers": [{"image": "r.example/discordskybot:x"}]},
        "status": {"containerStatuses": [{"ready": False, **status}]},
    }


def an_event(pod: str, message: str, at: str, reason: str = "FailedMount") -> Json:
    """A warning about POD."""
    about = {"uid": f"uid-{pod}"}
    return {"involvedObject": about, "reason": reason, "message": message, "lastTimestamp": at}


def test_the_newest_pod_comes_first_with_what_its_container_waits_for() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    items = [
        a_pod("old", "2026-01-01T00:00:00Z", state={"running": {}}),
        a_pod("new", "2026-01-02T00:00:00Z", state=waiting),
    ]

    found = pods(items)

    assert [pod.name for pod in found] == ["new", "old"]
    assert (found[0].waiting, found[0].message) == ("ErrImagePull", "not found")
    assert found[1].age > found[0].age


def test_the_newest_warning_that_says_why_is_used() -> None:
    """The kubelet says in between that it timed out, which tells nothing."""
    telling = "MountVolume.SetUp failed for volume: "
    events = [
        an_event("one", f"{telling}second", "2026-01-01T00:00:02Z"),
        an_event("one", f"{telling}first", "2026-01-01T00:00:01Z"),
        an_event("one", "Unable to attach or mount volumes: timed out", "2026-01-01T00:00:03Z"),
        an_event("other", f"{telling}of another", "2026-01-01T00:00:04Z"),
    ]

    (waits,) = pods([a_pod("one", "2026-01-01T00:00:00Z", state={"waiting": {}})], events)
    (runs,) = pods([a_pod("one", "2026-01-01T00:00:00Z", state={"running": {}})], events)

    assert waits.mount_error == f"{telling}second"
    assert runs.mount_error == ""


def _undelivered(alert: str, message: str, **when: object) -> Json:
    about = {"kind": "Alert", "name": alert}
    return {"involvedObject": about, "message": message, "metadata": {}, **when}


def test_the_newest_failure_of_each_alert_counts() -> None:
    events = [
        _undelivered("discord", "second", lastTimestamp="2026-01-01T00:00:02Z"),
        _undelivered("discord", "first", eventTime="2026-01-01T00:00:01.5Z"),
        _undelivered(
            "github",
            "seen again",
            eventTime="2026-01-01T00:00:01Z",
            series={"lastObservedTime": "2026-01-01T00:00:09Z"},
        ),
    ]
    at = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)

    found = failed_alerts(events, {"discord": at, "github": at})

    assert [(one.alert, one.message, one.credential_changed) for one in found] == [
        ("discord", "second", True),
        ("github", "seen again", False),
    ]
    assert found[0].age > found[1].age > 0
    assert not failed_alerts(events, {"discord": None})[0].credential_changed


def test_the_exit_code_is_that_of_the_container_that_ended() -> None:
    ended = {"terminated": {"exitCode": 2}}
    crashing = a_pod(
        "one",
        "2026-01-01T00:00:00Z",
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState=ended,
    )

    assert pods([crashing])[0].exit_code == 2


def test_a_flux_object_without_conditions_has_none() -> None:
    item = {"kind": "ImagePolicy", "metadata": {"name": "one"}, "spec": {"suspend": True}}

    found = flux_object(item)

    assert (found.ready, found.suspended) == ("", True)


def test_the_component_without_key_vault_is_seen() -> None:
    assert is_plain({"spec": {"components": ["plain-secret"]}})
    assert not is_plain({"spec": {}})


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
    "acr list": [["/registries/example", "example"]],
    "acr repository show-tags example discordskybot": ["main-7-0123abc", "src-1"],
    "identity federated-credential list sky-bot sky": [[ISSUER, BOT_SUBJECT]],
    f"role assignment list {_PRINCIPAL}bot /vaults/example-vault": ["Key Vault Secrets User"],
}


def ask_az(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, object]
) -> tuple[Azure | None, list[str]]:
    """Run the probe with a script as az; return the result, and what could not be checked."""
    script = folder / "az"
    script.write_text(
        _SCRIPT.format(
            python=sys.executable, answers=json.dumps(answers), calls=str(folder / "calls")
        )
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    not_checked: list[str] = []
    return probe_azure(dict(facts().settings or {}), not_checked), not_checked


def test_az_shows_identities_with_whom_they_trust_and_their_roles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, not_checked = ask_az(tmp_path, monkeypatch, _WELL)

    assert told == Azure(
        bot=ManagedIdentity(
            name="sky-bot",
            group="sky",
            trusts=((ISSUER, BOT_SUBJECT),),
            roles=("Key Vault Secrets User",),
        ),
        reflector=None,
        unknown_clients=("IMAGE_REFLECTOR_CLIENT_ID",),
        vault=True,
        registry="example",
        tags=("main-7-0123abc", "src-1"),
    )
    assert not_checked == []
    assert REFLECTOR_CLIENT not in str(told)


@pytest.mark.timeout(1500)  # the Azure CLI is installed within it the first time
def test_the_real_az_understands_every_query_and_every_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_az(tmp_path, monkeypatch, _WELL)
    asked = {tuple(json.loads(line)) for line in (tmp_path / "calls").read_text().splitlines()}
    advised = {
        tuple(shlex.split(command)[1:])
        for seen, _, _ in FAULTS.values()
        for command in found(seen).result.commands
        if command.startswith("az ")
    }

    results = run_azure_cli([*sorted(asked), *sorted(advised)], tmp_path)

    assert [(one.argv, one.said) for one in results if not one.understood] == []
    assert [(one.argv, one.said) for one in results if one.argv in asked and not one.sound] == []
    assert len(asked) == 7
    assert len(advised) > 10


def test_a_vault_that_az_does_not_find_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, _ = ask_az(tmp_path, monkeypatch, {**_WELL, "keyvault show example-vault": 3})

    assert told is not None
    assert told.vault is False
    assert told.bot is not None
    assert told.bot.roles is None


def test_without_a_login_it_says_what_could_not_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, not_checked = ask_az(tmp_path, monkeypatch, {"account show": 1})

    assert told is None
    assert not_checked == [
        "identities, federated credentials and roles, as Azure has them: az ended with code 1"
    ]


def test_a_partial_answer_of_az_is_discarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {asked: answer for asked, answer in _WELL.items() if "role" not in asked}

    told, not_checked = ask_az(tmp_path, monkeypatch, some)

    assert told is None
    assert "does not know role assignment list" in not_checked[0]


def test_the_series_that_the_links_need_are_the_bots_own() -> None:
    metrics = Metrics()
    for name in ("discord", "openai"):
        metrics.credential.labels(name).set(1)
        metrics.credential_usable.labels(name).set(0)
    metrics.gateway_open.set(1)
    metrics.model.labels("complete").inc(2)
    metrics.messages.labels("answer").inc()

    found = samples(metrics.render().decode())

    assert found == {
        'credential_present{name="discord"}': 1,
        'credential_present{name="openai"}': 1,
        'credential_usable{name="discord"}': 0,
        'credential_usable{name="openai"}': 0,
        "gateway_open": 1,
        'model_requests_total{outcome="complete"}': 2,
    }


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
async def vault_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    """A vault with both secrets."""
    values = {"discord-token": "one", "openai-api-key": "two"}
    async with harness.running(tmp_path, values) as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started


async def look_at(
    vault_harness: Harness, **settings: str
) -> tuple[tuple[SecretState, ...], list[str]]:
    """Look; return what was seen, and what could not be."""
    not_checked: list[str] = []
    kubectl, known = Tokens(vault_harness.token), {**SETTINGS, **settings}
    found = await asyncio.to_thread(
        lambda: probe_vault(kubectl, known, not_checked, **vault_harness.trust)
    )
    return found, not_checked


async def test_both_secrets_are_seen_and_no_value_is_asked_for(vault_harness: Harness) -> None:
    found, not_checked = await look_at(vault_harness)

    assert [(one.name, one.label) for one in found] == [
        ("discord-token", "ok"),
        ("openai-api-key", "ok"),
    ]
    assert not_checked == []
    asked = {
        one.operation for one in await vault_harness.control.requests() if one.where == "vault"
    }
    assert asked == {"challenge", "versions"}


async def test_azures_own_error_code_names_who_is_refused(vault_harness: Harness) -> None:
    stranger = "00000000-0000-0000-0000-0000000000ff"

    unknown, _ = await look_at(vault_harness, BOT_CLIENT_ID=stranger)
    await vault_harness.control.put(VaultIdentity(**{**BOT.model_dump(), "federations": ()}))
    untrusted, _ = await look_at(vault_harness)
    await vault_harness.control.put(VaultIdentity(**{**BOT.model_dump(), "roles": ()}))
    powerless, _ = await look_at(vault_harness)

    assert {(one.label, one.detail) for one in unknown} == {("identity_refused", "AADSTS700016")}
    assert {(one.label, one.detail) for one in untrusted} == {("identity_refused", "AADSTS700211")}
    assert {one.label for one in powerless} == {"denied"}


async def test_a_disabled_and_a_missing_secret_are_distinguished(vault_harness: Harness) -> None:
    store = vault_harness.server.store
    store.get("discord-token").newest.enabled = False
    store.delete("openai-api-key")

    found, _ = await look_at(vault_harness)

    assert [one.label for one in found] == ["disabled", "missing"]


async def test_a_vault_that_this_machine_does_not_reach_says_nothing_about_the_bot(
    vault_harness: Harness,
) -> None:
    await vault_harness.control.begin(Fault(kind=FaultKind.UNREACHABLE))

    found, not_checked = await look_at(vault_harness)

    assert found == ()
    assert len(not_checked) == 2
    assert not_checked[0].startswith("discord-token in the vault, from this machine")


def test_without_permission_to_create_tokens_it_says_so() -> None:
    def forbidden() -> str:
        raise KubectlError("cannot create resource serviceaccounts/token")

    not_checked: list[str] = []
    found = probe_vault(Tokens(forbidden), SETTINGS, not_checked)

    assert found == ()
    assert not_checked == ["the vault, as the bot: cannot create resource serviceaccounts/token"]


# --- Flux ---


class Listing(Kubectl):
    """A kubectl that lists nothing, and refuses to list one kind."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__()
        self._refused = (kind, problem)

    def items(self, kind: str, namespace: str, *arguments: str) -> list[dict[str, Any]]:
        """List nothing, or refuse."""
        if kind.startswith(f"{self._refused[0]}."):
            raise KubectlError(self._refused[1])
        assert namespace == "flux-system"
        assert arguments == ()
        return []


@pytest.mark.parametrize("kind", ["alerts", "fluxinstances"])
@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ('error: the server doesn\'t have a resource type "{kind}"', False),
        ("Error from server (Forbidden): {kind} is forbidden: User cannot list resource", True),
        ("Unable to connect to the server: net/http: TLS handshake timeout", True),
    ],
)
def test_only_a_kind_that_the_cluster_does_not_define_is_passed_over(
    kind: str, problem: str, *, said: bool
) -> None:
    problem = problem.format(kind=kind)
    collector = Collector(Listing(kind, problem))

    assert collector._flux() == []
    assert collector.not_checked == ([f"{kind} in flux-system: {problem}"] if said else [])


# --- GitHub ---

_INPUTS = {"tree": [{"path": "bot", "sha": "1"}, {"path": "README.md", "sha": "2"}]}
_OLDER = {"tree": [{"path": "bot", "sha": "0"}, {"path": "README.md", "sha": "3"}]}
_AT = "repos/example/discord-sky"
_GITHUB_ANSWERS: dict[str, object] = {
    f"{_AT}/actions/workflows?": {
        "workflows": [{"path": ".github/workflows/image.yaml", "state": "active"}]
    },
    f"{_AT}/rules/branches/main": [{"type": "pull_request", "ruleset_id": 7}],
    f"{_AT}/rulesets/7": {"name": "main", "bypass_actors": [{"actor_type": "RepositoryRole"}]},
    f"{_AT}/commits/main": {"commit": {"tree": {"sha": "new"}}},
    f"{_AT}/commits/0a1b2c3": {"commit": {"tree": {"sha": "old"}}},
    f"{_AT}/git/trees/new": _INPUTS,
    f"{_AT}/git/trees/old": _OLDER,
    f"{_AT}/actions/workflows/image.yaml/runs": {
        "workflow_runs": [
            {"status": "in_progress", "conclusion": None, "html_url": "u", "head_sha": "main"}
        ]
    },
}
_IMAGE = "example.azurecr.io/discordskybot:main-7-0a1b2c3@sha256:1"


def ask_gh(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, object]
) -> tuple[GitHub | None, list[str]]:
    """Run the probe with a script as gh, which answers 404 to what it does not know."""
    script = folder / "gh"
    unknown = 'sys.exit("gh: Not Found (HTTP 404)")'
    text = _SCRIPT.replace('sys.exit(f"ERROR: the script does not know {{asked}}")', unknown)
    script.write_text(
        text.format(
            python=sys.executable,
            answers=json.dumps({f"api {path}": answer for path, answer in answers.items()}),
            calls=str(folder / "calls"),
        )
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    not_checked: list[str] = []
    return probe_github("example/discord-sky", _IMAGE, not_checked), not_checked


def test_gh_shows_workflows_rules_and_what_main_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, not_checked = ask_gh(tmp_path, monkeypatch, _GITHUB_ANSWERS)

    assert seen == GitHub(
        repository="example/discord-sky",
        workflows={"image.yaml": "active"},
        rules=("pull_request",),
        obstacles={"main": "https://github.com/example/discord-sky/settings/rules/7"},
        runs_main=False,
        build=Build(status="in_progress", url="u", of_main=True),
        rollback_off=False,
    )
    assert not_checked == []


@pytest.mark.parametrize(
    ("answer", "off"),
    [({"value": "off"}, True), ({"value": "OFF"}, True), ({"value": "on"}, False)],
)
def test_gh_shows_whether_the_rollback_on_failure_is_switched_off(
    answer: object, off: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub compares texts without regard to case."""
    variable = {f"{_AT}/actions/variables/ROLLBACK_ON_FAILURE": answer}

    seen, not_checked = ask_gh(tmp_path, monkeypatch, {**_GITHUB_ANSWERS, **variable})

    assert seen is not None
    assert (seen.rollback_off, not_checked) == (off, [])


def test_a_variable_that_this_login_may_not_read_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = {f"{_AT}/actions/variables/ROLLBACK_ON_FAILURE": 1}

    seen, not_checked = ask_gh(tmp_path, monkeypatch, {**_GITHUB_ANSWERS, **variable})

    assert seen is not None
    assert (seen.rollback_off, seen.workflows) == (None, {"image.yaml": "active"})
    assert not_checked == [
        "the variable ROLLBACK_ON_FAILURE, as GitHub has it: gh ended with code 1"
    ]


def test_only_what_an_image_is_built_from_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change to README.md builds nothing, and so nothing is missing."""
    other = {"tree": [{"path": "bot", "sha": "1"}, {"path": "README.md", "sha": "9"}]}

    seen, _ = ask_gh(tmp_path, monkeypatch, {**_GITHUB_ANSWERS, f"{_AT}/git/trees/old": other})

    assert seen is not None
    assert (seen.runs_main, seen.build) == (True, None)


def test_a_commit_that_the_repository_does_not_know_is_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {path: what for path, what in _GITHUB_ANSWERS.items() if "0a1b2c3" not in path}

    seen, not_checked = ask_gh(tmp_path, monkeypatch, answers)

    assert seen is not None
    assert seen.runs_main is None
    assert not_checked == []


def test_without_gh_it_says_what_could_not_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    not_checked: list[str] = []

    assert probe_github("example/discord-sky", _IMAGE, not_checked) is None
    assert not_checked == [
        "workflows, rules and commits, as GitHub has them: there is no gh in PATH"
    ]


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("ssh://git@github.com/example/discord-sky.git", "example/discord-sky"),
        ("https://github.com/example/discord-sky", "example/discord-sky"),
        ("git@github.com:example/discord.sky.git", "example/discord.sky"),
        ("ssh://git@git.example/discord-sky", ""),
        ("https://notgithub.community/example/x", ""),
        ("http://10.244.0.1:8081/discord-sky.git", ""),
    ],
)
def test_only_a_repository_on_github_is_asked_about(url: str, repository: str) -> None:
    assert github_repository(url) == repository
