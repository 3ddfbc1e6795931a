"""The command line: parse, listen, wait for SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from tests.servers.discord.server import Address, DiscordServer
from tests.servers.discord.tokens import Tokens


def main() -> int:
    """Run the server until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.discord",
        description="A server that speaks Discord's REST and gateway, version 10.",
    )
    parser.add_argument("--listen", type=Address.parse, default=Address("127.0.0.1", 7101))
    parser.add_argument("--control", type=Address.parse, default=Address("127.0.0.1", 7111))
    parser.add_argument("--token-file", type=Path, required=True, help="the bot token to accept")
    parser.add_argument("--seed", action="store_true", help="start with a guild and its members")
    options = parser.parse_args()
    if not options.token_file.is_file():
        print(f"File not found: {options.token_file}. Write the bot's token into it.")
        return 1
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        print(f"Cannot listen at {options.listen} or {options.control}: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    tokens = Tokens(file=options.token_file)
    async with DiscordServer(options.listen, options.control, tokens, seed=options.seed) as server:
        print(f"Discord: {server.base_url}/api/v10, gateway {server.state.gateway_url}", flush=True)
        print(f"control: {server.control_url}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
