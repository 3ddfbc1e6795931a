"""The two identities of the chain: what each is called, and what it needs in Azure."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.azure.doctor.facts import ACCOUNT, BOT, FLUX, REFLECTOR, Facts, Identity

_VAULT_ROLES = ("Key Vault Secrets User", "Key Vault Secrets Officer", "Key Vault Administrator")
_PULL_ROLES = ("AcrPull", "AcrPush", "Contributor", "Owner", "Container Registry Repository Reader")


@dataclass(frozen=True, slots=True)
class Party:
    """One of the two: the cluster setting with its client id, its ServiceAccount, its roles."""

    title: str
    suffix: str  # of its identity's name, behind the set-up's
    setting: str
    namespace: str
    account: str
    roles: tuple[str, ...]  # the least one first

    @property
    def subject(self) -> str:
        """What its ServiceAccount's tokens say about whose they are."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    def identity(self, facts: Facts) -> Identity | None:
        """Return what az says of it, if anything."""
        azure = facts.azure
        if azure is None:
            return None
        return azure.bot if self.setting == "BOT_CLIENT_ID" else azure.reflector


BOT_PARTY = Party("the bot", "bot", "BOT_CLIENT_ID", BOT, ACCOUNT, _VAULT_ROLES)
FLUX_PARTY = Party(
    "Flux's image-reflector",
    "image-reflector",
    "IMAGE_REFLECTOR_CLIENT_ID",
    FLUX,
    REFLECTOR,
    _PULL_ROLES,
)


def words(facts: Facts, party: Party) -> dict[str, str]:
    """Return what sentences and commands about PARTY name; capitals where it is not known."""
    found = party.identity(facts)
    registry = facts.setting("ACR_LOGIN_SERVER")
    vault = facts.setting("KEYVAULT_NAME")
    is_bot = party is BOT_PARTY
    scope = (
        f"az keyvault show --name {vault}" if is_bot else f"az acr show --name {_name(registry)}"
    )
    return {
        "who": party.title,
        "setting": party.setting,
        "client": facts.setting(party.setting),
        "tenant": facts.setting("AZURE_TENANT_ID"),
        "subject": party.subject,
        "issuer": facts.issuer or "ISSUER",
        "identity": found.name if found else f"{facts.called('NAME')}-{party.suffix}",
        "group": found.group if found else facts.called("RESOURCE_GROUP"),
        "aks": facts.aks,
        "role": party.roles[0],
        "scope": f'"$({scope} --query id --output tsv)"',
        "vault": vault,
        "registry": registry,
        "acr": _name(registry),
    }


def _name(login_server: str) -> str:
    return login_server.partition(".")[0]
