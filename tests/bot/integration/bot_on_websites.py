"""The bot as `python -m bot`, on an internet of the test: names and addresses of this machine.

WEBSITES holds JSON: the port of the sites, and of each name the addresses that it has, the first
time and from then on. The sites' address is a public one here; all others are judged as ever.
CONNECTED is a file to which every connection that the process tries to make is written, by the
interpreter itself.
"""

import asyncio
import json
import os
import sys
from pathlib import Path


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host, port = arguments[1][:2]
        os.write(_connected, f"{host} {port}\n".encode())


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # as `python -m` has it
    _connected = os.open(os.environ["CONNECTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sys.addaudithook(_record)

    from bot import app
    from bot.context.web_pages import Internet, is_public
    from bot.observability import log
    from bot.settings.loading import load
    from tests.servers.websites import ADDRESS

    sites = json.loads(os.environ["WEBSITES"])

    async def _resolve(host: str, port: int) -> list[tuple[str, int]]:
        del port
        answers = sites["names"].get(host, [])
        if not answers:
            raise OSError("no such name")
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(each, sites["port"]) for each in found]

    loaded = load(None, os.environ)
    log.configure(loaded.settings.log.level)
    internet = Internet(_resolve, lambda each: each == ADDRESS or is_public(each))
    asyncio.run(app.run(loaded, os.environ, internet))
