"""Take built families from an OCI registry, each verified against digests.txt, and put them there.

A family is an image with one layer, under the tag `<family>-<key>`. What counts is the digest of
the layer's tar, which holds names, modes and bytes and nothing else: the builds are reproducible,
so the digest of a build can be in the tree, and no registry has to be trusted. What is not there,
or is not what the tree names, is not taken. Taking needs nothing but Python, because it comes
before the tools; putting needs crane, which is one of them.
"""

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import re
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.tools import cache
from tests.tools.cache import Toolchain
from tests.tools.families import HERE, Family

DIGESTS = HERE / "digests.txt"
_SECONDS = 30  # without a byte
_PIECE = 1 << 20
_MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LOCAL = re.compile(r"^(?:localhost|127\.0\.0\.1)(?::\d+)?$")  # without TLS, as crane does
_HEADER = """\
# Digests of the built families: what `TOOLS_CACHE=registry/repository make tools` takes has to be
# this, byte for byte. Go and platform, cache entry, digest of its tar. After a bump and a build,
# `python -m tests.tools digests` writes it.
"""


class NotTaken(Exception):
    """A family is not in the registry, or is not what it should be; the message says which."""


class NotPut(RuntimeError):
    """A family cannot be put into the registry; the message has the remedy."""


def read_digests() -> dict[str, str]:
    """Return the digest that each cache entry must have, by the entry's name."""
    lines = DIGESTS.read_text().splitlines() if DIGESTS.exists() else []
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {entry: digest for _, _, entry, digest in words}


def write_digests(families: Sequence[Family], toolchain: Toolchain) -> int:
    """Write the digests of FAMILIES, which are built, in place of those of this platform.

    Returns how many lines are new. Raises ToolMissing if one is not built.
    """
    platform = f"{toolchain.os}/{toolchain.arch}"
    old = DIGESTS.read_text().splitlines() if DIGESTS.exists() else []
    kept = [line for line in old if not line.startswith("#") and platform not in line.split()]
    made = []
    for family in families:
        folder = cache.entry(family, toolchain)
        if not folder.is_dir():
            raise cache.ToolMissing(f"{family.name} is not built: run `make tools`")
        made.append(f"{toolchain.version} {platform} {folder.name} {digest_of(folder)}")
    DIGESTS.write_text(_HEADER + "\n".join(sorted([*kept, *made])) + "\n")
    return len(set(made) - set(old))


def pack(folder: Path, target: IO[bytes]) -> None:
    """Write FOLDER as a tar that is the same for the same names, modes and bytes."""
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
                continue
            info.size = path.stat().st_size
            info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as content:
                tar.addfile(info, content)


class _Hash(io.RawIOBase):
    """A file that only counts the digest of what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)


def digest_of(folder: Path) -> str:
    """Return the digest of FOLDER's tar."""
    target = _Hash()
    pack(folder, target)  # type: ignore[arg-type]  # only written to
    return f"sha256:{target.sha256.hexdigest()}"


@dataclass
class Registry:
    """One repository of a registry: `host[:port]/path`, readable without a login."""

    repository: str
    _token: dict[str, str] = field(default_factory=dict)

    @property
    def _base(self) -> str:
        host, _, path = self.repository.partition("/")
        return f"{'http' if _LOCAL.match(host) else 'https'}://{host}/v2/{path}"

    def take(self, family: Family, toolchain: Toolchain, digests: Mapping[str, str]) -> None:
        """Put FAMILY into the cache from here. Raises NotTaken; nothing is kept then."""
        target = cache.entry(family, toolchain)
        wanted = digests.get(target.name)
        if wanted is None:
            platform = f"{toolchain.version} {toolchain.os}/{toolchain.arch}"
            raise NotTaken(f"digests.txt names no build with {platform}")
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f"{cache.TEMPORARY}{family.name}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as temporary:
            tar, made = Path(temporary, "tar"), Path(temporary, "made")
            found = self._download(target.name, tar)
            if found != wanted:
                raise NotTaken(f"what is there is not what digests.txt names ({found})")
            with tarfile.open(tar) as content:
                content.extractall(made, filter="data")
            made.rename(target)

    def put(self, family: Family, toolchain: Toolchain, digests: Mapping[str, str]) -> None:
        """Put FAMILY, which is built, here with crane. Raises NotPut."""
        folder = cache.entry(family, toolchain)
        digest = digest_of(folder)
        if digest != digests.get(folder.name):
            raise NotPut(
                f"{family.name}: digests.txt does not name this build, so nobody would take it; "
                f"`python -m tests.tools digests` writes the line that is to be merged:\n"
                f"{toolchain.version} {toolchain.os}/{toolchain.arch} {folder.name} {digest}"
            )
        with tempfile.TemporaryDirectory() as temporary:
            layer = Path(temporary, "layer.tar.gz")
            with gzip.GzipFile(layer, "wb", compresslevel=6, mtime=0) as packed:
                pack(folder, packed)  # type: ignore[arg-type]  # only written to
            command = [str(cache.tool("crane")), "append", "--oci-empty-base", "--new_layer"]
            name = f"{self.repository}:{folder.name}"
            done = subprocess.run(
                [*command, str(layer), "--new_tag", name],
                check=False,
                capture_output=True,
                text=True,
            )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["crane failed"])[-1]
            raise NotPut(f"{family.name}: {last} (log in with `crane auth login`)")

    def has(self, entry: str) -> bool:
        """Whether there is something under the name of a cache entry. Raises NotTaken."""
        try:
            self._manifest(entry)
        except NotTaken:
            return False
        return True

    def _manifest(self, entry: str) -> Any:
        headers = {"Accept": ", ".join(_MANIFEST_TYPES)}
        with self._open(f"/manifests/{entry}", headers) as answer:
            try:
                return json.load(answer)
            except ValueError as error:
                raise NotTaken("the registry's answer is no manifest") from error

    def _download(self, entry: str, target: Path) -> str:
        """Write the tar of a cache entry to TARGET, and return its digest."""
        manifest = self._manifest(entry)
        try:
            (layer,) = manifest["layers"]
            blob, gzipped = str(layer["digest"]), str(layer["mediaType"]).endswith("gzip")
        except (TypeError, KeyError, ValueError) as error:
            raise NotTaken("what is there is no image with one layer") from error
        digest = hashlib.sha256()
        with self._open(f"/blobs/{blob}") as answer, target.open("wb") as file:
            try:
                source = gzip.GzipFile(fileobj=answer) if gzipped else answer
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    file.write(piece)
            except (OSError, EOFError, http.client.HTTPException, zlib.error) as error:
                raise NotTaken(f"the download broke off ({error})") from error
        return f"sha256:{digest.hexdigest()}"

    @contextlib.contextmanager
    def _open(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[IO[bytes]]:
        """Open PATH, with the token that the registry gives to everybody where it wants one."""
        request = urllib.request.Request(self._base + path, headers=dict(headers or {}))  # noqa: S310
        try:
            try:
                answer = self._get(request)
            except urllib.error.HTTPError as error:
                challenge = error.headers.get("WWW-Authenticate", "")
                if error.code != 401 or "realm=" not in challenge:  # noqa: PLR2004  # HTTP
                    raise
                self._token = self._ask_token(challenge)
                answer = self._get(request)
        except urllib.error.HTTPError as error:
            if error.code == 404:  # noqa: PLR2004  # HTTP
                raise NotTaken("it is not there") from error
            raise NotTaken(f"the registry answers with {error.code}") from error
        except (OSError, http.client.HTTPException, KeyError, ValueError) as error:
            raise NotTaken(f"the registry is out of reach ({error})") from error
        with answer:
            yield answer

    def _get(self, request: urllib.request.Request) -> Any:
        for name, value in self._token.items():
            # Not sent along a redirect: blobs often lie with another service.
            request.add_unredirected_header(name, value)
        return urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310  # _base names it

    def _ask_token(self, challenge: str) -> dict[str, str]:
        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if not said["realm"].startswith("https://"):
            raise ValueError("it sends us for a token to a place without TLS")
        query = urllib.parse.urlencode(
            {name: said[name] for name in ("service", "scope") if name in said}
        )
        with urllib.request.urlopen(f"{said['realm']}?{query}", timeout=_SECONDS) as answer:  # noqa: S310
            found = json.load(answer)
        return {"Authorization": f"Bearer {found.get('token') or found['access_token']}"}


def take_all(families: Sequence[Family], toolchain: Toolchain, registry: Registry) -> list[Family]:
    """Take what the registry has of FAMILIES, say what came of each, and return the rest."""
    digests = read_digests()
    left = []
    for family in families:
        try:
            registry.take(family, toolchain, digests)
        except NotTaken as error:
            left.append(family)
            print(f"tools: {family.name}: to build, because {error}", flush=True)
        else:
            print(f"tools: {family.name}: taken, its digest is right", flush=True)
    return left
