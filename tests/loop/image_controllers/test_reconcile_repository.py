"""ImageRepository."""

from datetime import timedelta
from typing import Any

import pytest

from tests.loop.image_controllers.builders import (
    IMAGE,
    NOW,
    after,
    asked,
    ready,
    repository,
    subject,
    types,
)
from tests.loop.image_controllers.model import Outcome
from tests.loop.image_controllers.reconcile_repository import TagStore, reconcile
from tests.loop.image_controllers.registry import RegistryError, Repository

Json = dict[str, Any]


class Lister:
    """A registry with one repository; counts its listings."""

    def __init__(self, *tags: str) -> None:
        self.found = list(tags)
        self.error: RegistryError | None = None
        self.listings = 0

    async def tags(self, repository: Repository, within: float) -> list[str]:
        """List."""
        assert (repository.canonical, within) == (IMAGE, 1.0)
        self.listings += 1
        if self.error:
            raise self.error
        return list(self.found)


async def scanned(obj: Json, lister: Lister, tags: TagStore, seconds: float = 0) -> Outcome:
    return await reconcile(subject(obj, NOW + timedelta(seconds=seconds)), lister, tags)


async def test_a_scan_says_what_it_found() -> None:
    tags, lister = TagStore(), Lister(*(f"main-{n}-abcdef0" for n in range(12)), "x.sig")

    outcome = await scanned(repository(), lister, tags)

    status = outcome.status
    assert status["canonicalImageName"] == IMAGE
    assert status["observedExclusionList"] == [r"^.*\.sig$"]
    assert status["observedGeneration"] == 3
    assert status["lastScanResult"]["tagCount"] == 12
    assert status["lastScanResult"]["scanTime"] == "2026-07-01T12:00:00Z"
    assert status["lastScanResult"]["latestTags"] == sorted(tags.get(IMAGE), reverse=True)[:10]
    assert ready(outcome) == ("True", "Succeeded")
    assert types(outcome) == {"Ready"}
    assert outcome.after == 1.0
    assert outcome.log["because"] == "first scan"


async def test_the_next_scan_comes_with_the_interval_and_logs_only_news() -> None:
    tags, lister = TagStore(), Lister("main-1-abcdef0")
    obj = repository(interval="15s", timeout="1s")
    first = await scanned(obj, lister, tags)

    early = await scanned(after(obj, first), lister, tags, 5)
    late = await scanned(after(obj, early), lister, tags, 15)

    assert lister.listings == 2
    assert (early.after, late.after) == (10, 15)
    assert not late.log
    assert late.notice is None
    assert late.status["lastScanResult"]["revision"] == first.status["lastScanResult"]["revision"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exclusionList": ["main-2-"]}, "updated exclusion list"),
        ({"image": f"{IMAGE}"}, None),
        ({"interval": "2h"}, None),
    ],
)
async def test_what_makes_it_scan_before_its_time(change: Json, why: str | None) -> None:
    tags, lister = TagStore(), Lister("main-1-abcdef0", "main-2-abcdef0")
    obj = repository(interval="1h", timeout="1s")
    first = await scanned(obj, lister, tags)
    changed = {**obj, "spec": {**obj["spec"], **change}}

    outcome = await scanned(after(changed, first), lister, tags, 5)

    assert lister.listings == (2 if why else 1)
    assert outcome.log.get("because") == why


async def test_a_person_s_request_scans_once() -> None:
    tags, lister = TagStore(), Lister("main-1-abcdef0")
    obj = asked(repository(interval="1h", timeout="1s"), "now")
    first = await scanned(obj, lister, tags)

    await scanned(after(obj, first), lister, tags, 5)
    again = await scanned(after(asked(obj, "again"), first), lister, tags, 5)

    assert first.status["lastHandledReconcileAt"] == "now"
    assert again.status["lastHandledReconcileAt"] == "again"
    assert lister.listings == 2


async def test_a_start_scans_because_nothing_is_remembered() -> None:
    lister = Lister("main-1-abcdef0")
    obj = repository(interval="1h", timeout="1s")
    first = await scanned(obj, lister, TagStore())

    await scanned(after(obj, first), lister, TagStore(), 5)

    assert lister.listings == 2


async def test_a_registry_that_fails_is_said_and_tried_again_and_the_last_scan_stays() -> None:
    tags, lister = TagStore(), Lister("main-1-abcdef0")
    obj = repository()
    first = await scanned(obj, lister, tags)
    lister.error = RegistryError("503")

    outcome = await scanned(after(obj, first), lister, tags, 2)

    assert outcome.retry
    assert ready(outcome) == ("False", "ReadOperationFailed")
    assert types(outcome) == {"Ready", "Reconciling"}
    assert outcome.status["lastScanResult"] == first.status["lastScanResult"]
    assert tags.get(IMAGE) == ["main-1-abcdef0"]


async def test_an_exclusion_that_go_does_not_compile_fails_the_scan() -> None:
    outcome = await scanned(repository(exclusionList=["("]), Lister(), TagStore())

    assert ready(outcome) == ("False", "ReadOperationFailed")
    assert outcome.retry


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"image": "http://x/y"}, "ImageURLInvalid", "should not include URL scheme"),
        ({"image": "h:5000/y:tag"}, "ImageURLInvalid", "should not include a tag"),
        ({"provider": "azure"}, "FieldNotHonoured", "spec.provider"),
        ({"secretRef": {"name": "x"}}, "FieldNotHonoured", "spec.secretRef"),
        ({"exclusionList": [r"\pL"]}, "FieldNotHonoured", "spec.exclusionList[0]"),
    ],
)
async def test_what_only_a_person_can_mend_stalls(spec: Json, reason: str, message: str) -> None:
    lister = Lister()

    outcome = await scanned(repository(**spec), lister, TagStore())

    assert ready(outcome) == ("False", reason)
    assert types(outcome) == {"Ready", "Stalled"}
    assert message in outcome.status["conditions"][0]["message"]
    assert outcome.status["observedGeneration"] == 3
    assert (outcome.retry, outcome.after) == (False, None)


async def test_a_suspended_one_does_nothing() -> None:
    lister = Lister()

    outcome = await scanned(repository(suspend=True), lister, TagStore())

    assert (outcome.status, outcome.after, lister.listings) == ({}, None, 0)
