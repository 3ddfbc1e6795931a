"""The models that the server says it has, and what each of them refuses.

Names are those of OpenAI's list without dated snapshots; `PUT /models` of the control API
replaces the list.
"""

from .errors import ApiError

NAMES = """
    gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4o gpt-4o-mini o3 o3-mini o4-mini gpt-5 gpt-5-mini
    gpt-5-nano gpt-5-chat-latest gpt-5.1 gpt-5.1-chat-latest gpt-5.2 gpt-5.2-chat-latest
    gpt-5.3-chat-latest gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.5 gpt-5.6-sol gpt-5.6-terra
    gpt-5.6-luna gpt-6-sol gpt-6-luna gpt-6-astra gpt-6.1-sol gpt-6.1-terra gpt-6.2-sol
    gpt-6.2-astra gpt-image-1
"""
DEFAULT_MODELS = NAMES.split()

# These sample on their own terms; the later ones take a temperature where they do not reason.
FIXED_SAMPLING = ("gpt-5", "gpt-5-mini", "gpt-5-nano", "o3", "o3-mini", "o4-mini")


def reasons(model: str) -> bool:
    """Say whether a model's answer carries a reasoning item before its message."""
    return model.startswith(("o", "gpt-5", "gpt-6")) and not model.endswith("chat-latest")


def refuse_sampling(model: str, given: dict[str, float | None]) -> None:
    """Refuse temperature and top_p for the models that do not take them; raises ApiError."""
    for name, value in given.items():
        if value is not None and value != 1 and model in FIXED_SAMPLING:
            raise unsupported(name)


def unsupported(name: str, hint: str = "") -> ApiError:
    """400 for a parameter that exists, but not with this model."""
    message = f"Unsupported parameter: '{name}' is not supported with this model.{hint}"
    return ApiError(400, message, code="unsupported_parameter", param=name)
