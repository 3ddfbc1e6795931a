"""Runs the OpenAI test server: `python -m tests.servers.openai --key-file F`.

Prints one line when both listeners are open, logs one line per request (ids and numbers only),
and stops at SIGTERM or SIGINT.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from aiohttp import web

from . import dialect
from .control_app import ControlApp
from .keys import Keys
from .records import Pace
from .server import Server
from .state import Behavior, RequestLog

GRACE = 0.5


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:7102")
    return host, int(port)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.openai")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 7102))
    parser.add_argument("--control", type=_address, default=("127.0.0.1", 7112))
    parser.add_argument("--key-file", type=Path, required=True, help="one accepted key per line")
    parser.add_argument("--first", type=float, default=0, help="seconds before the first text")
    parser.add_argument("--delay", type=float, default=0, help="seconds between chunks")
    parser.add_argument("--dialect", choices=dialect.names(), default="openai")
    return parser.parse_args()


async def serve(server: Server, listen: tuple[str, int], control: tuple[str, int]) -> None:
    """Serve both listeners until a signal; port 0 takes a free port, and the line shows it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runners = []
    opened = []
    for app, (host, port) in ((server.app(), listen), (ControlApp(server).app(), control)):
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=GRACE
        )
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        runners.append(runner)
        name, number, *_ = runner.addresses[0]
        opened.append(f"http://{name}:{number}")
    print(f"openai: listening on {opened[0]}/v1, control on {opened[1]}", flush=True)
    logging = asyncio.create_task(_log(server.log))
    await stop.wait()
    logging.cancel()
    for runner in runners:
        await runner.cleanup()


async def _log(log: RequestLog) -> None:
    async for record in log.watch():
        if record.ending != "open":
            print(
                f"{record.id} {record.endpoint} {record.status} {record.ending}"
                f" chunks={record.chunks} characters={len(record.text)}",
                flush=True,
            )


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    arguments = _arguments()
    keys = Keys(arguments.key_file)
    behavior = Behavior(Pace(first=arguments.first, delay=arguments.delay))
    try:
        keys.ensure()
        server = Server(keys, behavior, RequestLog(), arguments.dialect)
        asyncio.run(serve(server, arguments.listen, arguments.control))
    except OSError as error:
        print(f"openai: {error}; is another loop running? `make loop-down`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
