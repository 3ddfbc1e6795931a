"""Who may call the bot, and where: the lists of the settings against a person and a place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.messages import Author, Location
    from bot.settings.schema import AccessSettings


Denial = Literal["bot", "place", "person", "direct_messages"]


class AccessPolicy:
    """The allow and block lists. A block wins; an empty allow list allows everybody."""

    def __init__(self, access: AccessSettings) -> None:
        self._blocked_places = (
            frozenset(access.block_servers),
            frozenset(access.block_categories),
            frozenset(access.block_channels),
        )
        self._servers = frozenset(access.allow_servers)
        self._categories = frozenset(access.allow_categories)
        self._channels = frozenset(access.allow_channels)
        self._blocked_people = frozenset(access.block_users)
        self._blocked_roles = frozenset(access.block_roles)
        self._people = frozenset(access.allow_users)
        self._roles = frozenset(access.allow_roles)
        self._bots = frozenset(access.allow_bots)
        self._direct = access.direct_messages

    @property
    def ask_for_roles(self) -> bool:
        """Whether a person's roles matter, so that they have to be looked up where missing."""
        return bool(self._roles or self._blocked_roles)

    def denies(self, author: Author, place: Location, *, direct: bool) -> Denial | None:
        """Return why `author` may not call the bot in `place`; None if they may."""
        if author.bot and str(author.id) not in self._bots:
            return "bot"
        if direct:
            if not self._direct:
                return "direct_messages"
        elif self._bars_place(place):
            return "place"
        return "person" if self._bars_person(author, direct=direct) else None

    def _bars_place(self, place: Location) -> bool:
        servers, categories, channels = self._blocked_places
        if (
            _meet(servers, place.servers)
            or _meet(categories, place.categories)
            or _meet(channels, place.channels)
            or (self._servers and not _meet(self._servers, place.servers))
        ):
            return True
        if not self._channels and not self._categories:
            return False
        named = _meet(self._channels, place.channels)
        return not named and not _meet(self._categories, place.categories)

    def _bars_person(self, author: Author, *, direct: bool) -> bool:
        """Judge by id and roles. In a direct message nobody has roles.

        Elsewhere somebody whose roles are unknown may have a blocked one, and is barred. A bot is
        on a list of its own, which is why the lists of people do not ask about it.
        """
        if author.bot:
            return False
        person, roles = str(author.id), author.roles or ()
        if person in self._blocked_people or _meet(self._blocked_roles, roles):
            return True
        if author.roles is None and not direct and self._blocked_roles:
            return True
        if not self._people and not self._roles:
            return False
        return person not in self._people and not _meet(self._roles, roles)


def _meet(listed: frozenset[str], names: Iterable[str]) -> bool:
    return bool(listed) and not listed.isdisjoint(names)
