"""The links that Flux is: cluster, settings, controllers, Git, what is applied. Pure."""

from __future__ import annotations

from clusters.azure.doctor.causes import AGAIN, again
from clusters.azure.doctor.condition import failing
from clusters.azure.doctor.facts import BOT, FLUX, SETTINGS, Facts
from clusters.azure.doctor.verdict import Verdict, broken, ok, unseen

_OF_KEY_VAULT = {"KEYVAULT_NAME", "AZURE_TENANT_ID", "BOT_CLIENT_ID"}
# Reasons of a Kustomization that are about what it applied, not about applying: links of their own.
_LATER = {"HealthCheckFailed", "Progressing", "ProgressingWithRetry", "HealthCheckCanceled"}
_STARTS = 60  # seconds within which a controller is up


def cluster(facts: Facts) -> Verdict:
    """Whether kubectl reaches a cluster."""
    where = f" ({facts.asked})" if facts.asked else ""
    if not facts.unreachable:
        return ok(facts.asked or "kubectl reaches it")
    said = f"The cluster cannot be asked{where}: {facts.unreachable.rstrip('?.')}."
    entered = f"az aks get-credentials {facts.aks}"
    if "AKS_NAME" not in facts.names:
        return broken(
            said,
            "There is no record of this set-up on this machine. The first command makes what is "
            "missing; what was set up elsewhere it finds, and brings record and kubeconfig here.",
            again(facts.names.get("NAME")),
            entered,
        )
    return broken(
        said,
        "Start it if it was stopped, or get the credentials of the right cluster. What is missing, "
        "set-up makes.",
        f"az aks start {facts.aks}",
        entered,
        "kubectl config get-contexts",
        AGAIN,
    )


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
    return failing(
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
        verdict = failing(
            found,
            f"Flux cannot apply {name}",
            "Mend what it names in Git (`python -m tests.gitops check` finds most of it), and "
            "merge.",
            f"flux reconcile kustomization {name} --with-source",
        )
        if verdict:
            return verdict
    return ok("all three Kustomizations are applied")
