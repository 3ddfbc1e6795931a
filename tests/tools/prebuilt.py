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
import math
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tests.tools import cache
from tests.tools.cache import Toolchain
from tests.tools.families import HERE, Family

DIGESTS = HERE / "digests.txt"
_SECONDS = 30  # without a byte
IN_ALL = 900  # seconds for everything that is taken: building takes hardly longer
_LARGEST = 1 << 31  # bytes of a family's tar; the largest has a quarter of it
_LARGEST_ANSWER = 1 << 22  # bytes of a manifest or a token, as registries limit them
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


class OutOfReach(NotTaken):
    """The registry did not answer, so there is no point in asking it for the next family."""


class NotPut(RuntimeError):
    """A family cannot be put into the registry; the message has the remedy."""


class NotNamed(NotPut):
    """A build is not what digests.txt names; `line` is the one that would name it."""

    def __init__(self, line: str) -> None:
        super().__init__(f"digests.txt lacks the line {line}")
        self.line = line


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


def _unpack(tar: Path, target: Path) -> None:
    """Unpack what pack() wrote into the new folder TARGET. Raises NotTaken for anything else.

    Not extractall(): its safe form came with Python 3.11.4, and Debian 12 has 3.11.2.
    """
    target.mkdir()
    with tarfile.open(tar) as content:
        for info in content:
            name = PurePosixPath(info.name)
            if not (info.isdir() or info.isreg()) or name.is_absolute() or ".." in name.parts:
                raise NotTaken(f"it holds {info.name!r}, which is no file or folder of its own")
            path = target / name
            if info.isdir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            source = content.extractfile(info)
            assert source is not None  # it is a file
            with source, path.open("xb") as file:
                shutil.copyfileobj(source, file, _PIECE)
            path.chmod(0o755 if info.mode & 0o100 else 0o644)


class _Answer(io.RawIOBase):
    """What a registry sends, up to so many bytes and until a time.

    Raises NotTaken for more, and OutOfReach afterwards. Each read takes what has come, so that a
    registry that sends a byte now and then cannot hold us up.
    """

    def __init__(self, source: Any, largest: int, deadline: float) -> None:
        super().__init__()
        self._source, self._left, self._deadline = source, largest, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if time.monotonic() > self._deadline:
            raise OutOfReach("the registry is too slow")
        data: bytes = self._source.read1(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise NotTaken("what is there is too large")
        buffer[: len(data)] = data
        return len(data)


@dataclass
class Registry:
    """One repository of a registry: `host[:port]/path`, readable without a login.

    From `deadline` on, by time.monotonic(), nothing more is read.
    """

    repository: str
    _token: dict[str, str] = field(default_factory=dict)
    deadline: float = math.inf

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
            _unpack(tar, made)
            made.rename(target)

    def put(self, family: Family, toolchain: Toolchain, digests: Mapping[str, str]) -> None:
        """Put FAMILY, which is built, here with crane. Raises NotNamed and NotPut."""
        folder = cache.entry(family, toolchain)
        digest = digest_of(folder)
        if digest != digests.get(folder.name):
            platform = f"{toolchain.os}/{toolchain.arch}"
            raise NotNamed(f"{toolchain.version} {platform} {folder.name} {digest}")
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
        with self._open(f"/manifests/{entry}", _LARGEST_ANSWER, headers) as answer:
            try:
                return json.load(answer)
            except TimeoutError as error:
                raise OutOfReach(f"the registry is out of reach ({error})") from error
            except (OSError, http.client.HTTPException) as error:
                raise NotTaken(f"the registry's answer broke off ({error})") from error
            except (ValueError, RecursionError) as error:
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
        with self._open(f"/blobs/{blob}", _LARGEST) as answer, target.open("wb") as file:
            try:
                source = gzip.GzipFile(fileobj=answer) if gzipped else answer
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    if file.tell() + len(piece) > _LARGEST:
                        raise NotTaken("what is there is too large")
                    file.write(piece)
            except TimeoutError as error:
                raise OutOfReach(f"the download stood still ({error})") from error
            except (OSError, EOFError, http.client.HTTPException, zlib.error) as error:
                raise NotTaken(f"the download broke off ({error})") from error
        return f"sha256:{digest.hexdigest()}"

    @contextlib.contextmanager
    def _open(
        self, path: str, largest: int, headers: Mapping[str, str] | None = None
    ) -> Iterator[IO[bytes]]:
        """Open PATH, with the token that the registry gives to everybody where it wants one."""
        if time.monotonic() > self.deadline:
            raise OutOfReach("the registry is too slow")
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
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise OutOfReach(f"the registry is out of reach ({error})") from error
        with answer:
            yield io.BufferedReader(_Answer(answer, largest, self.deadline))

    def _get(self, request: urllib.request.Request) -> Any:
        for name, value in self._token.items():
            # Not sent along a redirect: blobs often lie with another service.
            request.add_unredirected_header(name, value)
        return urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310  # _base names it

    def _ask_token(self, challenge: str) -> dict[str, str]:
        """Ask for the token that CHALLENGE names. Raises ValueError for an answer without one."""
        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if not said["realm"].startswith("https://"):
            raise ValueError("it sends us for a token to a place without TLS")
        query = urllib.parse.urlencode(
            {name: said[name] for name in ("service", "scope") if name in said}
        )
        with urllib.request.urlopen(f"{said['realm']}?{query}", timeout=_SECONDS) as answer:  # noqa: S310
            found = _token_in(answer.read(_LARGEST_ANSWER))
        return {"Authorization": f"Bearer {found}"}


def _token_in(answer: bytes) -> str:
    """Return the token in a token service's answer. Raises ValueError where there is none."""
    try:
        found = json.loads(answer)
        token = found.get("token") or found["access_token"]
    except (AttributeError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("its token service gives no token") from error
    if not isinstance(token, str):
        raise ValueError("its token service gives no token")  # noqa: TRY004  # an answer, no argument
    return token


def take_all(families: Sequence[Family], toolchain: Toolchain, registry: Registry) -> list[Family]:
    """Take what the registry has of FAMILIES, say what came of each, and return the rest."""
    digests = read_digests()
    left: list[Family] = []
    for place, family in enumerate(families):
        try:
            registry.take(family, toolchain, digests)
        except OutOfReach as error:
            rest = families[place:]
            print(
                f"tools: {', '.join(one.name for one in rest)}: to build, because {error}",
                flush=True,
            )
            return [*left, *rest]
        except NotTaken as error:
            left.append(family)
            print(f"tools: {family.name}: to build, because {error}", flush=True)
        else:
            print(f"tools: {family.name}: taken, its digest is right", flush=True)
    return left
