"""The facts of a healthy cluster, to be changed one at a time."""

from __future__ import annotations

from typing import Any

from clusters.azure.doctor.facts import (
    Azure,
    Bot,
    Facts,
    FluxObject,
    GitHub,
    ManagedIdentity,
    Pod,
    SecretState,
)
from clusters.azure.steps.github import WORKFLOWS

ISSUER = "https://eastus.oic.prod-aks.azure.com/tenant/cluster/"
BOT_CLIENT = "00000000-0000-0000-0000-000000000002"
REFLECTOR_CLIENT = "00000000-0000-0000-0000-000000000003"
BOT_SUBJECT = "system:serviceaccount:discord-sky:discord-sky-bot"
REFLECTOR_SUBJECT = "system:serviceaccount:flux-system:image-reflector-controller"
IMAGE = "example.azurecr.io/discordskybot:main-7-0a1b2c3@sha256:" + "0" * 64
_KINDS = (
    ("FluxInstance", "flux", ""),
    ("GitRepository", "flux-system", "ssh://git@git.example/discord-sky"),
    ("Kustomization", "flux-system", "./clusters/production"),
    ("Kustomization", "discord-sky-images", "./clusters/production/images"),
    ("Kustomization", "discord-sky", "./apps/discord-sky"),
    ("ImageRepository", "discord-sky", "example.azurecr.io/discordskybot"),
    ("ImagePolicy", "discord-sky", "^main-(?P<n>[0-9]+)-[0-9a-f]{7}$"),
    ("ImageUpdateAutomation", "discord-sky", ""),
)


def facts(**changes: Any) -> Facts:
    """Return them, with CHANGES."""
    return Facts(
        **{
            "issuer": ISSUER,
            "settings": {
                "ACR_LOGIN_SERVER": "example.azurecr.io",
                "KEYVAULT_NAME": "example-vault",
                "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000001",
                "BOT_CLIENT_ID": BOT_CLIENT,
                "IMAGE_REFLECTOR_CLIENT_ID": REFLECTOR_CLIENT,
            },
            "flux": flux(),
            "controllers": (Pod(name="source-controller-1", ready=True),),
            "pods": (pod(),),
            "bot": bot(),
            "secrets": looks(),
            "names": {"ACR_NAME": "example"},
            **changes,
        }
    )


def flux(kind: str = "", name: str = "discord-sky", **changes: Any) -> tuple[FluxObject, ...]:
    """Return Flux's objects, Ready; one of them with CHANGES, or without it if there are none."""
    found = []
    for each, its_name, about in _KINDS:
        one = FluxObject(kind=each, name=its_name, ready="True", reason="Succeeded", target=about)
        if (each, its_name) == (kind, name):
            if not changes:
                continue
            one = one.model_copy(update=changes)
        found.append(one)
    return tuple(found)


def alerts(*names: str, **changes: Any) -> tuple[FluxObject, ...]:
    """Return Alerts, which have no conditions; by default those that a set-up can turn on."""
    wanted = names or ("discord", "discord-failed", "github", "rollback")
    return tuple(FluxObject(kind="Alert", name=name, **changes) for name in wanted)


def pod(**changes: Any) -> Pod:
    """Return the bot's pod, Ready."""
    return Pod(**{"name": "discord-sky-bot-1", "image": IMAGE, "ready": True, "age": 90, **changes})


def bot(metrics: dict[str, float] | None = None, **changes: Any) -> Bot:
    """Return a bot that has answered."""
    well = {
        'credential_present{name="discord"}': 1.0,
        'credential_usable{name="discord"}': 1.0,
        'credential_present{name="openai"}': 1.0,
        'credential_usable{name="openai"}': 1.0,
        "gateway_open": 1.0,
        'model_requests_total{outcome="complete"}': 3.0,
    }
    return Bot(
        **{
            "pod": "discord-sky-bot-1",
            "readyz": "ready",
            "metrics": well | (metrics or {}),
            **changes,
        }
    )


def looks(label: str = "ok", detail: str = "") -> tuple[SecretState, ...]:
    """Return what the vault says of the two secrets; LABEL is that of the first."""
    return (
        SecretState(name="discord-token", label=label, detail=detail),
        SecretState(name="openai-api-key", label="ok"),
    )


def github(**changes: Any) -> GitHub:
    """Return what gh says when all is well."""
    return GitHub(
        **{
            "repository": "example/discord-sky",
            "workflows": dict.fromkeys(WORKFLOWS, "active"),
            "rules": ("pull_request", "non_fast_forward"),
            "runs_main": True,
            **changes,
        }
    )


def azure(**changes: Any) -> Azure:
    """Return what az says when all is well."""
    return Azure(
        **{
            "bot": ManagedIdentity(
                name="discord-sky-bot",
                group="discord-sky",
                trusts=((ISSUER, BOT_SUBJECT),),
                roles=("Key Vault Secrets User",),
            ),
            "reflector": ManagedIdentity(
                name="discord-sky-image-reflector",
                group="discord-sky",
                trusts=((ISSUER, REFLECTOR_SUBJECT),),
                roles=("AcrPull",),
            ),
            "vault": True,
            **changes,
        }
    )
