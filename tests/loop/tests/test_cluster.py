"""The cluster of the loop does what a cluster does."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lightkube import AsyncClient
from lightkube.codecs import from_dict
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, Node, Pod, ServiceAccount

from tests.loop.cluster import git_server, kube, tiny_image
from tests.loop.supervisor import control, state
from tests.tools import tool

pytestmark = [pytest.mark.loop, pytest.mark.timeout(120)]


@pytest.fixture
async def namespace(api: AsyncClient) -> AsyncIterator[str]:
    name = f"loop-test-{secrets.token_hex(4)}"
    await api.create(Namespace(metadata=ObjectMeta(name=name)))
    await kube.until(api, ServiceAccount, "default", lambda _: True, name)
    yield name
    await api.delete(Namespace, name)


@pytest.fixture
def kubectl_image(loop: state.Loop, tmp_path: Path) -> str:
    """An image of kubectl, pushed to the loop's registry."""
    assert loop.alive
    name = f"{state.REGISTRY}/loop-test/kubectl:1"
    archive = tmp_path / "kubectl.tar"
    tiny_image.write(archive, name, tool("kubectl"))
    subprocess.run(
        [tool("crane"), "push", "--insecure", archive, name], check=True, capture_output=True
    )
    return name


def _pod(name: str, namespace: str, image: str, *arguments: str, **environment: str) -> Any:
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    main = {"name": "main", "image": image, "args": list(arguments), "env": variables}
    return from_dict(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "containers": [main],
            },
        }
    )


def _ended(pod: Pod) -> bool:
    return pod.status is not None and pod.status.phase in {"Succeeded", "Failed"}


async def _log(api: AsyncClient, name: str, namespace: str) -> str:
    return "".join([line async for line in api.log(name, namespace=namespace)])


async def test_the_node_is_ready(api: AsyncClient) -> None:
    node = await api.get(Node, state.NODE)

    assert kube.condition(node) == "True"


async def test_a_pod_pulls_from_the_registry_and_reaches_the_api_by_its_service_address(
    api: AsyncClient, namespace: str, kubectl_image: str
) -> None:
    """In a pod kubectl uses KUBERNETES_SERVICE_HOST, which is 10.0.0.1, and its ServiceAccount."""
    await api.create(_pod("asks", namespace, kubectl_image, "auth", "whoami", "-o", "name", "-v=6"))

    pod = await kube.until(api, Pod, "asks", _ended, namespace)

    said = await _log(api, "asks", namespace)
    assert pod.status.phase == "Succeeded", said
    assert f"https://{state.KUBERNETES_SERVICE}:443/" in said


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("kubernetes.default.svc", ("Succeeded", "https://kubernetes.default.svc:443/")),
        ("login.microsoftonline.com", ("Failed", "no such host")),
    ],
)
async def test_a_pod_resolves_services_by_name_and_nothing_beyond_the_machine(
    api: AsyncClient, namespace: str, kubectl_image: str, name: str, outcome: tuple[str, str]
) -> None:
    question = ("auth", "whoami", "-o", "name", "-v=6")
    asks = _pod("asks", namespace, kubectl_image, *question, KUBERNETES_SERVICE_HOST=name)
    await api.create(asks)

    pod = await kube.until(api, Pod, "asks", _ended, namespace)

    said = await _log(api, "asks", namespace)
    assert pod.status.phase == outcome[0], said
    assert outcome[1] in said


async def test_a_push_to_git_is_fetched_by_flux(api: AsyncClient, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git_server.git("clone", "--quiet", state.GIT_URL, clone)
    author = ("-c", "user.name=a person", "-c", "user.email=person@example.invalid")
    git_server.git("-C", clone, *author, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
    commit = git_server.git("-C", clone, "rev-parse", "HEAD")

    git_server.git("-C", clone, "push", "--quiet", "origin", "HEAD:main")

    async with asyncio.timeout(20):
        await kube.until(
            api,
            kube.GitRepository,
            "flux-system",
            lambda item: commit in str((item.status or {}).get("artifact")),
            state.FLUX_NAMESPACE,
        )


async def test_what_crashes_is_started_again_and_counted(loop: state.Loop) -> None:
    assert loop.alive
    before = state.load().processes["registry"]

    await asyncio.to_thread(control.kill, "registry")
    await asyncio.to_thread(control.wait, "registry")

    after = state.load().processes["registry"]
    assert after.pid != before.pid
    assert after.restarts == before.restarts + 1
    assert after.last_exit == "killed by SIGKILL"
    assert "registry killed by SIGKILL" in (state.LOGS / "supervisor.log").read_text()


async def test_what_is_stopped_stays_down_until_it_is_started(loop: state.Loop) -> None:
    assert loop.alive

    await asyncio.to_thread(control.stop, "registry")
    stopped = state.load().processes["registry"]
    await asyncio.to_thread(control.start, "registry")

    assert (stopped.state, stopped.pid) == ("stopped", 0)
    assert state.load().processes["registry"].state == "ready"


async def test_the_cluster_survives_the_crash_of_its_memory_and_of_its_api(
    namespace: str,
) -> None:
    """Both come back with what they knew."""
    for name in ("etcd", "kube-apiserver"):
        await asyncio.to_thread(control.kill, name)
        await asyncio.to_thread(control.wait, name)

    async with kube.async_client() as again:
        found = await again.get(Namespace, namespace)

    assert found.metadata is not None
    assert found.metadata.name == namespace


async def test_a_pod_runs_on_while_the_node_s_programs_crash(
    api: AsyncClient, namespace: str, kubectl_image: str
) -> None:
    """Containers are not the children of kubelet and containerd, as on any node."""
    await api.create(_pod("stays", namespace, kubectl_image, "proxy"))
    pod = await kube.until(
        api, Pod, "stays", lambda item: kube.condition(item) == "True", namespace
    )

    for name in ("kubelet", "containerd", "kube-proxy"):
        await asyncio.to_thread(control.kill, name)
        await asyncio.to_thread(control.wait, name)

    after: Any = await api.get(Pod, "stays", namespace=namespace)
    assert after.status.containerStatuses[0].restartCount == 0
    assert after.status.podIP == pod.status.podIP


async def test_a_command_can_be_run_in_a_pod(
    api: AsyncClient, namespace: str, kubectl_image: str
) -> None:
    await api.create(_pod("stays", namespace, kubectl_image, "proxy"))
    await kube.until(api, Pod, "stays", lambda item: kube.condition(item) == "True", namespace)

    said = await asyncio.to_thread(
        _kubectl, "--namespace", namespace, "exec", "stays", "--", "/kubectl", "version", "--client"
    )

    assert "Client Version: v1." in said


def _kubectl(*arguments: str) -> str:
    done = subprocess.run(
        [tool("kubectl"), "--kubeconfig", state.KUBECONFIG, *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


async def test_flux_may_not_do_more_than_it_does_elsewhere(loop: state.Loop) -> None:
    assert loop.alive
    config = state.STATE / "pki" / "source-controller.kubeconfig"

    async with kube.async_client(config) as source:
        with pytest.raises(ApiError) as refused:
            await source.delete(Namespace, state.BOT_NAMESPACE)

    assert refused.value.status.code == 403


async def test_an_unknown_process_is_refused_with_the_known_ones(loop: state.Loop) -> None:
    assert loop.alive

    with pytest.raises(control.Refused, match="there is no process 'etcdd'; there are: etcd"):
        await asyncio.to_thread(control.kill, "etcdd")
