"""Discord's rate limits: a window per bucket and a global one; pure, the clock is passed in.

A window opens with its first request and admits `limit` requests until `per` seconds have passed.
Discord publishes no table. 5 per 5 s for a channel's new messages, the same again for its edits,
and 50 a second in total are the ones that affect a bot most; the others are close to what
Discord's headers show. https://discord.com/developers/docs/topics/rate-limits
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Scope = Literal["user", "global", "shared"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A number of requests per number of seconds."""

    bucket: str
    limit: int
    per: float


GLOBAL: Final = Rule("global", 50, 1.0)
_MESSAGES = "/channels/{channel_id}/messages"
_REACTIONS = _MESSAGES + "/{message_id}/reactions"
_REACTION = Rule("reaction", 1, 0.25)
RULES: Final[dict[str, Rule]] = {
    f"POST {_MESSAGES}": Rule("create", 5, 5.0),
    f"PATCH {_MESSAGES}/{{message_id}}": Rule("edit", 5, 5.0),
    f"DELETE {_MESSAGES}/{{message_id}}": Rule("delete", 5, 1.0),
    f"GET {_MESSAGES}": Rule("history", 5, 5.0),
    f"GET {_MESSAGES}/{{message_id}}": Rule("message", 5, 1.0),
    f"POST {_MESSAGES}/{{message_id}}/threads": Rule("threads", 50, 300.0),
    "POST /channels/{channel_id}/typing": Rule("typing", 5, 5.0),
    f"PUT {_REACTIONS}/{{emoji}}/@me": _REACTION,
    f"DELETE {_REACTIONS}/{{emoji}}/{{user_id}}": _REACTION,
    "POST /users/@me/channels": Rule("dms", 10, 10.0),
    "POST /webhooks/{webhook_id}/{token}": Rule("followup", 5, 2.0),
    "PATCH /webhooks/{webhook_id}/{token}/messages/{message_id}": Rule("followup-edit", 5, 2.0),
    "POST /api/webhooks/{webhook_id}/{token}/slack": Rule("webhook", 5, 2.0),
}
# The routes of interactions carry their own token and do not count against the bot.
EXEMPT_FROM_GLOBAL: Final = ("/interactions/", "/webhooks/", "/api/webhooks/")
_SWEEP_ABOVE: Final = 4096


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for a request: whether it may pass, and the numbers for its headers."""

    allowed: bool
    rule: Rule
    remaining: int
    reset_after: float
    scope: Scope


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


class Limits:
    """All windows of one bot."""

    def __init__(self, clock: Callable[[], float], overall: Rule = GLOBAL) -> None:
        self.overall = overall
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def take(self, rule: Rule | None, major: str, *, exempt: bool = False) -> Verdict | None:
        """Count one request; None if it passes and no limit of its own applies."""
        if not exempt:
            verdict = self._count(self.overall, "", "global")
            if not verdict.allowed:
                return verdict
        return self._count(rule, major, "user") if rule else None

    def wait_for(self, rule: Rule) -> float:
        """Count one use of `rule`; return the seconds to wait if it exceeds the limit, else 0."""
        verdict = self._count(rule, "", "user")
        return 0.0 if verdict.allowed else verdict.reset_after

    def _count(self, rule: Rule, major: str, scope: Scope) -> Verdict:
        now = self._clock()
        window = self._windows.get((rule.bucket, major))
        if window is None or now >= window.ends:
            window = self._windows[rule.bucket, major] = _Window(now + rule.per)
            self._sweep(now)
        allowed = window.used < rule.limit
        window.used += allowed
        return Verdict(allowed, rule, rule.limit - window.used, window.ends - now, scope)

    def _sweep(self, now: float) -> None:
        if len(self._windows) > _SWEEP_ABOVE:
            self._windows = {k: w for k, w in self._windows.items() if w.ends > now}
