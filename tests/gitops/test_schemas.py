import json
from pathlib import Path

from tests.gitops.apiserver import ApiServer
from tests.gitops.conform import conform
from tests.gitops.findings import KubeObject
from tests.gitops.schemas import schema_folder, write_schemas
from tests.tools import share


def job(**spec: object) -> KubeObject:
    """A workload that the manifests do not have, with SPEC in its container."""
    container = {"name": "bot", "image": "bot", **spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


def problems(item: KubeObject) -> list[str]:
    """What kubeconform says against ITEM."""
    return [finding.problem for finding in conform("here", [item]).findings]


def test_every_kind_that_the_api_server_serves_has_a_schema(server: ApiServer) -> None:
    listed = server.kubectl("api-resources", "--no-headers").stdout.splitlines()

    kinds = [(line.split()[-3], line.split()[-1]) for line in listed]
    names = {
        f"{kind.lower()}-{api.rpartition('/')[0] or api}-{api.rpartition('/')[2]}.json"
        for api, kind in kinds
    }
    assert len(names) > 60
    assert names - {path.name for path in schema_folder().iterdir()} == set()


def test_forms_that_only_the_api_knows_are_accepted() -> None:
    """A port by name or number, a quantity as text or number, as the API takes them."""
    for port, memory in (("http", "64Mi"), (8080, 67108864)):
        probe = {"httpGet": {"path": "/", "port": port}}

        assert problems(job(livenessProbe=probe, resources={"limits": {"memory": memory}})) == []


def test_each_place_that_is_wrong_is_said_by_itself() -> None:
    output = problems(job(imagePullPolicies="Always", stdin="no"))

    where = "Job once at '/spec/template/spec/containers/0"
    assert output == [
        f"{where}/stdin': got string, want boolean",
        f"{where}': additional properties 'imagePullPolicies' not allowed",
    ]


def test_schemas_are_made_once_and_appear_whole(tmp_path: Path) -> None:
    swagger = next(share("openapi").rglob("swagger.json"))
    folder = tmp_path / "schemas" / "key"

    write_schemas(folder, swagger, [])
    write_schemas(folder, swagger, [])  # as a second run at the same time would

    assert [path.name for path in folder.parent.iterdir()] == ["key"]
    for path in folder.iterdir():
        assert json.loads(path.read_text())["required"], path
