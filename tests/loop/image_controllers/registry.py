"""The registry protocol, as much of it as a scan and a digest need. Anonymous only."""

import re
from dataclasses import dataclass

import aiohttp

_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PAGE = 1000  # tags asked for at a time, as Flux's client does
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)


class RegistryError(Exception):
    """The registry did not answer, or not what was asked."""


class ImageNameError(ValueError):
    """An image name that cannot be scanned."""


@dataclass(frozen=True)
class Repository:
    """Where an image's tags are."""

    host: str
    name: str
    insecure: bool

    @property
    def canonical(self) -> str:
        """Return the name with everything implied spelled out."""
        return f"{self.host}/{self.name}"

    @property
    def url(self) -> str:
        """Return the base of the repository's API."""
        return f"http{'' if self.insecure else 's'}://{self.host}/v2/{self.name}"


def parse_image(image: str, *, insecure: bool) -> Repository:
    """Read spec.image: a name without scheme, tag or digest. Raises ImageNameError."""
    scheme, separator, _ = image.partition("://")
    if separator:
        raise ImageNameError(f"image '{image}' should not include URL scheme; remove '{scheme}://'")
    host, _, name = image.partition("/")
    if not name or not ("." in host or ":" in host or host == "localhost"):
        host, name = "index.docker.io", image if "/" in image else f"library/{image}"
    if ":" in name or "@" in name:
        raise ImageNameError(f"image '{image}' should not include a tag")
    if not _HOST.fullmatch(host) or not _REPOSITORY.fullmatch(name):
        raise ImageNameError(f"could not parse reference: {image}")
    return Repository(host, name, insecure)


class Registry:
    """A client; one HTTP session for the life of the process."""

    def __init__(self, session: aiohttp.ClientSession, page: int = _PAGE) -> None:
        self._session = session
        self._page = page

    async def tags(self, repository: Repository, within: float) -> list[str]:
        """List all tags, page by page. `within`: seconds for each page. Raises RegistryError."""
        found: list[str] = []
        path: str | None = f"{repository.url}/tags/list?n={self._page}"
        client_timeout = aiohttp.ClientTimeout(total=within)
        while path:
            try:
                async with self._session.get(path, timeout=client_timeout) as response:
                    await _raise_for_status(response)
                    body = await response.json(content_type=None)
                    # Relative to the page it was on, as the protocol has it.
                    following = response.links.get("next")
                    path = str(following["url"]) if following else None
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise RegistryError(_said(error, repository.canonical)) from error
            found += body.get("tags") or []
        return found

    async def digest(self, repository: Repository, tag: str, within: float) -> str:
        """Return the digest a tag stands for, without its manifest. Raises RegistryError."""
        url, headers = f"{repository.url}/manifests/{tag}", {"Accept": _MANIFESTS}
        client_timeout = aiohttp.ClientTimeout(total=within)
        try:
            async with self._session.head(
                url, headers=headers, timeout=client_timeout, allow_redirects=True
            ) as response:
                await _raise_for_status(response)
                digest = response.headers.get("Docker-Content-Digest", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RegistryError(_said(error, f"{repository.canonical}:{tag}")) from error
        if not _DIGEST.fullmatch(digest):
            raise RegistryError(
                f"{repository.canonical}:{tag}: the registry named no sha256 digest"
            )
        return digest


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.ok:
        return
    text = (await response.text())[:300].strip()
    raise RegistryError(
        f"{response.method} {response.url}: {response.status} {response.reason} {text}".strip()
    )


def _said(error: Exception, what: str) -> str:
    return f"{what}: {str(error) or type(error).__name__}"
