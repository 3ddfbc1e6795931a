"""The servers around the cluster: registry, Git, and the test servers of Discord and OpenAI."""

import base64
import http.server
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path

from e2e.shell import Failed, run, say
from tests.tools import tool

ROOT = Path(__file__).resolve().parents[3]
STATE = Path(os.environ.get("E2E_STATE", "/tmp/discord-sky-e2e"))  # noqa: S108 - a runner's own machine
HOST = "10.244.0.1"  # as clusters/local and tests/loop/supervisor/state.py have it
REGISTRY_PORT, GIT_PORT, DISCORD_PORT, OPENAI_PORT = 5000, 8081, 7101, 7102
DISCORD_CONTROL, OPENAI_CONTROL = "127.0.0.1:7111", "127.0.0.1:7112"
REGISTRY = f"{HOST}:{REGISTRY_PORT}"
GIT_URL = f"http://{HOST}:{GIT_PORT}/discord-sky.git"
TOKEN_FILE, KEY_FILE = STATE / "discord-token", STATE / "openai-api-key"


def start() -> None:
    """Start all four in the background; their logs are in STATE."""
    STATE.mkdir(parents=True)
    run("sudo", "ip", "address", "replace", f"{HOST}/32", "dev", "lo")
    user = base64.urlsafe_b64encode(b"1000000000000000001").decode().rstrip("=")
    TOKEN_FILE.write_text(f"{user}.{secrets.token_urlsafe(4)[:6]}.{secrets.token_urlsafe(29)[:38]}")
    KEY_FILE.write_text(f"sk-e2e-{secrets.token_urlsafe(24)}")
    _seed_git()
    config = STATE / "registry.json"
    config.write_text(
        json.dumps(
            {
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": str(STATE / "registry")}},
                # Docker on the host uses it as 127.0.0.1, where it allows plain HTTP.
                "http": {"addr": f"0.0.0.0:{REGISTRY_PORT}"},
            }
        )
    )
    python = (sys.executable, "-m")
    discord = ("--listen", f"{HOST}:{DISCORD_PORT}", "--control", DISCORD_CONTROL)
    openai = ("--listen", f"{HOST}:{OPENAI_PORT}", "--control", OPENAI_CONTROL)
    _start("registry", REGISTRY_PORT, str(tool("registry")), "serve", str(config))
    _start("git", GIT_PORT, *python, "e2e", "git")
    _start(
        "discord", DISCORD_PORT, *python, "tests.servers.discord", *discord,
        "--token-file", str(TOKEN_FILE), "--seed",
    )  # fmt: skip
    _start(
        "openai", OPENAI_PORT, *python, "tests.servers.openai", *openai,
        "--key-file", str(KEY_FILE),
    )  # fmt: skip


def _start(name: str, port: int, *command: str) -> None:
    say(f"starting {name}")
    with (STATE / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True
        )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise Failed(f"{name} did not start: {(STATE / f'{name}.log').read_text()[-2000:]}")


def _seed_git() -> None:
    """Make the repository that Flux reads, with this clone's commit as main."""
    bare = STATE / "git" / "discord-sky.git"
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", bare)
    run("git", "-C", ROOT, "push", "--quiet", str(bare), "HEAD:refs/heads/main")
    for setting in ("http.receivepack=true", "gc.auto=0", "receive.autogc=false"):
        run("git", "--git-dir", bare, "config", *setting.split("="))


class GitHandler(http.server.BaseHTTPRequestHandler):
    """Git's own backend behind Python's HTTP server: anonymous clones and pushes."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        """Answer a listing of references."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Receive or send a pack."""
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(STATE / "git"),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": self.client_address[0],
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0] or HTTPStatus.OK))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def serve_git() -> None:
    """Serve until killed."""
    http.server.ThreadingHTTPServer((HOST, GIT_PORT), GitHandler).serve_forever()
