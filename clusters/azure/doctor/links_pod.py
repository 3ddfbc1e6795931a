"""The links on the node: a pod with room, mounted secrets, a pulled image, a container. Pure."""

from __future__ import annotations

import re

from clusters.azure.doctor.facts import BOT, Facts
from clusters.azure.doctor.verdict import Verdict, broken, ok
from clusters.azure.doctor.voices import against

_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
# Statuses as words of their own: the digest in the same message holds any three digits.
_UNAUTHORIZED = re.compile(
    r"\b(?:401|403)\b|unauthorized|authentication required|denied", re.IGNORECASE
)
_GONE = re.compile(r"not found|\b404\b|manifest unknown|NotFound", re.IGNORECASE)
_PLACEHOLDER = "main-0-0000000"
_BAD_SETTINGS = 2  # the bot's exit code
_DESCRIBE = f"kubectl --namespace {BOT} describe pod"


def pod_there(facts: Facts) -> Verdict:
    """Whether there is a pod, on a node."""
    pod = facts.newest
    if pod is None:
        return broken(
            f"There is no pod of the bot in {BOT}.",
            "The Deployment and its ReplicaSet say why.",
            f"kubectl --namespace {BOT} describe deployment,replicaset",
        )
    if pod.stuck:
        return broken(
            f"No node has room for pod {pod.name}: {pod.stuck}",
            "A rollout needs room for two pods of the bot; add a node, or take a larger one.",
            "kubectl describe nodes",
            f"az aks scale {facts.aks} --node-count 2",
        )
    return ok(f"{pod.name} is on a node")


def mount(facts: Facts) -> Verdict:
    """Whether the node brings the files into the pod."""
    if found := against(facts, "mount"):
        return found
    pod = facts.newest
    if pod and pod.mount:
        remedy = "The message is the provider's own; its log has more."
        log = "kubectl --namespace kube-system logs --selector app=secrets-store-provider-azure"
        said = f"Pod {pod.name} waits for its files: {pod.mount}"
        return broken(said, remedy, f"{_DESCRIBE} {pod.name}", log)
    return ok("the pod has its files")


def pull(facts: Facts) -> Verdict:
    """Whether the node can pull the image."""
    pod = facts.newest
    if pod is None or pod.waiting not in _PULL:
        return ok(f"the node has {_named(pod.image)}" if pod else "no pod")
    said = f"The node cannot pull {_named(pod.image)}: {pod.said}"
    server, _, rest = pod.image.partition("/")
    registry = server.partition(".")[0]
    if _PLACEHOLDER in pod.image:
        return broken(
            f"Git still names the placeholder {_PLACEHOLDER}: no image was deployed yet.",
            "Run the image workflow; the automation writes the tag.",
            "gh workflow run image.yaml --ref main",
        )
    if _UNAUTHORIZED.search(pod.said):
        return broken(
            said,
            "The cluster's kubelet identity needs AcrPull on the registry.",
            f"az aks update {facts.aks} --attach-acr {registry}",
            f"az aks check-acr {facts.aks} --acr {server}",
        )
    remedy = "Go back to an image that is whole: the older tag runs, the guard excludes this one."
    if not _GONE.search(pod.said):
        remedy = "See whether the registry can be reached, and whether the image is whole in it."
    repository = re.split(r"[:@]", rest)[0]
    return broken(
        said,
        remedy,
        f"az acr manifest list-metadata --registry {registry} --name {repository}",
        "make rollback TO=--last",
    )


def _named(image: str) -> str:
    """Drop the digest: the tag is what a person knows."""
    return image.partition("@")[0]


def start(facts: Facts) -> Verdict:
    """Whether the container starts and stays."""
    pod = facts.newest
    if pod is None or pod.waiting not in {"CrashLoopBackOff", "RunContainerError", "Error"}:
        if pod and pod.waiting and pod.waiting not in {"ContainerCreating", "PodInitializing"}:
            said = f"Pod {pod.name} waits: {pod.waiting} {pod.said}"
            return broken(said, "Its description says more.", f"{_DESCRIBE} {pod.name}")
        return ok("the container runs")
    problem = facts.bot.problem if facts.bot else ""
    logs = f"kubectl --namespace {BOT} logs {pod.name} --previous"
    if pod.exit_code == _BAD_SETTINGS:
        return broken(
            f"The bot refuses its settings: {problem or 'its log names them'}",
            "Mend apps/discord-sky/config.toml, and merge.",
            ".venv/bin/python -m bot check-config apps/discord-sky/config.toml",
            logs,
        )
    said = f"The bot ends with code {pod.exit_code}: {problem or pod.said}"
    return broken(said, "Its log says why. Go back meanwhile.", logs, "make rollback TO=--last")
