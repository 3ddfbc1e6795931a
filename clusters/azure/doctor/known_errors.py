"""What the words of Azure, the CSI driver and the registry mean: the link, a sentence, the remedy.

The first pattern that is found in a message decides, so the specific ones come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusters.azure.doctor.facts import (
    BOT,
    BOT_IDENTITY,
    REFLECTOR_IDENTITY,
    Facts,
    WorkloadIdentity,
    words,
)
from clusters.azure.doctor.result import CheckResult, broken

_SEE_IDENTITIES = (
    'az identity list --query "[].{{name:name, group:resourceGroup, clientId:clientId}}"'
    " --output table"
)
_TRUST = (
    "az identity federated-credential create --identity-name {identity} --resource-group {group}"
    " --name setup --issuer {issuer} --subject {subject}"
    " --audiences api://AzureADTokenExchange"
)
_GIVE_ROLE = (
    'az role assignment create --role "{role}" --assignee-principal-type ServicePrincipal'
    ' --assignee-object-id "$(az ad sp show --id {client} --query id --output tsv)"'
    " --scope {scope}"
)
_ASKS = "  # asks before anything costs"
AGAIN = f"make azure{_ASKS}"


def again(name: str | None) -> str:
    """Return the command that sets up; NAME where it is not the usual set-up."""
    return f'make azure ARGS="--name {name}"{_ASKS}' if name else AGAIN


def set_to(setting: str, value: str) -> str:
    """Return the command that puts VALUE into cluster-settings."""
    change = f'{{{{"data":{{{{"{setting}":"{value}"}}}}}}}}'
    return (
        "kubectl --namespace flux-system patch configmap cluster-settings --type merge"
        f" --patch '{change}'"
    )


_TRUSTED = (
    "az identity federated-credential list --identity-name {identity} --resource-group {group}"
)
_ADD_ON = (
    "az aks enable-addons --addons azure-keyvault-secrets-provider --enable-secret-rotation {aks}"
)
_CLOCKS = (
    "date --utc --iso-8601=seconds; kubectl get leases --namespace kube-node-lease"
    " --output custom-columns=NODE:.metadata.name,ITS-CLOCK:.spec.renewTime"
)
RECONCILE = "flux reconcile kustomization discord-sky --with-source"


@dataclass(frozen=True, slots=True)
class KnownError:
    """A pattern of a message, and what it means; `{names}` are those of facts.words."""

    link: str
    pattern: str
    summary: str
    remedy: str
    commands: tuple[str, ...]

    def fits(self, message: str) -> bool:
        """Say whether MESSAGE means this."""
        return re.search(self.pattern, message, re.IGNORECASE) is not None


_TAKES_TIME = "A role that was given just now takes a few minutes to count."

KNOWN_ERRORS = (
    KnownError(
        "identity",
        r"AADSTS700016",
        "Entra knows no identity with the client id {client}, which {setting} names for {who}.",
        "Look up the right id, and put it there; set-up run again does the same.",
        (_SEE_IDENTITIES, set_to("{setting}", "CLIENT-ID"), RECONCILE, AGAIN),
    ),
    KnownError(
        "identity",
        r"AADSTS9000(2|23)\b|AADSTS900021|AADSTS50020",
        "Entra knows no directory {tenant}, which AZURE_TENANT_ID names.",
        "Look up the right id, and put it there; set-up run again does the same.",
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
        "The FluxInstance's patches give it; apply it again, then look at the pod's label"
        " azure.workload.identity/use.",
        (AGAIN, "kubectl --namespace flux-system get pods --show-labels"),
    ),
    KnownError(
        "federation",
        r"AADSTS700211",
        "The identity of {who} trusts another cluster: its federated credential names another"
        " issuer than {issuer}.",
        "Give it this cluster's issuer; a credential of the same name is replaced.",
        (_TRUST,),
    ),
    KnownError(
        "federation",
        r"AADSTS700212",
        "The federated credential of {who} names another audience.",
        "Give it the audience api://AzureADTokenExchange.",
        (_TRUST,),
    ),
    KnownError(
        "federation",
        r"AADSTS70021",
        "The identity of {who} does not trust {subject}: its federated credential names another"
        " subject.",
        "Give it this subject; a credential of the same name is replaced.",
        (_TRUST,),
    ),
    KnownError(
        "federation",
        r"AADSTS700024|AADSTS500133|identity_expired",
        "Entra takes the token of {who} as not valid now: it expired, or clocks disagree.",
        "Compare the node's clock; a new pod gets a new token.",
        (
            _CLOCKS,
            "kubectl --namespace discord-sky rollout restart deployment discord-sky-bot",
        ),
    ),
    KnownError(
        "federation",
        r"AADSTS\d+|identity_refused",
        "Entra refuses {who}, whose client id is {client}.",
        "Compare the federated credential's issuer, subject and audience, the tenant and the id.",
        (
            _TRUSTED,
            AGAIN,
        ),
    ),
    KnownError(
        "vault",
        r"ForbiddenByFirewall|ForbiddenByConnection|public network access is disabled",
        "The firewall of the vault {vault} does not let the cluster in.",
        "Let the cluster's outgoing address in, or everybody: the role is what protects it.",
        ("az keyvault update --name {vault} --public-network-access Enabled",),
    ),
    KnownError(
        "secrets",
        r"SecretDisabled",
        "The newest version of {secret} in {vault} is disabled, and Key Vault does not fall back.",
        "Set a new version, or enable this one.",
        (
            ".venv/bin/python -m bot secrets set {secret} --vault https://{vault}.vault.azure.net",
            "az keyvault secret set-attributes --vault-name {vault} --name {secret} --enabled true",
        ),
    ),
    KnownError(
        "secrets",
        r"SecretNotFound",
        "The vault {vault} has no secret {secret}, or it was deleted.",
        "Set it, or recover it.",
        (
            ".venv/bin/python -m bot secrets set {secret} --vault https://{vault}.vault.azure.net",
            "az keyvault secret recover --vault-name {vault} --name {secret}",
        ),
    ),
    KnownError(
        "role",
        r"ForbiddenByRbac|does not have secrets get permission|\bdenied\b|UNAUTHORIZED"
        r"|authentication required|\b401\b|\b403 Forbidden\b",
        '{who} lacks the role "{role}".',
        f"Give it. {_TAKES_TIME}",
        (_GIVE_ROLE,),
    ),
    KnownError(
        "mount",
        r"not found in the list of registered CSI drivers|provider not found|provider \"azure\"",
        "The node has no Secrets Store CSI driver with Azure's provider.",
        "Switch the add-on on.",
        (_ADD_ON,),
    ),
    KnownError(
        "vault",
        r"no such host|DeadlineExceeded|deadline exceeded"
        r"|Get \"https://[\w-]+\.vault\.azure\.net[^\"]*\":",
        "No vault {vault} answers the cluster: KEYVAULT_NAME may be wrong.",
        "Look up the right name, and put it there; set-up run again does the same.",
        (
            "az keyvault list --query [].name --output tsv",
            set_to("KEYVAULT_NAME", "NAME"),
            RECONCILE,
        ),
    ),
)


def match_error(message: str, only: tuple[str, ...] = ()) -> KnownError | None:
    """Return what MESSAGE means, of the links in ONLY or of any; None where it is not known."""
    return next(
        (one for one in KNOWN_ERRORS if (not only or one.link in only) and one.fits(message)), None
    )


# Azure's words for what bot.credentials.keyvault calls by labels of its own.
_LABELS = {"denied": "ForbiddenByRbac", "disabled": "SecretDisabled", "missing": "SecretNotFound"}
_REACHED = {"ok", "disabled", "missing"}  # labels of a vault that let the bot in
_REGISTRY_LINKS = ("identity", "federation", "role")
_SECRET = re.compile(r"discord-token|openai-api-key")


@dataclass(frozen=True, slots=True)
class ReportedError:
    """One message against PARTY, and what it means."""

    identity: WorkloadIdentity
    message: str
    error: KnownError


def explain(
    error: KnownError, facts: Facts, identity: WorkloadIdentity, message: str = ""
) -> CheckResult:
    """Say in sentences what CAUSE means for PARTY; MESSAGE may name the secret."""
    found = _SECRET.search(message)
    names = {**words(facts, identity), "secret": found[0] if found else "SECRET"}
    summary = error.summary.format_map(names)
    commands = [command.format_map(names) for command in error.commands]
    return broken(summary[0].upper() + summary[1:], error.remedy.format_map(names), *commands)


def reported_errors(facts: Facts) -> list[ReportedError]:
    """Return everything that is known against the two, the bot's first."""
    summary: list[tuple[WorkloadIdentity, str, tuple[str, ...]]] = []
    for secret in facts.secrets:
        if secret.label != "ok":
            word = _LABELS.get(secret.label, secret.label)
            summary.append((BOT_IDENTITY, f"{word} {secret.name} {secret.detail}", ()))
    if facts.newest and facts.newest.mount_error:
        summary.append((BOT_IDENTITY, facts.newest.mount_error, ()))
    repository = facts.object("ImageRepository", BOT)
    if repository and repository.ready == "False":
        summary.append((REFLECTOR_IDENTITY, repository.message, _REGISTRY_LINKS))
    found = [(identity, message, match_error(message, only)) for identity, message, only in summary]
    return [ReportedError(identity, message, error) for identity, message, error in found if error]


def problem_with(facts: Facts, link: str) -> CheckResult | None:
    """Return the result of the first report about LINK; None where nobody complains."""
    report = next((one for one in reported_errors(facts) if one.error.link == link), None)
    return explain(report.error, facts, report.identity, report.message) if report else None


def vault_evidence(facts: Facts) -> str:
    """Say how it was seen that the vault knows the bot; "" where it was not."""
    if any(secret.label in _REACHED for secret in facts.secrets):
        return "as the bot was told just now"
    pod = facts.newest
    if pod and not pod.mount_error and not pod.unschedulable and pod.waiting != "ContainerCreating":
        return "as the newest pod showed at its start"
    return ""


def registry_readable(facts: Facts) -> bool:
    """Say whether Flux reads the registry."""
    repository = facts.object("ImageRepository", BOT)
    return repository is not None and repository.ready == "True"
