"""Payloads of Discord's made odd: fields removed, null, of another type, or unknown. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

OTHERS: tuple[Any, ...] = (
    "",
    "odd",
    "9" * 40,
    "\u0000",
    0,
    -1,
    9999,
    1.5,
    10**30,
    True,
    False,
    [],
    [None],
    [[]],
    {},
    {"id": None},
)
_MOST = 3  # changes in one payload


def mutated(rng: Random, payload: Any) -> Any:
    """Return a copy of `payload` with one to three changes."""
    changed = copy.deepcopy(payload)
    for _ in range(rng.randint(1, _MOST)):
        places = list(_places(changed))
        if not places:
            return changed
        _change(rng, *rng.choice(places))
    return changed


def _places(thing: Any) -> Iterator[tuple[Any, Any]]:
    """Every container below `thing`, with each of its keys."""
    keys = (
        thing if isinstance(thing, dict) else range(len(thing)) if isinstance(thing, list) else ()
    )
    for key in keys:
        yield thing, key
        yield from _places(thing[key])


def _change(rng: Random, container: Any, key: Any) -> None:
    match rng.randrange(4):
        case 0:
            del container[key]
        case 1:
            container[key] = None
        case 2:
            container[key] = copy.deepcopy(rng.choice(OTHERS))
        case _ if isinstance(container, dict):
            container[f"unknown_{rng.randrange(100)}"] = copy.deepcopy(rng.choice(OTHERS))
        case _:
            container.append(copy.deepcopy(rng.choice(OTHERS)))
