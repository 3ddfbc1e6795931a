"""What failed, and what to do about it in Git. Pure but for the reading of Flux's event.

Flux tells of every failed reconciliation. Only a rollout that did not end is a failed version:
Kubernetes says so itself (the Deployment's status is Failed), and never of a pod that was Ready and
lost its connection later. Flux does not say why, and while Discord is down nothing becomes Ready.

So only the newest change of main is undone, once, and only where it can be nothing else in Git:
another change shortly before it, or anything that somebody went back to, is left to a person.
What Git does not say is not claimed: it has a time for each commit, and not whether it ever ran.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Self

from release.deployments import Deployment
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
# Older than this it may have run since, so something else may be wrong.
WITHIN = timedelta(hours=1)
# What was deployed for as long had time to fail: image pull, progressDeadlineSeconds, and some.
PROVEN = timedelta(minutes=5)
LONGEST_REASON = 300
SUBJECT = 60  # letters of a subject that is quoted
# What a person looks at who has to decide.
LOOK = "see why with `make doctor`, and on https://discordstatus.com"


class NotAFailure(Exception):
    """Nothing is to be done, and nothing is wrong with that; the text says why."""


class Unclear(NotAFailure):
    """A version failed, and a person has to decide; the text says what to look at."""


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
            what = f"{event.get('reason')} of {about['kind']}/{about['name']}"
            raise NotAFailure(f"{sentence(what)} is no failed rollout")
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
class Beside:
    """What else of main reaches the bot, beside the image: places on main, counted from 0."""

    settings: Sequence[int] = ()
    elsewhere: Sequence[int] = ()  # nothing of it is undone here
    brought_back: Callable[[Commit], bool] = field(default=lambda _: False)  # what main had before

    def newest(self, line: Sequence[Commit]) -> int:
        """The place of the newest change of all; 0 where there is none."""
        return max([0, *images(line), *self.settings, *self.elsewhere])


@dataclass(frozen=True)
class Clock:
    """When it failed, what time it is now, and how long what takes."""

    failed: datetime
    now: datetime
    within: timedelta = WITHIN
    proven: timedelta = PROVEN


def images(line: Sequence[Commit]) -> list[int]:
    """The places of the commits that changed what main names."""
    return [n for n, (a, b) in enumerate(pairwise(line), 1) if a.deployed != b.deployed]


def times(line: Sequence[Commit]) -> list[datetime]:
    """When each commit of main was deployed at the earliest.

    A person's commit may be older than its push. It was not pushed before what machines, which push
    at once, had committed below it.
    """
    found: list[datetime] = []
    pushed = datetime.min.replace(tzinfo=UTC)
    for commit in line:
        found.append(max(_time(commit), pushed))
        if commit.automated or commit.by_failure:
            pushed = max(pushed, _time(commit))
    return found


def remedy(
    now: History, beside: Beside, clock: Clock, lacks: Callable[[Deployment], str | None]
) -> GoBack | Revert:
    """What to do about main as it is, which failed; raise NotAFailure where that is nothing.

    `lacks` says why an image cannot be had.
    """
    line = now.main
    place = beside.newest(line)
    if not place:
        raise NotAFailure("nothing was deployed here before: there is nothing to go back to")
    commit = line[place]
    is_image = line[place - 1].deployed != commit.deployed
    _of_one_kind(commit, place, beside, is_image=is_image)
    _not_gone_back_to(now, beside, place, is_image=is_image)
    _recent(line, place, clock)
    _alone(line, beside, clock)
    if not is_image:
        if now.names_no_image:
            raise Unclear(f"main names {_tag(commit)}, which is no image of this branch: {LOOK}")
        return Revert(commit)
    failed = commit.deployed
    if failed is None:
        raise NotAFailure("main names no image of this branch")
    return GoBack(failed, _earlier(now, failed, place, clock, lacks))


def _name(commit: Commit) -> str:
    return f"{commit.id[:7]} ({sentence(commit.subject)[:SUBJECT]})"


def _tag(commit: Commit) -> str:
    return sentence(commit.deployed.tag) if commit.deployed else "nothing"


def _of_one_kind(commit: Commit, place: int, beside: Beside, *, is_image: bool) -> None:
    """Refuse a change that one revert, or one older tag, does not undo."""
    settings = place in beside.settings
    if is_image and (settings or place in beside.elsewhere):
        raise Unclear(
            f"{_name(commit)} changed the image and other things at once, so nobody knows which of "
            f"them failed: {LOOK}, then git revert it, or fix it"
        )
    if not is_image and not settings:
        raise Unclear(
            f"the newest change is {_name(commit)}, of clusters/, which is not undone by itself: "
            f"look at git show {commit.id[:7]}; {LOOK}"
        )


def _not_gone_back_to(now: History, beside: Beside, place: int, *, is_image: bool) -> None:
    """Refuse to undo what somebody went back to, or deployed although main had had it before."""
    commit = now.main[place]
    further = f"going further back may undo what is good; {LOOK}"
    if commit.by_failure or _went_back(now, place):
        went = f"went back to {_tag(commit)}" if is_image else "has brought back earlier settings"
        raise Unclear(f"{commit.id[:7]} {went}, and that did not become Ready either: {further}")
    if not is_image:
        if beside.brought_back(commit):
            raise Unclear(f"{_name(commit)} brought back what main had before: {further}")
        return
    tag = Tag.parse(commit.deployed.tag) if commit.deployed else None
    if tag is None or not now.deployed:
        raise NotAFailure("main names no image of this branch")
    rolled_back = [rollback.span for rollback in in_force(now.decisions())]
    if any(span.first <= tag.number <= span.last for span in rolled_back):
        raise NotAFailure(f"{tag} is excluded already, and Flux has no other image")
    same = next((one for one in now.main[:place] if _digest(one) == _digest(commit)), None)
    if same:
        raise Unclear(
            f"{tag} is an image that main named before, as {_tag(same)} in {same.id[:7]}: {further}"
        )


def _digest(commit: Commit) -> str | None:
    return commit.deployed.digest if commit.deployed else None


def _went_back(now: History, place: int) -> bool:
    """Tell whether a commit, of a person or a machine, deploys a lower number than before.

    A mistyped tag counts by what it says: somebody wanted to go back.
    """
    commit, before = now.main[place], now.numbers[place - 1]
    tag = Tag.parse(commit.deployed.tag) if commit.deployed else None
    return now.numbers[place] < before or (
        tag is not None
        and tag.number < before
        and now.main[place - 1].deployed != commit.deployed
        and not now.known[place]
    )


def _recent(line: Sequence[Commit], place: int, clock: Clock) -> None:
    """Refuse what is old by any clock: an event may say that it is from any time."""
    since = times(line)[place]
    if max(clock.failed, clock.now) - since > clock.within:
        raise Unclear(
            f"the newest change, {_name(line[place])}, was committed at {since:%Y-%m-%d %H:%M}, "
            f"more than {_minutes(clock.within)} before: something else may be wrong; {LOOK}"
        )


def _alone(line: Sequence[Commit], beside: Beside, clock: Clock) -> None:
    """Refuse where another change came too shortly before to know that it works.

    Several images are one suspect: the last has all that the others have.
    """
    at = [min(one, clock.failed) for one in times(line)]
    of_images = set(images(line))
    places = sorted({*of_images, *beside.settings, *beside.elsewhere})
    suspects = places[-1:]
    for earlier, later in reversed(list(pairwise(places))):
        if at[later] - at[earlier] >= clock.proven:
            break
        suspects.append(earlier)
    if len(suspects) > 1 and not of_images.issuperset(suspects):
        raise Unclear(
            f"{' and '.join(_name(line[n]) for n in suspects[::-1])} came within "
            f"{_minutes(clock.proven)} of each other, so nobody knows which of them failed: "
            f"{LOOK}; then git revert that one, or make rollback if it is the image"
        )


def _minutes(time: timedelta) -> str:
    return f"{time.total_seconds() / 60:.0f} minutes"


def _earlier(
    now: History,
    failed: Deployed,
    place: int,
    clock: Clock,
    lacks: Callable[[Deployment], str | None],
) -> Deployed:
    """The newest earlier image that main named for long enough; else the newest earlier one.

    Whether it ran, nobody has recorded.
    """
    candidates = [(one, stood) for one, stood in _candidates(now, failed, place) if not lacks(one)]
    if not candidates:
        raise NotAFailure(f"{failed.tag} failed, and nothing was deployed before it that is left")
    proven = (one for one, stood in candidates if stood >= clock.proven)
    return next(proven, candidates[0][0]).deployed


def _candidates(
    now: History, failed: Deployed, place: int
) -> Iterator[tuple[Deployment, timedelta]]:
    """What may be gone back to, newest first, each with how long main named it."""
    spans = [rollback.span for rollback in in_force(now.decisions())]
    # A tag of no image that can exist has left the number as it was: what had that is earlier.
    below = now.deployed if now.known[place] else now.deployed + 1
    at = times(now.main)
    for start, end in reversed(list(pairwise([0, *images(now.main)]))):
        commit = now.main[start]
        tag = Tag.parse(commit.deployed.tag) if commit.deployed else None
        if (
            commit.deployed is not None
            and tag is not None
            and now.known[start]
            and 0 < tag.number == now.numbers[start] < below
            and commit.deployed.digest != failed.digest
            and not any(span.first <= tag.number <= span.last for span in spans)
        ):
            yield Deployment(commit, commit.deployed), at[end] - at[start]


def _time(commit: Commit) -> datetime:
    return _aware(datetime.fromisoformat(commit.when))


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
