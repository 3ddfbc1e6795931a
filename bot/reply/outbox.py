"""Where answers go: what discord/channels.py does with Discord, and tests do without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bot.messages import Message, Post


class Outbox(Protocol):
    """Where answers go. All methods raise Unsaid if Discord does not take it."""

    async def send(self, to: Message, post: Post, nonce: str, channel_id: int) -> int:
        """Reply to `to`, mentioning nobody; returns the new message's id.

        In another channel than that of `to` it is a message by itself.
        """

    async def edit(
        self, channel_id: int, message_id: int, post: Post, was: Post | None, *, patient: bool
    ) -> None:
        """Change a message that shows `was` (None: who knows); `patient` repeats where it may help.

        Text and buttons are replaced, files as a whole; previews that are gone stay gone.
        """

    async def delete(self, channel_id: int, message_id: int) -> None:
        """Delete one of the bot's messages."""

    async def start_thread(
        self, on: Message, message_id: int, title: str
    ) -> tuple[int, tuple[int, ...]]:
        """Start a thread on one of the bot's messages in the channel of `on`.

        Returns its id, and what an earlier answer left in it, if it was there already.
        """

    async def typing(self, channel_id: int) -> None:
        """Show for ten seconds that an answer is being written."""

    async def react(self, to: Message, emoji: str) -> None:
        """Put a reaction to a message."""

    def may_write(self, to: Message) -> bool:
        """Whether the bot may answer `to` where it was written, as far as it knows."""
