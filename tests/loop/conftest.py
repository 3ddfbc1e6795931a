from collections.abc import Sequence

import pytest

from tests.loop.fixtures import api, loop, loop_was_up

__all__ = ["api", "loop", "loop_was_up"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take the loop down behind all that want it up."""

    def takes_it_down(item: pytest.Item) -> bool:
        names: Sequence[str] = getattr(item, "fixturenames", ())
        return "no_loop" in names

    items.sort(key=takes_it_down)  # the order among the others stays
