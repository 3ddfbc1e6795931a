"""The stand-in as the loop starts it: a process, an API server, a registry, Git over HTTP."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest
import yaml
from lightkube import AsyncClient
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.types import PatchType

from tests.loop.image_controllers import harness
from tests.loop.image_controllers.builders import automation, policy, repository, source
from tests.loop.image_controllers.cluster import KINDS, connect
from tests.tools import share

Json = dict[str, Any]
ROOT = Path(__file__).parents[3]
FILE = "apps/bot/kustomization.yaml"
START = """\
images:
  - name: bot
    newTag: main-0-0000000 # {"$imagepolicy": "flux-system:discord-sky:tag"}
    digest: sha256:00 # {"$imagepolicy": "flux-system:discord-sky:digest"}
"""
NAME = "discord-sky"
NAMESPACE = "flux-system"
Crd = create_global_resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"
)
Namespace = create_global_resource("", "v1", "Namespace", "namespaces")
RESOURCES = {
    kind: create_namespaced_resource(group, "v1", kind, plural)
    for kind, (group, plural) in KINDS.items()
}
pytestmark = pytest.mark.loop


@dataclass
class World:
    """What the stand-in works on."""

    client: AsyncClient
    kubeconfig: Path
    registry: str
    bare: Path
    url: str
    folder: Path

    async def push(self, number: int) -> str:
        """Push a tag to the registry."""
        return await harness.push_image(
            self.registry, "bot", f"main-{number}-abcdef0", content=str(number)
        )

    async def apply(self, obj: Json) -> None:
        """Apply an object."""
        group = KINDS[obj["kind"]][0]
        meta = {"name": NAME, "namespace": NAMESPACE}
        body = {**obj, "apiVersion": f"{group}/v1", "metadata": meta}
        await self.client.apply(RESOURCES[obj["kind"]](**body), field_manager="test")

    async def status(self, kind: str) -> Json:
        """Read a status."""
        obj = await self.client.get(RESOURCES[kind], NAME, namespace=NAMESPACE)
        return dict(cast("Json", obj).get("status") or {})

    async def ask(self, kind: str, token: str) -> None:
        """Ask for a run, as `flux reconcile` does."""
        body = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}
        await self.client.patch(
            RESOURCES[kind], NAME, body, namespace=NAMESPACE, patch_type=PatchType.MERGE
        )

    async def tag(self) -> str:
        """Return the tag on main."""
        text = await harness.git("show", f"main:{FILE}", cwd=self.bare)
        tag: str = yaml.safe_load(text)["images"][0]["newTag"]
        return tag

    async def on_main(self, number: int) -> bool:
        """Whether this tag is on main."""
        return await self.tag() == f"main-{number}-abcdef0"

    async def revert(self) -> None:
        """Revert the newest commit, as a person does."""
        work = self.folder / f"work-{monotonic()}"
        await harness.git("clone", "-q", str(self.bare), str(work), cwd=self.folder)
        await harness.git("revert", "--no-edit", "HEAD", cwd=work)
        await harness.git("push", "-q", "origin", "HEAD:main", cwd=work)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 20) -> float:
    """Look until it is true; how long it took."""
    begin = monotonic()
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 - the other side is Git, or an API server
            await asyncio.sleep(0.03)
    return monotonic() - begin


@asynccontextmanager
async def stand_in(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it for the length of a block; what it logged is in world.folder/log."""
    with (world.folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.loop.image_controllers", "--kubeconfig", str(world.kubeconfig)),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def established(client: AsyncClient, name: str) -> bool:
    """Whether the API serves a CRD's objects."""
    crd = cast("Json", await client.get(Crd, name))
    conditions = (crd.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


@pytest.fixture
async def world(tmp_path: Path, registry: str) -> AsyncIterator[World]:
    """An API server with the CRDs, a repository, and one image."""
    bare = await harness.bare_repository(tmp_path, {FILE: START})
    async with harness.api_server(tmp_path) as kubeconfig, harness.git_over_http(tmp_path) as url:
        client = connect(str(kubeconfig))
        for kind, (group, plural) in KINDS.items():
            crd = yaml.safe_load((share("crds") / f"{plural}.{group}.yaml").read_text())
            assert crd["spec"]["names"]["kind"] == kind
            await client.apply(Crd(**crd), field_manager="test")
            await until(partial(established, client, f"{plural}.{group}"))
        meta: Any = {"name": NAMESPACE}
        await client.apply(
            Namespace(apiVersion="v1", kind="Namespace", metadata=meta),
            field_manager="test",
        )
        found = World(client, kubeconfig, registry, bare, f"{url}/repository.git", tmp_path)
        await found.push(1)
        await found.apply(source(found.url))
        await found.apply(repository(image=f"{registry}/bot"))
        await found.apply(policy())
        await found.apply(automation())
        yield found
        await client.close()


async def test_from_a_tag_to_a_commit_and_through_a_revert(world: World) -> None:
    """One story, because an API server takes seconds to start."""
    async with stand_in(world):
        await until(lambda: world.on_main(1))
        digest = await world.push(2)
        took = await until(lambda: world.on_main(2))
        assert took < 5  # about 0.7 s on a quiet machine; the figure itself is `make bench`'s
        assert digest in await harness.git("show", f"main:{FILE}", cwd=world.bare)
        await settled(world)

        # A revert alone stays only until the next run.
        await world.revert()
        await asyncio.sleep(2)  # two scans: nothing wakes the automation
        assert await world.on_main(1)
        await world.ask("ImageUpdateAutomation", "one")
        await until(lambda: world.on_main(2))
        await settled(world)
        await world.revert()
    async with stand_in(world):
        await until(lambda: world.on_main(2))  # nor does it survive a restart
        await settled(world)

        # With the tag excluded the policy falls back, and neither a run nor a restart undoes it.
        await world.revert()
        await world.apply(repository(image=f"{world.registry}/bot", exclusionList=["^main-2-"]))
        await until(lambda: fallen_back(world))
        await world.ask("ImageUpdateAutomation", "two")
        await until(lambda: handled(world, "two"))
        assert await world.on_main(1)
    async with stand_in(world):
        await world.ask("ImageUpdateAutomation", "three")
        await until(lambda: handled(world, "three"))
        assert await world.on_main(1)

        # The next newer image deploys by itself.
        await world.push(3)
        await until(lambda: world.on_main(3))
    said = (world.folder / "log").read_text()
    assert "did=break" not in said
    assert "Traceback" not in said


async def settled(world: World) -> None:
    """Wait until the automation has written down what is on main."""

    async def true() -> bool:
        head = await harness.git("rev-parse", "main", cwd=world.bare)
        status = await world.status("ImageUpdateAutomation")
        return bool(status.get("observedSourceRevision") == f"main@sha1:{head}")

    await until(true)


async def fallen_back(world: World) -> bool:
    status = await world.status("ImagePolicy")
    return bool(status["latestRef"]["tag"] == "main-1-abcdef0")


async def handled(world: World, token: str) -> bool:
    status = await world.status("ImageUpdateAutomation")
    return bool(status.get("lastHandledReconcileAt") == token)


async def test_what_is_refused_suspended_or_deleted_and_the_end(world: World) -> None:
    async with stand_in(world) as process:
        await until(lambda: world.on_main(1))

        base = automation()["spec"]["git"]
        await world.apply(automation(git={**base, "push": {"branch": "main", "refspec": "a:b"}}))
        await until(lambda: stalled(world, "spec.git.push.refspec"))
        await world.push(2)
        await until(lambda: latest_is(world, 2))
        assert await world.on_main(1)
        await world.apply(automation(git=base))
        await until(lambda: world.on_main(2))

        await world.apply(policy(suspend=True))
        await world.push(3)
        await world.apply(automation(suspend=True))
        await world.client.delete(RESOURCES["ImageRepository"], NAME, namespace=NAMESPACE)
        await world.apply(automation())
        await asyncio.sleep(1)
        assert await world.on_main(2)  # the last latest image stays

        began = monotonic()
        process.terminate()
        assert await process.wait() == 0
        assert monotonic() - began < 1
    assert "did=break" not in (world.folder / "log").read_text()


async def stalled(world: World, path: str) -> bool:
    status = await world.status("ImageUpdateAutomation")
    found = {one["type"]: one for one in status["conditions"]}
    return "Stalled" in found and path in found["Stalled"]["message"]


async def latest_is(world: World, number: int) -> bool:
    return f"main-{number}-" in json.dumps((await world.status("ImagePolicy"))["latestRef"])
