"""Who may call the bot, and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.messages import Author, Location
from bot.settings.schema import AccessSettings
from bot.triggers.access_policy import AccessPolicy, Denial

ADA = Author(1, "Ada", roles=("70", "pilots"))
GUEST = Author(2, "Guest", roles=())
HIDDEN = Author(1, "Ada")  # as REST and direct messages tell of her: without roles
PARROT = Author(9, "Parrot", bot=True)
THREAD = Location(("5", "harbour"), ("11", "kites", "10", "help"), ("20", "talk"))
ELSEWHERE = Location(("6", "meadow"), ("30", "help"), ())


@pytest.mark.parametrize(
    ("access", "author", "place", "denial"),
    [
        ({}, ADA, THREAD, None),
        ({"allow_servers": ["Harbour"]}, ADA, THREAD, None),
        ({"allow_servers": [5]}, ADA, ELSEWHERE, "place"),
        ({"block_servers": ["meadow"]}, ADA, ELSEWHERE, "place"),
        ({"allow_channels": ["#Help"]}, ADA, THREAD, None),  # a thread is as its channel
        ({"allow_channels": ["kites"]}, ADA, THREAD, None),
        ({"allow_channels": ["kites"]}, ADA, ELSEWHERE, "place"),
        ({"block_channels": [10]}, ADA, THREAD, "place"),
        ({"allow_channels": ["help"], "block_channels": [11]}, ADA, THREAD, "place"),
        ({"allow_categories": ["talk"]}, ADA, THREAD, None),
        ({"allow_categories": ["talk"]}, ADA, ELSEWHERE, "place"),
        ({"allow_categories": ["work"], "allow_channels": [11]}, ADA, THREAD, None),
        ({"block_categories": ["talk"], "allow_channels": [11]}, ADA, THREAD, "place"),
        ({"allow_roles": ["Pilots"]}, ADA, THREAD, None),
        ({"allow_roles": ["pilots"]}, GUEST, THREAD, "person"),
        ({"allow_roles": ["pilots"], "allow_users": [2]}, GUEST, THREAD, None),
        ({"allow_roles": ["pilots"]}, HIDDEN, THREAD, "person"),
        ({"block_roles": [70]}, ADA, THREAD, "person"),
        ({"block_roles": [70]}, GUEST, THREAD, None),
        ({"block_roles": [70]}, HIDDEN, THREAD, "person"),  # unknown is not none
        ({"block_users": [1], "allow_users": [1]}, ADA, THREAD, "person"),
        ({"allow_users": [2]}, ADA, THREAD, "person"),
        ({}, PARROT, THREAD, "bot"),
        ({"allow_bots": [9], "allow_users": [1]}, PARROT, THREAD, None),
        ({"allow_bots": [9], "block_channels": ["help"]}, PARROT, THREAD, "place"),
    ],
)
def test_a_block_wins_and_an_empty_list_allows(
    access: dict[str, list[str | int]], author: Author, place: Location, denial: Denial | None
) -> None:
    lists = AccessPolicy(AccessSettings.model_validate(access))

    assert lists.denies(author, place, direct=False) == denial


@pytest.mark.parametrize(
    ("access", "denial"),
    [
        ({"allow_channels": ["help"], "block_servers": [5]}, None),
        ({"direct_messages": False}, "direct_messages"),
        ({"allow_roles": ["pilots"]}, "person"),
        ({"allow_roles": ["pilots"], "allow_users": [1]}, None),
        ({"block_users": [1]}, "person"),
    ],
)
def test_a_direct_message_is_no_way_around_the_lists_of_people(
    access: dict[str, object], denial: Denial | None
) -> None:
    lists = AccessPolicy(AccessSettings.model_validate(access))

    assert lists.denies(HIDDEN, Location(), direct=True) == denial


_NAMES = st.lists(
    st.sampled_from(["5", "6", "harbour", "10", "11", "help", "20", "70"]), max_size=3
)


@given(st.sampled_from(["servers", "categories", "channels"]), _NAMES, _NAMES, st.booleans())
def test_adding_a_block_never_lets_anybody_in(
    kind: str,
    allowed: list[str],
    blocked: list[str],
    direct: bool,  # noqa: FBT001  # hypothesis gives it
) -> None:
    lists = {f"allow_{kind}": allowed}
    before = AccessPolicy(AccessSettings.model_validate(lists)).denies(ADA, THREAD, direct=direct)

    after = AccessPolicy(AccessSettings.model_validate({**lists, f"block_{kind}": blocked}))

    if before is not None:
        assert after.denies(ADA, THREAD, direct=direct) == before
    if not direct and set(blocked) & {*THREAD.servers} and kind == "servers":
        assert after.denies(ADA, THREAD, direct=direct) == "place"
