"""Where on this machine a secret's value is found that should be nowhere but in its files.

Searched are the bytes that the loop keeps: logs, everything etcd ever stored (deleted and changed
objects and events are among it), Git objects, image layers, what Flux fetched; and what processes
show of themselves: environments, command lines, metrics.
"""

import base64
import gzip
import io
import json
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import httpx2
import zstandard

from tests.loop.supervisor import state

# Values that tests set to be short or empty would be found everywhere.
_SHORTEST = 12
# These hold secrets on purpose: the vault's own store, what the stand-ins accept, what is mounted;
# containerd's folders hold the layers once more.
_ON_PURPOSE = ("vault", "credentials", "containerd", "containerd-opt")
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Leak:
    """A place, and which secret was found there (never its value)."""

    where: str
    secret: str


def values() -> dict[bytes, str]:
    """Every value that the vault ever held or the stand-ins accept, and what it is."""
    found: dict[bytes, str] = {}
    for secret in json.loads((state.STATE / "vault" / "secrets.json").read_text()):
        for version in secret["versions"]:
            found[version["value"].strip().encode()] = secret["name"]
    found[state.DISCORD_TOKEN_FILE.read_bytes().strip()] = "discord-token"
    found[state.OPENAI_KEY_FILE.read_bytes().strip()] = "openai-api-key"
    for identity in json.loads(state.TENANT_FILE.read_text())["identities"]:
        found[identity.get("client_secret", "").encode()] = "the operator's secret"
    return {value: name for value, name in found.items() if len(value) >= _SHORTEST}


class Search:
    """Looks for each of VALUES, as it is and in base64."""

    def __init__(self, values: dict[bytes, str]) -> None:
        self._names: dict[bytes, str] = {}
        for value, name in values.items():
            self._names[value] = name
            # Of a longer text in base64, the middle is the same for one of three places.
            for place in range(3):
                encoded = base64.b64encode(b"\0" * place + value).strip(b"=")
                self._names[encoded[4 if place else 0 : -2]] = f"{name} in base64"
        longest = max(map(len, self._names))
        self._overlap = longest - 1
        self._pattern = re.compile(b"|".join(map(re.escape, self._names)))

    def data(self, where: str, data: bytes) -> Iterator[Leak]:
        """Look through DATA."""
        for name in {self._names[found] for found in self._pattern.findall(data)}:
            yield Leak(where, name)

    def stream(self, where: str, stream: IO[bytes]) -> Iterator[Leak]:
        """Look through a stream that may not fit into memory."""
        found: set[Leak] = set()
        tail = b""
        while chunk := stream.read(_CHUNK):
            found.update(self.data(where, tail + chunk))
            tail = (tail + chunk)[-self._overlap :]
        yield from found


def everywhere(search: Search) -> Iterator[Leak]:
    """Look at all places."""
    yield from files(search)
    yield from git(search)
    yield from layers(search)
    yield from processes(search)
    yield from metrics(search)


def files(search: Search) -> Iterator[Leak]:
    """Logs, etcd's data, configuration, artifacts: all that the loop has on disk."""
    roots = [path for path in state.STATE.iterdir() if path.name not in _ON_PURPOSE]
    for root in roots:
        for path in [root] if root.is_file() else root.rglob("*"):
            inside = "kubernetes.io~csi" in path.parts and "mount" in path.parts
            if inside or not path.is_file() or path.is_symlink():
                continue
            try:
                with path.open("rb") as stream:
                    yield from search.stream(str(path), stream)
                if path.name.endswith(".tar.gz"):
                    with gzip.open(path) as unpacked:
                        yield from search.stream(f"{path}, unpacked", cast("IO[bytes]", unpacked))
            except OSError:  # it is gone
                continue


def git(search: Search) -> Iterator[Leak]:
    """Every object of the repository, reachable or not."""
    command = ["git", "--git-dir", str(state.GIT_REPOSITORY), "cat-file"]
    with subprocess.Popen(
        [*command, "--batch-all-objects", "--batch"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield from search.stream("a Git object", process.stdout)


def layers(search: Search) -> Iterator[Leak]:
    """Every blob of the registry, unpacked."""
    for blob in state.STATE.glob("registry/**/blobs/sha256/*/*/data"):
        data = blob.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = zlib.decompress(data, wbits=31)
        elif data.startswith(b"\x28\xb5\x2f\xfd"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        where = f"image blob {blob.parent.name[:12]}"
        yield from search.data(where, data)
        yield from _archive(search, where, data)


def _archive(search: Search, where: str, data: bytes) -> Iterator[Leak]:
    """Look at the names in a layer too: a file's name could be a value."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            names = "\n".join(tar.getnames()).encode()
    except tarfile.TarError:
        return
    yield from search.data(f"{where}, names", names)


def processes(search: Search) -> Iterator[Leak]:
    """Environment and command line of every process of this machine, those of pods too."""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                data = (folder / name).read_bytes()
            except OSError:  # it has ended
                continue
            yield from search.data(f"{name} of {_command(folder)}", data)


def _command(folder: Path) -> str:
    try:
        return f"{(folder / 'comm').read_text().strip()} ({folder.name})"
    except OSError:
        return folder.name


def metrics(search: Search, bots: tuple[str, ...] = ()) -> Iterator[Leak]:
    """What driver, provider and bots (by their addresses) tell a scraper."""
    urls = [
        f"http://{state.CSI_METRICS}/metrics",
        f"http://127.0.0.1:{state.PROVIDER_METRICS_PORT}/metrics",
        *(f"http://{address}:8080/metrics" for address in bots),
    ]
    for url in urls:
        try:
            answer = httpx2.get(url, timeout=5, trust_env=False)
        except httpx2.HTTPError:  # that one is left out of this loop
            continue
        yield from search.data(url, answer.content)
