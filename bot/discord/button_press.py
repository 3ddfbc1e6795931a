"""A press of a button as Discord reports it, and the response to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from bot.commands import buttons
from bot.commands.presses import Press
from bot.discord import values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.commands.presses import Presses, Response

log = logging.getLogger(__name__)

_TAKEN, _LATE = 40060, 10062  # another pod responded; the three seconds are over


def read(interaction: discord.Interaction, me: int) -> Press | None:
    """Read a press of one of an answer's buttons; None if it is something else."""
    if interaction.type is not discord.InteractionType.component or interaction.message is None:
        return None
    data: Mapping[str, Any] = interaction.data or {}
    mark = buttons.read(str(data.get("custom_id", "")))
    if mark is None:
        return None
    return Press(
        interaction.id,
        mark,
        values.author(interaction.user),
        interaction.message.id,
        me,
        interaction.guild_id,
        values.place(interaction.channel, interaction.guild),
    )


async def respond(interaction: discord.Interaction, press: Press, presses: Presses) -> None:
    """Do what the button says and tell Discord."""
    outcome = "failed"

    async def acknowledge() -> None:
        await interaction.response.defer()

    response: Response | None = None
    try:
        response = await presses.pressed(press, acknowledge)
        await _tell(interaction, response)
    except discord.HTTPException as error:
        outcome = {_TAKEN: "elsewhere", _LATE: "late"}.get(error.code, outcome)
        if outcome != "elsewhere":
            log.warning("press not answered", extra={"code": error.code})
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("press not answered", extra={"error": type(error).__name__})
    else:
        outcome = response.outcome
    if response is not None and response.then is not None:
        outcome = response.outcome  # it was acknowledged: only its old buttons are still there
        response.then()
    presses.count(press, outcome)


async def _tell(interaction: discord.Interaction, response: Response) -> None:
    acknowledged = interaction.response.is_done()
    if response.clear and acknowledged:
        await interaction.edit_original_response(view=None)
    elif response.clear:
        await interaction.response.edit_message(view=None)
    elif response.sentence and not acknowledged:
        await interaction.response.send_message(response.sentence, ephemeral=True)
        return
    elif not acknowledged:
        await interaction.response.defer()
    if response.sentence:
        await interaction.followup.send(response.sentence, ephemeral=True)
