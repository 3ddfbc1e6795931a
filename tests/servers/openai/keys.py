"""The accepted keys: the lines of a file, which is read again when it changes."""

import hashlib
import secrets
from pathlib import Path


class Keys:
    """The accepted keys. The file is authoritative; the control API, or anybody, may write it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: frozenset[str] = frozenset()
        self._first: frozenset[str] = frozenset()

    def ensure(self) -> None:
        """Create the file with a new key if it does not exist."""
        if not self._path.exists():
            self.replace([f"sk-loop-{secrets.token_hex(20)}"])
        self._first = self.accepted()

    def reset(self) -> None:
        """Accept only the initial keys again."""
        self.replace(sorted(self._first))

    def accepted(self) -> frozenset[str]:
        """Return the accepted keys; none if the file is missing."""
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
        """Accept only these keys from now on."""
        fresh = self._path.with_name(f".{self._path.name}.new")
        fresh.touch(mode=0o600)
        fresh.write_text("".join(f"{key}\n" for key in keys))
        fresh.replace(self._path)


def digest(key: str) -> str:
    """Return a digest that identifies a key without revealing it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]
