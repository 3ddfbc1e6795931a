"""What wakes what, and that nothing else does."""

from typing import Any

import pytest

from tests.loop.image_controllers.model import Key
from tests.loop.image_controllers.wakeups import woken

Json = dict[str, Any]


def obj(name: str = "one", generation: int = 1, asked: str | None = None, **rest: Any) -> Json:
    annotations = {"reconcile.fluxcd.io/requestedAt": asked} if asked else {}
    meta = {"namespace": "ns", "name": name, "generation": generation, "annotations": annotations}
    return {"metadata": meta, **rest}


def scanned(revision: str) -> Json:
    return obj(status={"lastScanResult": {"revision": revision}})


def latest(tag: str) -> Json:
    return obj(status={"latestRef": {"name": "x", "tag": tag}})


POLICY = obj("policy", spec={"imageRepositoryRef": {"name": "one"}})
OTHER = obj("other", spec={"imageRepositoryRef": {"name": "two"}})
AUTOMATION = obj("automation", spec={"sourceRef": {"name": "one"}})
ELSEWHERE = obj("elsewhere", spec={"sourceRef": {"name": "two"}})
KNOWN = {
    "ImagePolicy": {Key("ns", one["metadata"]["name"]): one for one in (POLICY, OTHER)},
    "ImageUpdateAutomation": {
        Key("ns", one["metadata"]["name"]): one for one in (AUTOMATION, ELSEWHERE)
    },
    "ImageRepository": {},
    "GitRepository": {},
}
BOTH = {"ImageUpdateAutomation automation", "ImageUpdateAutomation elsewhere"}


def names(kind: str, old: Json | None, new: Json | None) -> set[str]:
    return {f"{wake.kind} {wake.key.name}" for wake in woken(kind, old, new, KNOWN)}


@pytest.mark.parametrize("kind", ["ImageRepository", "ImagePolicy", "ImageUpdateAutomation"])
@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        (None, obj(), True),
        (obj(), None, True),
        (obj(generation=1), obj(generation=2), True),
        (obj(), {"metadata": {**obj()["metadata"], "uid": "another"}}, True),
        (obj(), obj(asked="now"), True),
        (obj(asked="now"), obj(asked="later"), True),
        (obj(asked="now"), obj(asked="now"), False),
        (obj(asked="now"), obj(), False),
        (obj(), obj(status={"conditions": []}), False),
    ],
)
def test_an_object_wakes_by_its_spec_and_by_request(
    kind: str,
    old: Json | None,
    new: Json | None,
    wakes: bool,  # noqa: FBT001 - a table
) -> None:
    assert (f"{kind} one" in names(kind, old, new)) is wakes


@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        (None, scanned("1"), True),
        (scanned("1"), None, True),
        (obj(), scanned("1"), True),
        (scanned("1"), scanned("2"), True),
        (scanned("1"), scanned("1"), False),
        (obj(generation=1), obj(generation=2), False),
    ],
)
def test_a_policy_wakes_when_the_scanned_tags_are_others(
    old: Json | None,
    new: Json | None,
    wakes: bool,  # noqa: FBT001 - a table
) -> None:
    found = names("ImageRepository", old, new) - {"ImageRepository one"}

    assert found == ({"ImagePolicy policy"} if wakes else set())


@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        (latest("1"), latest("2"), True),
        (obj(), latest("1"), True),
        (latest("1"), latest("1"), False),
        (None, latest("1"), False),
        (latest("1"), None, False),
        (latest("1"), obj(), False),
    ],
)
def test_automations_wake_when_a_policy_of_their_namespace_has_another_latest_image(
    old: Json | None,
    new: Json | None,
    wakes: bool,  # noqa: FBT001 - a table
) -> None:
    assert names("ImagePolicy", old, new) - {"ImagePolicy one"} == (BOTH if wakes else set())


def test_a_new_git_revision_wakes_nobody() -> None:
    """Measured with Flux: this is why a reverted tag stays until something else wakes it."""
    before = obj(status={"artifact": {"revision": "main@sha1:1"}})
    after = obj(status={"artifact": {"revision": "main@sha1:2"}})

    assert names("GitRepository", before, after) == set()
    assert names("GitRepository", None, after) == set()
    assert names("GitRepository", obj(), obj(asked="now")) == set()


def test_a_git_repository_s_spec_wakes_the_automations_that_use_it() -> None:
    found = names("GitRepository", obj(generation=1), obj(generation=2))

    assert found == {"ImageUpdateAutomation automation"}
