"""Which bot token is accepted: the file's, until the control API sets another."""

import hmac
from collections.abc import Callable
from pathlib import Path


class Tokens:
    """Holds the accepted token and notices when its file changes.

    Discord tokens do not overlap: once there is a new one, the old one is refused, and
    `on_change` is called, so that sessions of the old one can be closed.
    """

    def __init__(self, token: str | None = None, file: Path | None = None) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._token = token or ""
        self.on_change: Callable[[], None] = lambda: None
        self.look()
        self._first = self._token

    def look(self) -> None:
        """Read the file again if it has changed."""
        if self._file is None:
            return
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp != self._stamp:
                self.accept(self._file.read_text().strip())
                self._stamp = stamp
        except FileNotFoundError:
            return

    def accept(self, token: str) -> None:
        """Accept only this one from now on."""
        changed = token != self._token
        self._token = token
        if changed:
            self.on_change()

    def reset(self) -> None:
        """Accept only the initial token again."""
        self.accept(self._first)

    def accepts(self, token: str) -> bool:
        """Return whether this is the accepted token."""
        self.look()
        return bool(self._token) and hmac.compare_digest(self._token.encode(), token.encode())
