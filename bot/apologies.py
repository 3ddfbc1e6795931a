"""What is said to those who are turned away: a word each, and few at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.answering import Answering
from bot.observability import tasks

if TYPE_CHECKING:
    from bot.answering import Kit
    from bot.call import Call
    from bot.errors import SkyError

_AT_ONCE = 8  # a flood is not answered by a flood


class Apologies:
    """Those that are being said."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.under_way: set[asyncio.Task[None]] = set()

    def say(self, call: Call, error: SkyError) -> None:
        """Begin to tell why a call is not answered, unless too many are told so just now.

        Whoever used a command is told always: Discord waits for a response.
        """
        if len(self.under_way) < _AT_ONCE or call.message.asked is not None:
            sorry = tasks.start(Answering(call, self._kit).apologise(error), "refusal")
            self.under_way.add(sorry)
            sorry.add_done_callback(self.under_way.discard)
