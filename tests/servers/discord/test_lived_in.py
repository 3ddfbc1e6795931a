import time

import aiohttp

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import wired
from tests.servers.discord.server import DiscordServer


async def test_a_guild_comes_with_the_bot_as_its_only_member_and_the_number_of_all(
    server: DiscordServer, people: DiscordControl, http: aiohttp.ClientSession
) -> None:
    """Without the member and presence intents, Discord sends a bot no other members."""
    await people.add_guild("Old Town", channels=3, members=48, roles=2, emojis=2, lived_in=True)

    async with wired(server, http) as wire:
        await wire.identify()
        await wire.until("GUILD_CREATE")
        guild = (await wire.until("GUILD_CREATE"))["d"]

    assert guild["member_count"] == 50
    assert [each["user"]["bot"] for each in guild["members"]] == [True]
    assert all(each["last_message_id"] for each in guild["channels"])
    assert (len(guild["roles"]), len(guild["emojis"])) == (4, 2)  # with @everyone and the bot's own


async def test_when_a_message_went_out_to_the_gateway_is_known(
    server: DiscordServer, people: DiscordControl, http: aiohttp.ClientSession
) -> None:
    unheard = await people.say("general", "nobody is connected")
    async with wired(server, http) as wire:
        await wire.identify()
        await wire.until("GUILD_CREATE")
        heard = await people.say("general", "somebody is")
        await wire.until("MESSAGE_CREATE")

    assert (await people.message(unheard.id)).written is None
    written = (await people.message(heard.id)).written
    assert written is not None
    assert heard.created - 0.001 <= written <= time.time()  # an id encodes milliseconds
