from collections.abc import Sequence

import pytest

from tests.loop.fixtures import api, loop, loop_was_up

__all__ = ["api", "loop", "loop_was_up"]

_NEEDED = {"loop", "no_loop", "own_loop"}
# The overlay without Key Vault puts into etcd what test_leaks.py must not find there.
_PLACES = {"test_leaks.py": 1, "test_generic_cluster.py": 2}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take the loop down last, and before them those that look for leaks.

    A test with a loop of its own takes the common one down, too.
    """

    def place(item: pytest.Item) -> int:
        names: Sequence[str] = getattr(item, "fixturenames", ())
        if _NEEDED.intersection(names) and item.get_closest_marker("loop") is None:
            raise pytest.UsageError(f"{item.nodeid} uses the loop without the mark `loop`")
        if "no_loop" in names:
            return 4
        if "own_loop" in names:
            return 3
        return _PLACES.get(item.path.name, 0)

    items.sort(key=place)  # the order among the others stays
