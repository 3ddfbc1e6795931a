"""One credential: its value now, where it came from, and what its service said about it.

It is read from a mounted file; Key Vault is asked when there is no value or its service refused it;
last comes an environment variable, for a laptop. White space around a value is dropped: a trailing
newline is the most common mistake, and it makes the HTTP libraries fail in ways that hide it.

A refused value is never taken again from a file that has not changed since. A value that worked
before is kept: if the new one is refused and the old one is not, the old one is used again.

Operators see a value's digest, never the value.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from bot.domain.errors import CredentialMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.credentials.keyvault import Version
    from bot.observability.metrics import Metrics

log = logging.getLogger(__name__)


Source = Literal["file", "keyvault", "environment"]


@dataclass(frozen=True, slots=True)
class CredentialValue:
    """A value, where it came from, and what Key Vault says about it, as far as known."""

    value: str = field(repr=False)
    source: Source
    version: Version | None = None
    taken: float = field(default_factory=time.time)


_DISCORD = re.compile(r"[\w-]{20,}\.[\w-]{5,}\.[\w-]{20,}", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+")  # what may stand in an HTTP header, without white space


def digest(value: str) -> str:
    """Return eight hex digits of the SHA-256: tells two values apart, but reveals none."""
    return hashlib.sha256(value.encode()).hexdigest()[:8]


def no_form(value: str) -> str | None:
    """Explain what no credential may contain: inner white space, characters unfit for HTTP."""
    if not _VISIBLE.fullmatch(value):
        return "it has white space, or other characters that no credential has, inside"
    return None


def not_discord(value: str) -> str | None:
    """Explain why `value` cannot be a Discord bot token; None if it may be one."""
    if value.startswith("sk-"):
        return "it is a key for OpenAI, not a token for Discord"
    return no_form(value)


def not_openai(value: str) -> str | None:
    """Explain why `value` cannot be a model provider's key; None if it may be one."""
    if _DISCORD.fullmatch(value):
        return "it is a token for Discord, not a key for OpenAI"
    return no_form(value)


class CredentialGauges:
    """The metrics of one credential."""

    def __init__(self, name: str, metrics: Metrics, usable: Callable[[], bool]) -> None:
        self._name = name
        self._metrics = metrics
        self._labels: tuple[str, ...] | None = None
        metrics.credential.labels(name).set(0)
        metrics.credential_usable.labels(name).set_function(lambda: float(usable()))

    def taken(self, held: CredentialValue) -> None:
        """Report the value that is now in use."""
        began = time.monotonic()
        metrics = self._metrics
        metrics.credential.labels(self._name).set(1)
        metrics.credential_changes.labels(self._name).inc()
        metrics.credential_age.labels(self._name).set_function(lambda: time.monotonic() - began)
        self.show(held)

    def show(self, held: CredentialValue) -> None:
        """Report where the value came from, and when it expires."""
        info, expiry = self._metrics.credential_info, self._metrics.credential_expiry
        if self._labels is not None:
            info.remove(*self._labels)
        version = held.version.id if held.version else ""
        self._labels = (self._name, held.source, digest(held.value), version)
        info.labels(*self._labels).set(1)
        expires = held.version.expires if held.version else None
        if expires is None:
            expiry.labels(self._name)
            expiry.remove(self._name)
        else:
            at = expires
            expiry.labels(self._name).set_function(lambda: at - time.time())

    def refused(self) -> None:
        """Count a refusal by the service."""
        self._metrics.credential_refused.labels(self._name).inc()
        self._metrics.credential_refusal.labels(self._name).set_to_current_time()

    def rejected(self) -> None:
        """Count a value that was rejected without being tried."""
        self._metrics.credential_rejected.labels(self._name).inc()


_FILE_LAG = 600.0  # seconds: a file with a value that was refused this recently is out of date
_VAULT_AGAIN = 30.0  # seconds: a new key may be refused until the provider has distributed it


@dataclass(frozen=True, slots=True)
class _Refusal:
    at: float
    version: str | None


class Credential:
    """One credential. `wrong` explains what is obviously wrong with a value, or returns None."""

    def __init__(
        self,
        name: str,
        path: Path,
        metrics: Metrics,
        *,
        variable: str = "",
        environment: str = "",
        wrong: Callable[[str], str | None] = no_form,
        patient: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.path = path
        self.patient = patient  # whether another value is looked for while this one is refused
        self._variable = variable  # the environment's; `environment` is its value
        self._environment = environment.strip()
        self._wrong = wrong
        self._clock = clock
        self._gauges = CredentialGauges(name, metrics, lambda: self.usable)
        self._held: CredentialValue | None = None
        self._worked: CredentialValue | None = None
        self._refused: dict[str, _Refusal] = {}
        self._in_file: str | None = None
        self._not_taken = ""  # why the last value found was rejected
        self._needed_since = clock()
        self._news = asyncio.Event()
        self.refresh()

    @property
    def value(self) -> str:
        """Return the value now; raises CredentialMissing while there is none."""
        if self._held is None:
            variable = f"set the environment variable {self._variable}, " if self._variable else ""
            vault = "or set it in Key Vault (credentials.keyvault_url)"
            remedy = f"Put it into that file, which must be readable, {variable}{vault}."
            missing = f"{self.path}: no credential for {self.name}."
            raise CredentialMissing(" ".join(filter(None, [missing, self._not_taken, remedy])))
        return self._held.value

    @property
    def held(self) -> CredentialValue | None:
        """Return the value now, with all that is known about it."""
        return self._held

    @property
    def usable(self) -> bool:
        """Whether there is a value that was not refused."""
        return self._held is not None and digest(self._held.value) not in self._refused

    @property
    def needed_for(self) -> float:
        """Seconds since there has been no usable value; 0 while there is one."""
        return 0.0 if self.usable else self._clock() - self._needed_since

    def refuse(self, value: str) -> None:
        """Note that the service refused `value`; a previous one that worked is used again."""
        self._gauges.refused()
        held, now = self._held, self._clock()
        is_ours = held is not None and held.value == value
        if is_ours and self.usable:
            self._needed_since = now
        version = held.version.id if is_ours and held and held.version else None
        self._refused[digest(value)] = _Refusal(now, version)
        if self._worked is not None and self._worked.value == value:
            self._worked = None
        if not is_ours:
            return
        log.error("credential refused", extra=self._what())
        if self._worked is not None:
            log.warning("using the previous value again", extra=self._what(self._worked))
            self._take(self._worked)
        self._tell()

    def accept(self, value: str, asked: float = float("inf")) -> None:
        """Note that the service accepted `value`, so an earlier refusal did not concern it.

        A request that was `asked` (by the clock) before the refusal says nothing against that.
        """
        again = self._refused.get(digest(value))
        if again is not None and again.at >= asked:
            return
        self._refused.pop(digest(value), None)
        if self._held is not None and self._held.value == value:
            self._worked = self._held
        if again is not None:
            self._tell()

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109  # part of the contract
        """Wait for a value that is not `than`; False if none came in time.

        If `than` was refused and its service accepts it after all, that counts too.
        """
        refused = not self.usable

        def helps() -> bool:
            other = self._held is not None and self._held.value != than
            return other or (refused and self.usable)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.until(helps)
        return helps()

    async def current(self) -> str:
        """See `value`; for callers whose key may also be a token that is fetched."""
        return self.value

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until `true()`, which is checked whenever something about this changes."""
        while not true():
            self._news.clear()
            await self._news.wait()

    def refresh(self) -> None:
        """Read the file again. If it cannot be read or used, the present value stays."""
        value = self._read()
        if value is None or value == self._in_file:
            return
        self._in_file = value
        if self._is_wrong(value, "file") or (self._held and self._held.value == value):
            return
        refusal = self._refused.get(digest(value))
        if refusal and self.usable and self._clock() - refusal.at < _FILE_LAG:
            log.info("mounted file is stale: its value was refused", extra=self._what())
            return
        self._take(CredentialValue(value, "file"))

    def offer(self, value: str, version: Version) -> bool:
        """Use the value from Key Vault if that helps; return whether it is used."""
        value = value.strip()
        if self.usable or self._is_wrong(value, "keyvault"):
            return False
        if self._held is not None and self._held.value == value:
            return False
        refusal = self._refused.get(digest(value))
        if refusal and refusal.version in {None, version.id}:
            if self._clock() - refusal.at < _VAULT_AGAIN:
                return False
            del self._refused[digest(value)]
        self._take(CredentialValue(value, "keyvault", version))
        return True

    def fall_back(self) -> None:
        """Use the environment variable's value if there is nothing better."""
        if self.usable or not self._environment or digest(self._environment) in self._refused:
            return
        if not self._is_wrong(self._environment, "environment"):
            self._take(CredentialValue(self._environment, "environment"))

    def describe(self, version: Version) -> None:
        """Note what Key Vault says about its newest version, if that is the one in use.

        A file does not name its version: a version that is younger than the value is another one.
        """
        held = self._held
        if held is None:
            return
        if held.version.id != version.id if held.version else version.created > held.taken:
            log.warning(
                "the vault has a newer version", extra={**self._what(), "newer": version.id}
            )
            return
        self._held = replace(held, version=version)
        if self._worked is not None and self._worked.value == held.value:
            self._worked = self._held
        self._gauges.show(self._held)

    def _read(self) -> str | None:
        try:
            return self.path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            extra = {**self._what(), "error": type(error).__name__}
            log.debug("credential unreadable", extra=extra)
            return None

    def _is_wrong(self, value: str, source: Source) -> bool:
        problem = self._wrong(value) if value else "it is empty"
        if problem:
            extra = {"credential": self.name, "source": source, "problem": problem}
            log.error("credential rejected", extra=extra)
            self._not_taken = f"What was found ({source}) was not taken: {problem}."
            self._gauges.rejected()
        return bool(problem)

    def _take(self, held: CredentialValue) -> None:
        self._held = held
        self._gauges.taken(held)
        log.info("credential read", extra=self._what())
        self._tell()

    def _tell(self) -> None:
        self._news.set()

    def _what(self, held: CredentialValue | None = None) -> dict[str, str]:
        """Return name and digest for the log: tells two values apart, but reveals none."""
        held = held or self._held
        if held is None:
            return {"credential": self.name, "sha256": ""}
        version = held.version.id if held.version else ""
        what = {"credential": self.name, "sha256": digest(held.value), "source": held.source}
        return what | ({"version": version} if version else {})
