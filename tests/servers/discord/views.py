"""The state as the control API shows it: names along with ids, times in seconds."""

from tests.servers.discord.errors import Json
from tests.servers.discord.model import Channel, Guild, Message, User
from tests.servers.discord.snowflake import made_at
from tests.servers.discord.state import ServerState


def user(who: User) -> Json:
    """Render a user."""
    return {"id": str(who.id), "name": who.name, "bot": who.bot, "dm_open": who.dm_open}


def guild(which: Guild) -> Json:
    """Render a guild with its roles."""
    return {
        "id": str(which.id),
        "name": which.name,
        "members": len(which.members),
        "roles": [
            {"id": str(role.id), "name": role.name, "managed": role.bot_id is not None}
            for role in which.roles.values()
        ],
    }


def channel(state: ServerState, where: Channel) -> Json:
    """Render a channel; a DM is named after its person, with an @."""
    name = where.name
    if where.recipient is not None:
        name = f"@{state.world.users[where.recipient].name}"
    return {
        "id": str(where.id),
        "name": name,
        "kind": where.kind,
        "guild_id": str(where.guild_id) if where.guild_id else None,
        "parent_id": str(where.parent_id) if where.parent_id else None,
        "archived": where.archived,
        "locked": where.locked,
    }


def message(state: ServerState, what: Message) -> Json:
    """Render a message."""
    world = state.world
    where = channel(state, world.channels[what.channel_id])
    return {
        "id": str(what.id),
        "channel_id": where["id"],
        "channel": where["name"],
        "author_id": str(what.author_id),
        "author": world.users[what.author_id].name,
        "bot": world.users[what.author_id].bot,
        "from_sky": what.author_id == world.bot.id,
        "kind": what.kind,
        "content": what.content,
        "reply_to": str(what.reference) if what.reference else None,
        "interaction_id": str(what.interaction_id) if what.interaction_id else None,
        "created": made_at(what.id),
        "edited": what.edited,
        "written": what.written,
        "revision": what.revision,
        "peer": what.peer,
        "nonce": None if what.nonce is None else str(what.nonce),
        "pings": [str(each) for each in what.mentions],
        "pings_roles": [str(each) for each in what.mention_roles],
        "pings_everyone": what.mention_everyone,
        "hidden": what.hidden,
        "flags": what.flags,
        "embeds": what.embeds,
        "components": what.components,
        "stickers": what.stickers,
        "poll": what.poll,
        "reactions": {
            emoji: [world.users[each].name for each in who] for emoji, who in what.reactions.items()
        },
        "attachments": [
            state.payloads.attachment(what.channel_id, file) for file in what.attachments
        ],
    }
