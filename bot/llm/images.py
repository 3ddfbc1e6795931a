"""A picture from the Images API, for the providers of Chat Completions, whose models draw none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot import tokens
from bot.errors import ModelDown, ToolMissing
from bot.llm.hosted_tools import picture
from bot.llm.provider_errors import part
from bot.usage import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from bot.ask import Ask
    from bot.llm.hosted_tools import Hearer
    from bot.settings.schema import OpenAI

_LONGEST = 4000  # characters that every model takes


async def draw(client: AsyncOpenAI, key: str, ask: Ask, settings: OpenAI, hearer: Hearer) -> Usage:
    """Have what was asked for last drawn; raises the library's errors and ModelDown."""
    from openai import NotFoundError  # noqa: PLC0415  # loaded late, see model.py

    words = ask.turns[-1].text.partition("): ")[2] or ask.turns[-1].text
    options: Any = {
        "headers": {"Authorization": f"Bearer {key}"},
        "timeout": settings.picture_seconds,
    }
    body = {"model": settings.image_model, "prompt": words[:_LONGEST], "n": 1}
    try:
        answer = await client.post(
            "/images/generations", body=body, options=options, cast_to=object
        )
    except NotFoundError as error:  # the provider has no such thing, or not that model
        missing = ToolMissing("no images API, or no such model")
        missing.unbilled = True
        raise missing from error
    drawn = part((part(answer, "data") or [{}])[0], "b64_json")
    if not drawn:
        raise ModelDown("no picture came of it")
    hearer.show(picture(drawn, part(answer, "output_format")))
    # Counted as one picture, at budget.image, and its prompt; its own tokens are in that price.
    return Usage(ask.model or settings.model, input=tokens.likely(words[:_LONGEST]), images=1)
