"""`make bench SECTIONS=cost`, or `python -m tests.bot.cost --help`: what the bot costs.

The bot runs as a process in a cgroup with one core and with the pod's 250m; Discord's and OpenAI's
stand-ins and the people run outside of it, in 200 servers of 50 members. An answer is 20 chunks
over a second; those whose first words are timed are 100 chunks over five. The bot runs in the
image's root, with its Python and its bytecode, where buildah is (`make tools`). What a pod has
besides: TLS to both services, and the client for the Lease, which is a file here and in a cluster
adds 4 MiB. Needs root and no cluster. The machine is shared and noisy: quote medians. Nothing here
fails for being slow.
"""

import argparse
import asyncio
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.loop.bench.table import HEADER
from tests.loop.cluster.images import BuildFailed

from .bot import Broke
from .cgroup import Cgroup
from .measure import ASKED, FIRST_WORDS, MOST, REFUSED, REQUESTS, Measurement
from .place import MANY, place
from .runtime import Runtime, of_image, of_this_machine

_POD, _CORE = 0.25, 1.0
_TARGETS = {
    "start to READY, 1 server": "≤ 6",
    f"start to READY, {MANY} servers": "≤ 6",
    f"resident memory idle, {MANY} servers": "≤ 100",
    ASKED: "≤ 100",
    "resident memory, peak at 20/s": "≤ 140",
    "event to OpenAI request, p50 at 5/s": "≤ 15",
    "event to OpenAI request, p99 at 5/s": "≤ 60",
    "CPU time per answered message at 5/s": "≤ 15",
    f"{FIRST_WORDS}, p50": "≤ 150",
    f"{FIRST_WORDS}, p99": "≤ 300",
    REQUESTS: "≤ 7",
    REFUSED: "0",
    MOST: "≥ 12",
}


async def measure(
    runs: int, cores: tuple[float, ...] = (_POD, _CORE), *, first_words: bool = False
) -> bool:
    """Measure all, or the first words alone; print the tables, and say whether it all worked."""
    if os.geteuid() != 0:
        print("What the bot costs is measured in a cgroup, and to make one takes root.")
        return False
    with TemporaryDirectory() as name:
        directory = Path(name)
        try:
            runtime = _runtime(directory / "root")
        except BuildFailed as error:
            print(f"The image to measure could not be built: {error}")
            return False
        stand_ins = Cgroup.make("stand-ins")
        try:
            with stand_ins.entered():
                found = {
                    each: Measurement(runtime, each, stand_ins, _TARGETS if each == _POD else {})
                    for each in cores
                }
                return await _run(found, directory, runs, runtime.name, first_words=first_words)
        finally:
            stand_ins.remove()


async def _run(
    found: dict[float, Measurement], directory: Path, runs: int, python: str, *, first_words: bool
) -> bool:
    before = _load()
    try:
        async with place(directory / "one", 1) as one, place(directory / "many", MANY) as many:
            for number in range(1, runs + 1):
                for cores, measurement in found.items():
                    print(f"run {number} of {runs}, {cores:g} of a core, {python}:", flush=True)
                    if first_words:
                        await measurement.run_first_words(many)
                    else:
                        await measurement.run(one, many)
    except Broke as error:
        print(f"\nThe bot could not be measured: {error}")
        return False
    finally:  # what was measured before something failed is shown as well
        for cores, measurement in found.items():
            title = (
                f"{cores:g} of a core, {python}, load average {before} before and {_load()} after"
            )
            print(f"\n{title}\n{HEADER}", *measurement.rows.values(), sep="\n")
    return True


def _runtime(folder: Path) -> Runtime:
    if shutil.which("buildah") and shutil.which("mmdebstrap"):
        return of_image(folder)
    print("There is no buildah here, so this machine's Python runs the bot; `make tools`.")
    return of_this_machine()


def _load() -> str:
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bot.cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--cores", type=float, action="append", help="0.25 and 1 unless said")
    parser.add_argument("--first-words", action="store_true", help="measure these alone")
    arguments = parser.parse_args()
    cores = tuple(arguments.cores or (_POD, _CORE))
    measured = measure(arguments.runs, cores, first_words=arguments.first_words)
    return 0 if asyncio.run(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
