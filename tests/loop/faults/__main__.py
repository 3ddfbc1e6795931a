"""`make faults`: play the fault matrix on the one-machine loop and print a table.

    make faults                              all of it, about half an hour
    make faults NAMES="node openai-401"      some rows, or groups of them
    make faults NAMES=--list                 the list of cases

Under a steady load over 25 channels each fault is played alone. A row says how many questions were
asked, how many of them were lost (Discord kept them, and there is neither an answer nor a true
sentence that says why not) or answered twice, after how many seconds the bot was back (from the
end of the fault, or its moment, to the next whole answer), how long the slowest answer took, and
what was said of it: in metrics, in the log, to people. Exit code 1 if anything is lost or doubled,
does not recover unaided, or was not said.
"""

import argparse
import subprocess
import sys

from tests.loop.cluster import kube
from tests.loop.faults import (
    clock,
    cluster_dns,
    control_plane,
    dependencies,
    discord,
    host,
    node,
    openai,
)
from tests.loop.faults.fault_case import FaultCase
from tests.loop.faults.result import HEADER, Result
from tests.loop.faults.runner import play
from tests.loop.people.editions import deployed
from tests.loop.people.explain import comes_true
from tests.loop.people.merge import ROOT
from tests.loop.people.observe import Observer
from tests.loop.supervisor import state

GROUPS: dict[str, tuple[FaultCase, ...]] = {
    "node": node.ENTRIES,
    "control-plane": control_plane.ENTRIES,
    "supply": dependencies.ENTRIES,
    "discord": discord.ENTRIES,
    "openai": openai.ENTRIES,
    "host": (*host.ENTRIES, *cluster_dns.ENTRIES, *clock.ENTRIES),
}


def chosen(names: list[str]) -> list[FaultCase]:
    """Give the entries of these names and groups; all without any. Raises KeyError."""
    by_name = {entry.name: entry for entries in GROUPS.values() for entry in entries}
    if not names:
        return list(by_name.values())
    found: dict[str, FaultCase] = {}
    for name in names:
        for entry in GROUPS[name] if name in GROUPS else (by_name[name],):
            found[entry.name] = entry
    return list(found.values())


async def matrix(entries: list[FaultCase], results: list[Result]) -> None:
    """Play ENTRIES one after the other; what became of each is added to RESULTS."""
    async with Observer(str(state.KUBECONFIG)) as seen, kube.async_client() as api:
        await deployed(seen)
        for number, entry in enumerate(entries, start=1):
            print(f"{number} of {len(entries)}: {entry.name}: {entry.about}", flush=True)
            results.append(await play(entry, seen, api))
            print(results[-1], flush=True)


def _list() -> None:
    for group, entries in GROUPS.items():
        print(f"{group}:")
        for entry in entries:
            print(f"  {entry.name:24} {entry.about}")


def main() -> int:
    """Bring the loop up, play, print the table."""
    parser = argparse.ArgumentParser(
        prog="make faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a row or a group of rows")
    parser.add_argument("--list", action="store_true", help="print the rows and do nothing")
    arguments = parser.parse_args()
    if arguments.list:
        _list()
        return 0
    try:
        entries = chosen(arguments.names)
    except KeyError as error:
        parser.error(f"there is no row and no group {error}; --list shows what there is")
    up = subprocess.run([sys.executable, "-m", "tests.loop", "up"], cwd=ROOT, check=False)
    if up.returncode != 0:
        return up.returncode
    results: list[Result] = []
    true = comes_true("The matrix", matrix(entries, results))
    print("\n" + HEADER, *results, sep="\n")
    failed = [result.entry.name for result in results if result.wrong]
    print(f"\n{len(results) - len(failed)} of {len(entries)} rows hold", end="")
    print(f"; not: {', '.join(failed)}" if failed else "")
    return 0 if true and not failed and len(results) == len(entries) else 1


if __name__ == "__main__":
    sys.exit(main())
