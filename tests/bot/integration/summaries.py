"""What people see of a summary, which only they see, and a bot that is set to write some."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.discord.records import Message

from .answers import buttons
from .conftest import _clean
from .environment import Stage
from .environment import stage as set_stage
from .scenario import SECONDS, Scene
from .servers import servers as run_servers

LINK = re.compile(r"https://discord\.com/channels/(\d+)/(\d+)/(\d+)")
COST = re.compile(r"Cost: (?:about )?([\d.,]+) USD")
UNDER_WAY = ("Reading…", "Summarizing")
SETTINGS = {"SKY_SUMMARY__MESSAGES": "2000", "SKY_SUMMARY__BLOCK_CHANNELS": "diary"}


@contextmanager
def summarizing(directory: Path, **settings: str) -> Iterator[Stage]:
    """Set a stage whose bot writes summaries."""
    with (
        run_servers(directory) as both,
        set_stage(both, directory, **{**SETTINGS, **settings}) as started,
    ):
        yield started
        _clean(started)


async def messages(scene: Scene, interaction_id: str) -> list[Message]:
    """Give the messages of a response as they are now."""
    now = await scene.discord.interaction(interaction_id)
    found = [await scene.discord.message(each) for each in (now.original, *now.followups) if each]
    assert all(each.hidden for each in found), "everybody sees a summary"
    return found


def ended(found: list[Message]) -> bool:
    """Say whether a response is no longer under way."""
    text = "\n".join(each.content for each in found)
    whole = "Cost:" in text or not text.startswith("**")
    return bool(text) and not text.startswith(UNDER_WAY) and whole


async def response(
    scene: Scene, interaction_id: str, enough: Callable[[list[Message]], bool] = ended
) -> list[Message]:
    """Wait for the messages of a summary, or for the sentence in its place."""
    found = list[Message]()
    try:
        async with asyncio.timeout(SECONDS), scene.discord.events() as events:
            found = await messages(scene, interaction_id)
            while not enough(found):
                await events.event(lambda e: e.kind in {"edit", "message", "interaction"}, SECONDS)
                found = await messages(scene, interaction_id)
    except TimeoutError:
        shown = [each.content for each in found]
        raise AssertionError(f"the response shows no more than {shown}") from None
    return found


async def summarize(
    scene: Scene, *, by: str = "Ada", where: str | None = None, **options: str | int
) -> str:
    """Use `/summary`; gives all of its text in the end."""
    used = await scene.discord.invoke("summary", where or scene.place, by, options)
    return "\n".join(each.content for each in await response(scene, used.id))


async def from_here(scene: Scene, message_id: str, *, by: str = "Ada") -> str:
    """Use the menu of a message."""
    used = await scene.discord.invoke("Summarize from here", scene.place, by, target=message_id)
    return "\n".join(each.content for each in await response(scene, used.id))


async def confirm(scene: Scene, asked: Message, *, by: str = "Ada") -> str:
    """Press the button below the question what it may cost."""
    pressed = await scene.discord.press(asked.id, buttons(asked)["Summarize"], by)
    return "\n".join(each.content for each in await response(scene, pressed.id))


def links(text: str) -> list[str]:
    """Give the ids of the messages that a text links to."""
    return [found[3] for found in LINK.finditer(text)]


async def transcripts(scene: Scene, word: str) -> list[str]:
    """Give what the model was asked with a word in it."""
    requests = await scene.openai.requests()
    asked = [each.asked.last_user_text for each in requests if each.asked is not None]
    return [text for text in asked if word in text]
