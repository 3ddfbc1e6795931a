"""The status conditions that Flux writes: Ready, Reconciling, Stalled. Pure.

Ready says how the last run ended; Reconciling stays while a failed run is retried; Stalled says
that only a change of the object helps. observedGeneration moves when a run succeeded or stalled,
as kstatus wants it.
"""

from tests.loop.image_controllers.model import Json, Notice, Outcome, Subject, requested_at, stamp

_OURS = ("Ready", "Reconciling", "Stalled")
_MESSAGE_LIMIT = 32768  # the API's, in characters


def succeeded(subject: Subject, status: Json, message: str, after: float | None) -> Outcome:
    """Ready; run again in `after` seconds."""
    new = _status(subject, status, {"Ready": ("True", "Succeeded", message)})
    before = condition(subject.status(), "Ready") or {}
    known = (before.get("status"), before.get("message")) == ("True", message)
    notice = None if known else Notice(warning=False, reason="Succeeded", message=message)
    return Outcome({**new, "observedGeneration": subject.generation}, after=after, notice=notice)


def failed(subject: Subject, status: Json, reason: str, message: str) -> Outcome:
    """Not ready; the queue's growing delay, then again."""
    wanted = {
        "Ready": ("False", reason, message),
        "Reconciling": ("True", "ProgressingWithRetry", message),
    }
    notice = Notice(warning=True, reason=reason, message=message)
    return Outcome(_status(subject, status, wanted), retry=True, notice=notice)


def stalled(subject: Subject, status: Json, reason: str, message: str) -> Outcome:
    """Not ready, and no retry helps."""
    wanted = {"Ready": ("False", reason, message), "Stalled": ("True", reason, message)}
    new = {**_status(subject, status, wanted), "observedGeneration": subject.generation}
    return Outcome(new, notice=Notice(warning=True, reason=reason, message=message))


def suspended(subject: Subject) -> Outcome:
    """Leave everything as it is, but say that a request was seen."""
    return Outcome(_handled(subject, subject.status()))


def condition(status: Json, name: str) -> Json | None:
    """Return one condition of a status."""
    return next((one for one in status.get("conditions") or () if one["type"] == name), None)


def _handled(subject: Subject, status: Json) -> Json:
    """Note the request that this run answers, however it ends."""
    token = requested_at(subject.obj)
    return status if token is None else {**status, "lastHandledReconcileAt": token}


def _status(subject: Subject, status: Json, wanted: dict[str, tuple[str, str, str]]) -> Json:
    others = [one for one in status.get("conditions") or () if one["type"] not in _OURS]
    ours = [_condition(subject, status, name, what) for name, what in wanted.items()]
    return _handled(subject, {**status, "conditions": [*ours, *others]})


def _condition(subject: Subject, status: Json, name: str, what: tuple[str, str, str]) -> Json:
    value, reason, message = what
    before = condition(status, name) or {}
    same = before.get("status") == value
    return {
        "type": name,
        "status": value,
        "reason": reason,
        "message": message[:_MESSAGE_LIMIT],
        "observedGeneration": subject.generation,
        "lastTransitionTime": before["lastTransitionTime"] if same else stamp(subject.now),
    }
