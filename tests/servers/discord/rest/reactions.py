"""Reactions on messages."""

from aiohttp import web

from tests.servers.discord import actions, errors, payloads
from tests.servers.discord.errors import ApiError
from tests.servers.discord.rest.base import answer, as_id, message_of, state_of


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    reactions = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}"
    return [
        web.put(reactions + "/@me", add),
        web.delete(reactions + "/{user_id}", remove),
        web.get(reactions, who),
    ]


def _emoji(request: web.Request) -> str:
    emoji = request.match_info["emoji"]
    if emoji.isascii():
        # Custom emoji (name:id) and plain words: this server has no custom ones.
        raise ApiError(*errors.UNKNOWN_EMOJI)
    return emoji


async def add(request: web.Request) -> web.Response:
    """PUT the bot's reaction."""
    state = state_of(request)
    message = message_of(request, "read_message_history", "add_reactions")
    if state.world.channels[message.channel_id].archived:
        raise ApiError(*errors.ARCHIVED_THREAD)
    actions.react(state, message, state.world.bot, _emoji(request))
    return answer()


async def remove(request: web.Request) -> web.Response:
    """DELETE the bot's reaction, or another user's with manage_messages."""
    state = state_of(request)
    whose = request.match_info["user_id"]
    own = whose == "@me" or whose == str(state.world.bot.id)
    message = message_of(request, *(() if own else ("manage_messages",)))
    user = state.world.bot if own else state.world.user(as_id("user_id", whose))
    actions.react(state, message, user, _emoji(request), remove=True)
    return answer()


async def who(request: web.Request) -> web.Response:
    """GET the users of a reaction."""
    state = state_of(request)
    users = message_of(request).reactions.get(_emoji(request), [])
    return answer([payloads.user(state.world.users[each]) for each in users])
