"""What a commit message template sees, under Go's names, and the functions it may call. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tests.loop.image_controllers.model import Key, Refused
from tests.loop.image_controllers.setters import Change, ObjectId

PATH = "spec.git.commit.messageTemplate"


class RemovedFieldError(ValueError):
    """The template uses a field that Flux took away; the object stalls until it is changed."""


@dataclass(frozen=True)
class Changed:
    """`.Changed`: for each file, for each object in it, what changed."""

    files: Mapping[str, Mapping[ObjectId, Sequence[Change]]]

    def changes(self) -> list[Change]:
        """Return all changes, each once, by file; Flux gives them in no order."""
        return list(
            dict.fromkeys(
                change
                for _, objects in sorted(self.files.items())
                for changes in objects.values()
                for change in changes
            )
        )

    def objects(self) -> dict[ObjectId, Sequence[Change]]:
        """Return the changes by object, whichever file it is in."""
        return {
            one: changes
            for _, objects in sorted(self.files.items())
            for one, changes in objects.items()
        }


@dataclass(frozen=True)
class TemplateData:
    """The root of the template."""

    automation: Key
    changed: Changed
    values: Mapping[str, str]


_FIELDS: Mapping[type, Mapping[str, Callable[..., object]]] = MappingProxyType(
    {
        TemplateData: {
            "AutomationObject": lambda data: data.automation,
            "Changed": lambda data: data.changed,
            "Values": lambda data: data.values,
        },
        Key: {"Name": lambda key: key.name, "Namespace": lambda key: key.namespace},
        Changed: {
            "FileChanges": lambda c: c.files,
            "Changes": Changed.changes,
            "Objects": Changed.objects,
        },
        ObjectId: {
            "Name": lambda one: one.name,
            "Namespace": lambda one: one.namespace,
            "Kind": lambda one: one.kind,
            "APIVersion": lambda one: one.api_version,
        },
        Change: {
            "OldValue": lambda change: change.old,
            "NewValue": lambda change: change.new,
            "Setter": lambda change: change.setter,
        },
    }
)
_REMOVED = frozenset({(TemplateData, "Updated"), (Changed, "ImageResult")})


def field_of(value: object, name: str) -> object:
    """Return `.name` of a value. Raises RemovedFieldError or Refused."""
    if (type(value), name) in _REMOVED:
        why = f"template uses removed '{name}' field. Please use '.Changed' instead."
        raise RemovedFieldError(why)
    if isinstance(value, Mapping):
        if name in value:
            found: object = value[name]
            return found
        raise Refused(PATH, f"there is no value {name!r} in messageTemplateValues")
    getter = _FIELDS.get(type(value), {}).get(name)
    if getter is None:
        raise Refused(PATH, f"can't evaluate field {name} in type {type(value).__name__}")
    return getter(value)


def items_of(value: object) -> list[tuple[object, object]]:
    """Return what `range` walks over, with keys in order, as Go does."""
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda item: _order(item[0]))
    if isinstance(value, Sequence) and not isinstance(value, str | Key):
        return list(enumerate(value))
    raise Refused(PATH, f"range can't iterate over {shown(value)!r}")


def _order(key: object) -> tuple[str, ...]:
    if isinstance(key, ObjectId):
        return (key.api_version, key.kind, key.name, key.namespace)
    return (str(key),)


def shown(value: object) -> str:
    """Print a value. Raises Refused for what Go would print as a struct or a map."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Key):
        return str(value)
    raise Refused(PATH, f"printing a {type(value).__name__} is not honoured; range over it")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise Refused(PATH, f"a string was expected, not {type(value).__name__}")


def _truncated(length: object, text: object) -> str:
    if not isinstance(length, int):
        raise Refused(PATH, "trunc takes a number and a string")
    return _text(text)[:length] if length >= 0 else _text(text)[length:]


# How many arguments, and what. Names, order and meaning are those of Go's templates and of sprig.
FUNCTIONS: Mapping[str, tuple[int, Callable[..., object]]] = MappingProxyType(
    {
        "print": (1, shown),
        "println": (1, lambda value: shown(value) + "\n"),
        "lower": (1, lambda text: _text(text).lower()),
        "upper": (1, lambda text: _text(text).upper()),
        "trunc": (2, _truncated),
        "contains": (2, lambda part, text: _text(part) in _text(text)),
        "hasPrefix": (2, lambda part, text: _text(text).startswith(_text(part))),
        "hasSuffix": (2, lambda part, text: _text(text).endswith(_text(part))),
        "eq": (2, lambda one, other: _text(one) == _text(other)),
        "ne": (2, lambda one, other: _text(one) != _text(other)),
        "not": (1, lambda value: not value),
        "len": (1, len),
    }
)
