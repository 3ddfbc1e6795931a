"""Known error messages of Azure, the CSI driver and the registry: link, explanation, remedy.

An error is recognised by its code and by its subject (who asked whom, and for which host), not by a
word that other errors have as well. The first entry that fits decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from clusters.azure.doctor.facts import (
    BOT,
    BOT_IDENTITY,
    REFLECTOR_IDENTITY,
    Facts,
    WorkloadIdentity,
    words,
)
from clusters.azure.doctor.result import CheckResult, broken

# Whom the message is from: the bot's pod, which asks the vault, or Flux, which asks the registry.
Source = Literal["vault", "registry"]

_ASKS = "  # asks before anything costs"
AGAIN = f"make azure{_ASKS}"
RECONCILE = "flux reconcile kustomization discord-sky --with-source"


def again(name: str | None) -> str:
    """Return the command that runs set-up; NAME unless it is the default one."""
    return f'make azure ARGS="--name {name}"{_ASKS}' if name else AGAIN


def set_to(setting: str, value: str) -> str:
    """Return the command that puts VALUE into cluster-settings."""
    change = f'{{{{"data":{{{{"{setting}":"{value}"}}}}}}}}'
    return (
        "kubectl --namespace flux-system patch configmap cluster-settings --type merge"
        f" --patch '{change}'"
    )


@dataclass(frozen=True, slots=True)
class KnownError:
    """A pattern of a message, and what it means.

    `{names}` in the texts are those of facts.words, and the groups of the pattern.
    """

    link: str
    pattern: str
    summary: str
    remedy: str
    commands: tuple[str, ...]
    source: Source | None = None  # None: from either

    def match(self, message: str, source: Source | None = None) -> re.Match[str] | None:
        """Return the match if MESSAGE means this."""
        if None not in {self.source, source} and self.source != source:
            return None
        return re.search(self.pattern, message, re.IGNORECASE)


_SEE_IDENTITIES = (
    'az identity list --query "[].{{name:name, group:resourceGroup, clientId:clientId}}"'
    " --output table"
)
_TRUST = (
    "az identity federated-credential create --identity-name {identity} --resource-group {group}"
    " --name setup --issuer {issuer} --subject {subject}"
    " --audiences api://AzureADTokenExchange"
)
_TRUSTED = (
    "az identity federated-credential list --identity-name {identity} --resource-group {group}"
)
_GIVE_ROLE = (
    'az role assignment create --role "{role}" --assignee-principal-type ServicePrincipal'
    ' --assignee-object-id "$(az ad sp show --id {client} --query id --output tsv)"'
    " --scope {scope}"
)
_LACKS_ROLE = '{who} lacks the role "{role}".'
_GIVE_IT = "Assign it. A new role assignment takes a few minutes to take effect."
_ADD_ON = (
    "az aks enable-addons --addons azure-keyvault-secrets-provider --enable-secret-rotation {aks}"
)
_CLOCKS = (
    "date --utc --iso-8601=seconds; kubectl get leases --namespace kube-node-lease"
    " --output custom-columns=NODE:.metadata.name,ITS-CLOCK:.spec.renewTime"
)
_DNS = (
    "kubectl --namespace kube-system get pods --selector k8s-app=kube-dns",
    "kubectl --namespace kube-system logs --selector k8s-app=kube-dns --tail 20",
)
_RESTART = "kubectl --namespace discord-sky rollout restart deployment discord-sky-bot"
_WAY_OUT = "kubectl get networkpolicies --all-namespaces"
_SET = ".venv/bin/python -m bot secrets set {secret} --vault https://{vault}.vault.azure.net"
_LOOK_UP = "Look up the right one and set it; running set-up again does the same."
# `dial tcp: lookup HOST on 10.0.0.10:53: no such host`
_LOOKUP = r"lookup (?P<host>{host})\.?(?: on [\w.:\[\]]+)?: "
# `Get "https://HOST/…": dial tcp 20.1.2.3:443: i/o timeout`
_DIAL = r"\"https://(?P<host>{host})[:/][^\"]*\": (?:dial tcp [\d.\[\]:a-f]+: |.*\btimeout)"
_ENTRA = r"login\.microsoftonline\.com|login\.windows\.net|sts\.windows\.net"
_VAULT = r"[\w-]+\.vault\.azure\.net"
_REGISTRY = r"[\w.-]+\.azurecr\.io"


def _unresolved(link: str, host: str, remedy: str, *commands: str) -> KnownError:
    summary = "The cluster's DNS does not resolve {host}."
    return KnownError(link, _LOOKUP.format(host=host), summary, remedy, (*commands, *_DNS))


def _unreachable(link: str, host: str) -> KnownError:
    return KnownError(
        link,
        _DIAL.format(host=host),
        "The cluster does not reach {host}, although it resolves the name.",
        "See what closes the way out: a firewall, a route table, a NetworkPolicy.",
        (_WAY_OUT,),
    )


_TIMED_OUT = (
    r"\bDeadlineExceeded\b|context deadline exceeded"
    r"|\"https://[\w-]+\.vault\.azure\.net[^\"]*\":"
)
_NO_ANSWER = KnownError(
    "vault",
    _TIMED_OUT,
    "No vault {vault} answers the cluster: KEYVAULT_NAME may be wrong.",
    _LOOK_UP,
    (
        "az keyvault list --query [].name --output tsv",
        set_to("KEYVAULT_NAME", "NAME"),
        RECONCILE,
    ),
    "vault",
)
# The same where the vault is known to exist.
_SLOW = KnownError(
    "vault",
    _TIMED_OUT,
    "The vault {vault} exists, and does not answer the cluster in time.",
    "See what closes or delays the way out: a firewall, a route table, a NetworkPolicy.",
    (_WAY_OUT,),
    "vault",
)

KNOWN_ERRORS = (
    # --- the network: the host in the message decides ---
    KnownError(
        "vault",
        _LOOKUP.format(host=_VAULT) + "no such host",
        "There is no vault {vault}: KEYVAULT_NAME may be wrong.",
        _LOOK_UP,
        (
            "az keyvault list --query [].name --output tsv",
            set_to("KEYVAULT_NAME", "NAME"),
            RECONCILE,
        ),
    ),
    _unresolved("vault", _VAULT, "Look at the cluster's DNS."),
    _unresolved(
        "identity",
        _ENTRA,
        "Nothing is wrong with the ids: look at the cluster's DNS, and at what it may ask.",
    ),
    _unresolved(
        "registry",
        _REGISTRY,
        "ACR_LOGIN_SERVER may be wrong. If it is right, look at the cluster's DNS.",
        "az acr list --query [].loginServer --output tsv",
    ),
    _unreachable("identity", _ENTRA),
    _unreachable("vault", _VAULT),
    _unreachable("registry", _REGISTRY),
    # --- Entra ---
    KnownError(
        "identity",
        r"\bAADSTS700016\b",
        "Entra knows no identity with the client id {client}, which {setting} names for {who}.",
        _LOOK_UP,
        (_SEE_IDENTITIES, set_to("{setting}", "CLIENT-ID"), RECONCILE, AGAIN),
    ),
    KnownError(
        "identity",
        r"\bAADSTS(?:90002|900021|900023|50020)\b",
        "Entra knows no directory {tenant}, which AZURE_TENANT_ID names.",
        _LOOK_UP,
        (
            "az account show --query tenantId --output tsv",
            set_to("AZURE_TENANT_ID", "TENANT-ID"),
            RECONCILE,
        ),
    ),
    KnownError(
        "identity",
        r"DefaultAzureCredential|no default identity|managed identity.*not found",
        "{who} has no workload identity: its pod was not given one.",
        "The patches of the FluxInstance give it; apply it again, then look at the pod's label"
        " azure.workload.identity/use.",
        (AGAIN, "kubectl --namespace flux-system get pods --show-labels"),
    ),
    KnownError(
        "federation",
        r"\bAADSTS700211\b",
        "The identity of {who} trusts another cluster: its federated credential names another"
        " issuer than {issuer}.",
        "Give it this cluster's issuer; a credential with the same name is replaced.",
        (_TRUST,),
    ),
    KnownError(
        "federation",
        r"\bAADSTS700212\b",
        "The federated credential of {who} names another audience.",
        "Give it the audience api://AzureADTokenExchange.",
        (_TRUST,),
    ),
    KnownError(
        "federation",
        r"\bAADSTS70021(?:3)?\b",
        "The identity of {who} does not trust {subject}: its federated credential names another"
        " subject.",
        "Give it this subject; a credential with the same name is replaced.",
        (_TRUST,),
    ),
    KnownError(
        "federation",
        r"\bAADSTS(?:700024|500133)\b|\bidentity_expired\b",
        "Entra takes the token of {who} as not valid now: it has expired, or clocks disagree.",
        "Compare the node's clock; a new pod gets a new token.",
        (_CLOCKS, _RESTART),
    ),
    KnownError(
        "federation",
        r"\bAADSTS\d+\b|\bidentity_refused\b",
        "Entra refuses {who}, whose client id is {client}.",
        "Compare the federated credential's issuer, subject and audience, the tenant and the id.",
        (_TRUSTED, AGAIN),
    ),
    # --- the vault ---
    KnownError(
        "vault",
        r"\bForbiddenByFirewall\b",
        "The firewall of the vault {vault} does not let the cluster in.",
        "Let the cluster's outgoing address in, or every address: roles still protect the secrets.",
        (
            "az keyvault network-rule add --name {vault} --ip-address CLUSTER-ADDRESS",
            "az keyvault update --name {vault} --default-action Allow",
        ),
        "vault",
    ),
    KnownError(
        "vault",
        r"\bForbiddenByConnection\b",
        "The vault {vault} is closed to public networks, and the cluster has no private endpoint.",
        "Open it, or give the cluster a private endpoint: roles still protect the secrets.",
        ("az keyvault update --name {vault} --public-network-access Enabled",),
        "vault",
    ),
    KnownError(
        "role",
        r"\bForbiddenByPolicy\b|does not have secrets \w+ permission",
        "The vault {vault} uses access policies, so the roles do not count.",
        "Let it use roles.",
        ("az keyvault update --name {vault} --enable-rbac-authorization true",),
        "vault",
    ),
    KnownError(
        "secrets",
        r"\bSecretDisabled\b",
        "The newest version of {secret} in {vault} is disabled, and Key Vault does not fall back.",
        "Set a new version, or enable this one.",
        (
            _SET,
            "az keyvault secret set-attributes --vault-name {vault} --name {secret} --enabled true",
        ),
        "vault",
    ),
    KnownError(
        "secrets",
        r"\bSecretNotFound\b",
        "The vault {vault} has no secret {secret}, or it was deleted.",
        "Set it, or recover it.",
        (_SET, "az keyvault secret recover --vault-name {vault} --name {secret}"),
        "vault",
    ),
    KnownError("role", r"\bForbiddenByRbac\b", _LACKS_ROLE, _GIVE_IT, (_GIVE_ROLE,), "vault"),
    # --- the registry ---
    KnownError(
        "registry",
        r"client with IP '(?P<address>[^']+)' is not allowed access",
        "The firewall of the registry {registry} does not let the cluster in.",
        "Let the cluster's outgoing address in, or every address: roles still protect the images.",
        (
            "az acr network-rule add --name {registry} --ip-address {address}",
            "az acr update --name {registry} --default-action Allow",
        ),
        "registry",
    ),
    KnownError(
        "role",
        r"\bUNAUTHORIZED\b|\bDENIED: requested access|requested access to the resource is denied"
        r"|\b401 Unauthorized\b|\b403 Forbidden\b",
        _LACKS_ROLE,
        _GIVE_IT,
        (_GIVE_ROLE,),
        "registry",
    ),
    # --- the node ---
    KnownError(
        "mount",
        r"not found in the list of registered CSI drivers|provider not found|provider \"azure\"",
        "The node has no Secrets Store CSI driver with Azure's provider.",
        "Enable the add-on.",
        (_ADD_ON,),
        "vault",
    ),
    _NO_ANSWER,
)

# Azure's codes for what bot.credentials.keyvault has labels of its own for.
_LABELS = {"denied": "ForbiddenByRbac", "disabled": "SecretDisabled", "missing": "SecretNotFound"}
_REACHED = {"ok", "disabled", "missing"}  # labels of a vault that let the bot in
_SECRET = re.compile(r"discord-token|openai-api-key")


@dataclass(frozen=True, slots=True)
class ReportedError:
    """One message about IDENTITY, and what it means."""

    identity: WorkloadIdentity
    message: str
    error: KnownError


def match_error(message: str, source: Source | None = None) -> KnownError | None:
    """Return what MESSAGE from SOURCE means; None if it is not known."""
    return next((error for error in KNOWN_ERRORS if error.match(message, source)), None)


def explain(
    error: KnownError, facts: Facts, identity: WorkloadIdentity, message: str = ""
) -> CheckResult:
    """Return the result that ERROR means for IDENTITY, as MESSAGE reports it."""
    match, secret = error.match(message), _SECRET.search(message)
    names = {
        **words(facts, identity),
        "secret": secret[0] if secret else "SECRET",
        **(match.groupdict() if match else {}),
    }
    summary = error.summary.format_map(names)
    commands = [command.format_map(names) for command in error.commands]
    return broken(summary[0].upper() + summary[1:], error.remedy.format_map(names), *commands)


def reported_errors(facts: Facts) -> list[ReportedError]:
    """Return every known error that was reported, the bot's first."""
    reports: list[tuple[WorkloadIdentity, str, Source]] = []
    for secret in facts.secrets:
        if secret.label != "ok":
            code = _LABELS.get(secret.label, secret.label)
            reports.append((BOT_IDENTITY, f"{code} {secret.name} {secret.detail}", "vault"))
    if facts.newest and facts.newest.mount_error:
        reports.append((BOT_IDENTITY, facts.newest.mount_error, "vault"))
    repository = facts.object("ImageRepository", BOT)
    if repository and repository.ready == "False":
        reports.append((REFLECTOR_IDENTITY, repository.message, "registry"))
    found = [
        (identity, message, match_error(message, source)) for identity, message, source in reports
    ]
    if facts.vault_resolves or (facts.azure and facts.azure.vault):
        found = [
            (identity, message, _SLOW if error is _NO_ANSWER else error)
            for identity, message, error in found
        ]
    return [
        ReportedError(identity, message, error)
        for identity, message, error in found
        # Without ACR, Flux has no identity that could lack a role.
        if error and (facts.on_acr or identity is BOT_IDENTITY)
    ]


def problem_with(facts: Facts, link: str) -> CheckResult | None:
    """Return the result of the first error that was reported about LINK; None if there is none."""
    found = next((one for one in reported_errors(facts) if one.error.link == link), None)
    return explain(found.error, facts, found.identity, found.message) if found else None


def vault_evidence(facts: Facts) -> str:
    """Say how it was seen that the vault lets the bot in; "" if it was not."""
    if any(secret.label in _REACHED for secret in facts.secrets):
        return "as the bot was told just now"
    pod = facts.newest
    waits = pod is None or pod.mount_error or pod.unschedulable
    if pod and not waits and pod.waiting != "ContainerCreating":
        return "as the newest pod showed at its start"
    return ""


def registry_readable(facts: Facts) -> bool:
    """Return whether Flux reads the registry."""
    repository = facts.object("ImageRepository", BOT)
    return repository is not None and repository.ready == "True"
