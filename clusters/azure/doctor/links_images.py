"""The links that choose what runs: registry, policy, automation. Pure."""

from __future__ import annotations

import re

from clusters.azure.doctor.causes import AGAIN
from clusters.azure.doctor.condition import failing
from clusters.azure.doctor.facts import BOT, Facts
from clusters.azure.doctor.verdict import Verdict, broken, ok

_PUSH = re.compile(
    r"push|read.only|authoriz|authenticat|denied|permission|remote:|\b403\b|GH006|GH013",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"NAME_UNKNOWN|NOT_FOUND|MANIFEST_UNKNOWN|\b404\b", re.IGNORECASE)


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
    return failing(
        found,
        "Flux cannot read the registry",
        "ACR_LOGIN_SERVER must be the registry's login server.",
        "az acr list --query [].loginServer --output tsv",
        f"flux reconcile image repository {BOT}",
    ) or ok(_short(r"found \d+ tags", found.message) or f"Flux reads {found.about}")


def policy(facts: Facts) -> Verdict:
    """Whether one of the tags is chosen."""
    found = facts.object("ImagePolicy", BOT)
    if found is None:
        return _missing("ImagePolicy")
    return failing(
        found,
        f"The image policy matches no tag (it wants {found.about})",
        "Tags are main-<number>-<seven hex digits>: see which there are, and that the policy in "
        "clusters/production/images is as in Git. Without any, run the image workflow.",
        f"az acr repository show-tags --name {_registry(facts)} --repository discordskybot",
        f"flux reconcile kustomization {BOT}-images --with-source",
        "gh workflow run image.yaml --ref main",
    ) or ok(_short(r"resolved to (\S+)", found.message) or "a tag is chosen")


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
    return failing(
        found,
        "The automation cannot write the tag into Git",
        "Mend what it names.",
        f"flux reconcile image update {BOT}",
    ) or ok(found.message or "it pushes")


def _short(pattern: str, message: str) -> str:
    found = re.search(pattern, message)
    return found[found.re.groups] if found else ""


def _missing(kind: str) -> Verdict:
    return broken(
        f"There is no {kind} {BOT}.",
        "The Kustomization discord-sky-images makes it.",
        f"flux reconcile kustomization {BOT}-images --with-source",
    )


def _registry(facts: Facts) -> str:
    return facts.setting("ACR_LOGIN_SERVER").partition(".")[0]
