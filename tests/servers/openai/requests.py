"""Turns a request's body into what was asked, and refuses it as dialect and model demand."""

import itertools
from typing import Any

from . import pictures, schema
from .answers import tokens
from .dialect import Dialect, ModelGroup
from .errors import ApiError
from .records import Asked, DialectChoice, Turn

Body = dict[str, Any]

_PER_TURN = 4  # tokens
_REASONING = {"chat": "reasoning_effort", "responses": "reasoning.effort"}


class RequestReader:
    """Reads requests as one installation of a dialect."""

    def __init__(self, dialect: Dialect, choice: DialectChoice, models: list[str]) -> None:
        self._dialect = dialect
        self._choice = choice
        self._models = models

    def read(self, endpoint: str, body: Any) -> Asked:
        """Return what was asked; raises ApiError if the schema or the model refuses it."""
        if isinstance(body, dict) and self._dialect.requests.ignores:
            body = {name: value for name, value in body.items() if schema.knows(endpoint, name)}
        schema.check(endpoint, body)
        asked = _ASKED[endpoint](body)
        if asked.model not in self._models:
            raise ApiError("model", model=asked.model)
        if endpoint == "images":
            return asked
        group = self._dialect.group(asked.model)
        self._check_parameters(endpoint, body, asked, group)
        _check_pictures(endpoint, body, group)
        self._check_roles(asked)
        return self._fitted(endpoint, asked, group)

    def _check_parameters(self, endpoint: str, body: Body, asked: Asked, group: ModelGroup) -> None:
        dialect = self._dialect
        always = {*dialect.requests.refuses, *self._choice.refuses}
        for name in sorted({*always, *group.refuses}):
            value = _value(body, name, endpoint)
            # OpenAI accepts a sampling parameter's default even if the model refuses other values
            neutral = name in {"temperature", "top_p"} and value == 1 and name not in always
            if value is None or value is False or neutral:
                continue
            param = _REASONING[endpoint] if name == "reasoning_effort" else name
            special = f"parameter.{name}"
            kind = special if dialect.has(special) else "parameter"
            hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
            first, *rest = param.split("_")
            camel = first + "".join(map(str.capitalize, rest))
            message = f"Unsupported parameter: '{param}' is not supported with this model.{hint}"
            raise ApiError(
                kind, message, param=param, value=value, hint=hint, camel=camel,
                code="unsupported_parameter",
            )  # fmt: skip
        if body.get("stream_options") and not body.get("stream"):
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise ApiError("invalid", message, param="stream_options")
        if asked.tools:
            _check_tools(asked, group)

    def _check_roles(self, asked: Asked) -> None:
        turns = [turn for turn in asked.turns if turn.role in {"user", "assistant"}]
        if self._dialect.requests.alternate or self._choice.alternate:
            for index, (one, other) in enumerate(itertools.pairwise(turns), 1):
                if one.role == other.role:
                    message = "Conversation roles must alternate user/assistant/user/assistant/..."
                    raise ApiError("alternate", message, role=one.role, index=index)
        if self._dialect.requests.last_user and turns and turns[-1].role != "user":
            raise ApiError("last_user", "Expected last role User but got assistant")

    def _fitted(self, endpoint: str, asked: Asked, group: ModelGroup) -> Asked:
        """Refuse a conversation that exceeds the context, or shorten it if the dialect does."""
        limit = self._choice.context or group.context
        size = sum(tokens(turn.text) + _PER_TURN for turn in asked.turns)
        output = (asked.max_tokens or 0) if self._dialect.requests.counts_output else 0
        if size + output <= limit:
            return asked
        if self._dialect.has("context"):
            param = "messages" if endpoint == "chat" else "input"
            raise ApiError(
                "context", model=asked.model, limit=limit, tokens=size + output, param=param
            )
        head = [turn for turn in asked.turns if turn.role in {"system", "developer"}]
        kept: list[Turn] = []
        room = limit - sum(tokens(turn.text) + _PER_TURN for turn in head)
        for turn in reversed([turn for turn in asked.turns if turn not in head]):
            room -= tokens(turn.text) + _PER_TURN
            if room < 0 and kept:
                break
            kept.insert(0, turn)
        return asked.model_copy(update={"turns": (*head, *kept)})


def _value(body: Body, name: str, endpoint: str) -> Any:
    if name == "reasoning_effort" and endpoint == "responses":
        return (body.get("reasoning") or {}).get("effort")
    return body.get(name)


def _check_tools(asked: Asked, group: ModelGroup) -> None:
    if not group.hosted_tools:
        message = f"Hosted tool '{asked.tools[0]}' is not supported with {asked.model}."
        raise ApiError("invalid", message, param="tools")
    if asked.effort == "minimal" and "web_search" in asked.tools:
        message = "The following tools cannot be used with reasoning.effort 'minimal': web_search."
        raise ApiError("invalid", message, param="tools")


def _check_pictures(endpoint: str, body: Body, group: ModelGroup) -> None:
    """Refuse pictures if the model has no vision, and pictures that cannot be read."""
    field = "messages" if endpoint == "chat" else "input"
    messages = body[field] if isinstance(body[field], list) else []
    for index, message in enumerate(messages):
        for place, part in enumerate(_parts(message)):
            address = _address(part)
            if address is None:
                continue
            where = f"{field}[{index}].content[{place}]"
            if not group.pictures:
                # Chat Completions writes paths differently from the Responses API
                param = f"messages.[{index}].content.[{place}].type" if field != "input" else where
                raise ApiError("picture", param=param, index=index, model=body["model"])
            pictures.look(address, f"{where}.image_url")


def _chat(body: Body) -> Asked:
    options = body.get("stream_options") or {}
    return Asked(
        model=body["model"],
        turns=tuple(map(_turn, body["messages"])),
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        obfuscation=options.get("include_obfuscation", True),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        temperature=body.get("temperature"),
        effort=body.get("reasoning_effort"),
    )


def _responses(body: Body) -> Asked:
    given = body["input"]
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else given
    told = body.get("instructions")
    head = (Turn(role="system", text=told),) if told else ()
    offered = tuple(tool["type"] for tool in body.get("tools") or ())
    choice = body.get("tool_choice")
    chosen = choice["type"] if isinstance(choice, dict) else ""
    if chosen and chosen not in offered:
        message = f"Tool choice '{chosen}' not found in 'tools' parameter."
        raise ApiError("invalid", message, param="tool_choice")
    return Asked(
        model=body["model"],
        turns=head + tuple(map(_turn, messages)),
        stream=bool(body.get("stream")),
        obfuscation=(body.get("stream_options") or {}).get("include_obfuscation", True),
        max_tokens=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        effort=(body.get("reasoning") or {}).get("effort"),
        tools=offered,
        max_tool_calls=body.get("max_tool_calls"),
        chosen=chosen,
    )


def _images(body: Body) -> Asked:
    return Asked(model=body["model"], turns=(Turn(role="user", text=body["prompt"]),))


_ASKED = {"chat": _chat, "responses": _responses, "images": _images}


def _parts(message: Body) -> list[Body]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _turn(message: Body) -> Turn:
    content = message.get("content")
    parts = _parts(message)
    texts = [part.get("text") or part.get("refusal") or "" for part in parts]
    addresses = [address for address in map(_address, parts) if address is not None]
    return Turn(
        role=message["role"],
        text=content if isinstance(content, str) else "\n".join(filter(None, texts)),
        images=tuple(each.split(",", 1)[0] if each[:5] == "data:" else each for each in addresses),
        name=message.get("name"),
    )


def _address(part: Body) -> str | None:
    """Return the URL of a part that is a picture."""
    found = part.get("image_url")
    return found.get("url") if isinstance(found, dict) else found
