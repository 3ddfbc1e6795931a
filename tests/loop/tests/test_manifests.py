"""The loop's own API server accepts what Git has, before Flux is asked to apply it.

Only the loop's render: production's images are refused here, by the admission policy that Flux
applied for the loop's registry. tests/gitops tries production on an API server of its own.
"""

import pytest

from tests.gitops.apiserver import ApiServer
from tests.gitops.check import Run
from tests.gitops.findings import Tree
from tests.loop.supervisor import state

pytestmark = [pytest.mark.loop]


def test_every_object_of_the_loops_render_is_accepted(loop: state.Loop) -> None:
    """Server-side apply with dry run, in the running cluster, of each object and of its pods."""
    run = Run(Tree(clusters=("local",)), ApiServer(loop.kubeconfig))

    results = {result.check: result for result in run.results({"api-server"})}

    assert results["api-server"].findings == ()
    assert not results["api-server"].looked_at.startswith("0 ")
