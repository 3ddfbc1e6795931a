"""One repository of an OCI registry, through crane: manifests only, no layer is ever pulled."""

import re
import shutil
import subprocess
from dataclasses import dataclass

from release.errors import RegistryError, ReleaseError

REPOSITORY = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Codes of the OCI distribution specification for "there is none"; anything else is a failure.
ABSENT = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN")
TIMEOUT = 120.0  # seconds; crane itself retries a few times within it


@dataclass(frozen=True)
class Registry:
    """`repository` is HOST[:PORT]/NAME without a tag; `insecure` allows plain HTTP."""

    repository: str
    crane: str = "crane"
    insecure: bool = False

    def __post_init__(self) -> None:
        if not REPOSITORY.fullmatch(self.repository):
            raise ReleaseError(
                f"{self.repository!r} is not HOST[:PORT]/NAME: no https:// before it, no tag after"
            )

    def digest(self, reference: str) -> str | None:
        """The digest behind a tag or a digest; None when the registry says that there is none."""
        separator = "@" if DIGEST.fullmatch(reference) else ":"
        answer = self._ask("digest", f"{self.repository}{separator}{reference}")
        if answer is not None and not DIGEST.fullmatch(answer):
            raise RegistryError(f"{self.repository}: expected a digest, got {answer[:200]!r}")
        return answer

    def tags(self) -> list[str]:
        """Every tag; none when the repository does not exist yet."""
        return (self._ask("ls", self.repository) or "").split()

    def put(self, digest: str, tag: str) -> None:
        """Write `tag` for a manifest that is there, and read it back."""
        if self._ask("tag", f"{self.repository}@{digest}", tag) is None:
            raise RegistryError(f"{self.repository} has no {digest}: push the image first")
        if (now := self.digest(tag)) != digest:
            raise RegistryError(
                f"{self.repository}:{tag} was put on {digest} and is read back as {now}: somebody "
                "else writes the same tag; run again"
            )

    def _ask(self, *arguments: str) -> str | None:
        program = shutil.which(self.crane)
        if program is None:
            raise ReleaseError(
                f"{self.crane!r} was not found: put crane on PATH, or name it by --crane or CRANE "
                "(go install github.com/google/go-containerregistry/cmd/crane@latest)"
            )
        flags = ["--insecure"] if self.insecure else []
        try:
            done = subprocess.run(
                [program, *arguments, *flags],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise RegistryError(
                f"{self.repository} gave no answer within {TIMEOUT:.0f} s: can it be reached?"
            ) from error
        if done.returncode == 0:
            return done.stdout.strip()
        if any(code in done.stderr for code in ABSENT):
            return None
        lines = done.stderr.strip().splitlines()
        raise RegistryError(
            f"crane {arguments[0]} {arguments[1]}: {lines[-1] if lines else 'no reason given'} "
            "(logged in? for ACR: `az acr login`; plain HTTP needs --insecure)"
        )
