"""Label selectors, for spec.policySelector. Pure."""

from tests.loop.image_controllers.model import Json


class InvalidSelectorError(ValueError):
    """No label can be tested with this."""


def matches(selector: Json | None, labels: Json) -> bool:
    """Say whether labels satisfy a valid selector; none selects everything."""
    selector = selector or {}
    wanted: Json = selector.get("matchLabels") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions") or ())


def validate(selector: Json | None) -> None:
    """Raise InvalidSelectorError for an unknown operator, or one whose values do not fit it."""
    for one in (selector or {}).get("matchExpressions") or ():
        operator, values = one.get("operator"), one.get("values") or []
        if operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
            raise InvalidSelectorError(f"{operator!r} is not a valid label selector operator")
        if bool(values) != (operator in {"In", "NotIn"}):
            raise InvalidSelectorError(f"values do not fit operator {operator}")


def _holds(expression: Json, labels: Json) -> bool:
    name, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(name) in values,
        "NotIn": labels.get(name) not in values,
        "Exists": name in labels,
        "DoesNotExist": name not in labels,
    }[expression["operator"]]
