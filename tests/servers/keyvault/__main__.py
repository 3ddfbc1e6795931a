"""The command line: listen, and wait for SIGTERM or Ctrl-C.

The tenant is described in a file, because it includes a client secret and every user of a
machine can see command lines:
{"tenant": ..., "vault": ..., "identities": [...], "secrets": {name: file}}.
"""

import argparse
import asyncio
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from .assertions import FetchKeys
from .records import Identity
from .server import Settings, VaultServer


class Tenant(BaseModel):
    """The file of --tenant. Secrets are seeded from files, unless the vault has them already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str
    vault: str
    identities: list[Identity]
    secrets: dict[str, Path]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:7103")
    return host, int(port)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.keyvault",
        description="Azure Key Vault and Entra's token endpoint behind a CONNECT proxy.",
    )
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 7103), help="the proxy")
    parser.add_argument("--control", type=_address, default=("127.0.0.1", 7113))
    parser.add_argument(
        "--tenant", type=Path, required=True, help="JSON: tenant, identities, secrets"
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder for the vault's data")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--issuer-keys", required=True, help="URL of the cluster's key set")
    parser.add_argument("--authority", type=Path, required=True, help="the CA of its certificate")
    return parser.parse_args()


def _fetcher(url: str, authority: Path) -> FetchKeys:
    """Return a function that fetches the cluster's keys, whatever the issuer is called."""
    context = ssl.create_default_context(cafile=authority)

    async def fetch(_issuer: str) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, ssl=context, raise_for_status=True) as answer,
            ):
                found: dict[str, Any] = await answer.json(content_type=None)
                return found
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(str(error)) from error

    return fetch


async def _serve(options: argparse.Namespace, tenant: Tenant) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = Settings(
        tenant=tenant.tenant,
        vault=tenant.vault,
        folder=options.folder,
        certificate=options.certificate,
        key=options.key,
        listen=options.listen,
        control=options.control,
    )
    server = VaultServer(settings, _fetcher(options.issuer_keys, options.authority))
    server.seed(
        tenant.identities,
        {name: file.read_text().strip() for name, file in tenant.secrets.items()},
    )
    async with server:
        print(f"vault: proxy {server.proxy}, control {server.control}", flush=True)
        logging = asyncio.create_task(_log(server))
        await stop.wait()
        logging.cancel()


async def _log(server: VaultServer) -> None:
    async for record in server.book.watch():
        print(
            f"{record.where} {record.operation} {record.secret or '-'} by {record.identity or '-'}:"
            f" {record.status} {record.code}".rstrip(),
            flush=True,
        )


def main() -> int:
    """Run until SIGTERM or Ctrl-C; return the exit code."""
    options = _arguments()
    try:
        tenant = Tenant.model_validate_json(options.tenant.read_bytes())
        asyncio.run(_serve(options, tenant))
    except (OSError, ValidationError) as error:
        print(f"vault: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
