"""The clock jumps, for the bot alone: its image gets libfaketime, controlled by a file.

The machine's own clock is never set. The file lies in the container's own shared memory, where the
node can write it while the bot runs.
"""

import asyncio
import subprocess
import tarfile
import tempfile
from datetime import datetime
from pathlib import Path

from tests.loop.cluster import pod_process
from tests.loop.cluster.relabel import Relabel
from tests.loop.faults import evidence
from tests.loop.faults.fault_case import FaultCase, FaultContext, now
from tests.loop.people.observe import NotSeen
from tests.loop.people.releases import REPOSITORY, Releases
from tests.tools import tool

_LIBRARY = "*/faketime/libfaketimeMT.so.1"  # below /usr/lib, of Debian's libfaketime
_JUMPS = (3600, -3600, 0)  # seconds away from the true time, one after the other
_EACH = 10.0
_FAR = 60.0
_PLACE = "dev/shm/clock"
_ENVIRONMENT = {
    "LD_PRELOAD": "/opt/faketime.so",
    "FAKETIME_TIMESTAMP_FILE": f"/{_PLACE}",
    "FAKETIME_NO_CACHE": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # as on a machine whose clock is set
    "FAKETIME_DISABLE_SHM": "1",
}


class WithAnotherClock(Relabel):
    """Makes an image of the bot whose clock can be set. Takes the place of the image builder."""

    def build(self, context: Path, reference: str, revision: str) -> str:
        """Add the library and what switches it on; return the new image's digest."""
        assert context.is_dir()
        with tempfile.TemporaryDirectory() as scratch:
            layer = Path(scratch) / "layer.tar"
            with tarfile.open(layer, "w") as tar:
                tar.add(_library(), "opt/faketime.so")
            _crane("append", "--base", self.image, "--new_layer", layer, "--new_tag", reference)
        settings = [f"--env={name}={value}" for name, value in _ENVIRONMENT.items()]
        label = f"org.opencontainers.image.revision={revision}"
        made = _crane("mutate", reference, *settings, "--label", label, "--tag", reference)
        return made.rpartition("@")[2]


def _library() -> Path:
    """Find the library in this machine's own architecture's folder."""
    found = next(Path("/usr/lib").glob(_LIBRARY), None)
    if found is None:
        raise NotSeen("Debian's libfaketime: `make tools` installs it", "containerd", 0)
    return found.resolve()


def _crane(command: str, *arguments: str | Path) -> str:
    line = [str(tool("crane")), command, "--insecure", *map(str, arguments)]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


async def _jumps(context: FaultContext) -> float:
    """Set it an hour ahead, an hour behind, and right again, ten seconds each."""
    usual = f"{REPOSITORY}@{context.pod.image.rpartition('@')[2]}"
    releases = Releases.beside(context.seen, context.api, context.pod.image)
    image = await releases.run(await releases.merge(), WithAnotherClock(usual))
    await releases.running(image.tag)
    await releases.agree()
    clock = pod_process.of(context.pod).folder / "root" / _PLACE
    for seconds in _JUMPS:
        clock.write_text(f"{seconds:+d}")
        began = now()
        await asyncio.sleep(_EACH)
        context.note(_seen(seconds, began + 1))
    over = now()
    await context.load.answered(over, _EACH * 3)
    back = await releases.run(await releases.merge(), Relabel(usual))
    await releases.running(back.tag)
    await releases.agree()
    return over


def _seen(seconds: int, since: float) -> str:
    """Describe the times in the bot's own log. Raises NotSeen if they did not jump."""
    for line in evidence.lines(since):
        own = datetime.fromisoformat(str(line.get("time", "1970-01-01T00:00:00+00:00"))).timestamp()
        if abs(own - float(str(line["at"])) - seconds) < _FAR:
            return f"the bot's log is {seconds:+d} s off"
    raise NotSeen(f"a line of the bot's log that is {seconds:+d} s off", "containerd", _EACH)


ENTRIES = (
    FaultCase(
        "clock-jumps",
        _jumps,
        "the bot's clock jumps an hour ahead, two hours back, and right again",
        recovers=10,
        per_second=2.0,
    ),
)
