"""The bot's Lease in a real API server, with the rights that the manifests give and no others."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.leadership.kubernetes_lease import KubernetesLeaseStore
from bot.leadership.lease_record import (
    HolderStatus,
    LeaseChanged,
    LeaseRecord,
    LeaseUnreachable,
    now,
)
from tests.gitops.apiserver import ApiServer
from tests.gitops.findings import KubeObject
from tests.gitops.render import Render

NAMESPACE, NAME = "discord-sky", "discord-sky-bot"
KINDS = {"Namespace", "ServiceAccount", "Role", "RoleBinding", "Lease"}


@pytest.fixture(scope="module")
def account(
    server: ApiServer, renders: dict[str, list[Render]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The ServiceAccount as the pod has it mounted; its objects are really there."""
    (found,) = [each for each in renders["production"] if each.kustomization == "discord-sky"]
    applied = server.apply([o for o in found.objects if o["kind"] in KINDS], dry_run=False)
    assert applied.returncode == 0, applied.stderr
    folder = tmp_path_factory.mktemp("account")
    token = server.kubectl("create", "token", NAME, "--namespace", NAMESPACE)
    (folder / "token").write_text(token.stdout.strip())
    (folder / "namespace").write_text(NAMESPACE)
    (folder / "ca.crt").write_bytes((server.kubeconfig.parent / "tls/apiserver.crt").read_bytes())
    return folder


@pytest.fixture
def _in_cluster(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    address = server.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    host, port = address.stdout.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)


@pytest.fixture
def fresh(server: ApiServer, account: Path) -> Iterator[None]:
    """A Lease that nobody ever held."""
    del account
    server.kubectl("delete", "lease", NAME, "--namespace", NAMESPACE)
    made = server.kubectl("create", "-f", "-", stdin=json.dumps(lease(NAME)))
    assert made.returncode == 0, made.stderr
    yield
    server.kubectl("delete", "pods", "--all", "--force", "--namespace", NAMESPACE)


def lease(name: str) -> KubeObject:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"leaseDurationSeconds": 75},
    }


def store(account: Path, holder: str = "pod-a", name: str = NAME) -> KubernetesLeaseStore:
    return KubernetesLeaseStore(name, 1, holder, account, 75)


def pod(server: ApiServer, name: str, status: dict[str, Any]) -> None:
    """A pod whose kubelet reports that status."""
    container = {"name": "bot", "image": "example/bot"}
    made = server.kubectl(
        *("create", "-f", "-"),
        stdin=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            **container,
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                },
            }
        ),
    )
    assert made.returncode == 0, made.stderr
    told = {
        **container,
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        **status,
    }
    patched = server.kubectl(
        *("patch", "pod", name, "--namespace", NAMESPACE, "--subresource", "status"),
        *("--type", "merge", "-p"),
        json.dumps({"status": {"phase": "Running", "containerStatuses": [told]}}),
    )
    assert patched.returncode == 0, patched.stderr


@pytest.mark.usefixtures("_in_cluster", "fresh")
async def test_a_lease_is_taken_renewed_and_let_go(account: Path, server: ApiServer) -> None:
    one, other = store(account), store(account, "pod-b")
    free = await one.read(0)

    held = await one.write(0, free.taken(one.me))
    kept = await one.write(0, held.kept({"taken": "a b", "heard": '{"mark": 5}'}))
    seen = await other.read(0)

    assert (free.holder, held.holder, held.transitions) == ("", "pod-a", 1)
    assert seen == kept
    assert seen.annotations == {"taken": "a b", "heard": '{"mark": 5}'}
    shown = server.kubectl("get", "lease", NAME, "-n", NAMESPACE, "-o", "json")
    told = json.loads(shown.stdout)
    assert told["spec"]["holderIdentity"] == "pod-a"
    assert told["spec"]["leaseDurationSeconds"] == 75
    assert told["metadata"]["annotations"]["discord-sky/taken"] == "a b"
    assert (await one.write(0, kept.let_go({}))).holder == ""
    assert (await other.read(0)).holder == ""
    await one.close()
    await other.close()


@pytest.mark.usefixtures("_in_cluster", "fresh")
async def test_of_two_that_write_at_once_one_is_refused(account: Path) -> None:
    shelves = [store(account, f"pod-{number}") for number in range(4)]
    free = await shelves[0].read(0)

    writes = (each.write(0, free.taken(each.me)) for each in shelves)
    done = await asyncio.gather(*writes, return_exceptions=True)

    assert sum(isinstance(each, LeaseRecord) for each in done) == 1
    assert sum(isinstance(each, LeaseChanged) for each in done) == 3
    for each in shelves:
        await each.close()


@pytest.mark.usefixtures("_in_cluster", "fresh")
async def test_what_the_kubelet_reports_of_the_holder_counts_if_it_came_after_the_renewal(
    account: Path, server: ApiServer
) -> None:
    one = store(account)
    ended = {"terminated": {"exitCode": 137, "finishedAt": f"{now():%Y-%m-%dT%H:%M:%SZ}"}}
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    pod(server, "running", {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
    pod(server, "ended", {"state": ended})
    pod(server, "waiting", {"state": waits, "lastState": ended})
    long_ago = now().replace(year=2020)
    later = now().replace(year=2040)

    async def holder_status(holder: str, renewed: Any) -> HolderStatus:
        return await one.holder_status(0, replace(LeaseRecord(), holder=holder, renewed=renewed))

    assert await holder_status("running", long_ago) is HolderStatus.ALIVE
    assert await holder_status("ended", long_ago) is HolderStatus.ENDED
    assert await holder_status("waiting", long_ago) is HolderStatus.ENDED
    assert (
        await holder_status("ended", later) is HolderStatus.ALIVE
    )  # a restarted one has renewed since
    assert await holder_status("nobody", long_ago) is HolderStatus.GONE
    await one.close()


@pytest.mark.usefixtures("_in_cluster", "fresh")
async def test_another_lease_and_a_missing_one_are_refused_with_the_remedy(
    account: Path, server: ApiServer
) -> None:
    server.kubectl("create", "-f", "-", stdin=json.dumps(lease("somebody-elses")))
    other = store(account, name="somebody-elses")
    with pytest.raises(LeaseUnreachable, match=r"may not touch Lease somebody-elses .*role.yaml"):
        await other.read(0)

    server.kubectl("delete", "lease", NAME, "--namespace", NAMESPACE)
    one = store(account)
    with pytest.raises(LeaseUnreachable, match="no Lease discord-sky-bot: apply apps/discord-sky"):
        await one.read(0)
    await other.close()
    await one.close()


@pytest.mark.usefixtures("_in_cluster")
async def test_without_a_mounted_token_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(LeaseUnreachable, match="volume kube-api-access"):
        await store(tmp_path).read(0)


@pytest.mark.usefixtures("_in_cluster")
async def test_an_api_server_that_is_away_is_said_to_be(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(nobody.getsockname()[1]))
        one = store(account)
        with pytest.raises(LeaseUnreachable, match="out of reach"):
            await one.read(0)
        await one.close()
