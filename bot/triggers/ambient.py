"""Ambient replies (joining in unprompted), and the cap on consecutive replies to other bots.

The bot joins in by chance, in the channels that the settings name, and not soon after it spoke
there. It answers another bot a few times, and then not until a person has written something;
otherwise two bots might answer each other forever.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from bot.domain.bounded import BoundedDict
from bot.triggers.match import Ignored, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.messages import Message
    from bot.settings.schema import AccessSettings, AmbientSettings


_CHANNELS = 5000  # remembered of each kind; the oldest are forgotten
_WORDS = 2  # a message of fewer is nothing to join in on


class AmbientPolicy:
    """What the bot remembers of the channels it speaks in."""

    def __init__(
        self,
        access: AccessSettings,
        ambient: AmbientSettings,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = access.bots_in_a_row
        self._ambient = ambient
        self._chance = chance
        self._clock = clock
        self._bots: BoundedDict[int, int] = BoundedDict(_CHANNELS)
        self._spoke: BoundedDict[int, float] = BoundedDict(_CHANNELS)

    def judge(
        self, message: Message, decision: Trigger | Ignored, *, late: bool = False
    ) -> Trigger | Ignored:
        """Return the final decision. `late`: the message comes from a backfill.

        Call this once for each message, in the order in which they arrive.
        """
        place = message.channel_id
        if not message.author.bot:
            self._bots.pop(place, None)
        elif isinstance(decision, Trigger):
            answered = self._bots.get(place, 0)
            if answered >= self._most:
                return Ignored("bots_in_a_row")
            self._bots[place] = answered + 1
        if decision == Ignored("not_called") and not late and self._joins_in(message):
            decision = Trigger("ambient", message.text)
        if isinstance(decision, Trigger) and self._ambient.channels:
            self._spoke[place] = self._clock()
        return decision

    def _joins_in(self, message: Message) -> bool:
        chances = self._ambient.channels
        if not chances or message.author.bot or len(message.text.split()) < _WORDS:
            return False
        named = next((each for each in message.place.channels if each in chances), None)
        if named is None:
            return False
        since = self._clock() - self._spoke.get(message.channel_id, float("-inf"))
        return since >= self._ambient.quiet_seconds and self._chance() < chances[named]
