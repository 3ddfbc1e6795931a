"""The chain from the cluster to an answer, in the order in which each link needs the one before.

facts ─▶ diagnose ─▶ one Verdict for each link; after the first that is broken none is reached
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clusters.azure.doctor import links_azure, links_bot, links_flux, links_images, links_pod
from clusters.azure.doctor.facts import Facts
from clusters.azure.doctor.verdict import Status, Verdict

Look = Callable[[Facts], Verdict]

CHAIN: tuple[tuple[str, str, Look], ...] = (
    ("cluster", "kubectl reaches the cluster", links_flux.cluster),
    ("settings", "cluster-settings is complete", links_flux.settings),
    ("flux", "Flux's controllers run", links_flux.controllers),
    ("git", "Flux reads the repository", links_flux.git),
    ("applied", "what is in Git is applied", links_flux.applied),
    ("identity", "Entra knows the identities", links_azure.identity),
    ("federation", "they trust the cluster's tokens", links_azure.federation),
    ("vault", "the vault answers", links_azure.vault),
    ("role", "they may read vault and registry", links_azure.role),
    ("secrets", "the secrets are there and enabled", links_azure.secrets),
    ("registry", "Flux finds images", links_images.registry),
    ("policy", "the policy chooses a tag", links_images.policy),
    ("automation", "the automation may push", links_images.automation),
    ("pod", "the bot has a pod on a node", links_pod.pod_there),
    ("mount", "the node mounts the secrets", links_pod.mount),
    ("pull", "the node pulls the image", links_pod.pull),
    ("start", "the container runs", links_pod.start),
    ("token", "Discord accepts the token", links_bot.token),
    ("gateway", "the gateway is open, intents on", links_bot.gateway),
    ("key", "the model's provider accepts the key", links_bot.key),
    ("ready", "the bot is Ready", links_bot.ready),
)


@dataclass(frozen=True, slots=True)
class Link:
    """One link as it is."""

    name: str
    title: str
    verdict: Verdict


def diagnose(facts: Facts) -> tuple[Link, ...]:
    """Tell every link from FACTS."""
    links: list[Link] = []
    reached = True
    for name, title, look in CHAIN:
        verdict = look(facts) if reached else Verdict(Status.NOT_REACHED)
        reached = reached and verdict.status is not Status.BROKEN
        links.append(Link(name, title, verdict))
    return tuple(links)


def first_broken(links: tuple[Link, ...]) -> Link | None:
    """Return the link to mend; None if none is known to be broken."""
    return next((link for link in links if link.verdict.status is Status.BROKEN), None)
