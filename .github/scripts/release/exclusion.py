"""Which tag numbers must not run, from what people asked for. Pure.

A person who goes back from number a to b at number k of main excludes every number from b + 1 to
k, built or not yet built: an image of a commit before the rollback may arrive after it. Numbers
above k are newer merges, which deploy by themselves.

Where a version has failed and `rollback-failed` went back, it is b + 1 to a: nobody has said
anything about what was merged after a, and a fix may be among it.

A person who deploys an excluded number lifts the exclusion: wholly, when it is the number that
they had gone back from or a later one (the revert of the revert), else up to that number.

What lies below the deployed number is left out of the list, as the policy takes the highest tag.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from release.history import Decision, History
from release.tag_ranges import Span, expression, union
from release.tags import Tag


@dataclass(frozen=True)
class Rollback:
    """A rollback in force: the numbers of `span` are excluded, `left` is the one that was left."""

    span: Span
    left: int
    decision: Decision


def in_force(decisions: Iterable[Decision]) -> list[Rollback]:
    """The rollbacks that nobody has lifted, oldest first."""
    rollbacks: list[Rollback] = []
    for decision in decisions:
        rollbacks = [kept for old in rollbacks if (kept := _after(old, decision.after)) is not None]
        if decision.after < decision.before:
            # `at` is below `before` where history was rewritten; both are excluded.
            last = 0 if decision.commit.by_failure else decision.at
            span = Span(decision.after + 1, max(last, decision.before))
            rollbacks.append(Rollback(span, decision.before, decision))
    return rollbacks


def _after(rollback: Rollback, deployed: int) -> Rollback | None:
    """What is left of a rollback when a person deploys a number."""
    first, last = rollback.span
    if not first <= deployed <= last:
        return rollback
    if rollback.left <= deployed or deployed == last:
        return None
    return replace(rollback, span=Span(deployed + 1, last))


@dataclass(frozen=True)
class Exclusion:
    """What the ImageRepository has to exclude, and why."""

    rollbacks: tuple[Rollback, ...]

    @classmethod
    def of(cls, history: History) -> "Exclusion":
        """Compute it from a history, and from nothing else."""
        now = history.deployed
        return cls(tuple(r for r in in_force(history.decisions()) if r.span.last >= now))

    @property
    def spans(self) -> list[Span]:
        """The excluded numbers, ascending."""
        return union(rollback.span for rollback in self.rollbacks)

    @property
    def expression(self) -> str | None:
        """The entry for the exclusionList; None when nothing is excluded."""
        return expression(self.spans)

    @property
    def leaves_nothing(self) -> bool:
        """Tell whether no earlier image is left: a person went back to before the first one."""
        return bool(self.spans) and self.spans[0].first <= 1

    def has(self, number: int) -> bool:
        """Tell whether a number is excluded."""
        return any(span.first <= number <= span.last for span in self.spans)

    def leaves(self, tag: str) -> bool:
        """Tell whether a tag is of an image that may be deployed."""
        parsed = Tag.parse(tag)
        return parsed is not None and not self.has(parsed.number)
