"""The variables that the image workflow reads (.github/scripts/README.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusters.azure.command import gh
from clusters.azure.github_record import (
    RECORD,
    REPO,
    claim,
    made_here,
    ownership,
    variables,
)
from clusters.azure.step import Found, Step

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

# Each with the value that it gets.
VARIABLES = {
    "ACR_LOGIN_SERVER": "ACR_LOGIN_SERVER",
    "AZURE_CLIENT_ID": "CI_CLIENT_ID",
    "AZURE_SUBSCRIPTION_ID": "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID": "AZURE_TENANT_ID",
}


def _look_at_variables(desk: Desk) -> Found:
    known = variables(desk)
    made = made_here(desk, known)
    wanted = {name: desk.filled(f"${value}") for name, value in VARIABLES.items()}
    problems = tuple(
        f"The repository's variable {name} says {known[name]} and has to say {wanted[name]}; if "
        f"nothing else needs it: {desk.filled(f'gh variable delete {name} {REPO}')}"
        for name in wanted
        if name in known and name not in made and known[name] != wanted[name]
    )
    there = all(known.get(name) == value for name, value in wanted.items())
    ours = RECORD in known and ownership(desk, known).mine
    return Found(there=there, ours=ours, problems=problems)


def _set_variables(desk: Desk) -> None:
    known = variables(desk)
    wanted = {name: desk.filled(f"${value}") for name, value in VARIABLES.items()}
    missing = [name for name in wanted if known.get(name) != wanted[name]]
    claim(desk, set(missing))
    for name in missing:
        desk.run(gh(f"variable set {name} {REPO} --body {wanted[name]}"))


def _remove_variables(desk: Desk) -> None:
    known = variables(desk)
    ours = VARIABLES if desk.dry else [name for name in VARIABLES if name in made_here(desk, known)]
    for name in ours:
        if desk.dry or name in known:
            desk.run(gh(f"variable delete {name} {REPO}"))
    desk.run(gh(f"variable delete {RECORD} {REPO}"))


WORKFLOW_VARIABLES = Step(
    name="variables",
    about="what the image workflow needs to know; no secret among them",
    look=_look_at_variables,
    make=_set_variables,
    undo=_remove_variables,
    place="github",
)
