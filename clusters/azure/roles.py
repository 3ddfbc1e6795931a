"""Who may do what on which one thing, and which tokens an identity accepts as its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from clusters.azure.command import az
from clusters.azure.step import ABSENT, Found, Step

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

_AUDIENCE = "api://AzureADTokenExchange"


def role(
    about: str, title: str, principal: str, scope: str, *, kind: str = "ServicePrincipal"
) -> Step:
    """Make the step that gives PRINCIPAL the role TITLE on SCOPE; both are names of values.

    An assignment has no tag. Its name, a GUID, is made from what it says: so a set-up knows its
    own among others, on any machine.
    """

    def assignment(desk: Desk) -> Any:
        listed = desk.ask(az(f"role assignment list --scope ${scope} --fill-principal-name false"))
        return next(
            (
                one
                for one in listed or ()
                if one["principalId"] == desk.values.get(principal)
                and one["roleDefinitionName"] == title
            ),
            None,
        )

    def look(desk: Desk) -> Found:
        if not desk.dry and not (desk.values.get(principal) and desk.values.get(scope)):
            return ABSENT  # teardown: one of the two is gone, and the assignment with it
        one = assignment(desk)
        return Found(there=one is not None, ours=one is not None and one["name"] == name(desk))

    def name(desk: Desk) -> str:
        words = f"{desk.values[scope]}|{desk.values[principal]}|{title}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, words))

    def make(desk: Desk) -> None:
        named = {} if desk.dry else {"ROLE_ASSIGNMENT_NAME": name(desk)}
        desk.run(
            az(
                f'role assignment create --name $ROLE_ASSIGNMENT_NAME --role "{title}" '
                f"--assignee-object-id ${principal} --assignee-principal-type {kind} "
                f"--scope ${scope}"
            ),
            **named,
        )

    def undo(desk: Desk) -> None:
        one = assignment(desk)
        found = {"ROLE_ASSIGNMENT_ID": one["id"]} if one else {}
        desk.run(az("role assignment delete --ids $ROLE_ASSIGNMENT_ID"), **found)

    return Step(f"role: {about}", f"the role {title}", look, make, undo)


def federated(name: str, issuer: str, subject: str) -> Step:
    """Make the step by which the identity NAME accepts tokens of ISSUER for SUBJECT."""
    names = f"--name setup --identity-name $NAME-{name} --resource-group $RESOURCE_GROUP"

    def look(desk: Desk) -> Found:
        seen = desk.ask(az(f"identity federated-credential show {names}"))
        if seen is None:
            return ABSENT
        wanted = [desk.filled(issuer), desk.filled(subject), [_AUDIENCE]]
        # One that names another cluster or repository is written over.
        return Found(there=[seen["issuer"], seen["subject"], seen["audiences"]] == wanted)

    return Step(
        name=f"trust: {name}",
        about=f"tokens of {subject} count as the {name} identity",
        look=look,
        make=(
            az(
                f"identity federated-credential create {names} --issuer {issuer} "
                f"--subject {subject} --audiences {_AUDIENCE}"
            ),
        ),
        undo=(),  # it goes with its identity
    )
