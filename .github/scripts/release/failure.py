"""What failed, and what to do about it in Git. Pure but for the reading of Flux's event.

Flux tells of every failed reconciliation. Only a rollout that did not end is a failed version:
Kubernetes says so itself (the Deployment's status is Failed), and never of a pod that was Ready and
lost its connection later. What is gone back from is the newest change of main that is not proven,
and never a version that ran before: while Discord is down, nothing becomes Ready.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Self

from release.deployments import Deployment, deployments
from release.errors import ReleaseError
from release.exclusion import in_force
from release.history import Commit, Deployed, History
from release.tags import Tag

OBJECT = ("Kustomization", "flux-system", "discord-sky")
REASON = "HealthCheckFailed"  # Flux's word: applied, and not Ready
# Kubernetes' verdict on the rollout, as Flux quotes it.
FAILED = "Deployment/discord-sky/discord-sky-bot status: 'Failed'"
# Not where Flux looks again at what has failed already, which takes it milliseconds.
TOOK = re.compile(r"failed after ((?:[0-9]+h)?(?:[0-9]+m)?[0-9]+)(?:\.[0-9]+)?s")
REVISION = re.compile(r"(?:[^@\s]+@sha1:)?(?P<commit>[0-9a-f]{40})")
# Older than this it has run before, and something else is wrong.
WITHIN = timedelta(hours=1)
# What was deployed for as long had time to fail: image pull, progressDeadlineSeconds, and some.
PROVEN = timedelta(minutes=5)
LONGEST_REASON = 300


class NotAFailure(Exception):
    """Nothing is to be done, and nothing is wrong with that; the text says why."""


@dataclass(frozen=True)
class Failure:
    """A rollout that failed: the commit that Flux had applied, when it failed, and why."""

    commit: str
    when: datetime
    why: str  # one sentence, of one line, about "it"

    @classmethod
    def from_event(cls, text: str) -> Self:
        """Read GitHub's event of a `repository_dispatch` that Flux asked for.

        Raises NotAFailure where the event is of anything but a failed rollout of the bot, and
        ReleaseError where it is no event of Flux's. Anyone who may dispatch can write anything into
        it: nothing in it is run, and its text stays text.
        """
        try:
            event = json.loads(text)["client_payload"]
            about = event["involvedObject"]
            named = (about["kind"], about["namespace"], about["name"])
            message, revision = str(event["message"]), str(event["metadata"]["revision"])
            when = datetime.fromisoformat(str(event["timestamp"]))
        except (ValueError, TypeError, KeyError) as error:
            raise ReleaseError(f"this is no event of Flux's: {error!r}") from error
        if named != OBJECT or event.get("reason") != REASON or event.get("severity") != "error":
            raise NotAFailure(
                f"{event.get('reason')} of {about['kind']}/{about['name']} is no failed rollout"
            )
        if FAILED not in message:
            raise NotAFailure(
                f"Kubernetes has not said that the rollout failed, only: {sentence(message)}"
            )
        found = REVISION.fullmatch(revision)
        if found is None:
            raise ReleaseError(f"{sentence(revision)!r} is no revision of a Git branch")
        took = TOOK.search(message)
        why = "did not become Ready: its rollout failed" + (f" after {took[1]}s" if took else "")
        return cls(found["commit"], _aware(when), why)


def sentence(text: str) -> str:
    """One line of at most 300 characters that no program reads as an instruction.

    GitHub skips workflows for a commit whose message has `[skip ci]` in it.
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    plain = " ".join(plain.replace("[", "(").replace("]", ")").split())
    return plain if len(plain) <= LONGEST_REASON else plain[: LONGEST_REASON - 1] + "…"


@dataclass(frozen=True)
class GoBack:
    """Deploy `to` instead of `failed`."""

    failed: Deployed
    to: Deployed


@dataclass(frozen=True)
class Revert:
    """Revert `commit`, which changed settings, personas or manifests."""

    commit: Commit


@dataclass(frozen=True)
class Patience:
    """How long what takes."""

    within: timedelta = WITHIN
    proven: timedelta = PROVEN


def remedy(
    now: History,
    settings: Sequence[int],
    when: datetime,
    patience: Patience,
    lacks: Callable[[Deployment], str | None],
) -> GoBack | Revert:
    """What to do about main as it is, which failed; raise NotAFailure where that is nothing.

    `settings` are the places on main, counted from 0, of the commits that changed what Flux applies
    for the bot beside the image; `lacks` says why an image cannot be had.
    """
    line = now.main
    images = [n for n, (a, b) in enumerate(pairwise(line), 1) if a.deployed != b.deployed]
    image, setting = (places[-1] if places else 0 for places in (images, settings))
    if not image and not setting:
        raise NotAFailure("nothing was deployed here before: there is nothing to go back to")
    if setting > image or (_went_back(now, image) and _unproven(line, setting, image, patience)):
        commit = line[setting]
        if commit.by_failure:
            raise NotAFailure(
                f"{commit.id[:7]} has brought back settings that ran before: something else is "
                "wrong, and going back further would not help"
            )
        _recent(commit, when, patience)
        return Revert(commit)
    failed = line[image].deployed
    tag = Tag.parse(failed.tag) if failed else None
    if failed is None or tag is None or not now.deployed:
        raise NotAFailure("main names no image of this branch")
    if _went_back(now, image):
        raise NotAFailure(
            f"{line[image].id[:7]} went back to {failed.tag}, which ran before: something else is "
            "wrong, and going back further would not help"
        )
    rolled_back = [rollback.span for rollback in in_force(now.decisions())]
    if any(span.first <= tag.number <= span.last for span in rolled_back):
        raise NotAFailure(f"{failed.tag} is excluded already, and Flux has no other image")
    _recent(line[image], when, patience)
    return GoBack(failed, _earlier(now, failed, patience, lacks))


def _went_back(now: History, place: int) -> bool:
    """Tell whether the commit at `place` deploys a lower number, which somebody chose."""
    at = now.main[place]
    return at.by_failure or any(
        one.commit.id == at.id and one.after < one.before for one in now.decisions()
    )


def _unproven(line: Sequence[Commit], setting: int, image: int, patience: Patience) -> bool:
    """Tell whether settings were followed too soon by another change to know that they work."""
    if not setting or line[setting].by_failure:
        return False
    changed = (n for n in range(setting + 1, image + 1) if line[n].deployed != line[n - 1].deployed)
    following = next(changed, image)
    return _time(line[following]) - _time(line[setting]) < patience.proven


def _recent(commit: Commit, when: datetime, patience: Patience) -> None:
    if when - _time(commit) > patience.within:
        raise NotAFailure(
            f"the newest change, {commit.id[:7]} ({sentence(commit.subject)}), is from "
            f"{commit.when[:16].replace('T', ' ')}: it has run since, so something else is wrong"
        )


def _earlier(
    now: History,
    failed: Deployed,
    patience: Patience,
    lacks: Callable[[Deployment], str | None],
) -> Deployed:
    """The newest earlier image that was deployed for long enough; else the newest earlier one."""
    candidates = list(_candidates(now, failed))
    there = [(one, proven) for one, proven in _stood(candidates, patience) if not lacks(one)]
    if not there:
        raise NotAFailure(f"{failed.tag} failed, and nothing was deployed before it that is left")
    return next((one for one, proven in there if proven), there[0][0]).deployed


def _candidates(now: History, failed: Deployed) -> Iterator[tuple[Deployment, datetime]]:
    """What may be gone back to, newest first, each with the time at which its successor came."""
    spans = [rollback.span for rollback in in_force(now.decisions())]
    for one, following in reversed(list(pairwise(deployments(now)))):
        number = one.number
        if (
            number
            and number < now.deployed
            and one.deployed.digest != failed.digest
            and not any(span.first <= number <= span.last for span in spans)
        ):
            yield one, _time(following.commit)


def _stood(
    candidates: Sequence[tuple[Deployment, datetime]], patience: Patience
) -> Iterator[tuple[Deployment, bool]]:
    """Each candidate, with whether it was deployed for long enough."""
    for one, until in candidates:
        yield one, until - _time(one.commit) >= patience.proven


def _time(commit: Commit) -> datetime:
    return _aware(datetime.fromisoformat(commit.when))


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
