"""Deploy keys on GitHub, told apart by their titles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusters.azure.command import gh
from clusters.azure.keys import KeyPair, new_pair

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

_KEYS = "repos/$GITHUB_REPOSITORY/keys"


def listed(desk: Desk) -> list[Any]:
    """List this repository's deploy keys."""
    return list(desk.ask(gh(f"api {_KEYS} --paginate")) or ())


def titled(desk: Desk, title: str) -> list[Any]:
    """List this repository's deploy keys of that title."""
    return [key for key in listed(desk) if key["title"] == title]


def exchange(desk: Desk, title: str) -> KeyPair:
    """Remove what has the title and add a new key with write access; returns its two halves.

    Whoever holds the private half of an earlier one can do nothing more with it.
    """
    desk.remark("an earlier key of that title goes first: nobody has its other half any more")
    remove(desk, title)
    pair = new_pair()
    public = {} if desk.dry else {"DEPLOY_KEY": pair.public}
    desk.run(
        gh(f"api --method POST {_KEYS} -f title='{title}' -f key=$DEPLOY_KEY -F read_only=false"),
        **public,
    )
    return pair


def remove(desk: Desk, title: str) -> None:
    """Remove every key of that title."""
    for key in titled(desk, title):
        desk.run(gh(f"api --method DELETE {_KEYS}/$KEY_ID"), KEY_ID=str(key["id"]))
    if desk.dry:
        desk.remark("for each key of that title that is there already:")
        desk.run(gh(f"api --method DELETE {_KEYS}/$KEY_ID"))
