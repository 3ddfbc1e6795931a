"""What the control client returns: frozen values made from the control API's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


class _FromJson:
    """Takes its fields from a JSON object; lists become tuples, also one level down."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        names = {each.name for each in fields(cls)}  # type: ignore[arg-type]  # subclasses are dataclasses
        return cls(**{name: _frozen(data[name]) for name in names & set(data)})


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class User(_FromJson):
    """A person or bot."""

    id: str
    name: str
    bot: bool = False
    dm_open: bool = True


@dataclass(frozen=True, slots=True)
class Channel(_FromJson):
    """A channel, DM (`@name`) or thread."""

    id: str
    name: str
    kind: int
    guild_id: str | None = None
    parent_id: str | None = None
    archived: bool = False
    locked: bool = False


@dataclass(frozen=True, slots=True)
class World(_FromJson):
    """The whole state."""

    bot: User
    channels: tuple[Channel, ...]
    users: tuple[User, ...]
    guilds: tuple[Mapping[str, Any], ...]
    commands: tuple[Mapping[str, Any], ...]
    base_url: str


@dataclass(frozen=True, slots=True)
class Message(_FromJson):
    """A message as it was when it was requested; times in seconds since 1970.

    `written` is when it was first sent to a gateway session; `peer` is the address from which
    the bot sent a message.
    """

    id: str
    channel_id: str
    channel: str
    author_id: str
    author: str
    bot: bool
    from_sky: bool  # written by the bot under test
    kind: int
    content: str
    reply_to: str | None
    interaction_id: str | None
    created: float
    edited: float | None
    written: float | None
    revision: int
    peer: str
    nonce: str | None
    pings: tuple[str, ...]
    pings_roles: tuple[str, ...]
    pings_everyone: bool
    hidden: bool
    flags: int
    embeds: tuple[Mapping[str, Any], ...]
    components: tuple[Mapping[str, Any], ...]
    stickers: tuple[Mapping[str, Any], ...]
    poll: Mapping[str, Any] | None
    reactions: Mapping[str, tuple[str, ...]]
    attachments: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Session(_FromJson):
    """A gateway session; live while a connection carries it."""

    id: str
    shard: tuple[int, int]
    intents: int
    seq: int
    live: bool
    peer: str = ""
    unsent: int = 0
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Interaction(_FromJson):
    """The state of an interaction; `failed` means no response within 3 s."""

    id: str
    user_id: str
    channel_id: str
    response: int | None
    acknowledged_after: float | None
    failed: bool
    original: str | None
    deferred: bool
    followups: tuple[str, ...]
    offered: Any = None


@dataclass(frozen=True, slots=True)
class Fault(_FromJson):
    """A fault; `hits` counts how often it had applied when it was requested."""

    id: int
    where: str
    kind: str
    count: int | None
    seconds: float | None
    hits: int


@dataclass(frozen=True, slots=True)
class Counts(_FromJson):
    """Counters since the start or the last reset; mappings are counts by name."""

    connections: int
    identifies: int
    identifies_refused: Mapping[str, int]
    identifies_left: int
    resumes: int
    resumes_refused: Mapping[str, int]
    closes: Mapping[str, int]
    live_sessions: int
    heartbeats: int
    dispatched: int
    requests: Mapping[str, int]
    statuses: Mapping[str, int]
    rate_limited: Mapping[str, int]
    faults: Mapping[str, int]
    unauthorized: int
    messages_by_users: int
    messages_by_bot: int
    edits_by_bot: int
    deletes_by_bot: int
    nonce_repeats: int
    interactions: int
    interactions_acknowledged: int
    interactions_failed: int
    commands_synced: int
    unknown: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Event(_FromJson):
    """An event: its kind, and its data as the control API reports it."""

    n: int
    kind: str
    data: Mapping[str, Any]
