"""Real programs for the tests of this folder: a registry, an API server, Git over HTTP.

Each on a free port of the loopback, so they live beside a loop that is up. Nothing here is used by
the stand-in itself.
"""

import asyncio
import contextlib
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.tools import tool

Json = dict[str, Any]
_PATIENCE = 60.0  # seconds for a program to answer; an API server on a busy machine takes 10
_PAUSE = 0.05
_TOKEN = "loopback-only"  # noqa: S105 - made up, for a server that lives as long as a test
_EMPTY = b"{}"


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@asynccontextmanager
async def program(
    *command: object, answers: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """Run a program for the length of a block, from when the URL answers 200."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", **(env or {})},
    )
    try:
        await _answering(answers, process)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answering(url: str, process: asyncio.subprocess.Process) -> None:
    headers = {"Authorization": f"Bearer {_TOKEN}"}
    async with asyncio.timeout(_PATIENCE), aiohttp.ClientSession(headers=headers) as session:
        while process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url, ssl=False) as response:
                    if response.ok:
                        return
            await asyncio.sleep(_PAUSE)
    raise RuntimeError(f"{url}: the program ended with {process.returncode}")


@asynccontextmanager
async def registry(folder: Path) -> AsyncIterator[str]:
    """Run distribution; yields host:port."""
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": "0.1",
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "images")},
            "delete": {"enabled": True},
        },
        "http": {"addr": host},
    }
    file = folder / "registry.json"
    file.write_text(json.dumps(config))
    quiet = {"OTEL_TRACES_EXPORTER": "none"}
    async with program(tool("registry"), "serve", file, answers=f"http://{host}/v2/", env=quiet):
        yield host


async def push_image(host: str, name: str, tag: str, content: str = "") -> str:
    """Put an image without layers under a tag and return its digest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "content": content}).encode()
    async with aiohttp.ClientSession() as session:
        descriptors = [await _push_blob(session, f"http://{host}/v2/{name}", config)]
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **descriptors[0]},
            "layers": [],
        }
        async with session.put(
            f"http://{host}/v2/{name}/manifests/{tag}",
            data=json.dumps(manifest).encode(),
            headers={"Content-Type": str(manifest["mediaType"])},
        ) as response:
            response.raise_for_status()
            return response.headers["Docker-Content-Digest"]


async def _push_blob(session: aiohttp.ClientSession, base: str, blob: bytes) -> Json:
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    async with session.post(f"{base}/blobs/uploads/") as response:
        response.raise_for_status()
        target = response.headers["Location"]
    joint = "&" if "?" in target else "?"
    async with session.put(f"{target}{joint}digest={digest}", data=blob) as response:
        response.raise_for_status()
    return {"digest": digest, "size": len(blob)}


@asynccontextmanager
async def api_server(folder: Path) -> AsyncIterator[Path]:
    """Run etcd and kube-apiserver, alone; yields a kubeconfig file."""
    client, peer, port = free_port(), free_port(), free_port()
    etcd_url, url = f"http://127.0.0.1:{client}", f"https://127.0.0.1:{port}"
    key = _service_account_key(folder)
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
    etcd = (
        tool("etcd"),
        "--name=one",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd_url}",
        f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=one=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    )
    server = (
        tool("kube-apiserver"),
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=AlwaysAllow",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
    )
    async with (
        program(*etcd, answers=f"{etcd_url}/health"),
        program(*server, answers=f"{url}/readyz"),
    ):
        yield _kubeconfig(folder, url)


def _service_account_key(folder: Path) -> Path:
    key = folder / "service-account.key"
    key.write_bytes(
        rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return key


def _kubeconfig(folder: Path, url: str) -> Path:
    cluster = {"server": url, "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "admin"}}],
        "current-context": "one",
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


@asynccontextmanager
async def git_over_http(folder: Path) -> AsyncIterator[str]:
    """Serve the bare repositories of a folder by Git's own backend, pushes too; yields the URL."""

    async def handle(request: web.Request) -> web.Response:
        env = {
            "PATH": "/usr/bin:/bin",
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": "",  # aiohttp has undone it
        }
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            env=env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(await request.read())
        head, _, body = out.partition(b"\r\n\r\n")
        headers = dict(one.split(": ", 1) for one in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=body)

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def git(*arguments: str, cwd: Path) -> str:
    """Run git as a person would and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        "git",
        *("-c", "user.name=A Person", "-c", "user.email=person@example.invalid"),
        *arguments,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(cwd)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {said.decode()}")
    return out.decode().strip()


async def bare_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """Make a bare repository whose branch main has one commit with these files."""
    work, bare = folder / "seed", folder / "repository.git"
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    await git("init", "-q", "--initial-branch=main", ".", cwd=work)
    await git("add", ".", cwd=work)
    await git("commit", "-q", "-m", "Begin", cwd=work)
    await git("clone", "-q", "--bare", str(work), str(bare), cwd=folder)
    await git("config", "http.receivepack", "true", cwd=bare)
    return bare
