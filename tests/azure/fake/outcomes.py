"""What the image workflow and Flux would do, given the state: nothing that lacks a link."""

from __future__ import annotations

import base64
import re
from typing import Any

from tests.azure.fake.az import CLUSTER, IDENTITY, REGISTRY, VAULT, has_role
from tests.azure.fake.cloud import State

_GITHUB = "https://token.actions.githubusercontent.com"
_BOT = "system:serviceaccount:discord-sky:discord-sky-bot"
_REFLECTOR = "system:serviceaccount:flux-system:image-reflector-controller"


def _one(state: State, kind: str, field: str, value: str) -> Any:
    every = state["azure"]["resources"].values()
    return next((one for one in every if one["type"] == kind and one[field] == value), None)


def _trusts(identity: Any, issuer: str, subject: str) -> bool:
    wanted = {"issuer": issuer, "subject": subject, "audiences": ["api://AzureADTokenExchange"]}
    return wanted in identity["trust"].values()


def _registry(state: State, server: str) -> Any:
    return _one(state, REGISTRY, "loginServer", server)


def image_workflow(state: State) -> str:
    """Push an image if the workflow may: the right subject, the right role. Return how it ended."""
    if "conclusion" in state["github"]:
        return str(state["github"]["conclusion"])
    variables = state["github"]["variables"]
    identity = _one(state, IDENTITY, "clientId", variables.get("AZURE_CLIENT_ID", ""))
    registry = _registry(state, variables.get("ACR_LOGIN_SERVER", ""))
    oidc = state["github"]["oidc"]
    subject = f"{oidc['sub_claim_prefix']}:ref:refs/heads/main"
    if identity is None or registry is None or not _trusts(identity, _GITHUB, subject):
        return "failure"
    if not has_role(state, identity["principalId"], "AcrPush", registry["id"]):
        return "failure"
    state["azure"]["images"][registry["name"]].append("main-1-0123abc")
    return "success"


def git_is_open(state: State, cluster: Any) -> bool:
    """Tell whether the key in the cluster may push to the repository."""
    secret = cluster["objects"].get("secret/flux-system/flux-system")
    if secret is None:
        return False
    public = base64.b64decode(secret["data"]["identity.pub"]).decode().strip()
    return any(key["key"] == public and not key["read_only"] for key in state["github"]["keys"])


def flux_follows(state: State, cluster: Any) -> None:
    """Bring the cluster to where Flux would have brought it by now."""
    objects = cluster["objects"]
    instance = objects.get("fluxinstance/flux-system/flux")
    if instance is None:
        return
    instance["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    objects.setdefault("crd//kustomizations", {})
    if not git_is_open(state, cluster):
        return
    objects.setdefault("kustomization/flux-system/flux-system", {})
    # What is on main: the rollback guard keeps it.
    listed = state.get("exclusions", [r"^.*\.sig$"])
    objects["imagerepository/flux-system/discord-sky"] = {"spec": {"exclusionList": listed}}
    objects.setdefault("namespace//discord-sky", {})
    message = _first_missing_link(state, cluster)
    condition = {"type": "Ready", "status": "False" if message else "True", "message": message}
    objects["kustomization/flux-system/discord-sky"] = {"status": {"conditions": [condition]}}


def _first_missing_link(state: State, cluster: Any) -> str:  # noqa: C901, PLR0911 - one a link
    objects = cluster["objects"]
    settings = objects.get("configmap/flux-system/cluster-settings")
    if settings is None:
        return "configmap cluster-settings not found"
    values = settings["data"]
    registry = _registry(state, values["ACR_LOGIN_SERVER"])
    vault = _one(state, VAULT, "name", values["KEYVAULT_NAME"])
    bot = _one(state, IDENTITY, "clientId", values["BOT_CLIENT_ID"])
    reflector = _one(state, IDENTITY, "clientId", values["IMAGE_REFLECTOR_CLIENT_ID"])
    (home,) = [
        state["azure"]["resources"][name]
        for name, one in state["clusters"].items()
        if one is cluster and state["azure"]["resources"][name]["type"] == CLUSTER
    ]
    issuer = home["oidcIssuerProfile"]["issuerUrl"]
    if None in (registry, vault, bot, reflector):
        return "a setting leads nowhere"
    if not _trusts(reflector, issuer, _REFLECTOR):
        return "AADSTS700213: image-reflector"
    if not has_role(state, reflector["principalId"], "AcrPull", registry["id"]):
        return "image-reflector may not pull"
    tags = state["azure"]["images"][registry["name"]]
    if not tags or not cluster["scanned"]:
        return "no image yet"
    excluded = objects["imagerepository/flux-system/discord-sky"]["spec"]["exclusionList"]
    if all(any(re.search(one, tag) for one in excluded) for tag in tags):
        return "version list argument cannot be empty"
    kubelet = home["identityProfile"]["kubeletidentity"]["objectId"]
    if not has_role(state, kubelet, "AcrPull", registry["id"]):
        return "ImagePullBackOff"
    if not _trusts(bot, issuer, _BOT):
        return "AADSTS700213: bot"
    if not has_role(state, bot["principalId"], "Key Vault Secrets User", vault["id"]):
        return "ForbiddenByRbac"
    if set(state["azure"]["secrets"][vault["name"]]) != {"discord-token", "openai-api-key"}:
        return "SecretNotFound"
    return str(cluster.get("trouble", ""))
