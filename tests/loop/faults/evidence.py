"""Evidence of a fault from the bot: metrics that changed, and lines that were logged."""

import contextlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from tests.loop.people.observe import Observer
from tests.loop.scenarios.load import metrics
from tests.loop.supervisor import state

_RESTARTS = "kube_pod_container_status_restarts_total"
_ENDED = "kube_pod_container_status_last_terminated_reason"
# Series that move all the time, or say the same as another.
_DULL = re.compile(
    r"process_|.*_created|.*_bucket|.*_sum|.*_count|.*heartbeat|.*event_loop|.*_seconds(,|$)|"
    r".*tokens|.*outcome=(ok|complete)$|.*decision=|.*in_flight|.*_spent,|.*_info|.*gateway_open|"
    r".*speaking|.*credential_(present|usable|changes)|.*_waiting|.*timestamp"
)
_STAMP = re.compile(r"([-\dT:]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_QUIET = ("debug", "info")
_LONG = re.compile(r"https?://\S+|\d{6,}|\d+\.\d+")  # what differs from line to line
_MOST = 90
Line = Mapping[str, object]


@dataclass(frozen=True)
class Series:
    """The bot's series at one moment, by pod, and what Kubernetes counts of its container."""

    by_pod: Mapping[str, Mapping[str, float]]

    @classmethod
    async def read(cls, seen: Observer) -> "Series":
        """Ask every pod that answers."""
        found = {}
        for pod in seen.now.pods.values():
            values: dict[str, float] = {_RESTARTS: pod.restarts}
            if pod.ended:
                values[f"{_ENDED},reason={pod.ended}"] = pod.restarts
            with contextlib.suppress(aiohttp.ClientError, OSError):
                values |= await metrics(pod.address) if pod.address else {}
            found[pod.uid] = values
        return cls(found)

    def moved_since(self, before: "Series") -> dict[str, float]:
        """Return what changed, by how much. A new process started from zero."""
        moved: dict[str, float] = defaultdict(float)
        for uid, values in self.by_pod.items():
            old = before.by_pod.get(uid, {})
            same = old.get("process_start_time_seconds") == values.get("process_start_time_seconds")
            for name, value in values.items():
                kept = same or name.startswith("kube_")
                change = value - (old.get(name, 0.0) if kept else 0.0)
                if change > 0 and not _DULL.match(name):
                    moved[name] += change
        return dict(moved)


def lines(since: float) -> Iterator[Line]:
    """Give the bot's log lines since a moment, of all pods whose logs are still there.

    `at` is when the node had the line, by the machine's clock.
    """
    folder = state.STATE / "pods"
    for path in sorted(folder.glob(f"{state.BOT_NAMESPACE}_*/bot/*.log")):
        try:
            text = path.read_text(errors="replace")
        except OSError:  # its pod has gone
            continue
        for raw in text.splitlines():
            at, words = _read(raw)
            if at >= since:
                yield {**_parsed(words), "at": at}


def _read(raw: str) -> tuple[float, str]:
    """Split containerd's timestamp, stream and flag off a line."""
    stamp, _, rest = raw.partition(" ")
    return moment(stamp), rest.split(" ", 2)[-1]


def _parsed(words: str) -> Line:
    try:
        line = json.loads(words)
    except ValueError:
        line = None
    return line if isinstance(line, dict) else {"level": "error", "message": words}


def moment(stamp: str) -> float:
    """Parse containerd's timestamp, which has a variable number of digits for nanoseconds."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return 0.0
    whole = datetime.fromisoformat(f"{found[1]}{found[3].replace('Z', '+00:00')}")
    return whole.timestamp() + float(f"0.{found[2] or 0}")


def loud(found: Sequence[Line]) -> Counter[str]:
    """Count the messages above level info, similar ones together."""
    return Counter(
        _LONG.sub("…", str(line["message"]).partition("\n")[0])[:_MOST]
        for line in found
        if line.get("level") not in _QUIET
    )
