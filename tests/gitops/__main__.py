"""Check the manifests, or print what Flux would apply.

    python -m tests.gitops check [DIR] [--server]
    python -m tests.gitops render production | local | generic

`check` renders each cluster as Flux does and looks at every object; with --server it also asks a
real API server of its own (5 seconds). `render` prints the objects of one cluster as YAML, with
made-up settings.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import yaml

from tests.gitops.apiserver import ServerFailed, api_server
from tests.gitops.check import Run
from tests.gitops.findings import CLUSTERS, ROOT, RenderFailed, Tree
from tests.gitops.render import render_cluster
from tests.tools import ToolMissing


def main() -> int:
    """Return 0, or 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.gitops", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check every manifest of the tree")
    check.add_argument("dir", nargs="?", type=Path, default=ROOT, help="the tree (this one)")
    check.add_argument("--server", action="store_true", help="also ask a real API server")
    render = commands.add_parser("render", help="print what Flux applies")
    render.add_argument("cluster", choices=CLUSTERS)
    arguments = parser.parse_args()
    try:
        if arguments.command == "render":
            return _render(arguments.cluster)
        return _check(Tree(arguments.dir.resolve()), server=arguments.server)
    except (ToolMissing, ServerFailed, RenderFailed) as error:
        print(error, file=sys.stderr)
        return 1


def _check(tree: Tree, *, server: bool) -> int:
    if not (tree.root / "clusters").is_dir():
        print(f"{tree.root} has no folder clusters/: name the root of the tree.", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        running = stack.enter_context(api_server()) if server else None
        results = Run(tree, running).results()
    findings = [finding for result in results for finding in result.findings]
    for result in results:
        state = f"{len(result.findings)} wrong" if result.findings else "ok"
        print(f"{result.check:12} {state:9} {result.looked_at} ({result.seconds:.1f} s)")
    for finding in findings:
        print(f"\n{finding}")
    return 1 if findings else 0


def _render(cluster: str) -> int:
    for render in render_cluster(Tree(), cluster):
        print(f"# {render.kustomization}: {render.path}")
        print(yaml.safe_dump_all(render.objects, sort_keys=False), end="")
        print("---")
    return 0


if __name__ == "__main__":
    sys.exit(main())
