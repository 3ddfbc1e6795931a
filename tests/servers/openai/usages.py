"""The usage that the server reports: the true one, or what some providers are known to report."""

from typing import Any

from .records import UsageKind

_OUTPUT = ("output_tokens", "completion_tokens")


def told(kind: UsageKind | None, truth: dict[str, Any]) -> dict[str, Any]:
    """Return the field `usage` of an answer, or no field."""
    counts = {name: value for name, value in truth.items() if isinstance(value, int)}
    if kind is UsageKind.NONE:
        return {}
    usages: dict[UsageKind | None, Any] = {
        None: truth,
        UsageKind.NULL: None,
        UsageKind.ZERO: dict.fromkeys(counts, 0),
        UsageKind.PARTIAL: {name: n for name, n in counts.items() if name not in _OUTPUT},
        UsageKind.TEXT: {name: str(n) for name, n in counts.items()},
        UsageKind.NEGATIVE: {name: -n for name, n in counts.items()},
    }
    return {"usage": usages[kind]}
