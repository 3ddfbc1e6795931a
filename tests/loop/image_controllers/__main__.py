"""`python -m tests.loop.image_controllers --kubeconfig FILE`: the stand-in as one process."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import aiohttp

from tests.loop.image_controllers import log
from tests.loop.image_controllers.cluster import Kubernetes, connect
from tests.loop.image_controllers.controllers import Controllers
from tests.loop.image_controllers.git import Git
from tests.loop.image_controllers.registry import Registry


async def serve(kubeconfig: Path) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    client = connect(str(kubeconfig))
    async with aiohttp.ClientSession() as session:
        controllers = Controllers(Kubernetes(client), Registry(session), Git())
        running = asyncio.create_task(controllers.run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        log.info({"did": "stop"})
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        stopping.cancel()
    await client.close()


def main() -> int:
    """Read the command line and run; 0 after a signal, 2 when it cannot begin."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.loop.image_controllers",
        description="Stands in for Flux's image-reflector- and image-automation-controller.",
    )
    parser.add_argument("--kubeconfig", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    if not arguments.kubeconfig.is_file():
        sys.stderr.write(f"{arguments.kubeconfig}: no such file; is the loop up? (make loop-up)\n")
        return 2
    log.set_up()
    asyncio.run(serve(arguments.kubeconfig))
    return 0


if __name__ == "__main__":
    sys.exit(main())
