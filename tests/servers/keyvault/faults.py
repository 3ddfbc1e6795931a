"""Faults that a test started, and how they affect a request."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field

from .errors import Refused, Unanswered, vault
from .records import ActiveFault, Fault, FaultKind, Where

_STATUS = {
    FaultKind.FORBIDDEN: (403, "Forbidden", "The operation was forbidden."),
    FaultKind.NOT_FOUND: (404, "SecretNotFound", "A secret was not found in this key vault."),
    FaultKind.THROTTLED: (429, "Throttled", "Request was not processed because of throttling."),
    FaultKind.SERVER_ERROR: (500, "InternalServerError", "An unexpected error occurred."),
    FaultKind.UNAVAILABLE: (503, "ServiceUnavailable", "The service is temporarily unavailable."),
}


@dataclass
class _Active:
    fault: Fault
    ends: float
    struck: int = 0

    @property
    def over(self) -> bool:
        spent = self.fault.count is not None and self.struck >= self.fault.count
        return spent or time.monotonic() >= self.ends


@dataclass
class Faults:
    """The active faults, oldest first."""

    _active: dict[str, _Active] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def begin(self, fault: Fault) -> ActiveFault:
        """Start a fault."""
        name = f"fault-{next(self._numbers)}"
        ends = time.monotonic() + fault.seconds if fault.seconds else float("inf")
        self._active[name] = _Active(fault, ends)
        return ActiveFault(id=name, fault=fault, struck=0)

    def list(self) -> list[ActiveFault]:
        """Return all faults that were started and not cleared, including spent ones."""
        return [
            ActiveFault(id=name, fault=one.fault, struck=one.struck)
            for name, one in self._active.items()
        ]

    def clear(self) -> None:
        """End all faults."""
        self._active.clear()

    def unreachable(self, where: Where) -> bool:
        """Return whether new connections to WHERE are refused now."""
        return any(
            not one.over and one.fault.kind is FaultKind.UNREACHABLE and one.fault.where == where
            for one in self._active.values()
        )

    async def strike(self, where: Where, identity: str, secret: str = "") -> None:
        """Apply the first matching fault. Raises Refused, Unanswered."""
        for one in self._active.values():
            fault = one.fault
            if (
                not one.over
                and fault.where == where
                and fault.secret in {None, secret}
                and fault.identity in {None, identity}
            ):
                one.struck += 1
                await _happen(fault)
                return


async def _happen(fault: Fault) -> None:
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(fault.delay)
        return
    if fault.kind is FaultKind.HANG:
        await asyncio.Event().wait()
    if fault.kind is FaultKind.UNREACHABLE:
        raise Unanswered
    status, code, message = _STATUS[fault.kind]
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.where == "vault":
        raise vault(status, code, message, headers=headers)
    body: dict[str, object] = {"error": "temporarily_unavailable", "error_description": message}
    raise Refused(status, code, body, headers)
