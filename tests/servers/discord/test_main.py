"""The server as a process, as the loop runs it."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import aiohttp

REPOSITORY = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "tests.servers.discord")


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_it_takes_its_token_from_a_file_that_may_change(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    process = await _start(
        *("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"),
        *("--token-file", str(file), "--seed"),
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[1].rstrip(",")
    assert (await process.stdout.readline()).startswith(b"control: http://127.0.0.1:")

    async def status(token: str) -> int:
        headers = {"Authorization": f"Bot {token}"}
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{url}/users/@me", headers=headers) as response,
        ):
            return response.status

    assert [await status("first"), await status("second")] == [200, 401]
    file.write_text("second")
    assert [await status("first"), await status("second")] == [401, 200]
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_missing_token_and_a_taken_port_are_sentences(tmp_path: Path) -> None:
    missing = await _start("--token-file", str(tmp_path / "none"))
    out, _ = await missing.communicate()
    assert missing.returncode == 1
    assert b"Write the bot's token into it" in out

    (tmp_path / "token").write_text("t")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await _start(
            *("--listen", address, "--control", "127.0.0.1:0"),
            *("--token-file", str(tmp_path / "token")),
        )
        out, _ = await process.communicate()
    assert process.returncode == 1
    assert f"Cannot listen at {address}".encode() in out
    assert b"Traceback" not in out
