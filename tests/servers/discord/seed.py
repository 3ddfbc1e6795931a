"""The initial state of a loop: the same names and ids every time."""

from datetime import UTC, datetime
from typing import Final

from tests.servers.discord.snowflake import at
from tests.servers.discord.world import World

GUILD: Final = "Sky Harbour"
CHANNELS: Final = (
    "general",
    "welcome",
    "weather",
    "stars",
    "gliders",
    "kites",
    "balloons",
    "clouds",
    "birds",
    "maps",
    "radio",
    "harbour",
    "workshop",
    "library",
    "kitchen",
    "garden",
    "music",
    "films",
    "books",
    "games",
    "photos",
    "travel",
    "science",
    "help",
    "off-topic",
)
USERS: Final = ("Ada", "Bram", "Chiyo", "Dara", "Emeka", "Freya", "Goran", "Hana", "Iris", "Jonas")
_BORN: Final = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
BOT_ID: Final = at(_BORN)


def populate(world: World) -> None:
    """Fill an empty world. Ids are fixed, so that a restarted server has the same ones."""
    users = [
        world.add_user(name, user_id=at(_BORN, 100 + number)) for number, name in enumerate(USERS)
    ]
    guild = world.add_guild(GUILD, users[0], users[1:], guild_id=at(_BORN, 200))
    for number, name in enumerate(CHANNELS):
        world.add_channel(guild, name, channel_id=at(_BORN, 300 + number))
