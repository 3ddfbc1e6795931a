"""From facts to the first broken link: each fault alone in a cluster that is well otherwise."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clusters.azure.doctor.facts import Build, Facts, FailedAlert, FluxObject, ManagedIdentity
from clusters.azure.doctor.links import CHAIN, Link, diagnose, first_broken
from clusters.azure.doctor.report import as_text
from clusters.azure.doctor.result import CheckResult, Status
from clusters.azure.steps.github import WORKFLOWS
from tests.azure.doctor.healthy import (
    BOT_CLIENT,
    alerts,
    azure,
    bot,
    facts,
    flux,
    github,
    looks,
    pod,
)

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
    """A rollout whose image cannot be pulled."""
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


_GUARD = r"^main-0*(?:[1-9]|10)-"


def excluded(scan: str = "successful scan: found 2 tags", **changes: Any) -> Facts:
    """No tag is chosen, and the rollback guard excludes some."""
    objects = {
        one.name + one.kind: one
        for one in (
            *flux("ImagePolicy", ready="False", message="version list argument cannot be empty"),
            *flux("ImageRepository", message=scan)[5:6],
        )
    }
    return facts(flux=tuple(objects.values()), exclusions=(r"^.*\.sig$", _GUARD), **changes)


def on_github(**changes: Any) -> Facts:
    """A bot that runs, in a repository on GitHub."""
    return facts(on_github=True, github=github(**changes))


def ended(conclusion: str, *, of_main: bool = True) -> Build:
    """A run of the image workflow that is over."""
    url = "https://github.com/example/discord-sky/actions/runs/12"
    return Build(status="completed", conclusion=conclusion, url=url, of_main=of_main)


def undelivered(alert: str, message: str, **changes: Any) -> Facts:
    """A bot that is well, with alerts turned on, of which those to ALERT did not arrive."""
    why = f"failed to dispatch notification for Kustomization/flux-system/discord-sky: {message}"
    failed = FailedAlert(alert=alert, message=why, age=300, **changes)
    return facts(flux=(*flux(), *alerts()), failed_alerts=(failed,))


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


def test_a_healthy_cluster_has_no_broken_link() -> None:
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
    # The vault's network, by its code.
    "a vault whose firewall is closed": (
        waiting(f'{_MOUNT}403 Forbidden {{"innererror": {{"code": "ForbiddenByFirewall"}}}}'),
        "vault",
        "az keyvault update --name example-vault --default-action Allow",
    ),
    "a vault without public access": (
        waiting(
            f"{_MOUNT}Public network access is disabled and request is not from a trusted service "
            'nor via an approved private link. {"innererror": {"code": "ForbiddenByConnection"}}'
        ),
        "vault",
        "az keyvault update --name example-vault --public-network-access Enabled",
    ),
    "a vault with access policies": (
        waiting(
            f"{_MOUNT}The user, group or application 'appid=2' does not have secrets get "
            'permission on key vault. {"innererror": {"code": "ForbiddenByPolicy"}}'
        ),
        "role",
        "--enable-rbac-authorization true",
    ),
    # DNS and the way out: the host decides.
    "Entra's name does not resolve": (
        waiting(
            f'{_MOUNT}Post "https://login.microsoftonline.com/t/oauth2/v2.0/token": dial tcp: '
            "lookup login.microsoftonline.com on 10.0.0.10:53: no such host"
        ),
        "identity",
        "--selector k8s-app=kube-dns",
    ),
    "Entra cannot be reached": (
        waiting(
            f'{_MOUNT}Post "https://login.microsoftonline.com/t/oauth2/v2.0/token": dial tcp '
            "20.190.151.7:443: i/o timeout"
        ),
        "identity",
        "networkpolicies",
    ),
    "the vault's name resolves and it cannot be reached": (
        waiting(
            f'{_MOUNT}Get "https://example-vault.vault.azure.net/secrets/discord-token": dial tcp '
            "20.1.2.3:443: connect: connection refused"
        ),
        "vault",
        "networkpolicies",
    ),
    "the cluster's DNS does not answer": (
        waiting(
            f"{_MOUNT}dial tcp: lookup example-vault.vault.azure.net on 10.0.0.10:53: "
            "server misbehaving"
        ),
        "vault",
        "--selector k8s-app=kube-dns",
    ),
    "Flux does not resolve Entra's name": (
        failed("ImageRepository", "dial tcp: lookup login.microsoftonline.com: no such host"),
        "identity",
        "--selector k8s-app=kube-dns",
    ),
    "Flux does not resolve the registry's name": (
        failed("ImageRepository", "dial tcp: lookup example.azurecr.io: no such host"),
        "registry",
        "az acr list --query [].loginServer",
    ),
    "a registry whose firewall is closed": (
        failed(
            "ImageRepository",
            "GET https://example.azurecr.io/oauth2/token: DENIED: client with IP '192.0.2.7' is "
            "not allowed access, refer https://aka.ms/acr/firewall to grant access",
        ),
        "registry",
        "--ip-address 192.0.2.7",
    ),
    "a node that the registry's firewall stops": (
        pulling(
            "example.azurecr.io/discordskybot:main-8-0a1b2c3@sha256:1",
            "403 Forbidden: client with IP '192.0.2.7' is not allowed access",
        ),
        "pull",
        "az acr network-rule add --name example --ip-address 192.0.2.7",
    ),
    # Words of other errors mean nothing by themselves.
    "a volume that may not be written": (
        waiting(f"{_MOUNT}open /var/lib/kubelet/pods/1/volumes/token: permission denied"),
        "mount",
        "describe pod",
    ),
    "a vault that refuses with a code that is not known": (
        waiting(f'{_MOUNT}403 Forbidden {{"innererror": {{"code": "ForbiddenByMoon"}}}}'),
        "mount",
        "secrets-store-provider-azure",
    ),
    # Git.
    "Git's host does not resolve": (
        failed("GitRepository", "dial tcp: lookup github.com: no such host", "flux-system"),
        "git",
        "kube-dns",
    ),
    "Git's port is closed": (
        failed("GitRepository", "dial tcp 140.82.112.4:22: i/o timeout", "flux-system"),
        "git",
        "networkpolicies",
    ),
    "an empty repository": (
        failed("GitRepository", "couldn't find remote ref refs/heads/main", "flux-system"),
        "git",
        "git push origin main",
    ),
    "a ruleset in the automation's way": (
        failed("ImageUpdateAutomation", "remote: error: GH013: Repository rule violations found"),
        "automation",
        "gh ruleset check main",
    ),
    "a push that came second": (
        failed("ImageUpdateAutomation", "failed to push some refs: non-fast-forward"),
        "automation",
        "flux reconcile image update",
    ),
    # Images and workflows.
    "every image excluded, as az shows": (
        excluded(azure=azure(registry="example", tags=("main-7-0a1b2c3", "src-1"))),
        "policy",
        "gh workflow run image.yaml --ref main",
    ),
    "every image excluded, as Flux alone shows": (
        excluded("successful scan: found 0 tags"),
        "policy",
        "git commit --allow-empty",
    ),
    "a disabled image workflow": (
        on_github(workflows={"image.yaml": "disabled_manually"}),
        "workflow",
        "gh workflow enable image.yaml --repo example/discord-sky",
    ),
    "a guard whose schedule GitHub disabled": (
        on_github(
            workflows={
                "image.yaml": "active",
                "rollback-guard.yaml": "active",
                "rollback-guard-schedule.yaml": "disabled_inactivity",
            }
        ),
        "guard",
        "gh workflow enable rollback-guard-schedule.yaml",
    ),
    "a guard in a fork": (
        on_github(workflows={"image.yaml": "active", "rollback-guard.yaml": "disabled_fork"}),
        "guard",
        "gh workflow enable rollback-guard.yaml",
    ),
    "a rollback on failure that GitHub disabled": (
        facts(
            flux=(
                *flux(),
                *alerts("rollback"),
                FluxObject(kind="Kustomization", name="alerts-rollback", ready="True"),
            ),
            on_github=True,
            github=github(
                workflows=dict.fromkeys(WORKFLOWS, "active")
                | {"rollback-on-failure.yaml": "disabled_fork"}
            ),
        ),
        "rollback",
        "gh workflow enable rollback-on-failure.yaml",
    ),
    "a rollback on failure without set-up that GitHub disabled": (
        facts(
            flux=(*flux(), *alerts("rollback")),
            on_github=True,
            github=github(
                workflows=dict.fromkeys(WORKFLOWS, "active")
                | {"rollback-on-failure.yaml": "disabled_fork"}
            ),
        ),
        "rollback",
        "gh workflow enable rollback-on-failure.yaml",
    ),
    "a rollback on failure whose Alert was deleted": (
        facts(
            flux=(
                *flux(),
                FluxObject(kind="Kustomization", name="alerts-rollback", ready="True"),
            )
        ),
        "rollback",
        "flux reconcile kustomization alerts-rollback",
    ),
    "a rollback on failure that is suspended": (
        facts(flux=(*flux(), *alerts("rollback", suspended=True))),
        "alerts",
        "flux resume alert rollback",
    ),
    "a rollback on failure of which Flux cannot tell": (
        facts(
            flux=(
                *flux(),
                FluxObject(
                    kind="Kustomization", name="alerts-rollback", ready="False", message="no path"
                ),
            )
        ),
        "rollback",
        "flux reconcile kustomization alerts-rollback",
    ),
    "a fork whose workflows were never enabled": (
        on_github(workflows={}),
        "workflow",
        "example/discord-sky",
    ),
    "a ruleset without deploy keys": (
        on_github(obstacles={"protect main": "https://github.com/example/x/settings/rules/7"}),
        "ruleset",
        "gh ruleset check main",
    ),
    "a merge that no image was built from": (
        on_github(runs_main=False, build=ended("success", of_main=False)),
        "current",
        "gh workflow run image.yaml --ref main",
    ),
    "a merge, and no run at all": (
        on_github(runs_main=False),
        "current",
        "gh workflow run image.yaml --ref main",
    ),
    "a merge whose image could not be built": (
        on_github(runs_main=False, build=ended("failure")),
        "current",
        "gh run view --log-failed --repo example/discord-sky 12",
    ),
    # Alerts.
    "a webhook that Discord does not know": (
        undelivered("discord", 'status code 401: {"message": "Invalid Webhook Token"}'),
        "alerts",
        'make azure ARGS="--discord-webhook webhook.txt"',
    ),
    "a token that GitHub does not take": (
        undelivered("github", "POST https://api.github.com/…/statuses/1: 401 Bad credentials []"),
        "alerts",
        'make azure ARGS="--status-token token.txt"',
    ),
    "a token with which GitHub takes no dispatch": (
        undelivered("rollback", "POST …/dispatches: 403 Resource not accessible by personal token"),
        "alerts",
        'make azure ARGS="--dispatch-token dispatch.txt"',
    ),
    "a webhook that Discord does not know any more when a version fails": (
        undelivered("discord-failed", "status code 404"),
        "alerts",
        'make azure ARGS="--discord-webhook webhook.txt"',
    ),
    "a commit status for another repository": (
        undelivered("github", "POST …/statuses/1: 422 No commit found for SHA: 1 []"),
        "alerts",
        'make azure ARGS="--status-token token.txt"',
    ),
    "an alert without its Secret": (
        undelivered("discord", 'failed to read secret: secrets "discord-webhook" not found'),
        "alerts",
        'make azure ARGS="--discord-webhook webhook.txt"',
    ),
    "an alert of one's own": (
        facts(
            flux=(*flux(), *alerts("pager")),
            failed_alerts=(FailedAlert(alert="pager", message="status code 410", age=7),),
        ),
        "alerts",
        "flux events --namespace flux-system --for Alert/pager",
    ),
    "a suspended alert": (
        facts(flux=(*flux(), *alerts("github", suspended=True))),
        "alerts",
        "flux resume alert github",
    ),
}


@pytest.mark.parametrize(("seen", "link", "command"), FAULTS.values(), ids=FAULTS.keys())
def test_the_first_broken_link_is_named_with_a_command_that_fixes_it(
    seen: Facts, link: str, command: str
) -> None:
    broken = found(seen)

    assert broken.name == link
    assert command in "\n".join(broken.result.commands)


def test_az_shows_what_no_pod_has_shown_yet() -> None:
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


def test_what_works_outweighs_what_az_shows() -> None:
    """It may be logged in to another subscription than the identities are in."""
    elsewhere = azure(
        bot=None, reflector=None, unknown_clients=("BOT_CLIENT_ID", "IMAGE_REFLECTOR_CLIENT_ID")
    )

    assert first_broken(diagnose(facts(azure=elsewhere))) is None


def test_commands_name_the_identity_where_az_knows_it() -> None:
    named = ManagedIdentity(name="sky-bot", group="sky", trusts=(), roles=None)

    broken = found(facts(azure=azure(bot=named), secrets=looks("identity_refused", "AADSTS700213")))

    assert "--identity-name sky-bot --resource-group sky" in broken.result.commands[0]


def test_commands_name_what_set_up_created() -> None:
    names = {"NAME": "sky", "RESOURCE_GROUP": "group", "AKS_NAME": "aks"}

    trust = found(facts(names=names, secrets=looks("identity_refused", "AADSTS700213")))
    down = found(Facts(unreachable="refused", names={**names, "AKS_RESOURCE_GROUP": "other"}))

    assert "--identity-name sky-bot --resource-group group" in trust.result.commands[0]
    assert "az aks start --resource-group other --name aks" in down.result.commands


def test_without_key_vault_nothing_of_it_is_missing() -> None:
    seen = facts(
        key_vault=False,
        settings={"ACR_LOGIN_SERVER": "r.example", "IMAGE_REFLECTOR_CLIENT_ID": "x"},
        secrets=(),
    )

    assert {link.result.status for link in diagnose(seen)} == {Status.OK}


def test_a_key_that_nobody_tried_is_unknown() -> None:
    idle = facts(bot=bot({'model_requests_total{outcome="complete"}': 0}))

    (key,) = (link for link in diagnose(idle) if link.name == "key")

    assert key.result.status is Status.UNKNOWN
    assert "secrets check" in key.result.commands[0]


def test_no_sentence_has_a_placeholder_left() -> None:
    for seen, _, _ in FAULTS.values():
        result = found(seen).result
        text = "\n".join((result.summary, result.remedy, *result.commands))

        assert not re.search(r"\{[a-z_]+\}", text)
        assert "None" not in text


def test_each_link_has_a_name_of_its_own() -> None:
    assert len({name for name, _, _ in CHAIN}) == len(CHAIN)


def test_digits_of_a_digest_are_not_taken_for_a_status_code() -> None:
    digest = "sha256:401f403e404" + "0" * 53
    said = f'failed to resolve "example.azurecr.io/discordskybot@{digest}": unexpected EOF'

    link = found(pulling(f"example.azurecr.io/discordskybot:main-2-bbbbbbb@{digest}", said))

    assert link.name == "pull"
    assert "make rollback TO=--last" in link.result.commands


def test_a_healthy_bot_on_github_has_no_broken_link() -> None:
    links = diagnose(facts(azure=azure(), on_github=True, github=github()))

    assert {link.result.status for link in links} == {Status.OK}


def test_what_gh_could_not_tell_is_unknown_and_not_broken() -> None:
    links = {link.name: link.result for link in diagnose(facts(on_github=True))}

    for name in ("workflow", "ruleset", "guard", "current"):
        assert links[name].status is Status.UNKNOWN
        assert "gh auth login --scopes repo,workflow" in links[name].commands


@pytest.mark.parametrize(
    ("seen", "status", "words"),
    [
        (
            on_github(runs_main=False, build=Build(status="in_progress", url="u", of_main=True)),
            Status.OK,
            "is being built",
        ),
        (on_github(runs_main=False, build=ended("success")), Status.UNKNOWN, "within a minute"),
        (on_github(runs_main=None), Status.UNKNOWN, "could not be compared"),
        (
            facts(
                on_github=True,
                github=github(runs_main=False, build=ended("success")),
                exclusions=(r"^.*\.sig$", _GUARD),
            ),
            Status.OK,
            "was rolled back",
        ),
    ],
)
def test_a_main_that_is_ahead_for_a_reason_is_not_broken(
    seen: Facts, status: Status, words: str
) -> None:
    links = {link.name: link.result for link in diagnose(seen)}

    assert links["current"].status is status
    assert words in links["current"].summary


def test_a_main_without_a_ruleset_gets_the_command_that_creates_one() -> None:
    links = {link.name: link.result for link in diagnose(on_github(rules=()))}

    assert links["ruleset"].status is Status.OK
    assert "make azure ARGS=--ruleset" in links["ruleset"].summary


def test_a_policy_that_matches_nothing_is_not_taken_for_a_rollback() -> None:
    """There are tags that are not excluded: the policy is at fault."""
    some = azure(registry="example", tags=("main-11-0a1b2c3", "main-7-0a1b2c3"))

    broken = found(excluded(azure=some))

    assert "matches no tag" in broken.result.summary


@pytest.mark.parametrize("names", [{}, {"ACR_NAME": "theirs123"}])
def test_the_registrys_name_is_never_cut_out_of_its_login_server(names: dict[str, str]) -> None:
    """With a domain name label, it is not what comes before the first dot."""
    server = "theirs123-h7d0fsg4a2crf8cs.azurecr.io"
    settings = {**(facts().settings or {}), "ACR_LOGIN_SERVER": server}
    image = f"{server}/discordskybot:main-8-0a1b2c3@sha256:1"
    faults = [failed("ImagePolicy", "none"), pulling(image, "401 Unauthorized")]
    faults += [pulling(image, "not found"), failed("ImageRepository", "UNAUTHORIZED")]

    for seen in faults:
        labelled = seen.model_copy(update={"settings": settings, "names": names})
        commands = "\n".join(found(labelled).result.commands)

        assert not re.search(r"theirs123-\w+(?!\w*\.azurecr\.io)(?:\s|$)", commands)
        assert "theirs123" in commands


GENERIC: dict[str, Any] = {
    "provider": "generic",
    "key_vault": False,
    "settings": {"ACR_LOGIN_SERVER": "ghcr.io/example"},
    "secrets": (),
    "names": {},
}


def test_with_another_registry_nothing_of_azures_is_missing() -> None:
    """clusters/generic needs one setting, and Flux has no identity there."""
    assert {link.result.status for link in diagnose(facts(**GENERIC))} == {Status.OK}


@pytest.mark.parametrize(
    ("seen", "link"),
    [
        (failed("ImageRepository", "GET https://ghcr.io/v2/: UNAUTHORIZED: sign in"), "registry"),
        (failed("ImagePolicy", "version list argument cannot be empty"), "policy"),
        (pulling("ghcr.io/example/discordskybot:main-8-0a1b2c3@sha256:1", "403 denied"), "pull"),
        (pulling("ghcr.io/example/discordskybot:main-8-0a1b2c3@sha256:1", "not found"), "pull"),
    ],
)
def test_with_another_registry_no_command_is_for_azure(seen: Facts, link: str) -> None:
    broken = found(seen.model_copy(update=GENERIC))

    assert broken.name == link
    assert not [command for command in broken.result.commands if command.startswith("az ")]


@pytest.mark.parametrize("known", [{"vault_resolves": True}, {"azure": azure()}])
def test_a_vault_that_exists_is_not_called_wrong_when_it_does_not_answer(
    known: dict[str, Any],
) -> None:
    slow = waiting('MountVolume.SetUp failed for volume "discord" : code = DeadlineExceeded')

    broken = found(slow.model_copy(update=known))

    assert broken.name == "vault"
    assert "does not answer the cluster in time" in broken.result.summary
    assert "KEYVAULT_NAME" not in "\n".join(broken.result.commands)


def _alerts_link(seen: Facts) -> CheckResult:
    return next(link.result for link in diagnose(seen) if link.name == "alerts")


def _rollback_link(seen: Facts) -> CheckResult:
    return next(link.result for link in diagnose(seen) if link.name == "rollback")


def test_a_token_that_no_version_has_used_yet_is_unknown() -> None:
    """A dispatch that succeeds leaves no Event, and without a failure there is none."""
    seen = facts(flux=(*flux(), *alerts("rollback")), on_github=True, github=github())

    assert _rollback_link(seen).status is Status.UNKNOWN
    assert (
        "whether GitHub takes the token shows when a version fails" in _rollback_link(seen).summary
    )


def test_a_rollback_on_failure_that_was_switched_off_is_named() -> None:
    seen = facts(
        flux=(*flux(), *alerts("rollback")), on_github=True, github=github(rollback_off=True)
    )

    assert _rollback_link(seen).status is Status.OK
    assert _rollback_link(seen).summary.startswith(
        "switched off by the variable ROLLBACK_ON_FAILURE"
    )


def test_what_is_requested_is_not_guessed_where_alerts_cannot_be_read() -> None:
    seen = facts(not_checked=("alerts in flux-system: alerts is forbidden",))

    assert _rollback_link(seen).status is Status.UNKNOWN
    assert _alerts_link(seen).status is Status.UNKNOWN
    assert _rollback_link(facts()).summary.startswith("not requested")
    assert _alerts_link(facts()).summary == "alerts are off"


def test_events_that_cannot_be_read_are_no_delivery() -> None:
    seen = facts(
        flux=(*flux(), *alerts()),
        not_checked=("events of alerts in flux-system: events is forbidden",),
    )

    assert _alerts_link(seen).status is Status.UNKNOWN


def test_a_token_that_expired_is_seen_while_a_version_fails() -> None:
    """This is when it matters: nothing goes back, and an earlier link is broken as well."""
    seen = undelivered("rollback", "POST …/dispatches: 401 Bad credentials []").model_copy(
        update={"pods": (pod(ready=False, waiting="ErrImagePull", message="not found"),)}
    )

    links = diagnose(seen)
    first = first_broken(links)
    text = as_text(links, seen)

    assert first is not None
    assert first.name == "pull"
    assert _alerts_link(seen).status is Status.BROKEN
    assert text.index(f"\nBroken: {first.title}.") < text.index(
        "\nBroken as well: alerts arrive.\nAlerts to rollback do not arrive"
    )
    assert '\n  make azure ARGS="--dispatch-token dispatch.txt"' in text
    others = {one.result.status for one in links if one.name in {"ready", "guard", "current"}}
    assert others == {Status.NOT_REACHED}


def test_a_cluster_that_cannot_be_asked_says_nothing_about_alerts() -> None:
    expired = undelivered("rollback", "401 Bad credentials")

    for broken in ({"unreachable": "refused"}, {"settings": None}):
        assert _alerts_link(expired.model_copy(update=broken)).status is Status.NOT_REACHED


def test_alerts_that_were_delivered_are_named() -> None:
    delivered = _alerts_link(facts(flux=(*flux(), *alerts())))

    assert delivered.status is Status.OK
    assert delivered.summary.startswith("discord and discord-failed and github and rollback")


def test_a_failed_alert_says_when_and_where_it_failed() -> None:
    summary = found(undelivered("discord", "401")).result.summary

    assert summary.startswith("Alerts to discord do not arrive; the last one failed 5 minutes ago")


def test_an_alert_that_failed_before_its_secret_was_changed_is_not_called_broken() -> None:
    fixed = _alerts_link(undelivered("discord", "401", credential_changed=True))

    assert fixed.status is Status.UNKNOWN
    assert "the next deploy shows" in fixed.summary


def test_an_alert_that_did_not_get_through_once_may_get_through_now() -> None:
    """A delivery that succeeds leaves no Event, and a failed one is kept for an hour."""
    seen = undelivered("discord", "dial tcp: lookup discord.com: i/o timeout")
    both = seen.model_copy(
        update={
            "failed_alerts": (
                *seen.failed_alerts,
                FailedAlert(alert="github", message="401 Bad credentials", age=60),
            )
        }
    )

    assert _alerts_link(seen).status is Status.UNKNOWN
    assert "--status-token" in found(both).result.commands[0]


def test_an_alert_that_was_turned_off_no_longer_counts() -> None:
    removed = undelivered("discord", "401").model_copy(update={"flux": flux()})

    assert _alerts_link(removed).summary == "alerts are off"


def test_the_command_for_an_alert_names_the_set_up() -> None:
    other = undelivered("discord", "401").model_copy(update={"names": {"NAME": "sky"}})

    assert 'ARGS="--name sky --discord-webhook' in found(other).result.commands[0]
