"""Where the bot is: Discord's and OpenAI's stand-ins, and a world with few or many servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bot.integration.servers import Servers
from tests.bot.integration.servers import servers as run_servers
from tests.servers.discord.control import DiscordControl
from tests.servers.openai.control import OpenAIControl

from .crowd import Crowd

MANY = 200  # servers, each like those that people have
_MEMBERS, _CHANNELS, _ROLES, _EMOJIS = 50, 25, 12, 20


@dataclass(frozen=True)
class Place:
    """Both stand-ins, and the people there."""

    servers: Servers
    crowd: Crowd


@asynccontextmanager
async def place(directory: Path, guilds: int) -> AsyncIterator[Place]:
    """Run both stand-ins with so many guilds, the planted one among them."""
    with run_servers(_made(directory)) as both:
        async with (
            DiscordControl(both.discord.control_url) as discord,
            OpenAIControl(both.openai.control_url) as openai,
        ):
            await discord.set(identify_seconds=0)  # one bot after the other logs in here
            for number in range(1, guilds):
                await discord.add_guild(
                    f"Server {number}",
                    channels=_CHANNELS,
                    members=_MEMBERS - 2,  # and its owner, and the bot
                    roles=_ROLES,
                    emojis=_EMOJIS,
                    lived_in=True,
                )
            crowd = Crowd(discord, openai)
            await crowd.gather()
            yield Place(both, crowd)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
