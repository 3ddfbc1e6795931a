"""Request Guild Members (op 8): the chunks of the response."""

from collections.abc import Iterator

from tests.servers.discord.errors import Json
from tests.servers.discord.payloads import full_member
from tests.servers.discord.world import World

CHUNK = 1000


def chunk(world: World, asked: Json) -> Iterator[Json]:
    """Return the GUILD_MEMBERS_CHUNK events for a request, by ids or by name prefix."""
    guild = world.guild(int(asked.get("guild_id", 0)))
    members = list(guild.members.values())
    not_found: list[str] = []
    if "user_ids" in asked:
        ids = asked["user_ids"] if isinstance(asked["user_ids"], list) else [asked["user_ids"]]
        members = [guild.members[int(each)] for each in ids if int(each) in guild.members]
        not_found = [str(each) for each in ids if int(each) not in guild.members]
    else:
        start = str(asked.get("query", "")).casefold()
        members = [m for m in members if world.users[m.user_id].name.casefold().startswith(start)]
        members = members[: asked.get("limit") or None]
    parts = [members[at : at + CHUNK] for at in range(0, len(members), CHUNK)] or [[]]
    for number, part in enumerate(parts):
        yield {
            "guild_id": str(guild.id),
            "members": [full_member(world, each) for each in part],
            "chunk_index": number,
            "chunk_count": len(parts),
            "not_found": not_found,
            "nonce": asked.get("nonce"),
        }
