"""Actions from either API: change the state, dispatch events to the sessions, count."""

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tests.servers.discord import mentions, model, payloads, views
from tests.servers.discord.errors import Json
from tests.servers.discord.model import Attachment, Channel, Message, User
from tests.servers.discord.state import ServerState

NONCES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is about to be posted."""

    author: User
    channel: Channel
    content: str = ""
    kind: int = 0
    message_id: int | None = None  # only for a forum post, which has the thread's id
    reply_to: Message | None = None
    forwards: Json | None = None
    allowed_mentions: Json | None = None
    attachments: tuple[Attachment, ...] = ()
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    flags: int = 0
    nonce: str | int | None = None
    enforce_nonce: bool = False
    interaction_id: int | None = None
    peer: str = ""
    interaction: Json | None = None
    command: str | None = None
    stickers: list[Json] = field(default_factory=list)
    poll: Json | None = None


def post(state: ServerState, draft: Draft) -> Message:
    """Create a message; if its enforced nonce was used already, return the earlier message."""
    world = state.world
    earlier = _same_nonce(state, draft)
    if earlier is not None:
        state.counts.nonce_repeats += 1
        return earlier
    replied = draft.reply_to.author_id if draft.reply_to else None
    roles = _roles_to_ping(state, draft.channel, draft.author)
    pings = mentions.resolve(draft.content, world.users, draft.allowed_mentions, replied, roles)
    everyone = pings.everyone and world.may(draft.channel, "mention_everyone", draft.author.id)
    message = Message(
        draft.message_id or world.ids.next(),
        draft.channel.id,
        draft.author.id,
        draft.content,
        draft.kind,
        reference=draft.reply_to.id if draft.reply_to else None,
        mentions=pings.users,
        mention_roles=pings.roles,
        mention_everyone=everyone,
        attachments=draft.attachments,
        embeds=draft.embeds,
        components=draft.components,
        flags=draft.flags,
        nonce=draft.nonce,
        interaction_id=draft.interaction_id,
        peer=draft.peer,
        interaction=draft.interaction,
        command=draft.command,
        stickers=draft.stickers,
        poll=draft.poll,
        snapshot=draft.forwards,
    )
    if draft.channel.archived:
        draft.channel.archived = False
        channel_event(state, "THREAD_UPDATE", draft.channel)
    world.add(message)
    _remember_nonce(state, message)
    if draft.author is not world.bot:
        state.counts.asked(message.id)
    else:
        state.counts.messages_by_bot += 1
        if message.interaction is not None and not message.hidden:
            state.counts.quoted(message.id)
        if message.reference is not None:
            state.counts.answered(message.reference, message.id)
    _tell(state, "MESSAGE_CREATE", "message", message)
    return message


def edit(state: ServerState, message: Message, changes: Json, allowed: Json | None = None) -> None:
    """Set fields of a message (content, embeds, components, attachments, flags)."""
    world = state.world
    for name, value in changes.items():
        setattr(message, name, value)
    if "content" in changes:
        roles = _roles_to_ping(
            state, world.channels[message.channel_id], world.users[message.author_id]
        )
        pings = mentions.resolve(message.content, world.users, allowed, None, roles)
        message.mentions, message.mention_roles = pings.users, pings.roles
    message.edited = time.time()
    message.revision += 1
    if message.author_id == state.world.bot.id:
        state.counts.edits_by_bot += 1
    _tell(state, "MESSAGE_UPDATE", "edit", message)


def add_embeds(state: ServerState, message: Message, embeds: list[Json]) -> None:
    """Add previews of a message's links, as Discord does a moment later. This is not an edit."""
    message.embeds = embeds
    _tell(state, "MESSAGE_UPDATE", "embeds", message)


def start_thread(
    state: ServerState, parent: Channel, name: str, by: User, start: Message | None, **more: bool
) -> Channel:
    """Start a thread; one on a message begins with a system message that refers to it."""
    thread = state.world.add_thread(parent, name, by.id, start, **more)
    channel_event(state, "THREAD_CREATE", thread)
    if start is not None:
        start.flags |= model.HAS_THREAD
        _tell(state, "MESSAGE_UPDATE", "thread", start)
        starter = Message(
            state.world.ids.next(), thread.id, by.id, "", model.THREAD_STARTER_MESSAGE
        )
        state.world.add(starter)
        _tell(state, "MESSAGE_CREATE", "message", starter)
    return thread


def delete(state: ServerState, message: Message, by: User) -> None:
    """Remove a message."""
    world = state.world
    shown = views.message(state, message)
    channel = world.channels[message.channel_id]
    world.remove(message)
    if by is world.bot:
        state.counts.deletes_by_bot += 1
    if not message.hidden:
        body = {"id": str(message.id), "channel_id": str(channel.id)}
        _in_place(state, "MESSAGE_DELETE", body, channel, by)
    state.events.put("delete", shown)


def react(
    state: ServerState, message: Message, by: User, emoji: str, *, remove: bool = False
) -> None:
    """Add or remove a reaction; doing so twice changes nothing."""
    users = message.reactions.setdefault(emoji, [])
    if (by.id in users) is not remove:
        return
    if remove:
        users.remove(by.id)
        if not users:
            del message.reactions[emoji]
    else:
        users.append(by.id)
    channel = state.world.channels[message.channel_id]
    body: Json = {
        "user_id": str(by.id),
        "channel_id": str(channel.id),
        "message_id": str(message.id),
        "message_author_id": str(message.author_id),
        "emoji": {"id": None, "name": emoji},
        "burst": False,
        "type": 0,
    } | _member(state, channel, by)
    name = "MESSAGE_REACTION_REMOVE" if remove else "MESSAGE_REACTION_ADD"
    _in_place(state, name, body, channel, by)
    told = {"message_id": str(message.id), "user": by.name, "emoji": emoji, "removed": remove}
    state.events.put("reaction", told)


def typing(state: ServerState, channel: Channel, by: User) -> None:
    """Send a typing event."""
    body: Json = {
        "channel_id": str(channel.id),
        "user_id": str(by.id),
        "timestamp": int(time.time()),
    } | _member(state, channel, by)
    _in_place(state, "TYPING_START", body, channel, by)
    state.events.put("typing", {"channel_id": str(channel.id), "user": by.name})


def channel_event(state: ServerState, name: str, channel: Channel) -> None:
    """Send a CHANNEL_* or THREAD_* event."""
    body = state.payloads.channel(channel)
    if not channel.parent_id or state.world.may(channel, "view_channel"):
        state.sessions.dispatch(name, body, guild_id=channel.guild_id)
    state.events.put("channel", {"event": name} | views.channel(state, channel))


def _tell(state: ServerState, name: str, kind: str, message: Message) -> None:
    state.events.put(kind, views.message(state, message))
    channel = state.world.channels[message.channel_id]
    if message.hidden or not state.world.may(channel, "view_channel"):
        return
    full = state.payloads.dispatched(message, content=True)
    bare = state.payloads.dispatched(message, content=False)
    by = _kind_of(state, message.author_id)
    written = partial(_went_out, message)
    state.sessions.dispatch(
        name, full, bare=bare, guild_id=channel.guild_id, by=by, written=written
    )


def _went_out(message: Message) -> None:
    message.written = message.written or time.time()


def _kind_of(state: ServerState, user_id: int) -> str:
    return "bot" if user_id == state.world.bot.id else "user"


def _roles_to_ping(state: ServerState, channel: Channel, author: User) -> frozenset[int]:
    """Return the roles that an author may ping: mentionable ones, or all with the permission."""
    if channel.guild_id is None:
        return frozenset()
    roles = state.world.guilds[channel.guild_id].roles
    every = author.webhook or state.world.may(channel, "mention_everyone", author.id)
    return frozenset(each.id for each in roles.values() if every or each.mentionable)


def _in_place(state: ServerState, name: str, body: Json, channel: Channel, by: User) -> None:
    if channel.guild_id is not None:
        body["guild_id"] = str(channel.guild_id)
    if state.world.may(channel, "view_channel"):
        by_whom = _kind_of(state, by.id)
        state.sessions.dispatch(name, body, guild_id=channel.guild_id, by=by_whom)


def _member(state: ServerState, channel: Channel, who: User) -> Json:
    if channel.guild_id is None:
        return {}
    member = state.world.guilds[channel.guild_id].members.get(who.id)
    return {"member": payloads.full_member(state.world, member)} if member else {}


def _same_nonce(state: ServerState, draft: Draft) -> Message | None:
    """Apply Discord's rule: same author and nonce, within the past few minutes, in any channel."""
    if draft.nonce is None or not draft.enforce_nonce:
        return None
    found = state.nonces.get((draft.author.id, str(draft.nonce)))
    if found is None or state.clock() - found[0] > state.settings.nonce_seconds:
        return None
    # A message that has been deleted cannot be returned; what Discord does then is undocumented.
    return state.world.find_message(found[1]) if state.world.knows(found[1]) else None


def _remember_nonce(state: ServerState, message: Message) -> None:
    if message.nonce is None:
        return
    state.nonces[message.author_id, str(message.nonce)] = (state.clock(), message.id)
    if len(state.nonces) > NONCES:
        state.nonces.popitem(last=False)
