"""Gateway intents: which events a session requested.

https://discord.com/developers/docs/events/gateway#list-of-intents
"""

from typing import Final

GUILDS: Final = 1 << 0
GUILD_MEMBERS: Final = 1 << 1
GUILD_PRESENCES: Final = 1 << 8
GUILD_MESSAGES: Final = 1 << 9
GUILD_MESSAGE_REACTIONS: Final = 1 << 10
GUILD_MESSAGE_TYPING: Final = 1 << 11
DIRECT_MESSAGES: Final = 1 << 12
DIRECT_MESSAGE_REACTIONS: Final = 1 << 13
DIRECT_MESSAGE_TYPING: Final = 1 << 14
MESSAGE_CONTENT: Final = 1 << 15

PRIVILEGED: Final = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
# 17..19, 22 and 23 were never assigned.
KNOWN: Final = (1 << 17) - 1 | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25
# As application flags, for bots in fewer than 100 guilds.
FLAGS: Final = {GUILD_PRESENCES: 1 << 13, GUILD_MEMBERS: 1 << 15, MESSAGE_CONTENT: 1 << 19}

_MESSAGE = (GUILD_MESSAGES, DIRECT_MESSAGES)
_REACTION = (GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS)
_IN_GUILD_OR_DM: Final = {
    "MESSAGE_CREATE": _MESSAGE,
    "MESSAGE_UPDATE": _MESSAGE,
    "MESSAGE_DELETE": _MESSAGE,
    "MESSAGE_REACTION_ADD": _REACTION,
    "MESSAGE_REACTION_REMOVE": _REACTION,
    "TYPING_START": (GUILD_MESSAGE_TYPING, DIRECT_MESSAGE_TYPING),
    "CHANNEL_CREATE": (GUILDS, 0),
    "CHANNEL_UPDATE": (GUILDS, 0),
    "CHANNEL_DELETE": (GUILDS, 0),
    "THREAD_CREATE": (GUILDS, 0),
    "THREAD_UPDATE": (GUILDS, 0),
    "THREAD_DELETE": (GUILDS, 0),
    "GUILD_CREATE": (GUILDS, 0),
    "GUILD_MEMBER_ADD": (GUILD_MEMBERS, 0),
    "GUILD_MEMBER_UPDATE": (GUILD_MEMBERS, 0),
    "GUILD_ROLE_CREATE": (GUILDS, 0),
    "INTERACTION_CREATE": (0, 0),
}


def needed(event: str, *, in_guild: bool) -> int:
    """Return the intent that an event needs, or 0. KeyError for an event that is never sent."""
    return _IN_GUILD_OR_DM[event][0 if in_guild else 1]


def application_flags(allowed: int) -> int:
    """Return the application's flags for the privileged intents that it may use."""
    return sum(flag for intent, flag in FLAGS.items() if allowed & intent)
