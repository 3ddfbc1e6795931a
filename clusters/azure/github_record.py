"""Which set-up a repository belongs to, and what that set-up made there: one variable says both.

Variables and environments of GitHub carry no tags, and a repository has one image workflow and one
rollback guard: so it serves one set-up, which the variable names by its name and subscription.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusters.azure import deploy_keys
from clusters.azure.command import gh
from clusters.azure.errors import Stop

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

# It is written first: a run that was stopped in between has listed more than there is, never less.
RECORD = "DISCORD_SKY_SETUP"
REPO = "--repo $GITHUB_REPOSITORY"
_SETUP = "$NAME@$AZURE_SUBSCRIPTION_ID"
_KEY_TITLE = re.compile(r"(.+): (?:image automation|rollback guard)")


@dataclass(frozen=True, slots=True)
class Ownership:
    """What the variable says: `owner` is NAME@SUBSCRIPTION, or "" where nobody wrote one."""

    owner: str = ""
    made: frozenset[str] = frozenset()
    mine: bool = True  # nobody's, or this set-up's


def variables(desk: Desk) -> dict[str, str]:
    """Read the repository's variables."""
    found = desk.ask(gh(f"variable list {REPO} --json name,value")) or ()
    return {one["name"]: one["value"] for one in found}


def ownership(desk: Desk, known: Mapping[str, str] | None = None) -> Ownership:
    """Read whose the repository is, from its variables."""
    known = variables(desk) if known is None else known
    words = known.get(RECORD, "").split()
    owner = words[0] if words and "@" in words[0] else ""
    made = frozenset(words[1:] if owner else words)
    if owner or not made:
        return Ownership(owner, made, mine=owner in {"", _setup(desk)})
    # Written before the variable named its set-up: the other things that it made tell.
    subscription = known.get("AZURE_SUBSCRIPTION_ID", desk.values["AZURE_SUBSCRIPTION_ID"])
    titles = (_KEY_TITLE.fullmatch(key["title"]) for key in deploy_keys.listed(desk))
    names = {title[1] for title in titles if title}
    others = names and desk.values["NAME"] not in names
    mine = subscription == desk.values["AZURE_SUBSCRIPTION_ID"] and not others
    name = desk.values["NAME"] if mine else next(iter(sorted(names)), desk.values["NAME"])
    return Ownership(f"{name}@{subscription}", made, mine=mine)


def made_here(desk: Desk, known: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return what this set-up made on GitHub; nothing where the repository is another's."""
    seen = ownership(desk, known)
    return seen.made if seen.mine else frozenset()


def refuse_another(desk: Desk) -> None:
    """Raise Stop if the repository belongs to another set-up."""
    seen = ownership(desk)
    if seen.mine or desk.dry:
        return
    name, subscription = seen.owner.split("@", 1)
    where = f"--name {name}"
    if subscription != desk.values["AZURE_SUBSCRIPTION_ID"]:
        where += f" --subscription {subscription}"
    raise Stop(
        f"{desk.values['GITHUB_REPOSITORY']} already belongs to the set-up {name} in the "
        f"subscription {subscription}. A repository has one image workflow and one rollback guard, "
        "so it serves one set-up.\n"
        "For a second bot, fork or copy the repository, and run this in its clone.\n"
        f"To go on with the first:         make azure ARGS='{where}'\n"
        f"To replace it, remove it first:  make azure-teardown ARGS='{where}'"
    )


def _setup(desk: Desk) -> str:
    return desk.filled(_SETUP)


def claim(desk: Desk, more: frozenset[str] | set[str] = frozenset()) -> None:
    """Write down, before it is made, that this set-up makes MORE in this repository."""
    known = variables(desk)
    seen = ownership(desk, known)
    written = bool(desk.noted) if desk.dry else known.get(RECORD, "").startswith(_setup(desk))
    if written and more <= (desk.noted if desk.dry else seen.made):
        return
    desk.remark("whose the repository is and what set-up made in it; the list grows by the step:")
    desk.noted |= seen.made | more
    body = " ".join((_setup(desk), *sorted(desk.noted)))
    desk.run(gh(f"variable set {RECORD} {REPO} --body '{body}'"))
