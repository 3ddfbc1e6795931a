"""The links that Flux is: cluster, settings, controllers, Git, what is applied, images. Pure."""

from __future__ import annotations

import re

from clusters.azure.doctor.causes import AGAIN
from clusters.azure.doctor.facts import BOT, FLUX, SETTINGS, Facts, FluxObject
from clusters.azure.doctor.verdict import Verdict, broken, ok, unseen

_OF_KEY_VAULT = {"KEYVAULT_NAME", "AZURE_TENANT_ID", "BOT_CLIENT_ID"}
_PUSH = re.compile(
    r"push|read.only|authoriz|authenticat|denied|permission|remote:|\b403\b|GH006|GH013",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"NAME_UNKNOWN|NOT_FOUND|MANIFEST_UNKNOWN|\b404\b", re.IGNORECASE)
# Reasons of a Kustomization that are about what it applied, not about applying: links of their own.
_LATER = {"HealthCheckFailed", "Progressing", "ProgressingWithRetry", "HealthCheckCanceled"}
_STARTS = 60  # seconds within which a controller is up
_LOOK = "flux get all --namespace flux-system"


def cluster(facts: Facts) -> Verdict:
    """Whether kubectl reaches a cluster."""
    if facts.unreachable:
        return broken(
            f"The cluster cannot be asked: {facts.unreachable.rstrip('?.')}.",
            "Get the credentials of the right cluster, start it if it was stopped, or make one.",
            "kubectl config get-contexts",
            f"az aks get-credentials {facts.aks}",
            f"az aks start {facts.aks}",
            AGAIN,
        )
    return ok("kubectl reaches it")


def settings(facts: Facts) -> Verdict:
    """Whether cluster-settings names everything that the manifests use."""
    wanted = [name for name in SETTINGS if facts.key_vault or name not in _OF_KEY_VAULT]
    if facts.settings is None:
        said = f"There is no ConfigMap cluster-settings in {FLUX}."
        return broken(said, "The set-up writes it.", AGAIN)
    if any("cluster-settings" in line for line in facts.unseen):
        return unseen("cluster-settings may not be read")
    missing = [name for name in wanted if not facts.settings.get(name)]
    if missing:
        change = ",".join(f'"{name}":"VALUE"' for name in missing)
        return broken(
            f"cluster-settings lacks {', '.join(missing)}, so Flux refuses to apply.",
            "The set-up writes them; clusters/README.md says what each is.",
            AGAIN,
            f"kubectl --namespace {FLUX} patch configmap cluster-settings --type merge"
            f" --patch '{{\"data\":{{{change}}}}}'",
        )
    return ok("cluster-settings names everything")


def controllers(facts: Facts) -> Verdict:
    """Whether Flux is there and its controllers run."""
    instance = facts.object("FluxInstance", "flux")
    if not facts.flux and not facts.unseen:
        return broken(f"There is nothing of Flux in {FLUX}.", "The set-up installs it.", AGAIN)
    if instance and instance.ready == "False":
        return broken(
            f"The FluxInstance is not Ready: {instance.message}",
            "Mend what it names, and apply it again.",
            "kubectl --namespace flux-system describe fluxinstance flux",
            AGAIN,
        )
    down = [
        pod for pod in facts.controllers if not pod.ready and not pod.leaving and pod.age > _STARTS
    ]
    if down:
        pod = down[0]
        why = pod.stuck or pod.said or pod.waiting or "it is not Ready"
        return broken(
            f"Flux's pod {pod.name} does not run: {why}",
            "Its description says what it waits for; a full node needs a larger one.",
            f"kubectl --namespace {FLUX} describe pod {pod.name}",
        )
    return ok("Flux's controllers run" if facts.controllers else "Flux's objects are kept")


def git(facts: Facts) -> Verdict:
    """Whether Flux reads the repository."""
    found = facts.object("GitRepository", FLUX)
    if found is None:
        return broken(
            f"There is no GitRepository {FLUX}: Flux does not know what to follow.",
            "The FluxInstance makes it.",
            AGAIN,
        )
    return _flux(
        found,
        "Flux cannot read the repository",
        "The deploy key of the Secret flux-system must be one of the repository's; the set-up "
        "makes both.",
        "gh repo deploy-key list",
        AGAIN,
    ) or ok(f"Flux reads {found.about}")


def applied(facts: Facts) -> Verdict:
    """Whether what is in Git was applied; whether it also became Ready comes later."""
    for name in (FLUX, f"{BOT}-images", BOT):
        found = facts.object("Kustomization", name)
        if found is None:
            return broken(
                f"There is no Flux Kustomization {name}.",
                "The root Kustomization makes it from clusters/production; is that merged?",
                f"flux get kustomizations --namespace {FLUX}",
            )
        if found.reason in _LATER and not found.suspended:
            continue
        verdict = _flux(
            found,
            f"Flux cannot apply {name}",
            "Mend what it names in Git (`python -m tests.gitops check` finds most of it), and "
            "merge.",
            f"flux reconcile kustomization {name} --with-source",
        )
        if verdict:
            return verdict
    return ok("all three Kustomizations are applied")


def registry(facts: Facts) -> Verdict:
    """Whether Flux finds tags in the registry."""
    found = facts.object("ImageRepository", BOT)
    if found is None:
        return _missing("ImageRepository")
    if found.ready == "False" and _EMPTY.search(found.message):
        return broken(
            f"The registry has no {found.about} yet: {found.message}",
            "Push the first image: run the image workflow, or build by hand as README says.",
            "gh workflow run image.yaml --ref main",
            f"flux reconcile image repository {BOT}",
        )
    return _flux(
        found,
        "Flux cannot read the registry",
        "ACR_LOGIN_SERVER must be the registry's login server.",
        "az acr list --query [].loginServer --output tsv",
        f"flux reconcile image repository {BOT}",
    ) or ok(found.message or f"Flux reads {found.about}")


def policy(facts: Facts) -> Verdict:
    """Whether one of the tags is chosen."""
    found = facts.object("ImagePolicy", BOT)
    if found is None:
        return _missing("ImagePolicy")
    return _flux(
        found,
        f"The image policy matches no tag (it wants {found.about})",
        "Tags are main-<number>-<seven hex digits>: see which there are, and that the policy in "
        "clusters/production/images is as in Git. Without any, run the image workflow.",
        f"az acr repository show-tags --name {_registry(facts)} --repository discordskybot",
        f"flux reconcile kustomization {BOT}-images --with-source",
        "gh workflow run image.yaml --ref main",
    ) or ok(found.message or "a tag is chosen")


def automation(facts: Facts) -> Verdict:
    """Whether the automation may push what it chose."""
    found = facts.object("ImageUpdateAutomation", BOT)
    if found is None:
        return _missing("ImageUpdateAutomation")
    if found.ready == "False" and _PUSH.search(found.message):
        return broken(
            f"The automation may not push to main: {found.message}",
            "The deploy key in the Secret flux-system must have write access and be on the bypass "
            "list of main's ruleset; the set-up makes one.",
            "gh repo deploy-key list",
            AGAIN,
            f"flux reconcile image update {BOT}",
        )
    return _flux(
        found,
        "The automation cannot write the tag into Git",
        "Mend what it names.",
        f"flux reconcile image update {BOT}",
    ) or ok(found.message or "it pushes")


def _flux(found: FluxObject, said: str, remedy: str, *commands: str) -> Verdict | None:
    """Return a verdict if the object is suspended or failed; None if it is well or under way."""
    if found.suspended:
        kind = {"ImageRepository": "image repository", "ImageUpdateAutomation": "image update"}
        what = kind.get(found.kind, found.kind.lower())
        return broken(
            f"{found.kind} {found.name} is suspended: somebody said stop.",
            "Ask who and why, then let it go on.",
            f"flux resume {what} {found.name}",
        )
    if found.ready == "False":
        return broken(f"{said}: {found.message}", remedy, *commands)
    if not found.ready:
        return unseen(f"{found.kind} {found.name} has no condition yet", "Look again.", _LOOK)
    return None


def _missing(kind: str) -> Verdict:
    return broken(
        f"There is no {kind} {BOT}.",
        "The Kustomization discord-sky-images makes it.",
        f"flux reconcile kustomization {BOT}-images --with-source",
    )


def _registry(facts: Facts) -> str:
    return facts.setting("ACR_LOGIN_SERVER").partition(".")[0]
