"""The overlay for kind, k3s and kubeadm, beside the bot that Flux deployed: its pod becomes Ready.

It runs in a namespace of its own, with the image and the addresses of the loop. The loop's network
enforces no NetworkPolicy; which ports that lets out is asserted by tests/gitops/test_generic.py.
Discord accepts one token, so the Secret here holds what the vault holds, and etcd keeps it for
good: these tests come after test_leaks.py, which finds any value of the vault's in etcd.
"""

import asyncio
import copy
import json
from collections.abc import Iterator

import pytest

from tests.gitops.apiserver import ApiServer
from tests.gitops.findings import KubeObject, Tree
from tests.gitops.render import render_cluster
from tests.loop.people.editions import deployed
from tests.loop.people.observe import Observer
from tests.loop.supervisor import state

pytestmark = [pytest.mark.loop, pytest.mark.timeout(400)]

NAMESPACE = "discord-sky-generic"
CLUSTER_WIDE = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def bot_of(cluster: str) -> list[KubeObject]:
    """Render what Flux applies for the bot in a cluster."""
    settings = {"ACR_LOGIN_SERVER": state.REGISTRY} if cluster == "generic" else None
    renders = render_cluster(Tree(settings=settings), cluster)
    (found,) = (each for each in renders if each.kustomization == "discord-sky")
    return list(found.objects)


def container_of(objects: list[KubeObject]) -> KubeObject:
    """Return the bot's container, as it is in the Deployment."""
    (deployment,) = (item for item in objects if item["kind"] == "Deployment")
    containers: list[KubeObject] = deployment["spec"]["template"]["spec"]["containers"]
    return containers[0]


async def image() -> str:
    """Return the image that the loop's bot runs."""
    async with Observer(str(state.KUBECONFIG)) as seen:
        return (await deployed(seen)).image


@pytest.fixture
def objects(loop: state.Loop) -> Iterator[list[KubeObject]]:
    """The overlay's objects in a namespace of their own, which is removed again."""
    made = [copy.deepcopy(item) for item in bot_of("generic") if item["kind"] not in CLUSTER_WIDE]
    for item in made:
        if item["kind"] == "Namespace":
            item["metadata"]["name"] = NAMESPACE
        else:
            item["metadata"]["namespace"] = NAMESPACE
        for subject in item.get("subjects", []):
            subject["namespace"] = NAMESPACE
    container = container_of(made)
    container["image"] = asyncio.run(image())
    addresses = [
        each
        for each in container_of(bot_of("local"))["env"]
        if each["name"].startswith(("SKY_DISCORD__", "SKY_OPENAI__"))
    ]
    assert len(addresses) == 3
    container["env"] += addresses
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "discord-sky-secrets", "namespace": NAMESPACE},
        "stringData": {
            "discord-token": state.DISCORD_TOKEN_FILE.read_text(),
            "openai-api-key": state.OPENAI_KEY_FILE.read_text(),
        },
    }
    made.insert(1, secret)
    yield made
    ApiServer(loop.kubeconfig).kubectl("delete", "namespace", NAMESPACE, "--wait", "--timeout=90s")


def test_the_overlay_for_other_clusters_runs_with_a_plain_secret(
    loop: state.Loop, objects: list[KubeObject]
) -> None:
    server = ApiServer(loop.kubeconfig)

    applied = server.apply(objects, dry_run=False)

    assert applied.returncode == 0, applied.stderr
    where = ("-n", NAMESPACE)
    rolled_out = server.kubectl(
        *where, "rollout", "status", "deployment/discord-sky-bot", "--timeout=150s"
    )
    logs = server.kubectl(*where, "logs", "deployment/discord-sky-bot", "--tail=20").stdout
    assert rolled_out.returncode == 0, rolled_out.stderr + logs
    lease = json.loads(server.kubectl(*where, "get", "lease/discord-sky-bot", "-o", "json").stdout)
    pods = server.kubectl(*where, "get", "pods", "-o", "name").stdout.split()
    assert [f"pod/{lease['spec']['holderIdentity']}"] == pods
