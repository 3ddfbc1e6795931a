"""What a member may do in a channel, computed from roles and overwrites as Discord does.

https://discord.com/developers/docs/topics/permissions#permission-overwrites
"""

from typing import Final

from tests.servers.discord.model import Channel, Guild

BITS: Final[dict[str, int]] = {
    "add_reactions": 1 << 6,
    "view_channel": 1 << 10,
    "send_messages": 1 << 11,
    "manage_messages": 1 << 13,
    "embed_links": 1 << 14,
    "attach_files": 1 << 15,
    "read_message_history": 1 << 16,
    "mention_everyone": 1 << 17,
    "use_external_emojis": 1 << 18,
    "use_application_commands": 1 << 31,
    "manage_threads": 1 << 34,
    "create_public_threads": 1 << 35,
    "create_private_threads": 1 << 36,
    "send_messages_in_threads": 1 << 38,
}
ADMINISTRATOR: Final = 1 << 3
MANAGE_GUILD: Final = 1 << 5
EVERYTHING: Final = (1 << 50) - 1
_MODERATORS: Final = ("manage_messages", "manage_threads")
EVERYONE: Final = sum(bit for name, bit in BITS.items() if name not in _MODERATORS)
# The permissions that a member keeps during a timeout.
TIMED_OUT: Final = BITS["view_channel"] | BITS["read_message_history"]


def bits(names: list[str]) -> int:
    """Return the bit field of these names; KeyError names an unknown one."""
    return sum(BITS[name] for name in set(names))


def effective(guild: Guild, channel: Channel, user_id: int, now: float = 0.0) -> int:
    """Return the permissions of a member in a channel (for a thread, pass its parent) at a time."""
    member = guild.members.get(user_id)
    if member is None:
        return 0
    if guild.owner_id == user_id:
        return EVERYTHING
    granted = guild.roles[guild.id].permissions
    for role in member.roles:
        granted |= guild.roles[role].permissions
    if granted & ADMINISTRATOR:
        return EVERYTHING
    for those in ({guild.id}, set(member.roles), {user_id}):
        found = [each for each in channel.overwrites if each.id in those]
        for each in found:
            granted &= ~each.deny
        for each in found:
            granted |= each.allow
    return granted & TIMED_OUT if (member.timeout_until or 0.0) > now else granted
