"""Faults of the model's provider: each for eight seconds, for every request."""

import asyncio

from bot.domain import errors
from tests.loop.faults.fault_case import FaultCase, FaultContext, Play, now
from tests.servers.openai.control import Fault, FaultKind

_SECONDS = 8.0
_DOWN = (errors.ModelDown, errors.ModelSlow)


def _fault(kind: FaultKind, after: int = 3) -> Play:
    async def play(context: FaultContext) -> float:
        await context.load.openai.inject(Fault(kind=kind, seconds=_SECONDS, after=after))
        await asyncio.sleep(_SECONDS)
        return now()

    return play


def _entry(
    name: str,
    kind: FaultKind,
    told: type[errors.SkyError],
    *,
    counted: type[errors.SkyError] | None = None,
    tells: bool = True,
    recovers: float = 15.0,
) -> FaultCase:
    """A row; a request is COUNTED as another failure than the person is TOLD where that differs."""
    counted = counted or told
    return FaultCase(
        f"openai-{name}",
        _fault(kind),
        f"the provider answers with {kind.value.replace('_', ' ')}",
        metric=f"model_requests_total,outcome={counted.label}$",
        log="answer failed" if tells else "",
        # If it is down for long enough, the circuit breaker answers instead.
        told=(told.label, *((errors.ModelPaused.label,) if issubclass(counted, _DOWN) else ())),
        tells=tells,
        recovers=recovers,
    )


ENTRIES = (
    # The key is as good as before, and the vault has no other: it is tried again after 30 s.
    _entry("401", FaultKind.UNAUTHORIZED, errors.KeyRefused, tells=False, recovers=45),
    _entry("403", FaultKind.FORBIDDEN, errors.ModelMissing),
    _entry("404", FaultKind.MODEL_NOT_FOUND, errors.ModelMissing),
    _entry("429", FaultKind.RATE_LIMIT, errors.ModelBusy),
    _entry("429-quota", FaultKind.QUOTA, errors.QuotaSpent),
    _entry("500", FaultKind.SERVER_ERROR, errors.ModelDown),
    _entry("503", FaultKind.UNAVAILABLE, errors.ModelDown),
    # Questions of those seconds are asked again once the silence has lasted too long.
    _entry("timeout", FaultKind.TIMEOUT, errors.ModelSlow, tells=False),
    _entry("cut", FaultKind.CUT, errors.CutShort),
    _entry("malformed", FaultKind.MALFORMED, errors.CutShort, counted=errors.ModelDown),
    _entry("content-filter", FaultKind.CONTENT_FILTER, errors.Filtered),
)
