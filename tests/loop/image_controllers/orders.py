"""What an ImageUpdateAutomation and its GitRepository order, checked before a run. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.loop.image_controllers import fields, selector, template
from tests.loop.image_controllers.git import Author, Plan
from tests.loop.image_controllers.model import Json, Refused, Subject, key_of, seconds, spec_of
from tests.loop.image_controllers.setters import Change, ObjectId
from tests.loop.image_controllers.template_values import Changed, TemplateData

_DEFAULT_MESSAGE = "Update from image update automation"
_DEFAULT_BRANCH = "master"  # Flux's, where neither the automation nor its GitRepository names one
_DEFAULT_TIMEOUT = "60s"  # the GitRepository CRD's


class StrategyError(ValueError):
    """Only Setters is a strategy."""


@dataclass(frozen=True)
class Orders:
    """How to update, and how to say it."""

    message: template.Template
    values: Mapping[str, str]
    author: Author
    path: str
    interval: float


def read_orders(subject: Subject) -> Orders:
    """Check the whole spec, the message template included: a mistake stalls before the next image.

    Raises Refused, RemovedFieldError, StrategyError or InvalidSelectorError.
    """
    spec = subject.spec
    fields.check("ImageUpdateAutomation", spec)
    selector.validate(spec.get("policySelector"))
    update = spec.get("update") or {}
    if update.get("strategy") != "Setters":
        given = update.get("strategy")
        raise StrategyError(
            f"unsupported update strategy: {given}" if given else "no update strategy"
        )
    if not spec.get("git"):
        raise Refused("spec.git", "is necessary for a GitRepository")
    commit = spec["git"]["commit"]
    values: Json = commit.get("messageTemplateValues") or {}
    message = template.parse(commit.get("messageTemplate") or _DEFAULT_MESSAGE)
    message.render(_sample(subject, values))
    interval = seconds(spec["interval"])
    return Orders(message, values, _author(commit["author"]), update.get("path") or "", interval)


def plan_of(spec: Json, source: Json) -> Plan:
    """Say what to clone and where to push, for the spec of an automation. Raises Refused."""
    origin = spec_of(source)
    if refused := fields.refusals("GitRepository", origin):
        raise Refused(f"GitRepository {key_of(source)}", "; ".join(refused))
    checkout = spec["git"].get("checkout")
    ref = checkout["ref"] if checkout else origin.get("ref") or {}
    branch, push = ref.get("branch"), (spec["git"].get("push") or {}).get("branch")
    if not branch and not push:
        why = (
            "not given, and not inferred from spec.git.checkout.ref or the GitRepository's spec.ref"
        )
        raise Refused("spec.git.push.branch", why)
    branch = branch or _DEFAULT_BRANCH
    timeout = seconds(origin.get("timeout") or _DEFAULT_TIMEOUT)
    return Plan(origin["url"], branch, push or branch, timeout)


def _author(author: Json) -> Author:
    if not author.get("name"):
        why = "is missing, and Git's own program does not commit without"
        raise Refused("spec.git.commit.author.name", why)
    return Author(author["name"], author["email"])


def _sample(subject: Subject, values: Mapping[str, str]) -> TemplateData:
    one = ObjectId("v1", "Kind", "name", "namespace")
    changes = {"file.yaml": {one: [Change("namespace:policy:tag", "old", "new")]}}
    return TemplateData(subject.key, Changed(changes), values)
