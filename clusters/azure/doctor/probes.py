"""Gather the facts: from kubectl, from the vault as the bot, from az and from gh.

What cannot be checked becomes a sentence in `not_checked`, never an exception.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import tempfile
import urllib.error
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.cli.main import SECRETS
from bot.credentials.keyvault import AzureVault, VaultTrouble
from clusters.azure import images
from clusters.azure.doctor.facts import (
    ACCOUNT,
    BOT,
    BOT_IDENTITY,
    FLUX,
    REFLECTOR_IDENTITY,
    Azure,
    Bot,
    Build,
    Facts,
    FailedAlert,
    FluxObject,
    GitHub,
    ManagedIdentity,
    Pod,
    SecretState,
    WorkloadIdentity,
)
from clusters.azure.steps.alerts import SECRETS as ALERT_SECRETS
from clusters.azure.steps.github import BLOCKING_RULES, FAILURE_SWITCH, IMAGE_WORKFLOW
from clusters.kubectl import Kubectl, KubectlError, http_get

Json = Mapping[str, Any]

_ABOUT = ("url", "image", "path")


def flux_object(item: Json) -> FluxObject:
    """Convert one of Flux's objects."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    ready: Json = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    pattern = (spec.get("filterTags") or {}).get("pattern")
    return FluxObject(
        kind=item["kind"],
        name=item["metadata"]["name"],
        ready=ready.get("status", ""),
        reason=ready.get("reason", ""),
        message=ready.get("message", ""),
        suspended=bool(spec.get("suspend")),
        target=pattern or next((spec[key] for key in _ABOUT if key in spec), ""),
    )


def is_plain(item: Json) -> bool:
    """Return whether this Kustomization takes the credentials from a Secret, not from Key Vault."""
    components = (item.get("spec") or {}).get("components") or ()
    return any(str(one).rstrip("/").endswith("plain-secret") for one in components)


def pods(items: Iterable[Json], events: Iterable[Json] = ()) -> tuple[Pod, ...]:
    """Convert pods, newest first, with what EVENTS say about those that wait."""
    warned = list(events)
    ordered = sorted(items, key=lambda item: item["metadata"]["creationTimestamp"], reverse=True)
    return tuple(_pod(item, _warnings(item, warned)) for item in ordered)


def _pod(item: Json, warnings: list[Json]) -> Pod:
    meta, status = item["metadata"], item.get("status") or {}
    container: Json = next(iter(status.get("containerStatuses") or ()), {})
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    starting = "running" not in state
    return Pod(
        name=meta["name"],
        image=item["spec"]["containers"][0].get("image", ""),
        ready=bool(container.get("ready")),
        terminating="deletionTimestamp" in meta,
        age=(datetime.now(UTC) - _time(meta["creationTimestamp"])).total_seconds(),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", ""),
        exit_code=ended.get("exitCode"),
        mount_error=_newest(warnings, "FailedMount", "MountVolume.SetUp failed")
        if starting
        else "",
        unschedulable=_newest(warnings, "FailedScheduling")
        if not item["spec"].get("nodeName")
        else "",
    )


def _warnings(item: Json, events: list[Json]) -> list[Json]:
    """Return the pod's warnings, oldest first."""
    uid = item["metadata"].get("uid")
    mine = [one for one in events if (one.get("involvedObject") or {}).get("uid") == uid]
    return sorted(mine, key=lambda one: one.get("lastTimestamp") or one.get("eventTime") or "")


def _newest(warnings: list[Json], reason: str, saying: str = "") -> str:
    """Return the newest message for REASON, preferably one that contains SAYING."""
    said = [str(one.get("message") or "") for one in warnings if one.get("reason") == reason]
    telling = [message for message in said if saying in message]
    return next(reversed(telling or said), "")


def failed_alerts(
    events: Iterable[Json], changed: Mapping[str, datetime | None]
) -> tuple[FailedAlert, ...]:
    """Convert EVENTS of failed deliveries, the newest one of each Alert.

    CHANGED says when the Secret with an Alert's credential was changed last, where it is known.
    """
    newest: dict[str, Json] = {}
    for event in sorted(events, key=_seen_at):
        newest[event["involvedObject"]["name"]] = event
    return tuple(
        FailedAlert(
            alert=name,
            message=str(event.get("message") or ""),
            age=(datetime.now(UTC) - _seen_at(event)).total_seconds(),
            credential_changed=(at := changed.get(name)) is not None and at > _seen_at(event),
        )
        for name, event in sorted(newest.items())
    )


def _seen_at(event: Json) -> datetime:
    """Return when an event happened last."""
    series = event.get("series") or {}
    stamp = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return _time(stamp or event["metadata"]["creationTimestamp"])


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


_AZ_SECONDS = 60
_NOT_FOUND = 3  # az's exit code for what does not exist
_IDENTITIES = "[].{name:name, group:resourceGroup, client:clientId, principal:principalId}"


class AzUnavailable(Exception):
    """az did not answer; the message is its last line."""


def probe_azure(settings: dict[str, str], not_checked: list[str]) -> Azure | None:
    """Ask az; None, with a sentence in NOT_CHECKED, if it cannot be asked."""
    what = "identities, federated credentials and roles, as Azure has them"
    try:
        _az("account", "show")
    except AzUnavailable as error:
        not_checked.append(f"{what}: {error}")
        return None
    try:
        with ThreadPoolExecutor() as pool:
            known = pool.submit(_az, "identity", "list", "--query", _IDENTITIES)
            vault = pool.submit(_vault, settings.get("KEYVAULT_NAME", ""))
            registry = pool.submit(_registry, settings.get("ACR_LOGIN_SERVER", ""))
            registry_id, registry_name = registry.result()
            scopes = {BOT_IDENTITY: vault.result(), REFLECTOR_IDENTITY: registry_id}
            tags = pool.submit(_tags, registry_name)
            by_client = {str(one["client"]).lower(): one for one in known.result() or ()}
            found = {
                identity: pool.submit(
                    _identity, by_client.get(settings.get(identity.setting, "").lower()), scope
                )
                for identity, scope in scopes.items()
            }
        bot, reflector = found[BOT_IDENTITY].result(), found[REFLECTOR_IDENTITY].result()
    except AzUnavailable as error:
        not_checked.append(f"{what}: {error}")
        return None
    return Azure(
        bot=bot,
        reflector=reflector,
        unknown_clients=_unknown(settings, bot=bot, reflector=reflector),
        vault=vault.result() is not None if settings.get("KEYVAULT_NAME") else None,
        registry=registry_name,
        tags=tags.result(),
    )


def _unknown(
    settings: dict[str, str], *, bot: ManagedIdentity | None, reflector: ManagedIdentity | None
) -> tuple[str, ...]:
    both: tuple[tuple[WorkloadIdentity, ManagedIdentity | None], ...] = (
        (BOT_IDENTITY, bot),
        (REFLECTOR_IDENTITY, reflector),
    )
    return tuple(
        identity.setting
        for identity, found in both
        if found is None and settings.get(identity.setting)
    )


def _identity(found: dict[str, str] | None, scope: str | None) -> ManagedIdentity | None:
    if found is None:
        return None
    name, group = found["name"], found["group"]
    trusts = _az(
        *("identity", "federated-credential", "list", "--identity-name", name),
        *("--resource-group", group, "--query", "[].[issuer, subject]"),
    )
    roles = None
    if scope:
        roles = _az(
            *("role", "assignment", "list", "--assignee", found["principal"], "--scope", scope),
            *("--include-inherited", "--query", "[].roleDefinitionName"),
        )
    return ManagedIdentity(
        name=name,
        group=group,
        trusts=tuple((issuer, subject) for issuer, subject in trusts or ()),
        roles=None if roles is None else tuple(roles),
    )


def _vault(name: str) -> str | None:
    """Return the vault's resource id; None if there is no vault with that name."""
    found = _az("keyvault", "show", "--name", name, "--query", "id") if name else None
    return str(found) if found else None


def _registry(login_server: str) -> tuple[str | None, str]:
    """Return the id and the name of the registry with that login server, which may have a label."""
    query = f"[?loginServer=='{login_server}'].[id, name]"
    found = _az("acr", "list", "--query", query) if login_server else None
    return (str(found[0][0]), str(found[0][1])) if found else (None, "")


def _tags(registry: str) -> tuple[str, ...] | None:
    """Return the tags of the bot's images; None if they cannot be read."""
    if not registry:
        return None
    try:
        found = _az(
            *("acr", "repository", "show-tags", "--name", registry),
            *("--repository", images.REPOSITORY),
        )
    except AzUnavailable:  # the login may not read images, or there are none
        return None
    return tuple(str(tag) for tag in found or ())


def _az(*arguments: str) -> Any:
    """Run az and return its answer; None for what does not exist. Raises AzUnavailable."""
    try:
        done = subprocess.run(
            ["az", *arguments, "--output", "json", "--only-show-errors"],
            check=False,
            capture_output=True,
            text=True,
            timeout=_AZ_SECONDS,
        )
    except FileNotFoundError:
        raise AzUnavailable("there is no az in PATH") from None
    except subprocess.TimeoutExpired:
        raise AzUnavailable(f"az did not answer within {_AZ_SECONDS} s") from None
    if done.returncode == _NOT_FOUND:
        return None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"az ended with code {done.returncode}"]
        raise AzUnavailable(lines[-1].strip())
    return json.loads(done.stdout) if done.stdout.strip() else None


_GH_SECONDS = 30
_GITHUB = re.compile(r"\bgithub\.com[:/]+([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_NO_SUCH = re.compile(r"HTTP 404|No commit found")


class GhUnavailable(Exception):
    """gh did not answer; the message is its last line."""


def github_repository(url: str) -> str:
    """Return OWNER/NAME of a repository on github.com; "" for any other address."""
    found = _GITHUB.search(url)
    return found[1] if found else ""


def probe_github(repository: str, image: str, not_checked: list[str]) -> GitHub | None:
    """Ask gh about the repository that Flux follows, and whether IMAGE is what main has now."""
    try:
        workflows = _gh(f"repos/{repository}/actions/workflows?per_page=100")
        rules = _gh(f"repos/{repository}/rules/branches/main?per_page=100")
        main = _inputs(repository, "main")
        running = _inputs(repository, images.commit_of(image))
        runs_main = main == running if main and running else None
        return GitHub(
            repository=repository,
            workflows={
                one["path"].rpartition("/")[2]: one["state"]
                for one in (workflows or {}).get("workflows", ())
            },
            rules=None if rules is None else tuple(rule["type"] for rule in rules),
            obstacles=_obstacles(repository, rules or ()),
            runs_main=runs_main,
            build=_build(repository, main) if runs_main is False else None,
            rollback_off=_rollback_off(repository, not_checked),
        )
    except GhUnavailable as error:
        not_checked.append(f"workflows, rules and commits, as GitHub has them: {error}")
        return None


def _rollback_off(repository: str, not_checked: list[str]) -> bool | None:
    """Return whether the rollback on failure is switched off, as its workflow compares it."""
    try:
        found = _gh(f"repos/{repository}/actions/variables/{FAILURE_SWITCH}")
    except GhUnavailable as error:  # only those who may push see variables
        not_checked.append(f"the variable {FAILURE_SWITCH}, as GitHub has it: {error}")
        return None
    return str((found or {}).get("value", "")).lower() == "off"


def _obstacles(repository: str, rules: Iterable[Json]) -> dict[str, str]:
    """Return the rulesets that keep deploy keys from pushing: their names and addresses."""
    blocking = {rule["ruleset_id"] for rule in rules if rule["type"] in BLOCKING_RULES}
    found: dict[str, str] = {}
    for number in sorted(blocking):
        one = _gh(f"repos/{repository}/rulesets/{number}") or {}
        actors = one.get("bypass_actors")  # shown only to those who may edit the ruleset
        if actors is not None and "DeployKey" not in {actor["actor_type"] for actor in actors}:
            found[one["name"]] = f"https://github.com/{repository}/settings/rules/{number}"
    return found


def _inputs(repository: str, commit: str) -> dict[str, str]:
    """Return the object ids of the build inputs at COMMIT; nothing if it is not known."""
    seen = _gh(f"repos/{repository}/commits/{commit}") if commit else None
    if seen is None:
        return {}
    tree = _gh(f"repos/{repository}/git/trees/{seen['commit']['tree']['sha']}") or {}
    return {
        one["path"]: one["sha"]
        for one in tree.get("tree", ())
        if one["path"] in images.BUILD_INPUTS
    }


def _build(repository: str, main: dict[str, str]) -> Build | None:
    """Return the newest run of the image workflow on main; None if there is none."""
    query = f"repos/{repository}/actions/workflows/{IMAGE_WORKFLOW}/runs?branch=main&per_page=1"
    runs = (_gh(query) or {}).get("workflow_runs") or ()
    if not runs:
        return None
    built = _inputs(repository, runs[0]["head_sha"])
    return Build(
        status=runs[0]["status"],
        conclusion=runs[0]["conclusion"] or "",
        url=runs[0]["html_url"],
        of_main=built == main if built else None,
    )


def _gh(path: str) -> Any:
    """Read PATH of GitHub's API; None if it does not exist. Raises GhUnavailable."""
    try:
        done = subprocess.run(
            ["gh", "api", path],
            check=False,
            capture_output=True,
            text=True,
            timeout=_GH_SECONDS,
            env={**os.environ, "GH_PROMPT_DISABLED": "1", "GH_PAGER": ""},
        )
    except FileNotFoundError:
        raise GhUnavailable("there is no gh in PATH") from None
    except subprocess.TimeoutExpired:
        raise GhUnavailable(f"gh did not answer within {_GH_SECONDS} s") from None
    if done.returncode and _NO_SUCH.search(done.stderr):
        return None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"gh ended with code {done.returncode}"]
        raise GhUnavailable(lines[-1].strip())
    return json.loads(done.stdout)


_PORT = 8080
_HTTP_SECONDS = 5
_LINES = 400
_SAMPLE = re.compile(r"^discord_sky_(\w+(?:\{[^}]*\})?) (\S+)", re.MULTILINE)
# The series that the links are diagnosed from.
_WANTED = (
    "credential_present",
    "credential_usable",
    "gateway_open",
    "model_requests_total",
)


def probe_bot(kubectl: Kubectl, pod: Pod, not_checked: list[str]) -> Bot:
    """Ask the bot in POD; what cannot be asked goes into NOT_CHECKED."""
    said = _log(kubectl, pod, not_checked)
    if pod.waiting:  # no process listens there
        return Bot(pod=pod.name, problem=_problem(said))
    try:
        with kubectl.forwarded(f"pod/{pod.name}", BOT, _PORT) as address:
            readyz, metrics = _get(f"{address}/readyz"), _get(f"{address}/metrics")
    except (KubectlError, OSError) as error:
        not_checked.append(f"/readyz and /metrics of pod {pod.name}: {error}")
        readyz, metrics = "", ""
    login = _last(said, "cannot log in")
    code = login.get("code")
    return Bot(
        pod=pod.name,
        readyz=readyz.strip(),
        metrics=samples(metrics),
        login=str(login.get("error", "")),
        login_code=code if isinstance(code, int) else None,
        login_remedy=str(login.get("remedy", "")),
        problem="" if pod.ready else _problem(said),
    )


def samples(text: str) -> dict[str, float]:
    """Return the series that the links need, by name and labels, without the common prefix."""
    found = {name: float(value) for name, value in _SAMPLE.findall(text)}
    return {name: value for name, value in found.items() if name.startswith(_WANTED)}


def _get(url: str) -> str:
    try:
        return http_get(url, _HTTP_SECONDS)
    except urllib.error.HTTPError as error:  # 503 from /readyz, with the reason
        return error.read().decode(errors="replace")


def _log(kubectl: Kubectl, pod: Pod, not_checked: list[str]) -> list[dict[str, Any]]:
    """Return the last lines of the log; those of the container before, if it crashed."""
    ended = ("--previous",) if pod.waiting == "CrashLoopBackOff" else ()
    try:
        text = kubectl.text("logs", pod.name, f"--namespace={BOT}", f"--tail={_LINES}", *ended)
    except KubectlError as error:
        if not pod.waiting:
            not_checked.append(f"the log of pod {pod.name}: {error}")
        return []
    lines: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            found = {"message": line}
        lines.append(found if isinstance(found, dict) else {"message": line})
    return lines


def _last(lines: list[dict[str, Any]], message: str) -> dict[str, Any]:
    return next((line for line in reversed(lines) if line.get("message") == message), {})


def _problem(lines: list[dict[str, Any]]) -> str:
    """Return the last line that is at least a warning."""
    bad = [line for line in lines if line.get("level") in {None, "warning", "error", "critical"}]
    last: dict[str, Any] = next(reversed(bad), {})
    words = [str(last.get(key)) for key in ("message", "problem", "remedy") if last.get(key)]
    return ": ".join(words)[:300]


AUDIENCE = "api://AzureADTokenExchange"
_VAULT_SETTINGS = ("KEYVAULT_NAME", "AZURE_TENANT_ID", "BOT_CLIENT_ID")
_NOT_FROM_HERE = {"unreachable", "slow", "firewall", "busy", "not_a_vault", "no_identity"}


def probe_vault(
    kubectl: Kubectl, settings: dict[str, str], not_checked: list[str], **options: Any
) -> tuple[SecretState, ...]:
    """Ask the vault about both secrets; what concerns only this machine goes into NOT_CHECKED.

    OPTIONS go to Azure's libraries: tests pass their authority this way.
    """
    if any(not settings.get(name) for name in _VAULT_SETTINGS):
        return ()
    try:
        token = kubectl.text(
            *("create", "token", ACCOUNT, f"--namespace={BOT}", f"--audience={AUDIENCE}")
        )
    except KubectlError as error:
        not_checked.append(f"the vault, as the bot: {error}")
        return ()
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        file = Path(folder) / "token"
        file.touch(mode=0o600)
        file.write_text(token.strip())
        looks = asyncio.run(_ask_vault(settings, file, options))
    not_checked.extend(
        f"{one.name} in the vault, from this machine: {one.detail}"
        for one in looks
        if one.label in _NOT_FROM_HERE
    )
    return tuple(one for one in looks if one.label not in _NOT_FROM_HERE)


async def _ask_vault(
    settings: dict[str, str], token: Path, options: dict[str, Any]
) -> list[SecretState]:
    environ = {
        "AZURE_CLIENT_ID": settings["BOT_CLIENT_ID"],
        "AZURE_TENANT_ID": settings["AZURE_TENANT_ID"],
        "AZURE_FEDERATED_TOKEN_FILE": str(token),
    }
    address = f"https://{settings['KEYVAULT_NAME']}.vault.azure.net"
    vault = AzureVault(address, environ, **options)
    try:
        return [await _secret(vault, name) for name in SECRETS]
    finally:
        await vault.close()


async def _secret(vault: AzureVault, name: str) -> SecretState:
    try:
        version = await vault.look(name)
    except VaultTrouble as trouble:
        return SecretState(name=name, label=trouble.label, detail=trouble.detail or str(trouble))
    return SecretState(name=name, label="ok" if version.enabled else "disabled")


_KINDS = (
    "gitrepositories.source.toolkit.fluxcd.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "imagerepositories.image.toolkit.fluxcd.io",
    "imagepolicies.image.toolkit.fluxcd.io",
    "imageupdateautomations.image.toolkit.fluxcd.io",
)
# Not defined without the Flux Operator, or without the notification controller.
_OPTIONAL_KINDS = (
    "fluxinstances.fluxcd.controlplane.io",
    "alerts.notification.toolkit.fluxcd.io",
)
_NOT_DEFINED = re.compile(r"doesn't have a resource type|could not find the requested resource")
_DISPATCH_FAILED = "NotificationDispatchFailed"  # the notification controller's reason
_LOGIN = "login.microsoftonline.com"


@dataclass
class Collector:
    """Gathers the facts once. With PASSIVE, neither the vault nor az nor gh is asked.

    NAMES are those of the set-up; they only complete remedies. SOURCE says whose kubeconfig it is.
    """

    kubectl: Kubectl
    passive: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    not_checked: list[str] = field(default_factory=list)

    def facts(self) -> Facts:
        """Gather everything."""
        asked = f"{self.kubectl.context()}, {self.source}" if self.source else ""
        try:
            version = self.kubectl.text("get", "--raw", "/version")
            json.loads(version)
        except (KubectlError, ValueError) as error:
            return Facts(unreachable=str(error), context=asked, names=dict(self.names))
        settings, issuer, found = self._settings(), self._issuer(), self._pods()
        known, flux = settings or {}, self._flux()
        repository = _followed(flux)
        return Facts(
            context=asked,
            issuer=issuer,
            settings=settings,
            key_vault=not any(map(is_plain, flux)),
            flux=tuple(flux_object(item) for item in flux),
            controllers=self._controllers(),
            failed_alerts=self._failed_alerts(),
            pods=found,
            bot=self._bot(found),
            secrets=self._secrets(known),
            vault_resolves=_resolves(known.get("KEYVAULT_NAME", "")),
            azure=self._azure(known),
            provider=_provider(flux),
            exclusions=_exclusions(flux),
            on_github=bool(repository),
            github=self._github(repository, found),
            names=dict(self.names),
            not_checked=tuple(self.not_checked),
        )

    def _settings(self) -> dict[str, str] | None:
        try:
            found = self.kubectl.text(
                *("get", "configmap", "cluster-settings", f"--namespace={FLUX}"),
                *("--ignore-not-found", "--output=json"),
            )
        except KubectlError as error:
            self.not_checked.append(f"cluster-settings in {FLUX}: {error}")
            return {}
        return dict(json.loads(found).get("data") or {}) if found else None

    def _issuer(self) -> str:
        try:
            found = self.kubectl.text("get", "--raw", "/.well-known/openid-configuration")
            return str(json.loads(found)["issuer"])
        except (KubectlError, ValueError, KeyError):
            return ""  # it only completes a remedy

    def _flux(self) -> list[Json]:
        found: list[Json] = []
        for kind in (*_KINDS, *_OPTIONAL_KINDS):
            try:
                found += self.kubectl.items(kind, FLUX)
            except KubectlError as error:
                if kind not in _OPTIONAL_KINDS or not _NOT_DEFINED.search(str(error)):
                    self.not_checked.append(f"{kind.partition('.')[0]} in {FLUX}: {error}")
        return found

    def _controllers(self) -> tuple[Pod, ...]:
        try:
            return pods(self.kubectl.items("pods", FLUX))
        except KubectlError as error:
            self.not_checked.append(f"pods in {FLUX}: {error}")
            return ()

    def _failed_alerts(self) -> tuple[FailedAlert, ...]:
        selector = f"--field-selector=involvedObject.kind=Alert,reason={_DISPATCH_FAILED}"
        try:
            events = self.kubectl.items("events", FLUX, selector)
        except KubectlError as error:
            self.not_checked.append(f"events of alerts in {FLUX}: {error}")
            return ()
        names = {event["involvedObject"]["name"] for event in events}
        return failed_alerts(events, {name: self._credential_changed(name) for name in names})

    def _credential_changed(self, alert: str) -> datetime | None:
        """Return when the Secret of ALERT was changed last; None if that cannot be seen.

        Only its managed fields leave kubectl, never its content.
        """
        if alert not in ALERT_SECRETS:
            return None
        try:
            stamps = self.kubectl.text(
                *("get", "secret", ALERT_SECRETS[alert], f"--namespace={FLUX}"),
                *("--show-managed-fields", "--output=jsonpath={.metadata.managedFields[*].time}"),
            ).split()
        except KubectlError:  # it is not there, or this login may not read it
            return None
        return max(map(_time, stamps), default=None)

    def _pods(self) -> tuple[Pod, ...]:
        try:
            items = self.kubectl.items(
                "pods", BOT, "--selector=app.kubernetes.io/name=discord-sky-bot"
            )
            events = self.kubectl.items("events", BOT, "--field-selector=type=Warning")
        except KubectlError as error:
            self.not_checked.append(f"pods in {BOT}: {error}")
            return ()
        return pods(items, events)

    def _bot(self, found: tuple[Pod, ...]) -> Bot | None:
        newest = next((pod for pod in found if not pod.terminating), None)
        if (
            newest is None
            or newest.mount_error
            or newest.unschedulable
            or newest.waiting == "ContainerCreating"
        ):
            return None
        return probe_bot(self.kubectl, newest, self.not_checked)

    def _secrets(self, settings: dict[str, str]) -> tuple[SecretState, ...]:
        return () if self.passive else probe_vault(self.kubectl, settings, self.not_checked)

    def _azure(self, settings: dict[str, str]) -> Azure | None:
        if self.passive:
            return None
        return probe_azure(settings, self.not_checked)

    def _github(self, repository: str, found: tuple[Pod, ...]) -> GitHub | None:
        if self.passive or not repository:
            return None
        running = next((pod for pod in found if pod.ready and not pod.terminating), None)
        return probe_github(repository, running.image if running else "", self.not_checked)


def _followed(flux: Iterable[Json]) -> str:
    """Return the repository on github.com that Flux follows, as OWNER/NAME."""
    urls = (one["spec"].get("url", "") for one in flux if one["kind"] == "GitRepository")
    return next(filter(None, map(github_repository, urls)), "")


def _provider(flux: Iterable[Json]) -> str:
    found = (one["spec"] for one in flux if one["kind"] == "ImageRepository")
    return str(next((spec.get("provider") or "generic" for spec in found), "azure"))


def _exclusions(flux: Iterable[Json]) -> tuple[str, ...]:
    lists = (
        one["spec"].get("exclusionList") or () for one in flux if one["kind"] == "ImageRepository"
    )
    return tuple(pattern for patterns in lists for pattern in patterns)


def _resolves(vault: str) -> bool | None:
    """Return whether DNS knows the vault's name; None if this machine's DNS cannot tell."""
    if not vault:
        return None
    for host, answer in ((f"{vault}.vault.azure.net", True), (_LOGIN, False)):
        try:
            socket.getaddrinfo(host, 443)
        except OSError:
            continue
        return answer
    return None
