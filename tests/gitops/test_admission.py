"""The admission policy on images, tried for real in a namespace of its own.

A policy takes effect a moment after it was accepted, so that the fixture waits for its first
refusal, and the tests speak to a policy that is known to be in force.
"""

import copy
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.gitops.admission import pod_of
from tests.gitops.apiserver import ApiServer
from tests.gitops.findings import KubeObject
from tests.gitops.render import Render

NAMESPACE = "admission-test"
REPOSITORY = "example.azurecr.io/discordskybot"
DIGEST = "sha256:" + 64 * "a"
GOOD = f"{REPOSITORY}:main-7-0a1b2c3@{DIGEST}"
REFUSED = [
    "example.azurecr.io/discordskybot:main-7-0a1b2c3",
    "example.azurecr.io/discordskybot",
    f"example.azurecr.io/discordskybot-evil:main-7-0a1b2c3@{DIGEST}",
    f"example.azurecr.io/discordskybot/evil@{DIGEST}",
    f"example.azurecr.io/another@{DIGEST}",
    f"docker.io/example.azurecr.io/discordskybot@{DIGEST}",
    f"discordskybot@{DIGEST}",
    f"example.azurecr.io/discordskybot@{DIGEST}0",
    f"example.azurecr.io/discordskybot:a:b@{DIGEST}",
    "busybox:1.37",
]


def with_images(workload: KubeObject, **images: str) -> KubeObject:
    """Copy WORKLOAD with an image in each of the named lists of containers."""
    changed = copy.deepcopy(workload)
    template = changed["spec"].get("template", changed)
    spec: dict[str, Any] = template["spec"]
    model = spec["containers"][0]
    for number, (field, image) in enumerate(sorted(images.items())):
        spec[field] = [{**model, "image": image}]
        if field != "containers":
            kept = {"image": image, "securityContext": model["securityContext"]}
            spec[field] = [{"name": f"other{number}", **kept}]
    return changed


@pytest.fixture(scope="module")
def deployment(server: ApiServer, renders: dict[str, list[Render]]) -> KubeObject:
    """The bot's Deployment in a namespace where the policy is known to be in force."""
    objects = {
        item["kind"]: copy.deepcopy(item) for r in renders["production"] for item in r.objects
    }
    workload = objects["Deployment"]
    workload["metadata"]["namespace"] = NAMESPACE
    account = objects["ServiceAccount"]
    account["metadata"]["namespace"] = NAMESPACE
    policy, binding = (
        objects["ValidatingAdmissionPolicy"],
        objects["ValidatingAdmissionPolicyBinding"],
    )
    policy["metadata"]["name"] = binding["metadata"]["name"] = NAMESPACE
    binding["spec"]["policyName"] = NAMESPACE
    selector = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchLabels"]
    assert selector == {"kubernetes.io/metadata.name": "discord-sky"}
    selector["kubernetes.io/metadata.name"] = NAMESPACE
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    done = server.apply([namespace, account, policy, binding], dry_run=False)
    assert done.returncode == 0, done.stderr
    bad, deadline = with_images(workload, containers="busybox:1.37"), time.monotonic() + 30
    while server.apply([bad], dry_run=True).returncode == 0:  # each turn is a request
        assert time.monotonic() < deadline, "the policy never came into force"
    return workload


def refusal(server: ApiServer, item: KubeObject) -> str:
    """What the API server says against ITEM; empty when it accepts it."""
    done = server.apply([item], dry_run=True)
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


@pytest.mark.parametrize("image", [GOOD, f"{REPOSITORY}@{DIGEST}"])
def test_the_bots_image_by_digest_is_accepted(
    server: ApiServer, deployment: KubeObject, image: str
) -> None:
    workload = with_images(deployment, containers=image, initContainers=image)

    assert refusal(server, workload) == ""
    assert refusal(server, pod_of(workload)) == ""


def test_the_deployment_as_it_is_rendered_is_accepted(
    server: ApiServer, deployment: KubeObject
) -> None:
    assert refusal(server, deployment) == ""
    assert refusal(server, pod_of(deployment)) == ""


@pytest.mark.parametrize("image", REFUSED)
def test_another_image_or_one_without_digest_is_refused(
    server: ApiServer, deployment: KubeObject, image: str
) -> None:
    output = refusal(server, with_images(deployment, containers=image))

    assert f"only {REPOSITORY}@sha256:<digest>, with or without a tag, may run" in output
    assert f"refused: {image}" in output


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_each_kind_of_container_is_looked_at_in_deployments_and_pods(
    server: ApiServer, deployment: KubeObject, field: str
) -> None:
    workload = with_images(deployment, **{"containers": GOOD, field: "busybox:1.37"})

    for item in (workload, pod_of(workload)):
        assert "refused: busybox:1.37" in refusal(server, item)


def test_an_ephemeral_container_is_looked_at(server: ApiServer, deployment: KubeObject) -> None:
    """`kubectl debug` adds one through a subresource of a running pod."""
    pod = pod_of(with_images(deployment, containers=GOOD))
    pod["metadata"]["name"] = "debugged"
    created = server.apply([pod], dry_run=False)
    assert created.returncode == 0, created.stderr
    name = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}"
    running = json.loads(server.kubectl("get", "--raw", name).stdout)
    output = {}
    for image in ("busybox:1.37", GOOD):
        running["spec"]["ephemeralContainers"] = [{"name": "debug", "image": image}]

        done = server.kubectl(
            "replace", "--raw", f"{name}/ephemeralcontainers", "-f", "-", stdin=json.dumps(running)
        )

        output[image] = (done.returncode, done.stderr)
    assert "refused: busybox:1.37" in output["busybox:1.37"][1]
    assert output[GOOD] == (0, "")


def test_an_image_volume_is_looked_at(server: ApiServer, deployment: KubeObject) -> None:
    workload = with_images(deployment, containers=GOOD)
    volumes = workload["spec"]["template"]["spec"]["volumes"]
    volumes.append({"name": "files", "image": {"reference": "busybox:1.37"}})

    for item in (workload, pod_of(workload)):
        assert "refused: busybox:1.37" in refusal(server, item)
    volumes[-1]["image"]["reference"] = GOOD
    assert refusal(server, workload) == ""


SHELL = ["/opt/venv/bin/python", "-c", "print('hello')"]
OTHER_PROGRAMS: list[dict[str, Any]] = [
    {"command": SHELL},
    {"args": ["secrets", "check"]},
    {"livenessProbe": {"exec": {"command": SHELL}}},
    {"readinessProbe": {"exec": {"command": SHELL}}},
    {"startupProbe": {"exec": {"command": SHELL}}},
    {"lifecycle": {"postStart": {"exec": {"command": SHELL}}}},
    {"lifecycle": {"preStop": {"exec": {"command": SHELL}}}},
]


@pytest.mark.parametrize("other", OTHER_PROGRAMS, ids="-".join)
@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_another_program_of_the_allowed_image_is_refused(
    server: ApiServer, deployment: KubeObject, field: str, other: dict[str, Any]
) -> None:
    workload = with_images(deployment, **{"containers": GOOD, field: GOOD})
    container = workload["spec"]["template"]["spec"][field][0]
    container.update(other)
    if field == "initContainers":
        container["restartPolicy"] = "Always"  # a sidecar, which may have probes and hooks

    for item in (workload, pod_of(workload)):
        output = refusal(server, item)
        assert "only the program of the image may run" in output
        assert f"refused: container {container['name']}" in output


def test_a_terminating_pod_may_go_and_may_run_nothing_else(
    server: ApiServer, deployment: KubeObject
) -> None:
    """A finalizer holds it: it is deleted, and can still be changed."""
    pod = pod_of(with_images(deployment, containers=GOOD))
    pod["metadata"] |= {"name": "terminating", "finalizers": ["example.org/hold"]}
    assert server.apply([pod], dry_run=False).returncode == 0
    name = f"/api/v1/namespaces/{NAMESPACE}/pods/terminating"
    deleted = server.kubectl("delete", "-n", NAMESPACE, "pod/terminating", "--wait=false")
    assert deleted.returncode == 0, deleted.stderr

    def replace(change: Callable[[KubeObject], None]) -> tuple[int, str]:
        running = json.loads(server.kubectl("get", "--raw", name).stdout)
        assert running["metadata"]["deletionTimestamp"]
        change(running)
        done = server.kubectl("replace", "--raw", name, "-f", "-", stdin=json.dumps(running))
        return done.returncode, done.stderr

    def another_image(pod: KubeObject) -> None:
        pod["spec"]["containers"][0]["image"] = "busybox:1.37"

    def let_go(pod: KubeObject) -> None:
        del pod["metadata"]["finalizers"]

    code, output = replace(another_image)
    assert code != 0
    assert "refused: busybox:1.37" in output
    assert replace(let_go) == (0, "")


def test_a_terminating_pod_of_before_the_policy_may_go(
    server: ApiServer, deployment: KubeObject
) -> None:
    """Whatever it runs, its finalizers can be taken away."""
    pod = pod_of(with_images(deployment, containers="busybox:1.37"))
    pod["metadata"] |= {"name": "of-before", "finalizers": ["example.org/hold"]}
    kind = "validatingadmissionpolicybinding"
    binding = json.loads(server.kubectl("get", kind, NAMESPACE, "-o", "json").stdout)
    assert server.kubectl("delete", kind, NAMESPACE).returncode == 0
    deadline = time.monotonic() + 30
    while server.apply([pod], dry_run=False).returncode:
        assert time.monotonic() < deadline, "the policy never ended"
    for field in ("resourceVersion", "uid", "creationTimestamp", "managedFields", "generation"):
        binding["metadata"].pop(field, None)
    assert server.apply([binding], dry_run=False).returncode == 0
    bad = with_images(deployment, containers="busybox:1.37")
    while server.apply([bad], dry_run=True).returncode == 0:
        assert time.monotonic() < deadline, "the policy never came back into force"

    server.kubectl("delete", "-n", NAMESPACE, "pod/of-before", "--wait=false")
    patch = ("patch", "-n", NAMESPACE, "pod/of-before", "--type=json")
    done = server.kubectl(*patch, "-p", '[{"op": "remove", "path": "/metadata/finalizers"}]')

    assert done.returncode == 0, done.stderr


def test_another_namespace_is_left_alone(server: ApiServer, deployment: KubeObject) -> None:
    elsewhere = copy.deepcopy(deployment)
    elsewhere["metadata"]["namespace"] = "default"

    assert refusal(server, with_images(elsewhere, containers="busybox:1.37")) == ""
