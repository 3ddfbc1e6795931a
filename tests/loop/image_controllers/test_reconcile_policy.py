"""ImagePolicy."""

from typing import Any

import pytest

from tests.loop.image_controllers.builders import (
    DIGEST,
    IMAGE,
    after,
    policy,
    ready,
    repository,
    subject,
    types,
)
from tests.loop.image_controllers.model import Outcome
from tests.loop.image_controllers.reconcile_policy import reconcile
from tests.loop.image_controllers.reconcile_repository import TagStore
from tests.loop.image_controllers.registry import RegistryError, Repository

Json = dict[str, Any]
ORIGIN = {**repository(), "status": {"canonicalImageName": IMAGE}}


class Digests:
    """A registry that knows digests; counts how often it was asked."""

    def __init__(self) -> None:
        self.now = DIGEST
        self.asked = 0
        self.error: RegistryError | None = None

    async def digest(self, repository: Repository, tag: str, within: float) -> str:
        """Answer."""
        assert repository.insecure
        assert tag.startswith("main-")
        assert within >= 1
        self.asked += 1
        if self.error:
            raise self.error
        return self.now


def stored(*numbers: int) -> TagStore:
    tags = TagStore()
    tags.put(IMAGE, sorted((f"main-{n}-abcdef0" for n in numbers), reverse=True))
    return tags


async def run(obj: Json, tags: TagStore, digests: Digests, origin: Json | None = ORIGIN) -> Outcome:
    return await reconcile(subject(obj), origin, digests, tags)


async def test_the_latest_image_with_its_digest() -> None:
    outcome = await run(policy(), stored(1, 9, 10), Digests())

    assert outcome.status["latestRef"] == {
        "name": IMAGE,
        "tag": "main-10-abcdef0",
        "digest": DIGEST,
    }
    assert "observedPreviousRef" not in outcome.status
    assert ready(outcome) == ("True", "Succeeded")
    assert outcome.after is None


async def test_what_was_before_is_kept_and_said() -> None:
    obj, digests = policy(), Digests()
    first = await run(obj, stored(1), digests)

    outcome = await run(after(obj, first), stored(1, 2), digests)

    assert outcome.status["observedPreviousRef"] == first.status["latestRef"]
    message = outcome.status["conditions"][0]["message"]
    assert f"(previously {IMAGE}:main-1-abcdef0@{DIGEST})" in message
    assert outcome.log["was"] == "main-1-abcdef0"


async def test_it_falls_back_when_the_newest_is_excluded() -> None:
    obj, digests = policy(), Digests()
    first = await run(obj, stored(1, 2), digests)

    outcome = await run(after(obj, first), stored(1), digests)

    assert outcome.status["latestRef"]["tag"] == "main-1-abcdef0"


@pytest.mark.parametrize(
    ("reflection", "asked", "digest"),
    [("Never", 0, None), ("IfNotPresent", 1, DIGEST), ("Always", 2, f"sha256:{'cd' * 32}")],
)
async def test_digest_reflection(reflection: str, asked: int, digest: str | None) -> None:
    """A tag that was overwritten changes the digest only where that was asked for."""
    always = {"interval": "10m"} if reflection == "Always" else {}
    obj, digests = policy(digestReflectionPolicy=reflection, **always), Digests()
    first = await run(obj, stored(1), digests)
    digests.now = f"sha256:{'cd' * 32}"

    outcome = await run(after(obj, first), stored(1), digests)

    assert outcome.status["latestRef"].get("digest") == digest
    assert digests.asked == asked
    assert outcome.after == (600 if always else None)


async def test_every_tag_excluded_leaves_the_last_image_and_tries_again() -> None:
    """Measured with Flux: excluding everything does not stop the automation."""
    obj = policy()
    first = await run(obj, stored(1), Digests())

    outcome = await run(after(obj, first), TagStore(), Digests())

    assert outcome.status["latestRef"] == first.status["latestRef"]
    assert ready(outcome) == ("False", "DependencyNotReady")
    assert outcome.retry


@pytest.mark.parametrize(
    ("spec", "origin", "reason"),
    [
        ({}, None, "DependencyNotReady"),
        ({"imageRepositoryRef": {"name": "x", "namespace": "other"}}, ORIGIN, "AccessDenied"),
        ({"filterTags": {"pattern": "^none$"}}, ORIGIN, "Failure"),
        ({"filterTags": {"pattern": "^main"}}, ORIGIN, "Failure"),
    ],
)
async def test_what_may_mend_itself_is_tried_again(
    spec: Json, origin: Json | None, reason: str
) -> None:
    outcome = await run(policy(**spec), stored(1), Digests(), origin)

    assert ready(outcome) == ("False", reason)
    assert outcome.retry


async def test_a_digest_that_cannot_be_read_changes_nothing() -> None:
    obj, digests = policy(), Digests()
    first = await run(obj, stored(1), digests)
    digests.error = RegistryError("gone")

    outcome = await run(after(obj, first), stored(1, 2), digests)

    assert outcome.status["latestRef"]["tag"] == "main-1-abcdef0"
    assert ready(outcome) == ("False", "Failed")
    assert outcome.retry


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"policy": {}}, "InvalidPolicy", "invalid policy"),
        ({"filterTags": {"pattern": "("}}, "InvalidPolicy", "failed to filter tags"),
        ({"filterTags": {"pattern": "(?i)x"}}, "FieldNotHonoured", "spec.filterTags.pattern"),
        (
            {"policy": {"semver": {"range": "1 - 2"}}},
            "FieldNotHonoured",
            "spec.policy.semver.range",
        ),
        ({"digestReflectionPolicy": "Always"}, "FieldNotHonoured", "spec.interval must be set"),
        ({"interval": "1m"}, "FieldNotHonoured", "spec.interval"),
        ({"made": {"up": 1}}, "FieldNotHonoured", "spec.made"),
    ],
)
async def test_what_only_a_person_can_mend_stalls(spec: Json, reason: str, message: str) -> None:
    outcome = await run(policy(**spec), stored(1), Digests())

    assert ready(outcome) == ("False", reason)
    assert types(outcome) == {"Ready", "Stalled"}
    assert message in outcome.status["conditions"][0]["message"].replace(
        "spec.interval: ", "spec.interval "
    )
    assert not outcome.retry


async def test_a_suspended_one_keeps_its_latest_image() -> None:
    obj = policy()
    first = await run(obj, stored(1), Digests())
    suspended = {**after(obj, first), "spec": {**obj["spec"], "suspend": True}}

    outcome = await run(suspended, stored(1, 2), Digests())

    assert outcome.status == first.status
    assert outcome.after is None
