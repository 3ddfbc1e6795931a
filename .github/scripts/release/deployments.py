"""What was deployed when: main's history seen as a list of deployments. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from release.exclusion import Exclusion
from release.history import Commit, Deployed, History
from release.tags import Tag

NOTHING_YET = "nothing is deployed yet: the first merge that the image workflow builds will be"


@dataclass(frozen=True)
class Deployment:
    """`commit` made `deployed` what main names."""

    commit: Commit
    deployed: Deployed

    @property
    def number(self) -> int | None:
        """The tag's number; None for a tag of another kind."""
        tag = Tag.parse(self.deployed.tag)
        return tag.number if tag else None

    @property
    def is_image(self) -> bool:
        """Whether it runs: number 0 is what main names before its first image."""
        return self.number != 0


def deployments(history: History) -> list[Deployment]:
    """Every change of what main names, oldest first."""
    found: list[Deployment] = []
    for commit in history.main:
        now = commit.deployed
        if now is not None and (not found or found[-1].deployed != now):
            found.append(Deployment(commit, now))
    return found


def deployed_since(history: History, moment: datetime) -> list[Deployed]:
    """What was named at `moment` or later, oldest first, each once."""
    everything = deployments(history)
    ends = [datetime.fromisoformat(one.commit.when) for one in everything[1:]]
    still = everything[len(ends) :]
    named = [
        *(one.deployed for one, end in zip(everything, ends, strict=False) if end >= moment),
        *(one.deployed for one in still),
    ]
    return list(dict.fromkeys(named))


def earlier(history: History) -> Iterator[Deployment]:
    """Deployments that one may go back to, newest first: real images, lower, not excluded."""
    now, exclusion = history.deployed, Exclusion.of(history)
    for one in reversed(deployments(history)):
        number = one.number
        if number is not None and 0 < number < now and not exclusion.has(number):
            yield one


def find(history: History, tag: str) -> Deployment | None:
    """The newest deployment of a tag."""
    return next((one for one in reversed(deployments(history)) if one.deployed.tag == tag), None)
