"""The keys that are accepted: the lines of a file, read again whenever it changed."""

import hashlib
import secrets
from pathlib import Path


class Keys:
    """The file is the truth; the control API writes it, and so may anybody else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: frozenset[str] = frozenset()
        self._first: frozenset[str] = frozenset()

    def ensure(self) -> None:
        """Make a file with a new key where there is none."""
        if not self._path.exists():
            self.replace([f"sk-loop-{secrets.token_hex(20)}"])
        self._first = self.accepted()

    def reset(self) -> None:
        """Accept the keys of the beginning again, and no others."""
        self.replace(sorted(self._first))

    def accepted(self) -> frozenset[str]:
        """Give the keys that are accepted now; none where the file is missing."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return frozenset()
        seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if seen != self._seen:
            lines = self._path.read_text().splitlines()
            self._keys = frozenset(line.strip() for line in lines if line.strip())
            self._seen = seen
        return self._keys

    def replace(self, keys: list[str]) -> None:
        """Accept these keys from now on and no others."""
        fresh = self._path.with_name(f".{self._path.name}.new")
        fresh.touch(mode=0o600)
        fresh.write_text("".join(f"{key}\n" for key in keys))
        fresh.replace(self._path)


def digest(key: str) -> str:
    """Name a key without giving it away."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]
