"""Objects for the tests of this folder: those of the repository, small."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.loop.image_controllers.model import REQUESTED_AT, Outcome, Subject

Json = dict[str, Any]
NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
IMAGE = "registry.invalid:5000/discordskybot"
DIGEST = f"sha256:{'ab' * 32}"


def repository(**spec: Any) -> Json:
    """Return an ImageRepository."""
    return _object("ImageRepository", {"image": IMAGE, "interval": "1s", "insecure": True, **spec})


def policy(**spec: Any) -> Json:
    """Return an ImagePolicy with the repository's tag pattern."""
    return _object(
        "ImagePolicy",
        {
            "imageRepositoryRef": {"name": "discord-sky"},
            "filterTags": {"pattern": "^main-(?P<n>[0-9]+)-[0-9a-f]{7}$", "extract": "$n"},
            "policy": {"numerical": {"order": "asc"}},
            "digestReflectionPolicy": "IfNotPresent",
            **spec,
        },
    )


def automation(**spec: Any) -> Json:
    """Return an ImageUpdateAutomation."""
    author = {"name": "Automation", "email": "automation@example.invalid"}
    template = "Deploy{{ range .Changed.Changes }} {{ .NewValue }}{{ end }}"
    return _object(
        "ImageUpdateAutomation",
        {
            "interval": "24h",
            "sourceRef": {"kind": "GitRepository", "name": "discord-sky"},
            "git": {"commit": {"author": author, "messageTemplate": template}},
            "update": {"strategy": "Setters", "path": "./apps"},
            **spec,
        },
    )


def source(url: str, **spec: Any) -> Json:
    """Return a GitRepository."""
    return _object(
        "GitRepository", {"url": url, "ref": {"branch": "main"}, "interval": "1s", **spec}
    )


def asked(obj: Json, token: str) -> Json:
    """Return the object with a person's request on it."""
    copy: Json = json.loads(json.dumps(obj))
    copy["metadata"]["annotations"] = {REQUESTED_AT: token}
    return copy


def after(obj: Json, outcome: Outcome) -> Json:
    """Return the object with the status that a run gave it."""
    return {**obj, "status": outcome.status}


def subject(obj: Json, now: datetime = NOW) -> Subject:
    """Return the object at a moment."""
    return Subject(obj, now)


def ready(outcome: Outcome) -> tuple[str, str]:
    """Return status and reason of the condition Ready."""
    one = next(one for one in outcome.status["conditions"] if one["type"] == "Ready")
    return one["status"], one["reason"]


def types(outcome: Outcome) -> set[str]:
    """Return the names of the conditions."""
    return {one["type"] for one in outcome.status["conditions"]}


def _object(kind: str, spec: Json) -> Json:
    meta = {"namespace": "flux-system", "name": "discord-sky", "generation": 3, "uid": "u"}
    return {"kind": kind, "metadata": meta, "spec": spec}
