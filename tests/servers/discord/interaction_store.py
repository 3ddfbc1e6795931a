"""Interactions in progress: their tokens, deadlines and first responses.

An interaction must be acknowledged within 3 s; its token then lives for 15 minutes.
https://discord.com/developers/docs/interactions/receiving-and-responding
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.servers.discord import errors
from tests.servers.discord.errors import ApiError, Json

KEPT: Final = 5000
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
TYPES: Final = {"command": 2, "component": 3, "autocomplete": 4, "modal": 5}


@dataclass(slots=True)
class Interaction:
    """One press of a button or one command."""

    id: int
    kind: int
    user_id: int
    channel_id: int
    data: Json
    born: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    message_id: int | None = None  # the message that holds the component
    response: int | None = None  # the callback's type
    acknowledged_after: float | None = None
    failed: bool = False
    original: int | None = None
    deferred: bool = False
    followups: list[int] = field(default_factory=list)
    offered: Any = None  # autocomplete's choices or the modal

    def report(self) -> Json:
        """Return the report for the control API."""
        return {
            "id": str(self.id),
            "user_id": str(self.user_id),
            "channel_id": str(self.channel_id),
            "response": self.response,
            "acknowledged_after": self.acknowledged_after,
            "failed": self.failed,
            "original": str(self.original) if self.original else None,
            "deferred": self.deferred,
            "followups": [str(each) for each in self.followups],
            "offered": self.offered,
        }


class InteractionStore:
    """Stores the newest interactions."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._all: OrderedDict[int, Interaction] = OrderedDict()
        self._by_token: dict[str, Interaction] = {}

    def add(self, interaction: Interaction) -> None:
        """Store one; drop the oldest if there is no room."""
        self._all[interaction.id] = interaction
        self._by_token[interaction.token] = interaction
        if len(self._all) > KEPT:
            _, old = self._all.popitem(last=False)
            del self._by_token[old.token]

    def forget(self) -> None:
        """Forget all of them."""
        self._all.clear()
        self._by_token.clear()

    def get(self, interaction_id: int) -> Interaction:
        """Return any interaction, including late ones, for the control API; 10062 if unknown."""
        if interaction_id not in self._all:
            raise ApiError(*errors.UNKNOWN_INTERACTION)
        return self._all[interaction_id]

    def to_acknowledge(self, interaction_id: int, token: str, within: float) -> Interaction:
        """Return the interaction to acknowledge; 10062 if late, 40060 if already acknowledged."""
        interaction = self._by_token.get(token)
        if interaction is None or interaction.id != interaction_id:
            raise ApiError(*errors.UNKNOWN_INTERACTION)
        if interaction.response is not None:
            raise ApiError(*errors.ALREADY_ACKNOWLEDGED)
        age = self._clock() - interaction.born
        if interaction.failed or age > within:
            raise ApiError(*errors.UNKNOWN_INTERACTION)
        interaction.acknowledged_after = age
        return interaction

    def of_token(self, token: str, within: float) -> Interaction:
        """Return a webhook token's interaction; 10015 if unknown, expired or unacknowledged."""
        interaction = self._by_token.get(token)
        if interaction is None or self._clock() - interaction.born > within:
            raise ApiError(*errors.UNKNOWN_WEBHOOK)
        if interaction.response is None:
            raise ApiError(*errors.UNKNOWN_WEBHOOK)
        return interaction
