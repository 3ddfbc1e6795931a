import subprocess
import sys
from pathlib import Path

from tests.gitops.apiserver import ApiServer
from tests.gitops.check import Run
from tests.gitops.conform import conform
from tests.gitops.findings import CLUSTERS, ROOT, KubeObject, Tree, identity
from tests.gitops.render import Render


def test_the_tree_as_it_is_passes_every_check(server: ApiServer) -> None:
    results = Run(Tree(), server).results()

    assert [str(finding) for result in results for finding in result.findings] == []
    assert len(results) == 11


def test_every_object_of_both_clusters_has_a_schema_and_none_is_skipped(
    renders: dict[str, list[Render]],
) -> None:
    for cluster in CLUSTERS:
        objects = [item for render in renders[cluster] for item in render.objects]

        conformity = conform(cluster, objects)

        assert (conformity.invalid, conformity.errors, conformity.skipped) == (0, 0, 0)
        assert conformity.valid == len(objects) > 0


def test_the_api_server_accepts_each_object_by_name(
    server: ApiServer, objects: dict[str, KubeObject]
) -> None:
    """The server's answer is counted, so that a check that asks for nothing cannot pass."""
    applied = server.apply(list(objects.values()), dry_run=True)

    assert applied.stderr == ""
    assert len(applied.stdout.split()) == len(objects) > 0, [*map(identity, objects.values())]


def test_the_command_says_what_it_looked_at_and_where_it_was_pointed_wrongly(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.gitops", "check", str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    assert done.returncode == 1
    assert "has no folder clusters/: name the root of the tree" in done.stderr
