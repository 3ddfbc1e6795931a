import asyncio

import discord
import pytest
from discord import app_commands

from tests.servers.discord.control import ControlError, DiscordControl
from tests.servers.discord.harness import Bot
from tests.servers.discord.server import DiscordServer


def _commands(bot: Bot) -> None:
    @bot.tree.command(description="Say it back")
    async def echo(interaction: discord.Interaction, text: str) -> None:
        await interaction.response.send_message(text, ephemeral=text == "hush")

    @bot.tree.command(description="Think first")
    async def think(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content="hm")
        await interaction.followup.send("and so on")

    @bot.tree.command(description="Never in time")
    async def late(interaction: discord.Interaction) -> None:
        await asyncio.sleep(0.4)
        with pytest.raises(discord.NotFound):
            await interaction.response.send_message("sorry")

    @bot.tree.command(description="With a button")
    async def ask(interaction: discord.Interaction) -> None:
        view = discord.ui.View()
        button: discord.ui.Button[discord.ui.View] = discord.ui.Button(label="Go", custom_id="go")

        async def pressed(press: discord.Interaction) -> None:
            await press.response.edit_message(content="gone", view=None)

        button.callback = pressed  # type: ignore[assignment,method-assign]  # discord.py's own way
        view.add_item(button)
        await interaction.response.send_message("go?", view=view)

    @bot.tree.command(description="For those who manage the server")
    @app_commands.default_permissions(manage_guild=True)
    @app_commands.guild_only()
    async def manage(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("yes")

    group = app_commands.Group(name="bird", description="Birds")

    @group.command(description="One of them")
    async def show(interaction: discord.Interaction, name: app_commands.Range[str, 1, 10]) -> None:
        await interaction.response.send_message(f"bird: {name}")

    bot.tree.add_command(group)

    @echo.autocomplete("text")
    async def offer(
        _interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=current * 2, value=current)]


@pytest.fixture
async def bot(people: DiscordControl):  # type: ignore[no-untyped-def]  # noqa: ANN201, ARG001  a generator of Bot
    bot = Bot()
    _commands(bot)
    async with bot.running():
        await bot.tree.sync()
        yield bot


async def test_a_command_is_answered(bot: Bot, people: DiscordControl) -> None:
    asked = await people.invoke("echo", author="Dara", options={"text": "ahoy"})
    done = await people.wait_interaction(asked.id)

    assert done.original is not None
    answer = await people.message(done.original)
    assert (answer.content, answer.author, answer.interaction_id) == ("ahoy", "Sky", asked.id)
    assert done.acknowledged_after is not None
    assert {each.name for each in bot.tree.get_commands()} >= {"echo", "think", "late"}


async def test_an_ephemeral_answer_is_not_in_the_channel(bot: Bot, people: DiscordControl) -> None:
    asked = await people.invoke("echo", options={"text": "hush"})
    done = await people.wait_interaction(asked.id)

    assert done.original is not None
    assert (await people.message(done.original)).hidden
    assert await people.read("general") == ()
    assert bot.heard == []


async def test_a_deferred_answer_is_filled_and_followed(bot: Bot, people: DiscordControl) -> None:
    asked = await people.invoke("think")
    done = await people.wait_interaction(asked.id, lambda i: bool(i.followups))

    texts = [each.content for each in await people.read("general")]
    assert texts == ["hm", "and so on"]
    assert done.response == 5
    assert not done.deferred
    assert bot.is_ready()


async def test_three_seconds_without_an_answer_are_a_failure(
    bot: Bot, people: DiscordControl
) -> None:
    await people.set(ack_seconds=0.2)
    asked = await people.invoke("late")
    done = await people.wait_interaction(asked.id)
    await asyncio.sleep(0.3)

    assert done.failed
    assert (await people.interaction(asked.id)).response is None
    assert (await people.counts()).interactions_failed == 1
    assert bot.is_ready()


async def test_a_button_changes_its_message(bot: Bot, people: DiscordControl) -> None:
    asked = await people.invoke("ask")
    shown = await people.wait_interaction(asked.id)
    assert shown.original is not None

    pressed = await people.press(shown.original, "go", author="Freya")
    await people.wait_interaction(pressed.id)

    message = await people.message(shown.original)
    assert (message.content, message.components) == ("gone", ())
    with pytest.raises(ControlError, match="has no component 'go'"):
        await people.press(shown.original, "go")
    assert bot.is_ready()


async def test_autocomplete_offers_choices(bot: Bot, people: DiscordControl) -> None:
    asked = await people.invoke("echo", type="autocomplete", options={"text": "ab"}, focused="text")
    done = await people.wait_interaction(asked.id)

    assert done.offered == {"choices": ({"name": "abab", "value": "ab"},)}
    assert bot.is_ready()


async def test_a_sync_keeps_the_ids_of_commands_that_stay(
    bot: Bot, people: DiscordControl, server: DiscordServer
) -> None:
    before = {each["name"]: (each["id"], each["version"]) for each in server.state.commands[None]}
    await bot.tree.sync()

    after = {each["name"]: (each["id"], each["version"]) for each in server.state.commands[None]}
    assert after == before
    assert (await people.counts()).commands_synced == 2


async def test_the_response_says_who_used_which_command(bot: Bot, people: DiscordControl) -> None:
    asked = await people.invoke("echo", author="Dara", options={"text": "ahoy"})
    done = await people.wait_interaction(asked.id)
    assert done.original is not None

    channel = bot.get_partial_messageable(int(done.channel_id))
    message = await channel.fetch_message(int(done.original))

    assert message.type is discord.MessageType.chat_input_command
    assert message.interaction_metadata is not None
    assert message.interaction_metadata.id == int(asked.id)
    assert message.interaction_metadata.user.display_name == "Dara"


async def test_a_subcommand_is_used_by_both_names(bot: Bot, people: DiscordControl) -> None:
    asked = await people.invoke("bird show", options={"name": "heron"})
    done = await people.wait_interaction(asked.id)

    assert done.original is not None
    assert (await people.message(done.original)).content == "bird: heron"
    assert bot.is_ready()


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("bird", {}, "needs one of its subcommands"),
        ("bird hide", {}, "no subcommand 'hide'"),
        ("bird show", {}, "'name' is required"),
        ("bird show", {"name": "x" * 11}, "'name' takes 10 characters"),
        ("bird show", {"nme": "x"}, "unknown options {'nme'}"),
        ("bird show", {"name": 5}, "'name' is of another type than 5"),
    ],
)
async def test_what_discords_client_does_not_send_is_refused(
    bot: Bot, people: DiscordControl, name: str, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ControlError, match=sentence):
        await people.invoke(name, options=options)
    assert bot.is_ready()


async def test_a_command_is_offered_where_and_to_whom_its_definition_says(
    bot: Bot, people: DiscordControl
) -> None:
    with pytest.raises(ControlError, match="not offered to Bram"):
        await people.invoke("manage", author="Bram")
    with pytest.raises(ControlError, match="not offered there"):
        await people.invoke("manage", "dm", author="Ada")

    await people.add_role("Keepers", ["Bram"], manages=True)
    for name in ("Ada", "Bram"):  # the server's owner, and the role's new member
        await people.wait_interaction((await people.invoke("manage", author=name)).id)
    assert bot.is_ready()


async def test_a_category_and_roles_are_seen_by_the_library(
    bot: Bot, people: DiscordControl
) -> None:
    await people.add_role("Pilots", ["Dara"])
    made = await people.add_channel("runway", category="Airport")
    heard: asyncio.Future[discord.Message] = asyncio.get_running_loop().create_future()

    async def hear(message: discord.Message) -> None:
        if not heard.done():
            heard.set_result(message)

    bot.on_message = hear  # type: ignore[method-assign]  # the library looks it up by name
    await people.say("runway", "cleared for take-off", author="Dara")
    message = await asyncio.wait_for(heard, 5)

    assert isinstance(message.channel, discord.TextChannel)
    assert message.channel.id == int(made.id)
    assert message.channel.category is not None
    assert message.channel.category.name == "Airport"
    assert isinstance(message.author, discord.Member)
    assert [role.name for role in message.author.roles] == ["@everyone", "Pilots"]
