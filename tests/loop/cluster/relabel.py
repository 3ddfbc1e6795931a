"""Images without a build, for tests in which only the tag and the digest matter, or what is broken.

An image that is in the registry gets another label (and perhaps another entry point): that is a
digest of its own with the same layers, made in a fifth of a second. The bot in it is the one that
was built last; what main's code says is not in it.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx2

from tests.loop.supervisor import state
from tests.tools import tool

_REVISION = "org.opencontainers.image.revision"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Relabel:
    """Takes the place of the image builder (`merge.Builds`)."""

    def __init__(self, image: str, entrypoint: Sequence[str] = ()) -> None:
        """IMAGE is in the registry, REPOSITORY@DIGEST; an ENTRYPOINT takes the bot's place."""
        self.image = image
        self._entrypoint = [f"--entrypoint={','.join(entrypoint)}"] if entrypoint else []

    def prepare(self) -> None:
        """Nothing is needed."""

    def build(self, context: Path, reference: str, revision: str) -> str:
        """Push the image under REFERENCE with the label REVISION; return its digest."""
        assert context.is_dir()
        command = [
            str(tool("crane")), "mutate", "--insecure", self.image,
            "--label", f"{_REVISION}={revision}", *self._entrypoint, "--tag", reference,
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip().rpartition("@")[2]


class NoBuild:
    """A builder for merges whose image must be found: it refuses to build anything."""

    def prepare(self) -> None:
        """Nothing is needed."""

    def build(self, context: Path, reference: str, revision: str) -> str:
        """Fail the test."""
        raise AssertionError(f"{revision[:7]} would be built as {reference}, from {context}")


def cripple(digest: str) -> None:
    """Delete an image's configuration from the registry: its tags stay, but nobody can pull it."""
    repository = f"http://{state.REGISTRY}/v2/discordskybot"
    with httpx2.Client(trust_env=False) as http:
        found = http.get(f"{repository}/manifests/{digest}", headers={"Accept": _MANIFEST})
        config = found.raise_for_status().json()["config"]["digest"]
        http.delete(f"{repository}/blobs/{config}").raise_for_status()
