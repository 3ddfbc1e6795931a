"""What the doctor saw: frozen values that convert to and from JSON and contain no credential.

`--facts FILE` writes them, so that they can be shown to somebody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

FLUX = "flux-system"  # Flux's namespace, and the name of its own objects
BOT = "discord-sky"  # the bot's namespace, and the name of its Flux objects
ACCOUNT = "discord-sky-bot"  # its Deployment and its ServiceAccount
REFLECTOR = "image-reflector-controller"
SETTINGS = (
    "ACR_LOGIN_SERVER",
    "KEYVAULT_NAME",
    "AZURE_TENANT_ID",
    "BOT_CLIENT_ID",
    "IMAGE_REFLECTOR_CLIENT_ID",
)


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FluxObject(Value):
    """One of Flux's objects and its condition Ready; `ready` is "" if it has none yet."""

    kind: str
    name: str
    ready: str = ""
    reason: str = ""
    message: str = ""
    suspended: bool = False
    target: str = ""  # its address, image or pattern


class Pod(Value):
    """One pod, and the state of its only container in the kubelet's words."""

    name: str
    image: str = ""
    ready: bool = False
    terminating: bool = False
    age: float = 0.0  # seconds
    waiting: str = ""  # a reason: ErrImagePull, CrashLoopBackOff
    message: str = ""  # the kubelet's message about that
    exit_code: int | None = None  # of the last container that terminated
    mount_error: str = ""  # the newest message about a volume that cannot be mounted
    unschedulable: str = ""  # why the scheduler finds no node


class FailedAlert(Value):
    """The newest Event that says why an Alert was not delivered."""

    alert: str  # its name: discord, github
    message: str
    age: float  # seconds
    credential_changed: bool = False  # whether the Secret of its Provider was changed after it


class Bot(Value):
    """What the bot in one pod reports; an empty `readyz` means that it did not answer."""

    pod: str
    readyz: str = ""
    metrics: dict[str, float] = {}
    login: str = ""  # label of the last failed login: token_refused, gateway_refused
    login_code: int | None = None
    login_remedy: str = ""
    problem: str = ""  # its last message before it terminated


class SecretState(Value):
    """One secret, as the bot sees it: `label` is "ok" or one of bot.credentials.keyvault's."""

    name: str
    label: str
    detail: str = ""


class ManagedIdentity(Value):
    """A managed identity as az shows it; None for what az could not show."""

    name: str
    group: str
    trusts: tuple[tuple[str, str], ...] | None = None  # issuer and subject
    roles: tuple[str, ...] | None = None  # on the vault or the registry


class Azure(Value):
    """What az shows; None for what it could not show."""

    bot: ManagedIdentity | None = None
    reflector: ManagedIdentity | None = None
    unknown_clients: tuple[
        str, ...
    ] = ()  # settings whose id belongs to no identity of the subscription
    vault: bool | None = None  # whether the vault exists
    registry: str = ""  # its name, with which its login server need not begin
    tags: tuple[str, ...] | None = None  # of the bot's images


class Build(Value):
    """The newest run of the image workflow."""

    status: str  # completed, in_progress, queued
    conclusion: str = ""
    url: str = ""
    of_main: bool | None = None  # whether it built what main has now


class GitHub(Value):
    """What gh shows of the repository that Flux follows; None for what it could not show."""

    repository: str
    workflows: dict[str, str] = {}  # states, by file name
    rules: tuple[str, ...] | None = None  # types of the rules that apply to main
    obstacles: dict[str, str] = {}  # rulesets that let no deploy key pass: name and address
    runs_main: bool | None = None  # whether the running image was built from what main has now
    build: Build | None = None
    rollback_off: bool | None = None  # whether the variable ROLLBACK_ON_FAILURE is "off"


class Facts(Value):
    """Everything that the links are diagnosed from."""

    unreachable: str = ""  # why kubectl could not be used
    context: str = ""  # which cluster: a context, and whose kubeconfig it is in
    issuer: str = ""  # who signs the cluster's ServiceAccount tokens
    settings: dict[str, str] | None = None  # cluster-settings
    key_vault: bool = True  # False with the component plain-secret
    flux: tuple[FluxObject, ...] = ()
    controllers: tuple[Pod, ...] = ()  # Flux's; none if they do not run as pods
    failed_alerts: tuple[FailedAlert, ...] = ()  # one for each Alert, of the last hour
    pods: tuple[Pod, ...] = ()  # the bot's, newest first
    bot: Bot | None = None
    secrets: tuple[SecretState, ...] = ()
    vault_resolves: bool | None = None  # whether the vault's name is in DNS, as seen from here
    azure: Azure | None = None
    provider: str = "azure"  # how Flux logs in to the registry: spec.provider
    exclusions: tuple[str, ...] = ()  # expressions of tags that Flux ignores
    on_github: bool = False  # whether Flux follows a repository on github.com
    github: GitHub | None = None
    names: dict[str, str] = {}  # from the local record of the set-up
    not_checked: tuple[str, ...] = ()  # sentences: what could not be checked, and why

    def called(self, key: str) -> str:
        """Return the value of KEY in the record, or KEY itself as a placeholder."""
        return self.names.get(key) or key

    @property
    def aks(self) -> str:
        """The options that name the cluster to `az aks`."""
        cluster, group = self.called("AKS_NAME"), self.called("AKS_RESOURCE_GROUP")
        return f"--resource-group {group} --name {cluster}"

    def object(self, kind: str, name: str) -> FluxObject | None:
        """Return one of Flux's objects."""
        return next((o for o in self.flux if (o.kind, o.name) == (kind, name)), None)

    def could_not_be_read(self, kind: str) -> bool:
        """Whether kubectl could not list Flux's objects of KIND, in lower case and the plural."""
        return any(line.startswith(f"{kind} in {FLUX}: ") for line in self.not_checked)

    def setting(self, name: str) -> str:
        """Return a cluster setting, or its name in angle brackets if it is not set."""
        return (self.settings or {}).get(name) or f"<{name}>"

    @property
    def on_acr(self) -> bool:
        """Whether the registry is Azure's, which Flux reads with an identity of its own."""
        return self.provider == "azure" or bool(
            (self.settings or {}).get("IMAGE_REFLECTOR_CLIENT_ID")
        )

    @property
    def registry(self) -> str:
        """What names the registry to `az acr`: its name, else its login server, which az takes."""
        named = self.azure.registry if self.azure else ""
        return named or self.names.get("ACR_NAME") or self.setting("ACR_LOGIN_SERVER")

    @property
    def registry_id(self) -> str:
        """A shell expression for the resource id of the registry."""
        query = f"[?loginServer=='{self.setting('ACR_LOGIN_SERVER')}'].id"
        return f'"$(az acr list --query "{query}" --output tsv)"'

    @property
    def newest(self) -> Pod | None:
        """The bot's newest pod that is not terminating."""
        return next((pod for pod in self.pods if not pod.terminating), None)


_VAULT_ROLES = ("Key Vault Secrets User", "Key Vault Secrets Officer", "Key Vault Administrator")
_PULL_ROLES = ("AcrPull", "AcrPush", "Contributor", "Owner", "Container Registry Repository Reader")


@dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """One of the two workload identities: its setting, ServiceAccount and sufficient roles."""

    title: str
    suffix: str  # of its managed identity's name, after the name of the set-up
    setting: str
    namespace: str
    account: str
    roles: tuple[str, ...]  # the least privileged one first

    @property
    def subject(self) -> str:
        """The subject of its ServiceAccount's tokens."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    def identity(self, facts: Facts) -> ManagedIdentity | None:
        """Return the managed identity as az shows it, if az could be asked."""
        azure = facts.azure
        if azure is None:
            return None
        return azure.bot if self.setting == "BOT_CLIENT_ID" else azure.reflector


BOT_IDENTITY = WorkloadIdentity("the bot", "bot", "BOT_CLIENT_ID", BOT, ACCOUNT, _VAULT_ROLES)
REFLECTOR_IDENTITY = WorkloadIdentity(
    "Flux's image-reflector",
    "image-reflector",
    "IMAGE_REFLECTOR_CLIENT_ID",
    FLUX,
    REFLECTOR,
    _PULL_ROLES,
)


def words(facts: Facts, identity: WorkloadIdentity) -> dict[str, str]:
    """Return what the known errors may name of IDENTITY; capitals for what is not known."""
    found = identity.identity(facts)
    vault = facts.setting("KEYVAULT_NAME")
    vault_id = f'"$(az keyvault show --name {vault} --query id --output tsv)"'
    return {
        "who": identity.title,
        "setting": identity.setting,
        "client": facts.setting(identity.setting),
        "tenant": facts.setting("AZURE_TENANT_ID"),
        "subject": identity.subject,
        "issuer": facts.issuer or "ISSUER",
        "identity": found.name if found else f"{facts.called('NAME')}-{identity.suffix}",
        "group": found.group if found else facts.called("RESOURCE_GROUP"),
        "aks": facts.aks,
        "role": identity.roles[0],
        "scope": vault_id if identity is BOT_IDENTITY else facts.registry_id,
        "vault": vault,
        "registry": facts.setting("ACR_LOGIN_SERVER"),
    }
