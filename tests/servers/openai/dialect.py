"""How one provider differs from the others: data, one file each in dialects/ (see the README).

A dialect describes the models and APIs, what a request may contain, the format of a stream, and the
form of every refusal. `records.DialectChoice` selects one and describes how this installation is
configured.
"""

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Literal

from pydantic import Field

from .errors import ApiError
from .records import Value

DIRECTORY = Path(__file__).parent / "dialects"

# The statuses of a gateway in front of a server, for refusals that the dialect does not define.
_GATEWAY = {
    "no_key": (401, "Unauthorized"),
    "bad_key": (401, "Unauthorized"),
    "forbidden": (403, "Forbidden"),
    "credit": (402, "Payment Required"),
    "rate_limit": (429, "Too Many Requests"),
    "too_large": (413, "Request Entity Too Large"),
    "not_found": (404, "Not Found"),
    "model": (404, "Not Found"),
    "server_error": (500, "Internal Server Error"),
    "bad_gateway": (502, "Bad Gateway"),
    "unavailable": (503, "Service Temporarily Unavailable"),
}
_PAGE = (
    "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<center><h1>{0} {1}</h1></center>"
    "\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)

_STREAM_ERROR = '{"error": {"message": "The server had an error.", "type": "server_error"}}'


class ModelGroup(Value):
    """Models with the same abilities."""

    names: tuple[str, ...]
    context: int = 128_000  # tokens, for the conversation
    pictures: bool = True
    reasons: bool = False
    refuses: tuple[str, ...] = ()  # parameters, in addition to the dialect's
    hosted_tools: bool = False  # web_search and image_generation, with the Responses API


class Refusal(Value):
    """The form of a refusal. In `body` and `headers`, `$name` is a placeholder for a value.

    `in_stream`: sent as an event inside a response with status 200.
    """

    status: int = 400
    body: str
    content_type: str = "application/json"
    headers: Mapping[str, str] = Field(default_factory=dict)
    in_stream: bool = False

    def rendered(self, values: Mapping[str, Any]) -> str:
        """Return the body with the values filled in."""
        try:
            body = json.loads(self.body)
        except ValueError:
            return Template(self.body).safe_substitute(values)
        return json.dumps(_filled(body, values), ensure_ascii=False)


def _filled(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(each, values) for key, each in node.items()}
    if isinstance(node, list):
        return [_filled(each, values) for each in node]
    if not isinstance(node, str):
        return node
    if node.startswith("$") and node[1:] in values:
        return values[node[1:]]  # a number or null stays what it is
    return Template(node).safe_substitute(values)


class Requests(Value):
    """What a request may contain."""

    refuses: tuple[str, ...] = ()  # parameters, by their top-level name in the body
    ignores: bool = False  # whether unknown parameters are ignored instead of refused
    alternate: bool = False  # user and assistant must take turns
    last_user: bool = False  # the conversation must end with a user's message
    counts_output: bool = False  # the context must have room for the answer's limit too


class Streams(Value):
    """How an answer is streamed (with Chat Completions)."""

    usage: Literal["asked", "always", "never"] = "asked"
    usage_with_finish: bool = False  # instead of in a separate chunk without choices
    reasoning_apart: bool = False  # its tokens count in the total but not as the answer's
    done: bool = True  # `data: [DONE]` at the end
    finish: bool = True  # whether there is a finish reason
    comment: str = ""  # sent before the first chunk
    opening: str = ""  # data of an event before the first chunk
    content: Literal["text", "parts"] = "text"
    error_event: bool = False  # errors are events named "error"


class Dialect(Value):
    """A provider's variant of the protocol."""

    title: str
    sources: tuple[str, ...] = Field(min_length=1)  # documentation pages, public threads
    notes: tuple[str, ...] = ()  # behaviour without a known source
    apis: tuple[Literal["chat", "responses", "images", "models", "moderations"], ...]
    models: tuple[ModelGroup, ...] = Field(min_length=1)
    requests: Requests = Requests()
    streams: Streams = Streams()
    reasoning: Literal[
        "hidden", "think_tags", "reasoning_content", "reasoning", "thinking_parts"
    ] = "hidden"
    finish: Mapping[str, str] = Field(
        default_factory=dict
    )  # reasons whose name differs from OpenAI's
    refusals: Mapping[str, Refusal] = Field(default_factory=dict)

    def group(self, model: str) -> ModelGroup:
        """Return a model's abilities; an unknown model is like the first."""
        return next((group for group in self.models if model in group.names), self.models[0])

    @property
    def model_names(self) -> list[str]:
        """The names of all models."""
        return [name for group in self.models for name in group.names]

    def refusal(self, kind: str) -> Refusal:
        """Return the form of a refusal: the dialect's, or the page of a gateway in front of it."""
        if kind in self.refusals:
            return self.refusals[kind]
        if kind == "unknown_parameter" and "parameter" in self.refusals:
            return self.refusals["parameter"]
        if kind == "stream_error":
            return Refusal(status=200, body=_STREAM_ERROR)
        if kind not in _GATEWAY and "invalid" in self.refusals:
            return self.refusals["invalid"]
        status, reason = _GATEWAY.get(kind, (400, "Bad Request"))
        page = _PAGE.format(status, reason)
        return Refusal(status=status, body=page, content_type="text/html")

    def has(self, kind: str) -> bool:
        """Return whether the dialect defines this refusal."""
        return kind in self.refusals

    def tells(self, error: ApiError) -> tuple[Refusal, str, dict[str, str]]:
        """Return an error's form, body and headers."""
        form = self.refusal(error.kind)
        headers = {
            name: Template(value).safe_substitute(error.values)
            for name, value in form.headers.items()
        }
        headers = {name: value for name, value in headers.items() if value}
        return form, form.rendered(error.values), headers


@cache
def load(name: str) -> Dialect:
    """Read a dialect; raises FileNotFoundError if it does not exist."""
    return Dialect.model_validate(tomllib.loads((DIRECTORY / f"{name}.toml").read_text()))


def names() -> list[str]:
    """List all dialects by file name."""
    return sorted(path.stem for path in DIRECTORY.glob("*.toml"))
