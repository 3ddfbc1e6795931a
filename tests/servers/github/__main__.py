"""The command line: parse, listen until SIGTERM."""

import argparse
from pathlib import Path

from aiohttp import web

from tests.servers.github.server import GitHubServer


def main() -> None:
    """Run the server until SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.github",
        description="A server that stores commit statuses and accepts dispatches as GitHub does.",
    )
    parser.add_argument("--listen", default="127.0.0.1:7104", help="address and port")
    parser.add_argument("--repository", required=True, help="owner/name")
    parser.add_argument("--git", type=Path, required=True, help="the repository with the commits")
    parser.add_argument(
        "--token-file", type=Path, required=True, help="the token that may write commit statuses"
    )
    parser.add_argument(
        "--dispatch-token-file", type=Path, required=True, help="the token that may write contents"
    )
    parser.add_argument(
        "--events",
        type=Path,
        required=True,
        help="the folder for events, in the form that a workflow's runner gets",
    )
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    server = GitHubServer(
        options.repository,
        options.git,
        options.token_file,
        options.dispatch_token_file,
        options.events,
    )
    web.run_app(server.application(), host=host, port=int(port), access_log=None)


if __name__ == "__main__":
    main()
