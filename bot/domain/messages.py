"""The small frozen values that travel between the rooms; Discord's objects stay at the gateway."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a message. `name` is the one that people see in that place.

    `roles` are the ids and names of their roles there; None where Discord did not say. `local` says
    that Discord told the name in that server, a nickname perhaps: its history does not.
    """

    id: int
    name: str
    bot: bool = False
    roles: tuple[str, ...] | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """Where a message was written, as settings name it: ids and names, without upper case.

    The `channels` of a thread are its own id and name, then those of its parent. All are empty in a
    direct message.
    """

    servers: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that somebody sent: what Discord says of it, and where its bytes are.

    The address expires: `id`, `channel_id` and `message_id` tell where a fresh one is found.
    `voice` are the seconds of a voice message.
    """

    name: str
    size: int
    url: str
    id: int = 0
    channel_id: int = 0
    message_id: int = 0
    voice: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that the model made; `name` is a file name whose ending fits the data."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Button:
    """A button below a message: what stands on it, and what comes back when it is pressed."""

    label: str
    id: str


@dataclass(frozen=True, slots=True)
class Post:
    """What a message of the bot shows. Without `previews` its links stay links."""

    text: str
    buttons: tuple[Button, ...] = ()
    previews: bool = True
    files: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandOrigin:
    """That a message is a bot's response to a command, and quotes what was asked with it.

    `by` is the bot's user id, `persona` the name of whom was asked.
    """

    by: int
    interaction_id: int
    persona: str
    image: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message as Discord reported it, with what the bot needs of it and nothing else.

    `ordinary` is false for what Discord itself writes (a pin, a join). `replies_to` is the id of
    the message that this one replies to, in `replies_in` (None: the same channel). `names` are
    those whom the text mentions, by id. `forwarded` is the text of a message that was forwarded
    with this one; its attachments are among `attachments`. `extras` say what else it shows: embeds,
    a poll, stickers. `places` are the names of roles and channels that it mentions, `own_role` the
    bot's managed role if that is mentioned. `title` is that of the forum post in which this was
    written, whose first message has the id of `channel_id`. `thread_of` is the channel that the
    thread hangs in, in which this was written, `thread_owner` who opened that thread. `continues`
    says that this goes on with a conversation with the bot in it, so that no call is needed
    (discord/conversations.py finds that out). `role_ids` are the writer's, None where Discord did
    not say. What is not `readable` stands for a message that could not be parsed.
    """

    id: int
    channel_id: int
    author: Author
    text: str
    guild_id: int | None = None
    ordinary: bool = True
    replies_to: int | None = None
    replies_in: int | None = None
    replied_author_id: int | None = None
    names: dict[int, str] = field(default_factory=dict)
    place: Location = Location()
    attachments: tuple[Attachment, ...] = ()
    forwarded: str = ""
    extras: tuple[str, ...] = ()
    places: dict[int, str] = field(default_factory=dict)
    own_role: int | None = None
    title: str | None = None
    thread_of: int | None = None
    thread_owner: int | None = None
    continues: bool = False
    role_ids: tuple[int, ...] | None = None
    readable: bool = True
    asked: CommandOrigin | None = None

    @property
    def direct(self) -> bool:
        """Whether it was written to the bot alone."""
        return self.guild_id is None

    @property
    def begins_post(self) -> bool:
        """Whether this is the first message of a forum post."""
        return self.title is not None and self.id == self.channel_id


def shard_of(guild_id: int | None, shards: int) -> int:
    """Which of so many shards a server belongs to, as Discord deals; direct messages to the first.

    https://discord.com/developers/docs/events/gateway#sharding-sharding-formula
    """
    return (guild_id >> 22) % shards if guild_id else 0


EPOCH = 1_420_070_400_000  # milliseconds: Discord's first moment, from which ids count


def snowflake_time(snowflake: int) -> float:
    """When an id was made, in seconds since 1970."""
    return ((snowflake >> 22) + EPOCH) / 1000
