"""Convert discord.py's objects to the bot's values; only this module reads them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import discord

from bot.discord import compat
from bot.discord.command_replies import unquote
from bot.domain.messages import Attachment, Author, CommandOrigin, Location, Message
from bot.domain.text import sanitize
from bot.reply import button_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_COMMANDS = frozenset(
    {discord.MessageType.chat_input_command, discord.MessageType.context_menu_command}
)
_MOST = 6000  # characters of all embeds of a message: what Discord takes of a bot
_PLACE = re.compile(r"<(?:#|@&)(\d{1,20})>")
_ORDINARY = frozenset({discord.MessageType.default, discord.MessageType.reply}) | _COMMANDS


def to_message(message: discord.Message) -> Message:
    """Convert discord.py's message to a Message.

    A bot's response that quotes what it was asked by a command is that person's question.
    """
    reference, guild = message.reference, message.guild
    known = guild.get_thread(message.channel.id) if guild is not None else None
    channel = message.channel if known is None else known  # a history's channel is only an id
    metadata = message.interaction_metadata
    forwarded, extras = _forwarded(message), _extras(message)
    if metadata is not None and message.type in _COMMANDS:
        extras = (f"(answers a command of {sanitize(metadata.user.display_name)})", *extras)
    own_role = guild.self_role if guild is not None and "<@&" in message.content else None
    thread = channel if isinstance(channel, discord.Thread) else None
    post = thread if thread and isinstance(thread.parent, discord.ForumChannel) else None
    forwards = (file for each in message.message_snapshots for file in each.attachments)
    replied = reference.resolved if reference else None
    # A forwarded message has a reference too, and is no reply.
    is_reply = reference is not None and message.type is discord.MessageType.reply
    plain = Message(
        id=message.id,
        channel_id=channel.id,
        guild_id=getattr(message.guild, "id", None) or getattr(channel, "guild_id", None),
        author=author(message.author),
        text=sanitize(message.content),
        extras=extras,
        places=_places(guild, (message.content, forwarded, *extras)),
        # The bot's managed role looks like the bot.
        own_role=own_role.id if own_role and f"<@&{own_role.id}>" in message.content else None,
        title=sanitize(post.name) if post else None,
        ordinary=message.type in _ORDINARY,
        replies_to=reference.message_id if reference and is_reply else None,
        replies_in=reference.channel_id if reference and is_reply else None,
        replied_author_id=replied.author.id if isinstance(replied, discord.Message) else None,
        names={user.id: sanitize(str(user.display_name)) for user in message.mentions},
        place=place(channel, message.guild),
        attachments=tuple(_attachment(each, message) for each in (*message.attachments, *forwards)),
        forwarded=forwarded,
        thread_of=thread.parent_id if thread else None,
        thread_owner=thread.owner_id if thread else None,
        role_ids=role_ids(message.author),
        readable=not isinstance(message, compat.UnreadableMessage),
    )
    quoted = unquote(sanitize(message.content)) if metadata is not None else None
    if metadata is None or quoted is None:
        return plain
    return replace(
        plain,
        author=author(metadata.user),
        text=quoted.topic,
        ordinary=True,
        replies_to=quoted.target,
        extras=(),
        role_ids=None,  # those of the bot, which wrote it, are not the asker's
        asked=CommandOrigin(message.author.id, metadata.id, quoted.persona, quoted.image),
    )


def unreadable(message: discord.Message) -> Message:
    """Represent a message of which only its location is used."""
    nobody = Author(0, "")
    return Message(message.id, message.channel.id, nobody, "", readable=False)


def _forwarded(message: discord.Message) -> str:
    """Return the text of a forwarded message, with its embeds and the like as text."""
    parts = [(each.content, *_extras(each)) for each in message.message_snapshots]
    return sanitize("\n".join(part for each in parts for part in each if part))


def answers(message: discord.Message, me: int) -> int | None:
    """Return the id of the message that this one answers, if the bot (user id `me`) wrote it.

    What replies to nothing in a thread answers the message that the thread hangs on, whose id it
    has, unless the button below names another question.
    """
    if message.author.id != me:
        return None
    if message.reference is not None:
        return message.reference.message_id
    if message.type is not discord.MessageType.default or message.interaction_metadata is not None:
        return None
    mark = _button(message)
    return message.channel.id if mark is None else mark.question_id


def state(message: discord.Message) -> str | None:
    """Return the button below a message of the bot: `stop` while it is written, then `again`."""
    mark = _button(message)
    return None if mark is None else mark.act


def _button(message: discord.Message) -> button_ids.ButtonId | None:
    components: Sequence[discord.Component] = getattr(message, "components", ())
    rows = [each for each in components if isinstance(each, discord.ActionRow)]
    marks = [
        button_ids.read(child.custom_id)
        for row in rows
        for child in row.children
        if isinstance(child, discord.Button) and child.custom_id
    ]
    return next((mark for mark in marks if mark is not None), None)


def replied(message: discord.Message) -> Message | None:
    """Convert the message that this one replies to, which Discord sends with it."""
    resolved = message.reference.resolved if message.reference else None
    if not isinstance(resolved, discord.Message):
        return None
    if resolved.type is discord.MessageType.reply and resolved.reference is None:
        return None  # sent without what it replies to in turn: the chain would end there
    return to_message(resolved)


def place(channel: object, guild: discord.Guild | None) -> Location:
    """Return the ways to name this channel in settings: only ids if Discord sent no names."""
    if guild is None:
        return Location()
    known = guild.get_channel_or_thread(getattr(channel, "id", 0))
    if known is None and isinstance(channel, discord.Thread):
        known = channel  # an archived one, which an interaction tells of
    if known is None:
        return Location(_named(guild), (str(getattr(channel, "id", 0)),))
    parent = known.parent if isinstance(known, discord.Thread) else None
    home = parent if isinstance(known, discord.Thread) else known
    # A thread has the name that anybody gave it: settings mean it by its id alone.
    own = (str(known.id),) if isinstance(known, discord.Thread) else _named(known)
    category = home.category if home else None
    return Location(
        servers=_named(guild),
        channels=own + (_named(parent) if parent else ()),
        categories=_named(category) if category else (),
    )


def _named(thing: discord.Guild | discord.abc.GuildChannel | discord.Thread) -> tuple[str, str]:
    return str(thing.id), thing.name.casefold()


def author(user: discord.User | discord.Member) -> Author:
    """Convert a user to an Author."""
    local = isinstance(user, discord.Member)
    return Author(user.id, sanitize(str(user.display_name)), user.bot, _roles(user), local)


def role_ids(user: discord.User | discord.Member) -> tuple[int, ...] | None:
    """Return the ids of somebody's roles; None where Discord did not say which they are."""
    return compat.role_ids(user) if isinstance(user, discord.Member) else None


def _roles(user: discord.User | discord.Member) -> tuple[str, ...] | None:
    """Name somebody's roles as settings do; None where one of them is not known by its name."""
    if not isinstance(user, discord.Member):
        return None
    known = {role.id: role.name.casefold() for role in user.roles}
    if not known.keys() >= set(compat.role_ids(user)):
        return None
    return tuple(each for role_id, name in known.items() for each in (str(role_id), name))


def _attachment(file: discord.Attachment, message: discord.Message) -> Attachment:
    """Raise TypeError if size or address are not of the documented type: the bot relies on both."""
    size, url = cast("object", file.size), cast("object", file.url)
    if not isinstance(size, int) or not isinstance(url, str):
        raise TypeError("attachment")
    return Attachment(
        sanitize(file.filename),
        size,
        url,
        file.id,
        message.channel.id,
        message.id,
        file.duration if file.is_voice_message() else None,
    )


def _extras(message: discord.Message | discord.MessageSnapshot) -> tuple[str, ...]:
    """Describe what a message shows besides its text and files."""
    poll = getattr(message, "poll", None)
    found = [
        *(_sticker(each) for each in message.stickers),
        *([_poll(poll)] if poll is not None else []),
        *_embeds(message.embeds),
        *_components(getattr(message, "components", ())),  # unset where Discord left them out
    ]
    return tuple(sanitize(each) for each in found)


def _places(guild: discord.Guild | None, texts: Iterable[str]) -> dict[int, str]:
    """Name the roles and channels that texts mention: the channels that everybody there can see."""
    names: dict[int, str] = {}
    if guild is None:
        return names
    for found in {int(hit[1]) for text in texts for hit in _PLACE.finditer(text)}:
        role, channel = guild.get_role(found), guild.get_channel_or_thread(found)
        if role is not None:
            names[found] = sanitize(role.name)
        elif channel is not None and channel.permissions_for(guild.default_role).view_channel:
            names[found] = sanitize(channel.name)
    return names


def _sticker(sticker: discord.StickerItem) -> str:
    return f"(sticker: {sticker.name})"


def _poll(poll: discord.Poll) -> str:
    counted = any(answer.vote_count for answer in poll.answers)
    lines = [f"(poll{', ended' if poll.is_finalised() else ''}) {poll.question}"]
    for answer in poll.answers:
        emoji = f"{answer.emoji} " if answer.emoji is not None else ""
        votes = answer.vote_count
        count = f": {votes} vote{'' if votes == 1 else 's'}" if counted else ""
        lines.append(f"- {emoji}{answer.text or ''}{count}")
    return "\n".join(lines)


def _components(components: Iterable[discord.Component]) -> list[str]:
    """Return the text of components, which a message may consist of instead of a content."""
    shown = "\n".join(text for each in components for text in _displayed(each) if text)
    return [shown[:_MOST]] if shown else []


def _displayed(component: discord.Component) -> Iterator[str]:
    if isinstance(component, discord.TextDisplay):
        yield str(component.content)
    elif isinstance(component, discord.MediaGalleryComponent):
        yield from (str(item.description or "") for item in component.items)
    for child in getattr(component, "children", ()):
        yield from _displayed(child)


def _embeds(embeds: Sequence[discord.Embed]) -> list[str]:
    shown, room = [], _MOST
    for embed in embeds:
        parts = [
            embed.author.name,
            embed.title,
            embed.description,
            *(f"{field.name}: {field.value}" for field in embed.fields),
            embed.footer.text,
        ]
        text = "\n".join(str(part) for part in parts if part)[:room]
        if text:
            shown.append(f"(embed) {text}")
            room -= len(text)
    return shown
