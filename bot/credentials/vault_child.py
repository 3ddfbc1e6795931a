"""`python -m bot.credentials.vault_child URL`: vault_process.py starts it to ask a Key Vault.

Each line of the input is a question, each line of the output the answer to one, as soon as it is
there; both are JSON, and `number` says which belong together. It ends at the end of the input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from dataclasses import asdict
from typing import Any

from bot.credentials import keyvault
from bot.credentials.keyvault import VaultTrouble
from bot.observability import log as json_lines
from bot.observability import tasks

log = logging.getLogger(__name__)


_log = logging.getLogger(__name__)


async def serve(url: str) -> None:
    """Answer until there are no more questions."""
    keyvault.load()
    vault = keyvault.AzureVault(url, os.environ)
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(questions), sys.stdin
    )
    try:
        async with tasks.Group() as answering:
            async for line in questions:
                answering.start(_answer(vault, **json.loads(line)), "vault_question")
    finally:
        await vault.close()


async def _answer(vault: keyvault.AzureVault, number: int, operation: str, name: str) -> None:
    answer: dict[str, Any] = {"number": number}
    try:
        if operation == "read":
            answer["found"] = asdict(await vault.read(name))
        else:
            answer["found"] = asdict(await vault.look(name))
    except VaultTrouble as trouble:
        answer |= {"label": trouble.label, "detail": trouble.detail}
    except Exception as error:  # noqa: BLE001  # the log and the one who asks are told
        _log.exception("asking Key Vault broke", extra={"secret": name})
        answer |= {"label": "broken", "detail": type(error).__name__}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(url: str) -> int:
    """Serve; returns the exit code. What is worth a line goes to the bot's own log."""
    json_lines.configure("warning", sys.stderr)
    try:
        asyncio.run(serve(url))
    except Exception:  # noqa: BLE001  # the last edge
        _log.exception("the process that asks Key Vault broke")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
