"""Made once a session: the renders of both clusters, and an API server for dry runs."""

from collections.abc import Iterator

import pytest

from tests.gitops.apiserver import ApiServer, api_server
from tests.gitops.findings import CLUSTERS, KubeObject, Tree
from tests.gitops.render import Render, render_cluster


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    """Run etcd and kube-apiserver of our own, with the CRDs of Flux; five seconds."""
    with api_server() as running:
        yield running


@pytest.fixture(scope="session")
def renders() -> dict[str, list[Render]]:
    """Both clusters as Flux renders them."""
    return {cluster: render_cluster(Tree(), cluster) for cluster in CLUSTERS}


@pytest.fixture(params=CLUSTERS)
def objects(
    request: pytest.FixtureRequest, renders: dict[str, list[Render]]
) -> dict[str, KubeObject]:
    """Everything that one cluster applies, by `Kind/name`."""
    return {
        f"{item['kind']}/{item['metadata']['name']}": item
        for render in renders[request.param]
        for item in render.objects
    }
