"""Made once a session: the renders of each cluster, and an API server for dry runs."""

from collections.abc import Iterator

import pytest

from tests.gitops.apiserver import ApiServer, api_server
from tests.gitops.findings import AZURE_CLUSTERS, CLUSTERS, KubeObject, Tree
from tests.gitops.render import Render, render_cluster


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    """Run etcd and kube-apiserver of our own, with the CRDs of Flux; five seconds."""
    with api_server() as running:
        yield running


@pytest.fixture(scope="session")
def renders() -> dict[str, list[Render]]:
    """Each cluster as Flux renders it."""
    return {cluster: render_cluster(Tree(), cluster) for cluster in CLUSTERS}


@pytest.fixture(params=AZURE_CLUSTERS)
def objects(
    request: pytest.FixtureRequest, renders: dict[str, list[Render]]
) -> dict[str, KubeObject]:
    """Everything that one cluster applies, by `Kind/name`."""
    return {
        f"{item['kind']}/{item['metadata']['name']}": item
        for render in renders[request.param]
        for item in render.objects
    }
