from collections.abc import Sequence

import pytest

from tests.loop.fixtures import api, loop, loop_was_up

__all__ = ["api", "loop", "loop_was_up"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take the loop down last, and before them those that look for leaks.

    A test with a loop of its own takes the common one down, too.
    """

    def place(item: pytest.Item) -> int:
        names: Sequence[str] = getattr(item, "fixturenames", ())
        if "no_loop" in names:
            return 3
        if "own_loop" in names:
            return 2
        return 1 if item.path.name == "test_leaks.py" else 0

    items.sort(key=place)  # the order among the others stays
