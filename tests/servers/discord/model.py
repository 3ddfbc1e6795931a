"""The state as plain values; `world.py` changes them, `payloads.py` renders them."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from tests.servers.discord.errors import Json

TEXT: Final = 0
DM: Final = 1
VOICE: Final = 2
CATEGORY: Final = 4
ANNOUNCEMENT: Final = 5
ANNOUNCEMENT_THREAD: Final = 10
PUBLIC_THREAD: Final = 11
PRIVATE_THREAD: Final = 12
STAGE: Final = 13
FORUM: Final = 15
# The channel kinds of the control API.
CHANNEL_KINDS: Final = {
    "text": TEXT,
    "voice": VOICE,
    "announcement": ANNOUNCEMENT,
    "stage": STAGE,
    "forum": FORUM,
}

DEFAULT: Final = 0
REPLY: Final = 19
CHAT_INPUT_COMMAND: Final = 20
THREAD_STARTER_MESSAGE: Final = 21
CONTEXT_MENU_COMMAND: Final = 23
# Messages that people or bots wrote; all others are system messages and cannot be replied to.
WRITTEN: Final = frozenset({DEFAULT, REPLY, CHAT_INPUT_COMMAND, CONTEXT_MENU_COMMAND})

SUPPRESS_EMBEDS: Final = 1 << 2
EPHEMERAL: Final = 1 << 6
LOADING: Final = 1 << 7
HAS_THREAD: Final = 1 << 5
VOICE_MESSAGE: Final = 1 << 13


@dataclass(slots=True)
class User:
    """A person, a bot or a webhook."""

    id: int
    name: str
    bot: bool = False
    dm_open: bool = True
    webhook: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL through which programs that are not bots post into a channel."""

    author: User
    channel: int
    token: str

    @property
    def path(self) -> str:
        """Return the path of the URL, which is a credential."""
        return f"/api/webhooks/{self.author.id}/{self.token}"


@dataclass(slots=True)
class Role:
    """A set of permissions in a guild; the one with the guild's own id is @everyone."""

    id: int
    name: str
    permissions: int
    mentionable: bool = False
    bot_id: int | None = None  # for a managed role: the bot that it belongs to


@dataclass(slots=True)
class Overwrite:
    """A channel's permission overwrite for a role (0) or a member (1)."""

    id: int
    kind: int
    allow: int = 0
    deny: int = 0


@dataclass(slots=True)
class Member:
    """A user in a guild."""

    user_id: int
    joined: float
    roles: tuple[int, ...] = ()
    nick: str | None = None
    timeout_until: float | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file; its bytes are in the CDN."""

    id: int
    filename: str
    size: int
    content_type: str
    description: str | None = None
    duration: float | None = None  # seconds, for a voice message


@dataclass(slots=True)
class Message:
    """A message; `revision` counts its edits."""

    id: int
    channel_id: int
    author_id: int
    content: str
    kind: int = DEFAULT
    created: float = 0.0
    edited: float | None = None
    reference: int | None = None
    mentions: tuple[int, ...] = ()
    mention_roles: tuple[int, ...] = ()
    mention_everyone: bool = False
    attachments: tuple[Attachment, ...] = ()
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    stickers: list[Json] = field(default_factory=list)
    poll: Json | None = None
    flags: int = 0
    nonce: str | int | None = None
    reactions: dict[str, list[int]] = field(default_factory=dict)
    interaction_id: int | None = None
    interaction: Json | None = None  # Discord's interaction_metadata
    command: str | None = None  # the name that Discord's deprecated `interaction` still carries
    thread_id: int | None = None
    snapshot: Json | None = None  # the message that was forwarded with this one
    revision: int = 0
    written: float | None = None  # when it was first sent to a session
    peer: str = ""  # the address that a bot sent it from

    @property
    def hidden(self) -> bool:
        """Whether only one person sees it, and nobody through history or gateway."""
        return bool(self.flags & EPHEMERAL)


@dataclass(slots=True)
class Channel:
    """A channel of any kind, a category, a thread or a DM."""

    id: int
    kind: int
    name: str
    guild_id: int | None = None
    recipient: int | None = None
    position: int = 0
    topic: str | None = None
    parent_id: int | None = None  # for a thread
    category_id: int | None = None
    owner_id: int | None = None
    archived: bool = False
    locked: bool = False
    members: set[int] = field(default_factory=set)  # for a private thread
    slowmode: int = 0  # seconds between two messages of one person
    overwrites: list[Overwrite] = field(default_factory=list)
    messages: OrderedDict[int, Message] = field(default_factory=OrderedDict)
    last_message_id: int | None = None


@dataclass(slots=True)
class Guild:
    """A guild, which people call a server."""

    id: int
    name: str
    owner_id: int
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    channels: list[int] = field(default_factory=list)
    emojis: list[int] = field(default_factory=list)
