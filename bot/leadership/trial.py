"""The trial of a new version: it answers, and its predecessor takes over at once if it fails.

A Ready pod of another revision than the leader's asks for the Lease. The leader yields it, finishes
what it took, and stays as a standby that hears everything. While that predecessor runs, the new
leader is on trial: an answer that fails is given back to the predecessor and not apologised for,
and a failure that is the version's own returns the Lease, with every call that was not finished.

The revision is the hash of the pod's template, so new settings and personas are tried like a new
image. Without a predecessor there is no trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.errors import (
    BadPicture,
    ContentRefused,
    CutShort,
    DiscordDown,
    KeyRefused,
    MayNotSpeak,
    ModelBusy,
    ModelDown,
    ModelMissing,
    ModelPaused,
    ModelSlow,
    NothingSaid,
    OnlyReasoning,
    QuotaSpent,
    RequestRefused,
    ToolMissing,
    TooMuchText,
    Unchecked,
    Unexpected,
)
from bot.leadership.lease_record import HolderStatus, LeaseUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.domain.errors import SkyError
    from bot.leadership.lease_record import LeaseRecord, LeaseStore
    from bot.observability.metrics import Metrics
    from bot.settings.schema import Settings

log = logging.getLogger(__name__)

Calls = dict[int, tuple[int, ...]]  # by the question's id: the messages of its answer so far

# The predecessor may do better with these, so they are given back. What the question itself, its
# author or a limit causes is reported to the person as usual.
_GIVEN_BACK = (
    *(Unexpected, RequestRefused, ModelMissing, ToolMissing, BadPicture, TooMuchText),
    *(QuotaSpent, KeyRefused, ModelBusy, ModelDown, ModelPaused, ModelSlow),
    *(NothingSaid, OnlyReasoning, CutShort, MayNotSpeak, ContentRefused, DiscordDown),
    Unchecked,
)
_IN_A_ROW = 3
_REMEMBERED_SECONDS = 600.0  # for how long a failure of the predecessor excuses the same one
_LOOK_SECONDS = 1.0
_LAG_SECONDS = 1.0
_SAMPLE_SECONDS = 0.25
_MOST_RETURNED = 300  # calls, in an annotation
_LONGEST_SECONDS = 600.0  # a rollout that takes longer is stuck for another reason


@dataclass(frozen=True, slots=True)
class TrialNote:
    """What the holder of a Lease writes about trials: annotation `discord-sky/trial`."""

    holder: str = ""
    revision: str = ""
    version: str = ""  # the same for people, such as the image's tag
    predecessor: str = ""  # while the holder is on trial
    after: str = ""  # whom the holder succeeded on trial, also after that
    to: str = ""  # to whom the holder yields the Lease for a trial
    had: tuple[str, ...] = ()  # the failures that the yielding holder had itself
    returned: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> TrialNote:
        """Read what any version of the bot wrote; what cannot be read is an empty note."""
        try:
            kept = json.loads(text or "{}")
            calls = kept.get("returned", {}).items()
            return cls(
                holder=str(kept.get("holder", "")),
                revision=str(kept.get("revision", "")),
                version=str(kept.get("version", "")),
                predecessor=str(kept.get("predecessor", "")),
                after=str(kept.get("after", "")),
                to=str(kept.get("to", "")),
                had=tuple(str(each) for each in kept.get("had", ())),
                returned={int(each): tuple(map(int, parts)) for each, parts in calls},
            )
        except (ValueError, TypeError, AttributeError):
            return cls()

    def __str__(self) -> str:
        values = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({name: value for name, value in values.items() if value})


def predecessor_in(record: LeaseRecord) -> str:
    """Name the pod that takes over from the holder of `record` if that fails its trial."""
    note = TrialNote.read(record.annotations.get(Trial.name, ""))
    if record.holder and note.to == record.holder:  # taken, and not renewed yet
        return note.holder
    return note.predecessor if note.holder == record.holder else ""


class TrialVerdict:
    """A HandoverState: the last failed trial, kept until the next one begins."""

    name = "trial-failed"

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    @property
    def pod(self) -> str:
        """Name the pod that failed its trial; empty if none did."""
        return self._kept.get("pod", "")

    @property
    def reason(self) -> str:
        """Say in a sentence why it failed."""
        return self._kept.get("reason", "")

    def enter(self, *, pod: str, revision: str, version: str, what: str) -> None:
        """Note a failure, and log it."""
        self._kept = {
            "pod": pod,
            "revision": revision,
            "version": version,
            "reason": f"{version or pod} failed its trial: {what}",
            "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        extra = {"reason": self.reason, "pod": pod, "revision": revision}
        log.error("trial failed", extra=extra)

    def clear(self) -> None:
        """Forget it."""
        self._kept = {}

    def dump(self, shard: int) -> str:
        """See HandoverState."""
        del shard
        return json.dumps(self._kept) if self._kept else ""

    def load(self, shard: int, text: str) -> None:
        """See HandoverState."""
        del shard
        try:
            self._kept = {str(key): str(each) for key, each in json.loads(text or "{}").items()}
        except (ValueError, AttributeError):
            self._kept = {}


class Trial:
    """The trial from this process's side: on trial, predecessor or neither. A HandoverState."""

    name = "trial"

    def __init__(
        self,
        store: LeaseStore,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        lease = settings.lease
        self._store = store
        self._me = store.me
        self._revision = lease.revision if settings.discord.shards == 1 and lease.trial else ""
        self._version = settings.revision
        self._named = False  # whether the store was asked for a better one
        self._metrics = metrics
        self._clock = clock
        self._note = TrialNote()  # of the Lease, when it was read last
        self._after = ""
        self._to = ""
        self._excused: frozenset[str] = frozenset()
        self._failures: dict[str, float] = {}  # when each kind was seen last
        self._ended = self._raised = 0  # answers of this trial
        self._in_a_row = 0
        self._began = 0.0
        self._returned: Calls = {}
        self._received: set[int] = set()
        self.verdict = TrialVerdict()
        self.predecessor = ""  # who takes over; only while this process is on trial
        self.abandoned = False  # the trial failed, and the predecessor is deleted all the same
        self.on_failure: Callable[[], None] = lambda: None  # the Lease goes back
        self.on_given_back: Callable[[], None] = lambda: None  # the predecessor should learn it
        self.on_received: Callable[[int, Calls], None] = lambda _shard, _calls: None
        self.on_alone: Callable[[bool], None] = lambda _leaving: None  # no predecessor any more

    @property
    def enabled(self) -> bool:
        """Whether this process takes part in trials."""
        return bool(self._revision)

    @property
    def failure(self) -> str:
        """Say why this pod failed its trial; empty if it did not."""
        return self.verdict.reason if self.enabled and self.verdict.pod == self._me else ""

    def wants(self, holder: str) -> bool:
        """Say whether this process should ask `holder` for the Lease."""
        note = self._note
        return (
            self.enabled
            and bool(note.revision)
            and note.holder == holder
            and note.revision != self._revision
            and not note.predecessor
            and note.after != self._me
            and not self.failure
        )

    def may_yield(self, asker: str) -> bool:
        """Say whether the Lease may go to `asker`, for a trial with this one as predecessor."""
        return self.enabled and not self.predecessor and asker not in {"", self._me, self._after}

    def yield_to(self, asker: str) -> None:
        """Note to whom the Lease goes next."""
        self._to = asker

    def parted(self) -> None:
        """Note that the Lease went to another process, or that it did not go after all."""
        self._to = ""
        self.predecessor = ""

    def begin(self, *, orderly: bool, ended: bool) -> None:
        """Begin to lead. `ended` says that the holder before this one ended or expired."""
        note = self._note
        self.predecessor = self._after = self._to = ""
        self._returned = {}
        if orderly and self.enabled and note.to == self._me:
            self.predecessor = self._after = note.holder
            self._excused = frozenset(note.had)
            self._ended = self._raised = self._in_a_row = 0
            self._began = self._clock()
            self.verdict.clear()
            self._count("begun")
            log.info("trial begun", extra={"predecessor": note.holder})
        elif ended and self._me in {note.predecessor, note.holder if note.to else ""}:
            taken_only = note.holder == self._me
            self.verdict.enter(
                pod=note.to if taken_only else note.holder,
                revision="" if taken_only else note.revision,
                version="" if taken_only else note.version,
                what="its container ended, or did not respond",
            )
            self._count("failed")

    def withholds(self, error: SkyError) -> bool:
        """Say whether an answer that failed so is given back and not apologised for."""
        return bool(self.predecessor) and isinstance(error, _GIVEN_BACK)

    def give_back(self, calls: Mapping[int, tuple[int, ...]]) -> None:
        """Leave calls, with the messages of each answer so far, to the predecessor."""
        self._returned |= calls
        for each in sorted(self._returned)[:-_MOST_RETURNED]:
            del self._returned[each]

    def answered(self, failed: SkyError | None) -> None:
        """Count an answer that ended. It may end the trial."""
        self._ended += 1
        if failed is None:
            self._in_a_row = 0
            return
        self._failures[failed.label] = self._clock()
        if not self.withholds(failed):
            return
        self.on_given_back()
        if failed.label in self._excused:
            return
        if isinstance(failed, Unexpected):
            self._raised += 1
            what = "answer" if self._ended == 1 else "answers"
            self.fail(f"{self._raised} of {self._ended} {what} raised {failed}")
        else:
            self._in_a_row += 1
            if self._in_a_row >= _IN_A_ROW:
                detail = f" ({failed})" if str(failed) else ""
                self.fail(f"{self._in_a_row} answers in a row failed: {failed.label}{detail}")

    def fail(self, what: str) -> None:
        """Fail the trial: the Lease goes back. Without a trial, nothing happens."""
        if not self.predecessor or self.failure:
            return
        self.verdict.enter(pod=self._me, revision=self._revision, version=self._version, what=what)
        self._count("failed")
        self.on_failure()

    def dump(self, shard: int) -> str:
        """See HandoverState."""
        del shard
        if not self.enabled:
            return ""
        return str(
            TrialNote(
                self._me,
                self._revision,
                self._version,
                self.predecessor,
                self._after,
                self._to,
                tuple(sorted(self._recent())) if self._to else (),
                self._returned,
            )
        )

    def load(self, shard: int, text: str) -> None:
        """See HandoverState. Calls that are given back to this process are answered at once."""
        self._note = note = TrialNote.read(text)
        if not self.enabled or note.predecessor != self._me:
            return
        fresh = {each: parts for each, parts in note.returned.items() if each not in self._received}
        if fresh:
            self._received.update(fresh)
            self.on_received(shard, fresh)

    async def watch(self) -> None:
        """Look after the predecessor every second, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """See whether the predecessor still runs: without it the trial is over.

        At first, see what this version is called. Where that cannot be seen, the trial ends with
        its time.
        """
        if not self._named:
            with contextlib.suppress(LeaseUnreachable, TimeoutError):
                self._version, self._named = await self._store.version() or self._version, True
        if not self._after or not (self.predecessor or self.failure):
            return
        status = None
        with contextlib.suppress(LeaseUnreachable, TimeoutError):
            status = await self._store.presence(self._after)
        if self.failure:
            self.abandoned = self.abandoned if status is None else status is HolderStatus.GONE
            return
        runs = status in {None, HolderStatus.ALIVE}
        if self.predecessor and (not runs or self._clock() - self._began > _LONGEST_SECONDS):
            seen = status.value if status else "unknown"
            log.info("trial passed", extra={"predecessor": self.predecessor, "is": seen})
            self._count("passed")
            self.predecessor, self._returned = "", {}
            self.on_alone(status is not HolderStatus.ENDED)

    async def watch_lag(self) -> None:
        """Fail the trial if the event loop is blocked; until cancelled.

        Time for which this thread waited for a CPU, such as under the container's limit, does not
        count: the version is not to blame for it.
        """
        while True:
            if not self.predecessor:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            began, waited = self._clock(), _waited_for_cpu()
            await asyncio.sleep(_SAMPLE_SECONDS)
            late = self._clock() - began - _SAMPLE_SECONDS
            if late > _LAG_SECONDS and (late := late - _waited_for_cpu() + waited) > _LAG_SECONDS:
                self.fail(f"its event loop was blocked for {late:.1f} s")

    def _recent(self) -> list[str]:
        now = self._clock()
        return [kind for kind, at in self._failures.items() if now - at < _REMEMBERED_SECONDS]

    def _count(self, outcome: str) -> None:
        self._metrics.trials.labels(outcome).inc()


_NANOSECONDS = 1e9


def _waited_for_cpu() -> float:
    """Return the seconds for which this thread was runnable and did not run; 0 if unknown."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / _NANOSECONDS
    except (OSError, ValueError, IndexError):
        return 0.0
