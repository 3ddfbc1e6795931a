"""The chain of links from the cluster to an answer, each of which needs the ones before it.

facts ─▶ diagnose ─▶ one CheckResult for each link; after the first broken one, none is reached but
those that are broken whatever else is: whether people are told, and whether Git goes back by itself
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from clusters.azure.doctor import release_links
from clusters.azure.doctor.facts import (
    ACCOUNT,
    BOT,
    BOT_IDENTITY,
    FLUX,
    REFLECTOR_IDENTITY,
    SETTINGS,
    Bot,
    Facts,
    Pod,
    WorkloadIdentity,
)
from clusters.azure.doctor.known_errors import (
    AGAIN,
    again,
    explain,
    match_error,
    problem_with,
    registry_readable,
    vault_evidence,
)
from clusters.azure.doctor.result import CheckResult, Status, broken, condition_problem, ok, unknown

_OF_KEY_VAULT = {"KEYVAULT_NAME", "AZURE_TENANT_ID", "BOT_CLIENT_ID"}
# Reasons of a Kustomization that concern what it applied: those are links of their own.
_LATER = {"HealthCheckFailed", "Progressing", "ProgressingWithRetry", "HealthCheckCanceled"}
_STARTS = 60  # seconds that a controller may take to start


def cluster(facts: Facts) -> CheckResult:
    """Whether kubectl reaches a cluster."""
    where = f" ({facts.context})" if facts.context else ""
    if not facts.unreachable:
        return ok(facts.context or "kubectl reaches it")
    summary = f"The cluster cannot be reached{where}: {facts.unreachable.rstrip('?.')}."
    entered = f"az aks get-credentials {facts.aks}"
    if "AKS_NAME" not in facts.names:
        return broken(
            summary,
            "There is no record of this set-up on this machine. The first command creates what is "
            "missing; it finds what was set up elsewhere, and restores record and kubeconfig here.",
            again(facts.names.get("NAME")),
            entered,
        )
    return broken(
        summary,
        "Start it if it was stopped, or get the credentials of the right cluster. Set-up creates "
        "what is missing.",
        f"az aks start {facts.aks}",
        entered,
        "kubectl config get-contexts",
        AGAIN,
    )


def settings(facts: Facts) -> CheckResult:
    """Whether cluster-settings names everything that the manifests use."""
    needless = set() if facts.key_vault else _OF_KEY_VAULT
    needless = needless if facts.on_acr else needless | {"IMAGE_REFLECTOR_CLIENT_ID"}
    wanted = [name for name in SETTINGS if name not in needless]
    if facts.settings is None:
        summary = f"There is no ConfigMap cluster-settings in {FLUX}."
        return broken(summary, "Set-up writes it.", AGAIN)
    if any("cluster-settings" in line for line in facts.not_checked):
        return unknown("cluster-settings cannot be read with this login")
    missing = [name for name in wanted if not facts.settings.get(name)]
    if missing:
        change = ",".join(f'"{name}":"VALUE"' for name in missing)
        return broken(
            f"cluster-settings lacks {', '.join(missing)}, so Flux refuses to apply.",
            "Set-up writes them; clusters/README.md says what each is.",
            AGAIN,
            f"kubectl --namespace {FLUX} patch configmap cluster-settings --type merge"
            f" --patch '{{\"data\":{{{change}}}}}'",
        )
    return ok("cluster-settings names everything")


def controllers(facts: Facts) -> CheckResult:
    """Whether Flux is installed and its controllers run."""
    instance = facts.object("FluxInstance", "flux")
    if not facts.flux and not facts.not_checked:
        return broken(f"Flux is not installed in {FLUX}.", "Set-up installs it.", AGAIN)
    if instance and instance.ready == "False":
        return broken(
            f"The FluxInstance is not Ready: {instance.message}",
            "Fix what it names, and apply it again.",
            "kubectl --namespace flux-system describe fluxinstance flux",
            AGAIN,
        )
    down = [
        pod
        for pod in facts.controllers
        if not pod.ready and not pod.terminating and pod.age > _STARTS
    ]
    if down:
        pod = down[0]
        why = pod.unschedulable or pod.message or pod.waiting or "it is not Ready"
        return broken(
            f"Flux's pod {pod.name} does not run: {why}",
            "Its description says what it waits for. If the node is full, take a larger one.",
            f"kubectl --namespace {FLUX} describe pod {pod.name}",
        )
    return ok("Flux's controllers run" if facts.controllers else "Flux's objects are there")


# What source-controller says that has nothing to do with the deploy key.
_GIT_ERRORS = (
    (
        r"lookup [\w.-]+(?: on \S+)?: ",
        "The cluster's DNS does not resolve the host: look at it.",
        ("kubectl --namespace kube-system logs --selector k8s-app=kube-dns --tail 20",),
    ),
    (
        r"dial tcp [^ ]+: |i/o timeout|connection refused|no route to host",
        "The cluster does not reach the host by SSH (port 22): see what closes the way out.",
        ("kubectl get networkpolicies --all-namespaces",),
    ),
    (
        r"knownhosts: key mismatch|key is unknown",
        "The Secret flux-system knows another host key: set-up writes GitHub's again.",
        ("kubectl --namespace flux-system delete secret flux-system", AGAIN),
    ),
    (
        r"couldn't find remote ref|reference not found",
        "The repository has no branch main yet: push one.",
        ("git push origin main",),
    ),
)


def git(facts: Facts) -> CheckResult:
    """Whether Flux reads the repository."""
    found = facts.object("GitRepository", FLUX)
    if found is None:
        return broken(
            f"There is no GitRepository {FLUX}: Flux does not know what to follow.",
            "The FluxInstance creates it.",
            AGAIN,
        )
    summary = "Flux cannot read the repository"
    for pattern, remedy, commands in _GIT_ERRORS:
        if found.ready == "False" and re.search(pattern, found.message, re.IGNORECASE):
            return broken(f"{summary}: {found.message}", remedy, *commands)
    return condition_problem(
        found,
        summary,
        "The deploy key in the Secret flux-system must be one of the repository's; set-up creates "
        "both.",
        "gh repo deploy-key list",
        AGAIN,
    ) or ok(f"Flux reads {found.target}")


def applied(facts: Facts) -> CheckResult:
    """Whether what is in Git was applied; whether it also became Ready comes later."""
    for name in (FLUX, f"{BOT}-images", BOT):
        found = facts.object("Kustomization", name)
        if found is None:
            return broken(
                f"There is no Flux Kustomization {name}.",
                "The root Kustomization creates it from clusters/production; is that merged?",
                f"flux get kustomizations --namespace {FLUX}",
            )
        if found.reason in _LATER and not found.suspended:
            continue
        result = condition_problem(
            found,
            f"Flux cannot apply {name}",
            "Fix what it names in Git (`python -m tests.gitops check` finds most of it).",
            f"flux reconcile kustomization {name} --with-source",
        )
        if result:
            return result
    return ok("all three Kustomizations are applied")


_NO_KEY_VAULT = "no Key Vault here: the credentials are in the Secret discord-sky-secrets"


def identity(facts: Facts) -> CheckResult:
    """Whether Entra knows both client ids."""
    if found := problem_with(facts, "identity"):
        return found
    unknown = facts.azure.unknown_clients if facts.azure else ()
    for identity in _unproven(facts):
        if identity.setting in unknown:
            return _explain_message("AADSTS700016", facts, identity)
    return _known(facts, "both client ids")


def federation(facts: Facts) -> CheckResult:
    """Whether both identities trust their ServiceAccount."""
    if found := problem_with(facts, "federation"):
        return found
    for identity in _unproven(facts):
        known = identity.identity(facts)
        if known is None or known.trusts is None or not facts.issuer:
            continue
        if (facts.issuer, identity.subject) not in known.trusts:
            issuers = {issuer for issuer, subject in known.trusts if subject == identity.subject}
            code = "AADSTS700211" if issuers else "AADSTS700213"
            return _explain_message(code, facts, identity)
    return _known(facts, "both trust their ServiceAccount")


def vault(facts: Facts) -> CheckResult:
    """Whether the vault exists, and lets the cluster in."""
    if not facts.key_vault:
        return ok(_NO_KEY_VAULT)
    if found := problem_with(facts, "vault"):
        return found
    seen = vault_evidence(facts)
    gone = facts.vault_resolves is False or (facts.azure and facts.azure.vault is False)
    if gone and not any(check.label == "ok" for check in facts.secrets):
        host = f"{facts.setting('KEYVAULT_NAME')}.vault.azure.net"
        return _explain_message(f"lookup {host}: no such host", facts, BOT_IDENTITY)
    if seen:
        return ok(f"{facts.setting('KEYVAULT_NAME')} answers the bot, {seen}")
    return unknown("nothing has asked the vault yet: the bot has no pod")


def role(facts: Facts) -> CheckResult:
    """Whether the bot may read the vault, and Flux the registry."""
    if found := problem_with(facts, "role"):
        return found
    for identity in _unproven(facts):
        known = identity.identity(facts)
        if known is None or known.roles is None:
            continue
        if not set(known.roles) & set(identity.roles):
            code = "ForbiddenByRbac" if identity is BOT_IDENTITY else "UNAUTHORIZED"
            return _explain_message(code, facts, identity)
    return _known(facts, "bot and image-reflector may read")


def secrets(facts: Facts) -> CheckResult:
    """Whether both secrets are there and enabled."""
    if not facts.key_vault:
        return ok(_NO_KEY_VAULT)
    if found := problem_with(facts, "secrets"):
        return found
    if facts.secrets and all(check.label == "ok" for check in facts.secrets):
        return ok("both are in the vault and enabled")
    if seen := vault_evidence(facts):
        return ok(f"both could be read, {seen}")
    return unknown("nothing has read them yet: the bot has no pod")


def _unproven(facts: Facts) -> list[WorkloadIdentity]:
    """Return the identities that nothing has proved to work: only az can tell."""
    asked = any(check.label in {"ok", "disabled", "missing"} for check in facts.secrets)
    bot = [BOT_IDENTITY] if facts.key_vault and not asked else []
    known = registry_readable(facts) or not facts.on_acr
    return bot + ([] if known else [REFLECTOR_IDENTITY])


def _known(facts: Facts, summary: str) -> CheckResult:
    bot = _NO_KEY_VAULT if not facts.key_vault else vault_evidence(facts)
    flux = "Flux reads the registry" if registry_readable(facts) or not facts.on_acr else ""
    if bot and flux:
        return ok(f"{summary}, {bot}")
    azure = facts.azure
    if azure and azure.bot and azure.reflector:
        return ok(f"{summary}, says az")
    missing = " and ".join(name for name, seen in (("the bot", bot), ("Flux", flux)) if not seen)
    return unknown(f"nothing shows it for {missing}; after `az login` the doctor asks Azure")


def _explain_message(message: str, facts: Facts, identity: WorkloadIdentity) -> CheckResult:
    """Explain what az showed like the error message that it causes."""
    error = match_error(message)
    assert error is not None
    return explain(error, facts, identity, message)


_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
# Statuses as words of their own: the digest in the same message holds any three digits.
_UNAUTHORIZED = re.compile(
    r"\b(?:401|403)\b|unauthorized|authentication required|requested access", re.IGNORECASE
)
_FIREWALL = re.compile(r"client with IP '([^']+)' is not allowed access")
_GONE = re.compile(r"not found|\b404\b|manifest unknown|NotFound", re.IGNORECASE)
_PLACEHOLDER = "main-0-0000000"
_BAD_SETTINGS = 2  # the bot's exit code
_DESCRIBE = f"kubectl --namespace {BOT} describe pod"


def pod_there(facts: Facts) -> CheckResult:
    """Whether the bot has a pod, on a node."""
    pod = facts.newest
    if pod is None:
        return broken(
            f"The bot has no pod in {BOT}.",
            "The Deployment and its ReplicaSet say why.",
            f"kubectl --namespace {BOT} describe deployment,replicaset",
        )
    if pod.unschedulable:
        return broken(
            f"No node has capacity for pod {pod.name}: {pod.unschedulable}",
            "A rollout needs capacity for two pods of the bot: add a node, or take a larger one.",
            "kubectl describe nodes",
            f"az aks scale {facts.aks} --node-count 2",
        )
    return ok(f"{pod.name} is on a node")


def mount(facts: Facts) -> CheckResult:
    """Whether the node mounts the files into the pod."""
    if found := problem_with(facts, "mount"):
        return found
    pod = facts.newest
    if pod and pod.mount_error:
        remedy = "The message is the provider's own; its log says more."
        log = "kubectl --namespace kube-system logs --selector app=secrets-store-provider-azure"
        summary = f"Pod {pod.name} waits for its files: {pod.mount_error}"
        return broken(summary, remedy, f"{_DESCRIBE} {pod.name}", log)
    return ok("the pod has its files")


def pull(facts: Facts) -> CheckResult:
    """Whether the node can pull the image."""
    pod = facts.newest
    if pod is None or pod.waiting not in _PULL:
        return ok(f"the node has {_named(pod.image)}" if pod else "no pod")
    summary = f"The node cannot pull {_named(pod.image)}: {pod.message}"
    server, _, rest = pod.image.partition("/")
    registry = facts.registry if server == facts.setting("ACR_LOGIN_SERVER") else server
    attached = facts.registry_id if registry == server else registry
    if _PLACEHOLDER in pod.image:
        return broken(
            f"Git still names the placeholder {_PLACEHOLDER}: no image was deployed yet.",
            "Run the image workflow; the automation writes the tag.",
            "gh workflow run image.yaml --ref main",
        )
    if blocked := _FIREWALL.search(pod.message):
        return broken(
            summary,
            "The registry's firewall does not let the cluster in: let its address in, or all.",
            f"az acr network-rule add --name {registry} --ip-address {blocked[1]}",
            f"az acr update --name {registry} --default-action Allow",
        )
    if _UNAUTHORIZED.search(pod.message) and not facts.on_acr:
        return broken(
            summary,
            "The registry asks for a login: give the ServiceAccount an image pull secret.",
            f"kubectl --namespace {BOT} get serviceaccount {ACCOUNT} --output yaml",
        )
    if _UNAUTHORIZED.search(pod.message):
        return broken(
            summary,
            "The cluster's kubelet identity needs AcrPull on the registry.",
            f"az aks update {facts.aks} --attach-acr {attached}",
            f"az aks check-acr {facts.aks} --acr {server}",
        )
    remedy = "Roll back to an intact image: the older tag runs, and the guard excludes this one."
    if not _GONE.search(pod.message):
        remedy = "See whether the registry can be reached, and whether it has the image intact."
    repository = re.split(r"[:@]", rest)[0]
    see = f"az acr manifest list-metadata --registry {registry} --name {repository}"
    return broken(summary, remedy, *([see] if facts.on_acr else []), "make rollback TO=--last")


def _named(image: str) -> str:
    """Drop the digest: people know the tag."""
    return image.partition("@")[0]


def start(facts: Facts) -> CheckResult:
    """Whether the container starts and stays."""
    pod = facts.newest
    if pod is None or pod.waiting not in {"CrashLoopBackOff", "RunContainerError", "Error"}:
        if pod and pod.waiting and pod.waiting not in {"ContainerCreating", "PodInitializing"}:
            summary = f"Pod {pod.name} waits: {pod.waiting} {pod.message}"
            return broken(summary, "Its description says more.", f"{_DESCRIBE} {pod.name}")
        return ok("the container runs")
    problem = facts.bot.problem if facts.bot else ""
    logs = f"kubectl --namespace {BOT} logs {pod.name} --previous"
    if pod.exit_code == _BAD_SETTINGS:
        return broken(
            f"The bot refuses its settings: {problem or 'its log names them'}",
            "Fix apps/discord-sky/config.toml, and merge.",
            ".venv/bin/python -m bot check-config apps/discord-sky/config.toml",
            logs,
        )
    summary = f"The bot ends with code {pod.exit_code}: {problem or pod.message}"
    return broken(
        summary, "Its log says why. Roll back meanwhile.", logs, "make rollback TO=--last"
    )


_INTENTS = 4014  # Discord's close code
_WRITE = "ask the bot something in Discord"


def token(facts: Facts) -> CheckResult:
    """Whether Discord accepts the token."""
    bot = facts.bot
    if bot is None or not bot.metrics:
        return _unheard(facts)
    usable = bot.metrics.get('credential_usable{name="discord"}')
    if usable == 0:
        what = "has no Discord token"
        if bot.metrics.get('credential_present{name="discord"}'):
            what = "has a Discord token that Discord refuses"
        return broken(
            f"The bot {what}.",
            "Reset the token in Discord's developer portal (Bot, Reset Token), and set it now.",
            _rotate(facts, "discord-token"),
        )
    return ok("Discord accepts the token" if _open(bot) else "it has one that was not refused")


def gateway(facts: Facts) -> CheckResult:
    """Whether Discord lets the bot in, with the intents that it needs."""
    bot = facts.bot
    if bot is None or not bot.metrics:
        return _unheard(facts)
    if _open(bot):
        return ok("a gateway session is open")
    if bot.login_code == _INTENTS:
        return broken(
            "Discord closes the gateway with 4014: the Message Content Intent is off.",
            "Switch it on: https://discord.com/developers/applications, the application, Bot, "
            "Privileged Gateway Intents. The bot tries again within ten minutes, or at once with:",
            f"kubectl --namespace {BOT} rollout restart deployment {ACCOUNT}",
        )
    if bot.login == "gateway_refused":
        summary = f"Discord closes the gateway for good, with {bot.login_code}: {bot.login_remedy}"
        restart = f"kubectl --namespace {BOT} rollout restart deployment {ACCOUNT}"
        return broken(summary, "Do what it says, then restart the bot.", restart)
    summary = bot.readyz or "no gateway session is open"
    return broken(
        f"The bot is not connected to Discord: {summary}.",
        "It keeps trying. Its log says what fails; https://discordstatus.com shows whether Discord "
        "has an outage.",
        f"kubectl --namespace {BOT} logs {bot.pod} --tail 20",
    )


def key(facts: Facts) -> CheckResult:
    """Whether the model's provider accepts the key."""
    bot = facts.bot
    if bot is None or not bot.metrics:
        return _unheard(facts)
    if bot.metrics.get('credential_usable{name="openai"}') == 0:
        present = bot.metrics.get('credential_present{name="openai"}')
        refused = "The model's provider refuses the bot's key."
        return broken(
            refused if present else "The bot has no key for the model's provider.",
            "Create a new key (https://platform.openai.com/api-keys), and set it.",
            _rotate(facts, "openai-api-key"),
        )
    answered = bot.metrics.get('model_requests_total{outcome="complete"}', 0)
    if answered:
        return ok(f"{answered:.0f} requests were answered")
    check = (
        f".venv/bin/python -m bot secrets check --vault https://{facts.setting('KEYVAULT_NAME')}"
    )
    return unknown(
        "nobody has asked the bot anything since it started, so the key was not tried",
        f"To try it, {_WRITE}, or:",
        f"{check}.vault.azure.net",
    )


def ready(facts: Facts) -> CheckResult:
    """Whether the newest pod is Ready, and the rollout succeeded."""
    pod, bot = facts.newest, facts.bot
    if pod is None:
        return _unheard(facts)
    if not pod.ready:
        why = bot.readyz if bot and bot.readyz else "its readiness probe does not say"
        return broken(
            f"Pod {pod.name} is not Ready after {pod.age:.0f} s: {why}.",
            "A pod that has just started needs about five seconds; watch it, or read its log.",
            f"kubectl --namespace {BOT} rollout status deployment {ACCOUNT}",
            f"kubectl --namespace {BOT} logs {pod.name} --tail 20",
        )
    found = facts.object("Kustomization", BOT)
    if found and found.ready == "False":
        return broken(
            f"Flux gave up on the last rollout: {found.message}",
            "If the pod is Ready by now, let Flux check again.",
            f"flux reconcile kustomization {BOT}",
        )
    return ok(f"{pod.name} is Ready")


def _open(bot: Bot) -> bool:
    return bot.metrics.get("gateway_open") == 1


def _rotate(facts: Facts, secret: str) -> str:
    if not facts.key_vault:
        return "kubectl apply --filename apps/discord-sky/plain-secret/secret.yaml"
    vault = f"https://{facts.setting('KEYVAULT_NAME')}.vault.azure.net"
    return f".venv/bin/python -m bot secrets rotate {secret} --vault {vault}"


def _unheard(facts: Facts) -> CheckResult:
    pod: Pod | None = facts.newest
    if pod is None:
        return unknown("the bot has no pod")
    return unknown(f"pod {pod.name} could not be asked", "Its log may say why.", _log_of(pod))


def _log_of(pod: Pod) -> str:
    return f"kubectl --namespace {BOT} logs {pod.name} --tail 20"


Check = Callable[[Facts], CheckResult]

CHAIN: tuple[tuple[str, str, Check], ...] = (
    ("cluster", "kubectl reaches the cluster", cluster),
    ("settings", "cluster-settings is complete", settings),
    ("flux", "Flux's controllers run", controllers),
    ("git", "Flux reads the repository", git),
    ("applied", "what is in Git is applied", applied),
    ("identity", "Entra knows the identities", identity),
    ("federation", "they trust the cluster's tokens", federation),
    ("vault", "the vault answers", vault),
    ("role", "they may read vault and registry", role),
    ("secrets", "the secrets are there and enabled", secrets),
    ("workflow", "GitHub runs the image workflow", release_links.image_workflow),
    ("registry", "Flux finds images", release_links.registry),
    ("policy", "the policy chooses a tag", release_links.policy),
    ("ruleset", "rules for main let deploy keys pass", release_links.ruleset),
    ("automation", "the automation may push", release_links.automation),
    ("pod", "the bot has a pod on a node", pod_there),
    ("mount", "the node mounts the secrets", mount),
    ("pull", "the node pulls the image", pull),
    ("start", "the container runs", start),
    ("token", "Discord accepts the token", token),
    ("gateway", "the gateway is open, intents on", gateway),
    ("key", "the model's provider accepts the key", key),
    ("ready", "the bot is Ready", ready),
    ("guard", "the rollback guard is enabled", release_links.guard),
    ("rollback", "Git goes back from what fails", release_links.rollback),
    ("current", "what runs is what main has", release_links.current),
    ("alerts", "alerts arrive", release_links.alerts),
)


# Needed most while a version fails, and needing no more of the chain than these links.
INDEPENDENT = ("rollback", "alerts")
_NEEDED = ("cluster", "settings", "flux")


@dataclass(frozen=True, slots=True)
class Link:
    """One link and its result."""

    name: str
    title: str
    result: CheckResult


def diagnose(facts: Facts) -> tuple[Link, ...]:
    """Check every link from FACTS."""
    links: list[Link] = []
    first = ""
    for name, title, check in CHAIN:
        result = CheckResult(Status.NOT_REACHED)
        if not first or (name in INDEPENDENT and first not in _NEEDED):
            found = check(facts)
            if not first or found.status is Status.BROKEN:
                result = found
        if not first and result.status is Status.BROKEN:
            first = name
        links.append(Link(name, title, result))
    return tuple(links)


def first_broken(links: tuple[Link, ...]) -> Link | None:
    """Return the link to fix; None if none is known to be broken."""
    return next((link for link in links if link.result.status is Status.BROKEN), None)
