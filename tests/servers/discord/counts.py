"""Counters of requests and answers. Bounded: kinds by the routes, ids by a ledger."""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from tests.servers.discord.errors import Json

LEDGER: Final = 100_000
UNKNOWN: Final = 1000


@dataclass(slots=True)
class Counts:
    """Counters since the start or the last reset."""

    connections: int = 0  # to the gateway, successful or not
    identifies: int = 0
    identifies_refused: Counter[str] = field(default_factory=Counter)
    resumes: int = 0
    resumes_refused: Counter[str] = field(default_factory=Counter)
    closes: Counter[str] = field(default_factory=Counter)
    heartbeats: int = 0
    dispatched: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    rate_limited: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    unauthorized: int = 0
    messages_by_users: int = 0
    messages_by_bot: int = 0
    edits_by_bot: int = 0
    deletes_by_bot: int = 0
    nonce_repeats: int = 0
    interactions: int = 0
    interactions_acknowledged: int = 0
    interactions_failed: int = 0
    commands_synced: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    ledger: OrderedDict[int, list[int]] = field(default_factory=OrderedDict)

    def asked(self, message_id: int) -> None:
        """Count a user's message, for which answers will be recorded."""
        self.messages_by_users += 1
        self.ledger[message_id] = []
        if len(self.ledger) > LEDGER:
            self.ledger.popitem(last=False)

    def quoted(self, message_id: int) -> None:
        """Count the bot's visible response to a command, which it answers like a user's message."""
        self.ledger[message_id] = []

    def answered(self, message_id: int, by: int) -> None:
        """Record a message of the bot that references a user's message."""
        if message_id in self.ledger:
            self.ledger[message_id].append(by)

    def not_known(self, what: str) -> None:
        """Count a request that this server does not support."""
        if what in self.unknown or len(self.unknown) < UNKNOWN:
            self.unknown[what] += 1

    def report(self) -> Json:
        """Return the counters as JSON; the ledger has its own route."""
        names = [name for name in self.__dataclass_fields__ if name != "ledger"]
        report: Json = {}
        for name in names:
            value = getattr(self, name)
            report[name] = dict(value) if isinstance(value, Counter) else value
        return report

    def answers(self) -> dict[str, list[str]]:
        """Return, for each user's message, the bot's messages that reference it."""
        return {str(asked): [str(by) for by in bys] for asked, bys in self.ledger.items()}
