"""Guilds, channels, users and messages: pure state, without any I/O.

Bounded: only a channel's newest messages and the most recently used DMs are kept.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from tests.servers.discord import errors, model
from tests.servers.discord.errors import ApiError
from tests.servers.discord.model import Channel, Guild, Member, Message, Role, User, Webhook
from tests.servers.discord.permissions import BITS, EVERYONE, EVERYTHING, effective
from tests.servers.discord.snowflake import Snowflakes

MESSAGES_PER_CHANNEL: Final = 3000
# The channels that can have threads, and of which kind.
_WITH_THREADS: Final = {
    model.TEXT: model.PUBLIC_THREAD,
    model.ANNOUNCEMENT: model.ANNOUNCEMENT_THREAD,
    model.FORUM: model.PUBLIC_THREAD,
}


class World:
    """Everything that Discord would store."""

    def __init__(self, clock: Callable[[], float] = time.time, bot_id: int | None = None) -> None:
        self.clock = clock
        self.ids = Snowflakes(clock)
        self._bot_id = bot_id
        self.most_threads = 1000  # active ones of a guild
        self.empty()

    def empty(self) -> None:
        """Remove everything except the bot. Ids keep increasing."""
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.webhooks: dict[int, Webhook] = {}
        self._where: dict[int, int] = {}
        self._names: set[str] = set()
        self.bot = self.add_user("Sky", bot=True, user_id=self._bot_id)

    def add_user(self, name: str, *, bot: bool = False, user_id: int | None = None) -> User:
        """Add a user; ValueError if the name is taken."""
        if name.casefold() in self._names:
            msg = f"there is a user called {name!r} already"
            raise ValueError(msg)
        user = User(user_id or self.ids.next(), name, bot)
        self.users[user.id] = user
        self._names.add(name.casefold())
        return user

    def add_guild(
        self, name: str, owner: User, members: Iterable[User] = (), guild_id: int | None = None
    ) -> Guild:
        """Add a guild with its owner, these members, and the bot with its own managed role."""
        guild = Guild(guild_id or self.ids.next(), name, owner.id)
        guild.roles[guild.id] = Role(guild.id, "@everyone", EVERYONE)
        own = self.add_role(guild, self.bot.name, role_id=guild_id + 1 if guild_id else None)
        own.bot_id = self.bot.id
        for user in (owner, *members, self.bot):
            guild.members[user.id] = Member(user.id, self.clock())
        guild.members[self.bot.id].roles = (own.id,)
        self.guilds[guild.id] = guild
        return guild

    def add_webhook(self, name: str) -> User:
        """Add a webhook: it posts under its name and is not a member of any guild."""
        webhook = self.add_user(name, bot=True)
        webhook.webhook = True
        return webhook

    def open_webhook(self, webhook: User, channel: Channel) -> Webhook:
        """Give WEBHOOK a URL that posts into CHANNEL."""
        opened = Webhook(webhook, channel.id, secrets.token_urlsafe(51))
        self.webhooks[webhook.id] = opened
        return opened

    def add_role(
        self, guild: Guild, name: str, permissions: int = 0, role_id: int | None = None
    ) -> Role:
        """Add a role that nobody has yet."""
        role = Role(role_id or self.ids.next(), name, permissions)
        guild.roles[role.id] = role
        return role

    def join(self, guild: Guild, user: User) -> Member:
        """Make a user a member of a guild."""
        member = guild.members[user.id] = Member(user.id, self.clock())
        return member

    def add_channel(
        self, guild: Guild, name: str, channel_id: int | None = None, kind: int = model.TEXT
    ) -> Channel:
        """Add a channel at the end of the guild's list."""
        channel = Channel(channel_id or self.ids.next(), kind, name, guild.id)
        channel.position = len(guild.channels)
        self.channels[channel.id] = channel
        guild.channels.append(channel.id)
        return channel

    def add_category(self, guild: Guild, name: str) -> Channel:
        """Add a category for channels."""
        return self.add_channel(guild, name, kind=model.CATEGORY)

    def add_thread(
        self,
        parent: Channel,
        name: str,
        owner: int,
        start: Message | None,
        *,
        private: bool = False,
    ) -> Channel:
        """Add a thread or a forum post; one started on a message has the message's id."""
        if parent.kind not in _WITH_THREADS or (private and parent.kind != model.TEXT):
            raise ApiError(*errors.WRONG_CHANNEL_TYPE)
        if start is not None and start.thread_id:
            raise ApiError(*errors.THREAD_EXISTS)
        if self._active_threads(parent.guild_id) >= self.most_threads:
            raise ApiError(*errors.TOO_MANY_THREADS)
        kind = model.PRIVATE_THREAD if private else _WITH_THREADS[parent.kind]
        thread = Channel(start.id if start else self.ids.next(), kind, name)
        thread.guild_id, thread.parent_id, thread.owner_id = parent.guild_id, parent.id, owner
        thread.members = {owner}
        self.channels[thread.id] = thread
        if start is not None:
            start.thread_id = thread.id
        return thread

    def _active_threads(self, guild_id: int | None) -> int:
        mine = (each for each in self.channels.values() if each.guild_id == guild_id)
        return sum(each.parent_id is not None and not each.archived for each in mine)

    def dm(self, user: User) -> tuple[Channel, bool]:
        """Return the bot's DM channel with a user, and whether it is new."""
        for channel in self.channels.values():
            if channel.recipient == user.id:
                return channel, False
        channel = Channel(self.ids.next(), model.DM, "", recipient=user.id)
        self.channels[channel.id] = channel
        return channel, True

    def remove_channel(self, channel: Channel) -> None:
        """Remove a channel, its threads and all their messages."""
        for each in [c for c in self.channels.values() if c.parent_id == channel.id]:
            self.remove_channel(each)
        del self.channels[channel.id]
        if channel.guild_id and channel.id in self.guilds[channel.guild_id].channels:
            self.guilds[channel.guild_id].channels.remove(channel.id)
        for message_id in channel.messages:
            self._where.pop(message_id, None)

    def channel(self, channel_id: int) -> Channel:
        """Return the channel, or raise 10003."""
        if channel_id not in self.channels:
            raise ApiError(*errors.UNKNOWN_CHANNEL)
        return self.channels[channel_id]

    def guild(self, guild_id: int) -> Guild:
        """Return the guild, or raise 10004."""
        if guild_id not in self.guilds:
            raise ApiError(*errors.UNKNOWN_GUILD)
        return self.guilds[guild_id]

    def user(self, user_id: int) -> User:
        """Return the user, or raise 10013."""
        if user_id not in self.users:
            raise ApiError(*errors.UNKNOWN_USER)
        return self.users[user_id]

    def message(self, channel_id: int, message_id: int) -> Message:
        """Return the message in that channel, even if hidden, or raise 10008."""
        message = self.channel(channel_id).messages.get(message_id)
        if message is None:
            raise ApiError(*errors.UNKNOWN_MESSAGE)
        return message

    def find_message(self, message_id: int) -> Message:
        """Return the message from any channel, or raise 10008."""
        if message_id not in self._where:
            raise ApiError(*errors.UNKNOWN_MESSAGE)
        return self.channels[self._where[message_id]].messages[message_id]

    def knows(self, message_id: int) -> bool:
        """Return whether the message still exists."""
        return message_id in self._where

    def add(self, message: Message) -> None:
        """Add a message to its channel; drop the oldest if the channel is full."""
        channel = self.channels[message.channel_id]
        message.created = self.clock()
        channel.messages[message.id] = message
        self._where[message.id] = channel.id
        if not message.hidden:
            channel.last_message_id = message.id
        while len(channel.messages) > MESSAGES_PER_CHANNEL:
            self._where.pop(channel.messages.popitem(last=False)[0], None)

    def remove(self, message: Message) -> None:
        """Remove a message. The channel's last_message_id stays, as on Discord."""
        self.channels[message.channel_id].messages.pop(message.id, None)
        self._where.pop(message.id, None)

    def forget_messages(self) -> None:
        """Remove all messages, as if every channel were new. No event is sent."""
        for channel in self.channels.values():
            channel.messages.clear()
            channel.last_message_id = None
        self._where.clear()

    def history(
        self,
        channel: Channel,
        limit: int,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
    ) -> list[Message]:
        """Return visible messages, newest first."""
        shown = [m for m in reversed(_by_id(channel.messages).values()) if not m.hidden]
        if before is not None:
            return [m for m in shown if m.id < before][:limit]
        if after is not None:
            return [m for m in shown if m.id > after][-limit:]
        if around is not None:
            older = [m for m in shown if m.id <= around][: limit // 2 + 1]
            newer = [m for m in shown if m.id > around]
            return newer[-(limit - len(older)) :] + older if limit > len(older) else older
        return shown[:limit]

    def allowed(self, channel: Channel, user_id: int | None = None) -> int:
        """Return the permission bits of a user (by default the bot) in a channel."""
        user_id = user_id or self.bot.id
        if channel.guild_id is None:
            return EVERYTHING
        decides = self.channels[channel.parent_id] if channel.parent_id else channel
        granted = effective(self.guilds[channel.guild_id], decides, user_id, self.clock())
        closed = channel.kind == model.PRIVATE_THREAD and user_id not in channel.members
        return 0 if closed and not granted & BITS["manage_threads"] else granted

    def may(self, channel: Channel, permission: str, user_id: int | None = None) -> bool:
        """Return whether a user (by default the bot) has the named permission there."""
        return bool(self.allowed(channel, user_id) & BITS[permission])


def _by_id(messages: OrderedDict[int, Message]) -> OrderedDict[int, Message]:
    # Ids only increase, and messages are added as ids are created, so they are already in order.
    return messages
