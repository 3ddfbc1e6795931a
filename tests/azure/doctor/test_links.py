"""From facts to the first broken link: each fault alone in a cluster that is well otherwise."""

from __future__ import annotations

import re

import pytest

from clusters.azure.doctor.facts import Facts, ManagedIdentity
from clusters.azure.doctor.links import CHAIN, Link, diagnose, first_broken
from clusters.azure.doctor.result import Status
from tests.azure.doctor.healthy import BOT_CLIENT, azure, bot, facts, flux, looks, pod

_MOUNT = (
    'MountVolume.SetUp failed for volume "discord" : rpc error: code = Unknown desc = failed to '
    "mount secrets store objects for pod discord-sky/discord-sky-bot-1, err: rpc error: code = "
    "Unknown desc = failed to mount objects, error: failed to get objectType:secret, "
    "objectName:discord-token, objectVersion:: "
)
_ENTRA = "WorkloadIdentityCredential authentication failed. AADSTS"
_HEALTH = {"ready": "False", "reason": "HealthCheckFailed", "message": "timeout waiting for: []"}


def waiting(mount: str) -> Facts:
    """A rollout whose new pod gets no files; the vault cannot be asked from here."""
    new = pod(name="discord-sky-bot-2", ready=False, waiting="ContainerCreating", mount_error=mount)
    return facts(flux=flux("Kustomization", **_HEALTH), pods=(new, pod()), bot=None, secrets=())


def pulling(image: str, said: str) -> Facts:
    """A rollout whose image is not to be had."""
    new = pod(
        name="discord-sky-bot-2", ready=False, waiting="ErrImagePull", image=image, message=said
    )
    return facts(flux=flux("Kustomization", **_HEALTH), pods=(new, pod()), bot=None)


def not_ready(readyz: str, metrics: dict[str, float], login: str = "", code: int = 0) -> Facts:
    """A pod that runs and is not Ready."""
    said = bot(metrics, readyz=readyz, login=login, login_code=code or None)
    return facts(flux=flux("Kustomization", **_HEALTH), pods=(pod(ready=False),), bot=said)


def failed(kind: str, message: str, name: str = "discord-sky", reason: str = "Failure") -> Facts:
    """One of Flux's objects, not Ready."""
    return facts(flux=flux(kind, name, ready="False", reason=reason, message=message))


def found(seen: Facts) -> Link:
    """The first broken link; there is one, and it comes with a sentence and a remedy to type."""
    links = diagnose(seen)
    link = first_broken(links)
    assert link is not None
    assert link.result.summary.strip()[-1] in ".]}" or ":" in link.result.summary
    assert link.result.remedy
    assert link.result.commands
    after = [one.result.status for one in links[links.index(link) + 1 :]]
    assert set(after) <= {Status.NOT_REACHED}
    return link


def test_a_cluster_that_is_well_has_no_broken_link() -> None:
    links = diagnose(facts(azure=azure()))

    assert {link.result.status for link in links} == {Status.OK}
    assert all(link.result.summary for link in links)


FAULTS = {
    # The ten of the promise, as kubectl alone shows them.
    "wrong client id": (
        waiting(
            f"{_MOUNT}{_ENTRA}700016: Application with identifier '{BOT_CLIENT}' was not found"
        ),
        "identity",
        "az identity list",
    ),
    "wrong federated subject": (
        waiting(f"{_MOUNT}{_ENTRA}700213: No matching federated identity record found for subject"),
        "federation",
        "--subject system:serviceaccount:discord-sky:discord-sky-bot",
    ),
    "wrong vault name": (
        waiting(f"{_MOUNT}dial tcp: lookup example-vault.vault.azure.net: no such host"),
        "vault",
        "KEYVAULT_NAME",
    ),
    "wrong vault name, as Azure's own provider often says it": (
        waiting('MountVolume.SetUp failed for volume "discord" : code = DeadlineExceeded'),
        "vault",
        "KEYVAULT_NAME",
    ),
    "missing role": (
        waiting(f'{_MOUNT}403 Forbidden "innererror": "code": "ForbiddenByRbac"'),
        "role",
        'az role assignment create --role "Key Vault Secrets User"',
    ),
    "disabled secret": (
        waiting(f'{_MOUNT}403 Forbidden "innererror": "code": "SecretDisabled"'),
        "secrets",
        "python -m bot secrets set discord-token",
    ),
    "policy that matches nothing": (
        failed("ImagePolicy", "version list argument cannot be empty"),
        "policy",
        "az acr repository show-tags --name example --repository discordskybot",
    ),
    "automation without push right": (
        failed("ImageUpdateAutomation", "unknown error: remote: ", reason="GitOperationFailed"),
        "automation",
        "gh repo deploy-key list",
    ),
    "image not pullable": (
        pulling("example.azurecr.io/discordskybot:main-8-0a1b2c3@sha256:1", "blob not found"),
        "pull",
        "make rollback",
    ),
    "intents off": (
        not_ready("gateway_refused", {"gateway_open": 0}, "gateway_refused", 4014),
        "gateway",
        "rollout restart",
    ),
    "refused OpenAI key": (
        not_ready("no usable key", {'credential_usable{name="openai"}': 0}),
        "key",
        "python -m bot secrets rotate openai-api-key --vault https://example-vault.vault.azure.net",
    ),
    # The same as the vault itself says it, while the running pod still has its files.
    "missing role, before the next rollout": (
        facts(secrets=looks("denied", "application 2; action readMetadata")),
        "role",
        "az role assignment create",
    ),
    "disabled secret, before the next rollout": (
        facts(secrets=looks("disabled")),
        "secrets",
        "discord-token",
    ),
    "wrong client id, before the next rollout": (
        facts(secrets=looks("identity_refused", "AADSTS700016")),
        "identity",
        "BOT_CLIENT_ID",
    ),
    # And what else happens in the evening of a set-up.
    "no cluster": (Facts(unreachable="connection refused"), "cluster", "az aks get-credentials"),
    "no settings": (facts(settings=None), "settings", "make azure"),
    "a setting without a value": (
        facts(settings={"ACR_LOGIN_SERVER": "example.azurecr.io"}),
        "settings",
        "KEYVAULT_NAME",
    ),
    "a repository that cannot be read": (
        failed("GitRepository", "ssh: handshake failed", "flux-system"),
        "git",
        "gh repo deploy-key list",
    ),
    "manifests that the API server refuses": (
        failed("Kustomization", "dry-run failed", reason="ReconciliationFailed"),
        "applied",
        "flux reconcile kustomization discord-sky",
    ),
    "flux may not pull": (
        failed("ImageRepository", "GET https://example.azurecr.io/v2/: UNAUTHORIZED: sign in"),
        "role",
        '--role "AcrPull"',
    ),
    "flux's identity is not trusted": (
        failed("ImageRepository", f"{_ENTRA}700213: No matching federated identity record"),
        "federation",
        "--subject system:serviceaccount:flux-system:image-reflector-controller",
    ),
    "nothing was ever pushed": (
        failed("ImageRepository", "GET https://example.azurecr.io/v2/: NAME_UNKNOWN: repository"),
        "registry",
        "gh workflow run image.yaml",
    ),
    "images on hold": (
        facts(flux=flux("ImageRepository", suspended=True)),
        "registry",
        "flux resume image repository discord-sky",
    ),
    "nothing was ever deployed": (
        pulling("example.azurecr.io/discordskybot:main-0-0000000@sha256:0", "not found"),
        "pull",
        "gh workflow run image.yaml",
    ),
    "the node may not pull": (
        pulling("example.azurecr.io/discordskybot:main-8-0a1b2c3@sha256:1", "401 Unauthorized"),
        "pull",
        "--attach-acr example",
    ),
    "no room on the node": (
        facts(
            pods=(
                pod(ready=False, unschedulable="0/1 nodes are available: Insufficient cpu"),
                pod(),
            )
        ),
        "pod",
        "az aks scale",
    ),
    "no driver on the node": (
        waiting(
            "driver name secrets-store.csi.k8s.io not found in the list of registered CSI drivers"
        ),
        "mount",
        "azure-keyvault-secrets-provider",
    ),
    "settings that the bot refuses": (
        facts(pods=(pod(ready=False, waiting="CrashLoopBackOff", exit_code=2),), bot=None),
        "start",
        "check-config",
    ),
    "an image that crashes": (
        facts(pods=(pod(ready=False, waiting="CrashLoopBackOff", exit_code=1),), bot=None),
        "start",
        "logs discord-sky-bot-1 --previous",
    ),
    "refused Discord token": (
        not_ready("token_refused", {'credential_usable{name="discord"}': 0, "gateway_open": 0}),
        "token",
        "secrets rotate discord-token",
    ),
    "a pod that has only just started": (
        not_ready("the language model's client is being loaded", {}),
        "ready",
        "rollout status",
    ),
}


@pytest.mark.parametrize(("seen", "link", "command"), FAULTS.values(), ids=FAULTS.keys())
def test_the_first_broken_link_is_named_with_a_command_that_mends_it(
    seen: Facts, link: str, command: str
) -> None:
    broken = found(seen)

    assert broken.name == link
    assert command in "\n".join(broken.result.commands)


def test_az_tells_what_no_pod_has_shown_yet() -> None:
    """Before the first pod and the first scan, roles and trust are known from Azure alone."""
    fresh = facts(pods=(), bot=None, secrets=(), flux=flux("ImageRepository", ready=""))
    well = azure()
    assert well.bot is not None
    assert well.reflector is not None
    stranger = ((well.bot.trusts or ())[0][0], "system:serviceaccount:other:other")
    spoilt = {
        "identity": azure(bot=None, unknown_clients=("BOT_CLIENT_ID",)),
        "federation": azure(bot=well.bot.model_copy(update={"trusts": (stranger,)})),
        "vault": azure(vault=False),
        "role": azure(reflector=well.reflector.model_copy(update={"roles": ("Reader",)})),
    }

    for name, told in spoilt.items():
        assert found(fresh.model_copy(update={"azure": told})).name == name
    untold = diagnose(fresh.model_copy(update={"azure": None}))
    status = {link.name: link.result.status for link in untold}
    assert {status[name] for name in spoilt} == {Status.UNKNOWN}


def test_az_is_not_believed_against_what_was_seen_to_work() -> None:
    """It may be logged in to another subscription than the identities are in."""
    elsewhere = azure(
        bot=None, reflector=None, unknown_clients=("BOT_CLIENT_ID", "IMAGE_REFLECTOR_CLIENT_ID")
    )

    assert first_broken(diagnose(facts(azure=elsewhere))) is None


def test_commands_name_the_identity_where_az_knows_it() -> None:
    named = ManagedIdentity(name="sky-bot", group="sky", trusts=(), roles=None)

    broken = found(facts(azure=azure(bot=named), secrets=looks("identity_refused", "AADSTS700213")))

    assert "--identity-name sky-bot --resource-group sky" in broken.result.commands[0]


def test_commands_name_what_the_set_up_made() -> None:
    names = {"NAME": "sky", "RESOURCE_GROUP": "group", "AKS_NAME": "aks"}

    trust = found(facts(names=names, secrets=looks("identity_refused", "AADSTS700213")))
    down = found(Facts(unreachable="refused", names={**names, "AKS_RESOURCE_GROUP": "other"}))

    assert "--identity-name sky-bot --resource-group group" in trust.result.commands[0]
    assert "az aks start --resource-group other --name aks" in down.result.commands


def test_without_key_vault_nothing_of_it_is_missed() -> None:
    seen = facts(
        key_vault=False,
        settings={"ACR_LOGIN_SERVER": "r.example", "IMAGE_REFLECTOR_CLIENT_ID": "x"},
        secrets=(),
    )

    assert {link.result.status for link in diagnose(seen)} == {Status.OK}


def test_a_key_that_nobody_tried_is_not_called_good() -> None:
    idle = facts(bot=bot({'model_requests_total{outcome="ok"}': 0}))

    (key,) = (link for link in diagnose(idle) if link.name == "key")

    assert key.result.status is Status.UNKNOWN
    assert "secrets check" in key.result.commands[0]


def test_no_fault_leaves_a_gap_in_its_sentences() -> None:
    for seen, _, _ in FAULTS.values():
        result = found(seen).result
        text = "\n".join((result.summary, result.remedy, *result.commands))

        assert not re.search(r"\{[a-z_]+\}", text)
        assert "None" not in text


def test_each_link_has_a_name_of_its_own() -> None:
    assert len({name for name, _, _ in CHAIN}) == len(CHAIN)


def test_a_digest_with_a_status_among_its_digits_is_no_refusal() -> None:
    digest = "sha256:401f403e404" + "0" * 53
    said = f'failed to resolve "example.azurecr.io/discordskybot@{digest}": unexpected EOF'

    link = found(pulling(f"example.azurecr.io/discordskybot:main-2-bbbbbbb@{digest}", said))

    assert link.name == "pull"
    assert "make rollback TO=--last" in link.result.commands
