"""What the words of Azure, the CSI driver and the registry mean: the link, a sentence, the remedy.

The first pattern that is found in a message is its cause, so the telling ones come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
class Cause:
    """A pattern of a message, and what it means; `{names}` are those of party.words."""

    link: str
    pattern: str
    said: str
    remedy: str
    commands: tuple[str, ...]

    def fits(self, message: str) -> bool:
        """Say whether MESSAGE means this."""
        return re.search(self.pattern, message, re.IGNORECASE) is not None


_TAKES_TIME = "A role that was given just now takes a few minutes to count."

CAUSES = (
    Cause(
        "identity",
        r"AADSTS700016",
        "Entra knows no identity with the client id {client}, which {setting} names for {who}.",
        "Look up the right id, and put it there; set-up run again does the same.",
        (_SEE_IDENTITIES, set_to("{setting}", "CLIENT-ID"), RECONCILE, AGAIN),
    ),
    Cause(
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
    Cause(
        "identity",
        r"DefaultAzureCredential|no default identity|managed identity.*not found",
        "{who} has no workload identity: its pod was not given one.",
        "The FluxInstance's patches give it; apply it again, then look at the pod's label"
        " azure.workload.identity/use.",
        (AGAIN, "kubectl --namespace flux-system get pods --show-labels"),
    ),
    Cause(
        "federation",
        r"AADSTS700211",
        "The identity of {who} trusts another cluster: its federated credential names another"
        " issuer than {issuer}.",
        "Give it this cluster's issuer; a credential of the same name is replaced.",
        (_TRUST,),
    ),
    Cause(
        "federation",
        r"AADSTS700212",
        "The federated credential of {who} names another audience.",
        "Give it the audience api://AzureADTokenExchange.",
        (_TRUST,),
    ),
    Cause(
        "federation",
        r"AADSTS70021",
        "The identity of {who} does not trust {subject}: its federated credential names another"
        " subject.",
        "Give it this subject; a credential of the same name is replaced.",
        (_TRUST,),
    ),
    Cause(
        "federation",
        r"AADSTS700024|AADSTS500133|identity_expired",
        "Entra takes the token of {who} as not valid now: it expired, or clocks disagree.",
        "Compare the node's clock; a new pod gets a new token.",
        (
            _CLOCKS,
            "kubectl --namespace discord-sky rollout restart deployment discord-sky-bot",
        ),
    ),
    Cause(
        "federation",
        r"AADSTS\d+|identity_refused",
        "Entra refuses {who}, whose client id is {client}.",
        "Compare the federated credential's issuer, subject and audience, the tenant and the id.",
        (
            _TRUSTED,
            AGAIN,
        ),
    ),
    Cause(
        "vault",
        r"ForbiddenByFirewall|ForbiddenByConnection|public network access is disabled",
        "The firewall of the vault {vault} does not let the cluster in.",
        "Let the cluster's outgoing address in, or everybody: the role is what protects it.",
        ("az keyvault update --name {vault} --public-network-access Enabled",),
    ),
    Cause(
        "secrets",
        r"SecretDisabled",
        "The newest version of {secret} in {vault} is disabled, and Key Vault does not fall back.",
        "Set a new version, or enable this one.",
        (
            ".venv/bin/python -m bot secrets set {secret} --vault https://{vault}.vault.azure.net",
            "az keyvault secret set-attributes --vault-name {vault} --name {secret} --enabled true",
        ),
    ),
    Cause(
        "secrets",
        r"SecretNotFound",
        "The vault {vault} has no secret {secret}, or it was deleted.",
        "Set it, or recover it.",
        (
            ".venv/bin/python -m bot secrets set {secret} --vault https://{vault}.vault.azure.net",
            "az keyvault secret recover --vault-name {vault} --name {secret}",
        ),
    ),
    Cause(
        "role",
        r"ForbiddenByRbac|does not have secrets get permission|\bdenied\b|UNAUTHORIZED"
        r"|authentication required|\b401\b|\b403 Forbidden\b",
        '{who} lacks the role "{role}".',
        f"Give it. {_TAKES_TIME}",
        (_GIVE_ROLE,),
    ),
    Cause(
        "mount",
        r"not found in the list of registered CSI drivers|provider not found|provider \"azure\"",
        "The node has no Secrets Store CSI driver with Azure's provider.",
        "Switch the add-on on.",
        (_ADD_ON,),
    ),
    Cause(
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


def cause_of(message: str, only: tuple[str, ...] = ()) -> Cause | None:
    """Return what MESSAGE means, of the links in ONLY or of any; None where it is not known."""
    return next(
        (one for one in CAUSES if (not only or one.link in only) and one.fits(message)), None
    )
