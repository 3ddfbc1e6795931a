"""`python -m e2e up|scenarios|state`."""

import asyncio
import sys

from e2e import __doc__ as usage
from e2e import cluster, scenarios, servers, state
from e2e.shell import Failed


def main(arguments: list[str]) -> int:
    """Run one command; 0 done, 1 failed, 2 wrong usage."""
    commands = {"up": up, "scenarios": run_scenarios, "state": state.show, "git": servers.serve_git}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(usage)
        return 2
    try:
        commands[arguments[0]]()
    except Failed as error:
        print(f"e2e {arguments[0]}: {error}", file=sys.stderr)
        return 1
    return 0


def up() -> None:
    """Start everything around the cluster, then Flux in it."""
    servers.start()
    cluster.prepare()


def run_scenarios() -> None:
    """Run them in order; each begins where the one before ended."""
    asyncio.run(scenarios.play())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
