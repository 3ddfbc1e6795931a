"""Run the loop at the intervals of clusters/production for a while.

The image repository's interval is changed as a person would change it, by a merge that removes the
loop's own; the Git repository's is the set-up's (a FluxInstance, or the loop), so it is set on the
object.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import lightkube
from lightkube.types import PatchType
from ruamel.yaml import YAML

from tests.loop.people.merge import ROOT, Clone
from tests.loop.people.observe import FLUX, GitRepository, Observer
from tests.loop.supervisor import state

_LOCAL = Path("clusters/local/images/image-repository.yaml")
_PRODUCTION = ROOT / "clusters/production"


def _production(path: str, *keys: str) -> str:
    """Read one setting of clusters/production."""
    value = YAML(typ="safe").load(_PRODUCTION / path)
    for key in keys:
        value = value[key]
    return str(value)


def _without_interval(tree: Path) -> None:
    yaml = YAML()
    patch = yaml.load(tree / _LOCAL)
    del patch["spec"]["interval"]
    yaml.dump(patch, tree / _LOCAL)


@asynccontextmanager
async def production_intervals(clone: Clone, seen: Observer) -> AsyncIterator[None]:
    """Within the block both polls have production's intervals; afterwards the loop's own again."""
    scan = _production("images/image-repository.yaml", "spec", "interval")
    fetch = _production("flux-instance.yaml", "spec", "sync", "interval")
    config = lightkube.KubeConfig.from_file(str(state.KUBECONFIG))
    client = lightkube.AsyncClient(config, namespace=FLUX, trust_env=False)

    async def patch(interval: str) -> None:
        change = {"spec": {"interval": interval}}
        await client.patch(GitRepository, "flux-system", change, patch_type=PatchType.MERGE)

    source = await client.get(GitRepository, "flux-system")
    commit = await asyncio.to_thread(clone.merge, "Production's intervals", _without_interval)
    await patch(fetch)
    try:
        await seen.until(
            f"the image repository is scanned every {scan}",
            "kustomize-controller",
            lambda now: now.scan_interval == scan,
        )
        yield
    finally:
        await patch(source.spec["interval"])
        await asyncio.to_thread(clone.revert, commit)
        await client.close()
