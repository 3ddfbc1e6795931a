"""Renders the state as Discord's JSON."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from tests.servers.discord import model
from tests.servers.discord.errors import Json
from tests.servers.discord.model import Attachment, Channel, Guild, Member, Message, Role, User
from tests.servers.discord.snowflake import made_at
from tests.servers.discord.world import World


def iso(seconds: float) -> str:
    """Return a time in Discord's format."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def user(who: User) -> Json:
    """Render a user as others see them. A webhook has the discriminator that only webhooks have."""
    if who.webhook:
        return {
            "id": str(who.id),
            "username": who.name,
            "global_name": None,
            "discriminator": "0000",
            "avatar": None,
            "bot": True,
            "public_flags": 0,
        }
    return {
        "id": str(who.id),
        "username": who.name.lower() if not who.bot else who.name,
        "global_name": None if who.bot else who.name,
        "discriminator": "0001" if who.bot else "0",
        "avatar": None,
        "bot": who.bot,
        "public_flags": 0,
    }


def member(who: Member) -> Json:
    """Render a member without its user."""
    return {
        "roles": [str(role) for role in who.roles],
        "joined_at": iso(who.joined),
        "nick": who.nick,
        "avatar": None,
        "premium_since": None,
        "communication_disabled_until": iso(who.timeout_until) if who.timeout_until else None,
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def full_member(world: World, who: Member) -> Json:
    """Render a member with its user."""
    return member(who) | {"user": user(world.users[who.user_id])}


class Payloads:
    """Renders objects that need more than one part of the state, or a URL."""

    def __init__(self, world: World, url_of: Callable[[int, Attachment], str]) -> None:
        self.world = world
        self._url_of = url_of

    def channel(self, channel: Channel) -> Json:
        """Render a channel, DM or thread."""
        last = str(channel.last_message_id) if channel.last_message_id else None
        body: Json = {"id": str(channel.id), "type": channel.kind, "last_message_id": last}
        if channel.recipient is not None:
            return body | {"recipients": [user(self.world.users[channel.recipient])], "flags": 0}
        body |= {
            "guild_id": str(channel.guild_id),
            "name": channel.name,
            "parent_id": _parent(channel),
            "rate_limit_per_user": channel.slowmode,
            "flags": 0,
        }
        if channel.parent_id:
            return body | _thread(channel)
        return (
            body
            | _BY_KIND.get(channel.kind, {})
            | {
                "topic": channel.topic,
                "nsfw": False,
                "position": channel.position,
                "permission_overwrites": [
                    {"id": str(o.id), "type": o.kind, "allow": str(o.allow), "deny": str(o.deny)}
                    for o in channel.overwrites
                ],
            }
        )

    def guild(self, guild: Guild) -> Json:
        """Render a guild as REST returns it."""
        return {
            "id": str(guild.id),
            "name": guild.name,
            "owner_id": str(guild.owner_id),
            "icon": None,
            "description": None,
            "features": [],
            "emojis": [_emoji(each, number) for number, each in enumerate(guild.emojis)],
            "stickers": [],
            "roles": [role(each, everyone=each.id == guild.id) for each in guild.roles.values()],
            "verification_level": 0,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "afk_timeout": 300,
            "afk_channel_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "premium_tier": 0,
            "preferred_locale": "en-US",
            "nsfw_level": 0,
            "premium_progress_bar_enabled": False,
        }

    def guild_create(self, guild: Guild, shown: Iterable[Member]) -> Json:
        """Render GUILD_CREATE: the guild with its channels, threads and visible members."""
        mine = [c for c in self.world.channels.values() if c.guild_id == guild.id]
        seen = [c for c in mine if self.world.may(c, "view_channel")]
        return self.guild(guild) | {
            "joined_at": iso(guild.members[self.world.bot.id].joined),
            "large": False,
            "unavailable": False,
            "member_count": len(guild.members),
            "members": [full_member(self.world, each) for each in shown],
            "channels": [self.channel(c) for c in seen if not c.parent_id],
            "threads": [self.channel(c) for c in seen if c.parent_id and not c.archived],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    def attachment(self, channel_id: int, file: Attachment) -> Json:
        """Render a file with a fresh URL on our own CDN."""
        url = self._url_of(channel_id, file)
        body: Json = {
            "id": str(file.id),
            "filename": file.filename,
            "size": file.size,
            "content_type": file.content_type,
            "url": url,
            "proxy_url": url,
        }
        if file.description:
            body["description"] = file.description
        if file.duration is not None:
            body |= {"duration_secs": file.duration, "waveform": "AAAA"}
        return body

    def message(self, message: Message, *, content: bool = True, nested: bool = False) -> Json:
        """Render a message for REST; without CONTENT, as a bot without the intent sees it."""
        world = self.world
        content = content or self.open_to_all(message)
        body: Json = {
            "id": str(message.id),
            "channel_id": str(message.channel_id),
            "type": message.kind,
            "author": user(world.users[message.author_id]),
            "content": message.content if content else "",
            "timestamp": iso(made_at(message.id)),
            "edited_timestamp": iso(message.edited) if message.edited else None,
            "tts": False,
            "pinned": False,
            "mention_everyone": message.mention_everyone,
            "mentions": [user(world.users[each]) for each in message.mentions],
            "mention_roles": [str(each) for each in message.mention_roles],
            "attachments": [
                self.attachment(message.channel_id, each) for each in message.attachments if content
            ],
            "embeds": message.embeds if content else [],
            "components": message.components if content else [],
            "flags": message.flags,
        }
        if message.stickers:
            body["sticker_items"] = message.stickers
        if message.poll is not None and content:
            body["poll"] = message.poll
        if message.reactions:
            body["reactions"] = [_reaction(world, k, v) for k, v in message.reactions.items()]
        author = world.users[message.author_id]
        if author.id == world.bot.id or message.interaction is not None:
            body["application_id"] = str(author.id)
        if author.webhook or message.interaction_id:
            body["webhook_id"] = str(author.id)
        if message.interaction is not None:
            body["interaction_metadata"] = message.interaction
        if message.command is not None and message.interaction is not None:
            kept = {key: message.interaction[key] for key in ("id", "type", "user")}
            body["interaction"] = kept | {"name": message.command}
        if message.thread_id in world.channels and message.thread_id is not None:
            body["thread"] = self.channel(world.channels[message.thread_id])
        return body | ({} if nested else self._reference(message, content=content))

    def snapshot(self, message: Message) -> Json:
        """Render the snapshot of a forwarded message: without its author, and not updated later."""
        kept = "type", "content", "timestamp", "edited_timestamp", "attachments", "embeds"
        body = self.message(message, nested=True)
        also = "flags", "mentions", "mention_roles", "components", "sticker_items"
        shown = {key: body[key] for key in (*kept, *also) if key in body}
        place = {"message_id": str(message.id), "channel_id": str(message.channel_id)}
        guild = self.world.channels[message.channel_id].guild_id
        reference = {"type": 1, **place, **({"guild_id": str(guild)} if guild else {})}
        return {"message_reference": reference, "message_snapshots": [{"message": shown}]}

    def _reference(self, message: Message, *, content: bool) -> Json:
        if message.snapshot is not None:
            return message.snapshot if content else {}
        if message.kind == model.THREAD_STARTER_MESSAGE:
            return self._started_on(message, content=content)
        if message.reference is None:
            return {}
        channel = self.world.channels[message.channel_id]
        reference: Json = {
            "type": 0,
            "message_id": str(message.reference),
            "channel_id": str(channel.id),
        }
        if channel.guild_id:
            reference["guild_id"] = str(channel.guild_id)
        found = channel.messages.get(message.reference)
        nested = self.message(found, content=content, nested=True) if found else None
        return {"message_reference": reference, "referenced_message": nested}

    def _started_on(self, message: Message, *, content: bool) -> Json:
        """Return what the first message of a thread refers to: the one that it was started on."""
        thread = self.world.channels[message.channel_id]
        parent = self.world.channels[thread.parent_id or 0]
        found = parent.messages.get(thread.id)
        reference = {
            "type": 0,
            "message_id": str(thread.id),
            "channel_id": str(parent.id),
            "guild_id": str(parent.guild_id),
        }
        nested = self.message(found, content=content, nested=True) if found else None
        return {"message_reference": reference, "referenced_message": nested}

    def dispatched(self, message: Message, *, content: bool) -> Json:
        """Render a message as the gateway sends it: with nonce, guild and members."""
        channel = self.world.channels[message.channel_id]
        body = self.message(message, content=content) | {"channel_type": channel.kind}
        if message.nonce is not None:
            body["nonce"] = message.nonce
        if channel.guild_id is None:
            return body
        members = self.world.guilds[channel.guild_id].members
        body["guild_id"] = str(channel.guild_id)
        if message.author_id in members:
            body["member"] = member(members[message.author_id])
        for mention in body["mentions"]:
            if int(mention["id"]) in members:
                mention["member"] = member(members[int(mention["id"])])
        return body

    def open_to_all(self, message: Message) -> bool:
        """Whether content needs no intent: in DMs, from the bot itself, and if it is mentioned.

        https://discord.com/developers/docs/events/gateway#message-content-intent
        """
        bot = self.world.bot.id
        in_dm = self.world.channels[message.channel_id].kind == model.DM
        return in_dm or message.author_id == bot or bot in message.mentions


_VOICE: Json = {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
# The fields of a channel kind in addition to the common ones.
_BY_KIND: Final = {
    model.VOICE: _VOICE,
    model.STAGE: _VOICE,
    model.FORUM: {
        "available_tags": [],
        "default_reaction_emoji": None,
        "default_sort_order": None,
        "default_forum_layout": 0,
    },
}


def _parent(channel: Channel) -> str | None:
    """Return parent_id, which means two things: a thread's channel, or a channel's category."""
    above = channel.parent_id or channel.category_id
    return str(above) if above else None


def _thread(channel: Channel) -> Json:
    return {
        "owner_id": str(channel.owner_id),
        "member_count": 1,
        "message_count": len(channel.messages),
        "total_message_sent": len(channel.messages),
        "thread_metadata": {
            "archived": channel.archived,
            "locked": channel.locked,
            "auto_archive_duration": 1440,
            "archive_timestamp": iso(made_at(channel.id)),
            "create_timestamp": iso(made_at(channel.id)),
        }
        | ({"invitable": True} if channel.kind == model.PRIVATE_THREAD else {}),
    }


def role(role: Role, *, everyone: bool = False) -> Json:
    """Render a role; a bot's own role names the bot."""
    body: Json = {
        "id": str(role.id),
        "name": role.name,
        "permissions": str(role.permissions),
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "position": 0 if everyone else 1,
        "managed": role.bot_id is not None,
        "mentionable": role.mentionable,
        "flags": 0,
    }
    return body | ({"tags": {"bot_id": str(role.bot_id)}} if role.bot_id else {})


def _emoji(emoji_id: int, number: int) -> Json:
    return {
        "id": str(emoji_id),
        "name": f"emoji_{number}",
        "roles": [],
        "require_colons": True,
        "managed": False,
        "animated": False,
        "available": True,
    }


def _reaction(world: World, emoji: str, users: list[int]) -> dict[str, Any]:
    return {
        "emoji": {"id": None, "name": emoji},
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "burst_colors": [],
        "me_burst": False,
        "me": world.bot.id in users,
    }
