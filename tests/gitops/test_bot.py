"""The bot's Deployment against the names and promises of the project."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from bot.personas.loader import DIRECTORY
from bot.settings.schema import Settings
from tests.gitops.findings import ROOT, KubeObject


@pytest.fixture
def deployment(objects: dict[str, KubeObject]) -> KubeObject:
    return objects["Deployment/discord-sky-bot"]


@pytest.fixture
def pod(deployment: KubeObject) -> dict[str, Any]:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    found: dict[str, Any] = only
    return found


def test_a_rollout_surges_and_never_takes_the_only_pod_away(deployment: KubeObject) -> None:
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_a_failed_rollout_is_reported_before_flux_gives_up_waiting(
    deployment: KubeObject, objects: dict[str, KubeObject]
) -> None:
    flux = objects["Kustomization/discord-sky"]["spec"]

    assert flux["timeout"] == "5m"
    assert deployment["spec"]["progressDeadlineSeconds"] == 120


def test_names_are_those_that_everything_else_uses(
    deployment: KubeObject, container: dict[str, Any], pod: dict[str, Any]
) -> None:
    assert deployment["metadata"]["namespace"] == "discord-sky"
    assert container["name"] == "bot"
    assert container["image"].split("/", 1)[1].startswith("discordskybot:main-")
    assert pod["serviceAccountName"] == "discord-sky-bot"


def test_the_pod_may_do_nothing_that_the_bot_does_not_need(
    pod: dict[str, Any], container: dict[str, Any], objects: dict[str, KubeObject]
) -> None:
    assert pod["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert objects["ServiceAccount/discord-sky-bot"]["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_the_namespace_enforces_pod_security(objects: dict[str, KubeObject]) -> None:
    labels = objects["Namespace/discord-sky"]["metadata"]["labels"]

    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.34"


def test_resources_are_those_of_the_promise(container: dict[str, Any]) -> None:
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": "250m", "memory": "512Mi"},
    }


def test_probes_and_port_are_what_the_bot_serves(container: dict[str, Any]) -> None:
    (port,) = container["ports"]

    assert port == {"name": "http", "containerPort": Settings().http.port}
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "http"}


def test_the_pod_lives_longer_than_the_bot_needs_to_finish(pod: dict[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] > Settings().work.drain_seconds


def test_settings_and_secrets_are_mounted_where_the_bot_looks(
    pod: dict[str, Any], container: dict[str, Any], objects: dict[str, KubeObject]
) -> None:
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    settings = Settings()
    files = {"discord": settings.discord.token_file, "openai": settings.openai.api_key_file}

    for name, file in files.items():
        assert mounted[name]["mountPath"] == str(file.parent)
        assert volumes[name]["csi"]["volumeAttributes"] == {
            "secretProviderClass": f"discord-sky-secrets-{name}"
        }
    assert Path(container["args"][-1]).parent == Path(mounted["config"]["mountPath"])
    assert Path(mounted["personas"]["mountPath"]) == Path("/etc/discord-sky") / DIRECTORY
    for name in ("config", "personas"):
        assert f"ConfigMap/{volumes[name]['configMap']['name']}" in objects
    assert all(mount["readOnly"] and "subPath" not in mount for mount in mounted.values())


@pytest.mark.parametrize("name", ["discord-sky-config", "discord-sky-personas"])
def test_what_the_pod_mounts_is_neither_pruned_nor_substituted(
    objects: dict[str, KubeObject], name: str
) -> None:
    """A pod of the version before needs its own, and a ${x} in a persona is text."""
    (found,) = [each for each in objects if each.startswith(f"ConfigMap/{name}")]

    annotations = objects[found]["metadata"]["annotations"]
    assert annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
    assert annotations["kustomize.toolkit.fluxcd.io/substitute"] == "disabled"


def test_the_bot_may_touch_its_one_lease_and_look_at_pods(
    objects: dict[str, KubeObject], pod: dict[str, Any], container: dict[str, Any]
) -> None:
    lease = objects["Lease/discord-sky-bot"]
    settings = Settings().lease
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    account = {"kind": "ServiceAccount", "name": "discord-sky-bot", "namespace": "discord-sky"}

    assert objects["Role/discord-sky-bot"]["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [settings.name],
            "verbs": ["get", "patch"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    ]
    assert objects["RoleBinding/discord-sky-bot"]["subjects"] == [account]
    assert lease["metadata"]["name"] == settings.name
    assert lease["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/ssa"] == "IfNotPresent"
    assert lease["spec"] == {"leaseDurationSeconds": settings.seconds}
    assert mounts["kube-api-access"] == str(settings.account)
    assert pod["serviceAccountName"] == account["name"]


def test_no_credential_is_in_the_environment(container: dict[str, Any]) -> None:
    referred = [entry["valueFrom"] for entry in container["env"] if "valueFrom" in entry]

    assert referred == [{"fieldRef": {"fieldPath": "metadata.name"}}]
    assert "envFrom" not in container


def test_arguments_go_to_the_images_entrypoint(container: dict[str, Any]) -> None:
    """The Deployment names no program: the image does, and it is the bot."""
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert "command" not in container
    assert shlex.join(container["args"]) == "run --config /etc/discord-sky/config.toml"
    assert 'ENTRYPOINT ["/opt/venv/bin/python", "-m", "bot"]' in dockerfile
    assert "USER 65532:65532" in dockerfile


def test_only_metrics_come_in_and_only_dns_and_https_go_out(
    objects: dict[str, KubeObject],
) -> None:
    policy = objects["NetworkPolicy/discord-sky-bot"]["spec"]

    assert policy["podSelector"] == {}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (metrics,) = policy["ingress"]
    assert metrics["ports"] == [{"protocol": "TCP", "port": "http"}]
    assert metrics["from"] == [
        {"namespaceSelector": {"matchLabels": {"discord-sky/scrape": "true"}}}
    ]
    # No port 80: pages that people link to are opened at 443, and the metadata service is at 80.
    assert [port for rule in policy["egress"] for port in rule["ports"]] == [
        {"protocol": "UDP", "port": 53},
        {"protocol": "TCP", "port": 53},
        {"protocol": "TCP", "port": 443},
    ]


def test_nothing_leads_into_the_cluster_and_nothing_is_stored(
    objects: dict[str, KubeObject],
) -> None:
    kinds = {name.partition("/")[0] for name in objects}

    assert not kinds & {"Service", "Ingress", "PersistentVolumeClaim", "Secret"}
    assert "PodDisruptionBudget" not in kinds  # README.md of apps/discord-sky says why
