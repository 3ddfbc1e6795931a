"""Who may call the bot and where, joining in, and bots among themselves."""

from tests.servers.discord.control import DiscordControl

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import Servers


async def test_a_server_that_keeps_the_bot_in_its_corner(fresh: FreshStage) -> None:
    """One category and one channel are allowed, one person is not; threads are as their channel."""
    stage = fresh(
        SKY_ACCESS__ALLOW_CHANNELS="#library",
        SKY_ACCESS__ALLOW_CATEGORIES="Play",
        SKY_ACCESS__BLOCK_CHANNELS="chess",
        SKY_ACCESS__BLOCK_ROLES="Muted",
    )
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await scene.discord.add_role("Muted", ["Jonas"])
        for name in ("riddles", "chess"):
            await scene.discord.add_channel(name, category="Play")
        await scene.discord.add_channel("reading-club", parent="library")
        await scene.discord.add_channel("openings", parent="chess")
        lookalike = await scene.discord.add_channel("library", parent="garden")  # by anybody
        seen = scene.bot.metric

        for place in ("library", "reading-club", "riddles"):
            await scene.answer(await scene.call("may I?", where=place))
        refused = [
            await scene.call("may I?", where=place)
            for place in ("general", "chess", "openings", lookalike.id)
        ]
        muted = await scene.call("may I?", where="library", by="Jonas")
        await scene.answer(await scene.call("the last one", where="library"))

        assert [await scene.silence(each) for each in [*refused, muted]] == [True] * 5
        assert await seen("messages_total", decision="place") == 4
        assert await seen("messages_total", decision="person") == 1
        await scene.answer(await scene.whisper("a direct message has no channel"))


async def test_servers_and_categories_are_listed_and_a_block_wins(
    fresh: FreshStage, servers: Servers
) -> None:
    """Three servers, each with a channel of the same category: what differs is the server alone."""
    async with DiscordControl(servers.discord.control_url) as discord:
        for name in ("Lagoon", "Fjord"):
            await discord.add_guild(name, channels=0)
            await discord.add_channel(f"{name}-quay", guild=name, category="Docks")
    stage = fresh(
        SKY_ACCESS__ALLOW_SERVERS="Sky Harbour, Lagoon",
        SKY_ACCESS__BLOCK_SERVERS="Lagoon",
        SKY_ACCESS__ALLOW_CATEGORIES="Docks",
        SKY_ACCESS__ALLOW_CHANNELS="#wine, #plaza",
        SKY_ACCESS__BLOCK_CATEGORIES="Cellar",
    )
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        for name, category in (("quay", "Docks"), ("wine", "Cellar"), ("plaza", None)):
            await scene.discord.add_channel(name, category=category)
        await scene.discord.add_channel("moorings", parent="quay")
        await scene.discord.add_channel("vintages", parent="wine")

        for place in ("quay", "moorings", "plaza"):
            await scene.answer(await scene.call("may I here?", where=place))
        places = ("Lagoon-quay", "Fjord-quay", "wine", "vintages", "general")
        refused = [await scene.call("and may I here?", where=place) for place in places]
        await scene.bot.until_metric("messages_total", len(refused), decision="place")
        await scene.answer(await scene.call("the last one, of that", where="quay"))

        assert [await scene.silence(each) for each in refused] == [True] * len(refused)


async def test_people_are_listed_by_id_wherever_they_call_and_a_block_wins(
    fresh: FreshStage, servers: Servers
) -> None:
    async with DiscordControl(servers.discord.control_url) as discord:
        ids = {user.name: user.id for user in (await discord.world()).users}
    stage = fresh(
        SKY_ACCESS__ALLOW_USERS=f"{ids['Ada']}, {ids['Bram']}",
        SKY_ACCESS__BLOCK_USERS=ids["Bram"],
    )
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await stage.bot.logged("commands synced")
        refused = [await scene.call("may we talk?", by=name) for name in ("Bram", "Chiyo")]
        refused += [await scene.whisper("in secret, then?", by=name) for name in ("Bram", "Chiyo")]
        for name in ("Bram", "Chiyo"):
            used = await scene.discord.invoke("sky", scene.place, name, {"topic": "hello"})
            response = await scene.responded(used.id)
            assert response.hidden
            assert "I can't answer you here." in response.content
        await scene.answer(await scene.call("may the two of us talk?", by="Ada"))
        await scene.answer(await scene.whisper("and here as well?", by="Ada"))

        assert [await scene.silence(each) for each in refused] == [True] * 4


async def test_a_command_where_the_lists_forbid_it_is_told_so_to_the_asker_alone(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_ACCESS__BLOCK_CHANNELS="garden", SKY_ACCESS__DIRECT_MESSAGES="false")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await stage.bot.logged("commands synced")
        for place, sentence in (("garden", "in this channel"), ("dm", "in direct messages")):
            used = await scene.discord.invoke("sky", place, "Bram", {"topic": "hello"})
            response = await scene.responded(used.id)
            assert response.hidden
            assert f"I don't answer {sentence}" in response.content
        help_there = await scene.discord.invoke("help", "garden", "Bram")
        assert "How to call me" in (await scene.responded(help_there.id)).content


async def test_it_joins_in_once_where_it_may_and_then_holds_its_peace(fresh: FreshStage) -> None:
    stage = fresh(SKY_AMBIENT__CHANNELS="kites = 1", SKY_AMBIENT__QUIET_SECONDS="600")
    await stage.bot.ready()
    await stage.bot.logged("lease acquired")  # one that only listens keeps calls, and nothing else
    async with open_scene(stage) as scene:
        elsewhere = await scene.say("nobody asked in the kitchen", where="kitchen")
        first = await scene.say("the wind is good today", where="kites", by="Bram")
        await scene.answer(first)
        second = await scene.say("yes, a steady breeze", where="kites", by="Dara")
        await scene.answer(await scene.call("and you?", where="kitchen"))

        assert await scene.silence(elsewhere)
        assert await scene.silence(second)
        asked = (await scene.record(first)).asked
        assert asked is not None
        assert "you join in by yourself" in next(t.text for t in asked.turns if t.role == "system")
        assert await scene.bot.metric("messages_total", decision="ambient") == 1


async def test_a_failure_of_joining_in_is_told_to_nobody(fresh: FreshStage) -> None:
    stage = fresh(SKY_AMBIENT__CHANNELS="kites = 1", SKY_AMBIENT__QUIET_SECONDS="1")
    await stage.bot.ready()
    await stage.bot.logged("lease acquired")
    async with open_scene(stage) as scene:
        overheard = await scene.say("a calm day [[fault=quota]]", where="kites", by="Bram")
        await scene.bot.until_metric("answers_total", 1, outcome="quota_spent")

        assert (await scene.seen(overheard)).parts == ()


async def test_two_bots_do_not_talk_each_other_into_a_loop(
    fresh: FreshStage, servers: Servers
) -> None:
    """A parrot answers every answer by calling the bot again. It is allowed, and bounded."""
    async with DiscordControl(servers.discord.control_url) as discord:
        bird = await discord.add_user("Cockatoo", bot=True)
    stage = fresh(SKY_ACCESS__ALLOW_BOTS=bird.id)
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        parrot = bird.name
        async with scene.discord.events() as events:
            await scene.say(f"{scene.me} squawk", by=parrot)
            for _ in range(3):
                await events.event(lambda e: e.kind == "message" and bool(e.data["from_sky"]), 60)
                await scene.say(f"{scene.me} squawk", by=parrot)
        await scene.bot.until_metric("messages_total", 1, decision="bots_in_a_row")

        said = await scene.discord.read(scene.place)
        assert [each.from_sky for each in said].count(True) == 3
        assert await scene.bot.metric("messages_total", decision="bots_in_a_row") == 1
        await scene.answer(await scene.call("enough, both of you", by="Ada"))
        again = await scene.say(f"{scene.me} squawk", by=parrot)
        await scene.answer(again)


async def test_a_bot_that_no_list_names_is_never_answered(scene: Scene) -> None:
    stranger = await scene.discord.add_user("Magpie", bot=True)
    question = await scene.say(f"{scene.me} hello", by=stranger.name)
    command = await scene.say("!sky hello", by=stranger.name)
    await scene.answer(await scene.call("now a person"))

    assert [await scene.silence(question), await scene.silence(command)] == [True, True]
