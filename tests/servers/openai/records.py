"""The types of the control API: faults, scripted answers, and records of requests and answers.

The server writes these values as JSON and `control.py` reads them back, so a test sees the same
types that the server uses. Unknown fields are errors on both sides.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Endpoint = Literal["responses", "chat", "images", "models", "moderations", "unknown"]


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FaultKind(StrEnum):
    """All faults of the server; README.md describes what a client sees."""

    # Faults instead of an answer.
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_LENGTH = "context_length"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    BAD_GATEWAY = "bad_gateway"
    TIMEOUT = "timeout"
    DROP = "drop"
    # Faults during an answer, after `after` chunks of text.
    STALL = "stall"
    CUT = "cut"
    RESET = "reset"
    MALFORMED = "malformed"
    ERROR_EVENT = "error_event"
    ERROR_OBJECT = "error_object"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    CONTENT_FILTER = "content_filter"
    # Answers that end in an unusual way (Chat Completions).
    EMPTY = "empty"
    HTML = "html"
    NO_FINISH = "no_finish"
    FINISH_ERROR = "finish_error"
    FINISH_UNKNOWN = "finish_unknown"
    ONLY_REASONING = "only_reasoning"
    # A special kind of answer.
    REFUSAL = "refusal"


class UsageKind(StrEnum):
    """What a provider may report as usage; README.md describes each."""

    NONE = "none"
    NULL = "null"
    ZERO = "zero"
    PARTIAL = "partial"
    TEXT = "text"
    NEGATIVE = "negative"


class Fault(Value):
    """One fault to inject; it ends after `count` requests or `seconds`, whichever is first."""

    kind: FaultKind
    match: str | None = None  # only if the last user text contains this; None: every request
    endpoint: Endpoint | None = None
    count: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    after: int = Field(default=3, ge=0)  # chunks of text sent before a fault in the stream
    retry_after: float | None = Field(default=None, ge=0)


class ActiveFault(Value):
    """A fault in the server's state."""

    id: str
    fault: Fault
    hits: int
    over: bool


class Pace(Value):
    """The pace of an answer, unless a directive or a scripted answer sets another."""

    first: float = Field(default=0, ge=0)  # seconds before the first text
    delay: float = Field(default=0, ge=0)  # seconds between chunks
    chunks: int | None = Field(default=None, ge=1)  # None: one chunk per word, at most 40


class ScriptedAnswer(Value):
    """The answer if the last user text contains `match`; the newest match wins.

    With `status`, `text` is the exact body of the response, with the type `content_type`.
    """

    match: str
    text: str
    first: float | None = Field(default=None, ge=0)
    delay: float | None = Field(default=None, ge=0)
    chunks: int | None = Field(default=None, ge=1)
    count: int | None = Field(default=None, ge=1)
    status: int | None = None
    content_type: str = "text/event-stream"


class DialectChoice(Value):
    """The dialect (a file in dialects/), and what differs in this installation.

    `context` is the models' context in tokens, `refuses` lists more parameters to refuse,
    `alternate` requires roles to alternate, `usage` is whether streams include it.
    """

    name: str
    context: int | None = Field(default=None, ge=1)
    refuses: tuple[str, ...] = ()
    alternate: bool = False
    usage: Literal["asked", "always", "never"] | None = None


class Turn(Value):
    """One turn of the conversation, as requested."""

    role: Literal["system", "developer", "user", "assistant"]
    text: str
    images: tuple[str, ...] = ()  # URLs; for a data URL only its media type
    name: str | None = None


class Asked(Value):
    """A request for an answer, the same for both APIs."""

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    include_usage: bool = False
    obfuscation: bool = True
    max_tokens: int | None = None
    temperature: float | None = None
    effort: str | None = None
    tools: tuple[str, ...] = ()
    chosen: str = ""  # the tool that must be used
    max_tool_calls: int | None = None

    @property
    def instructions(self) -> str:
        """The first system or developer text, or an empty string."""
        return next((t.text for t in self.turns if t.role in {"system", "developer"}), "")

    @property
    def last_user_text(self) -> str:
        """The newest user text, or an empty string."""
        return next((t.text for t in reversed(self.turns) if t.role == "user"), "")


class Record(Value):
    """One request and its result.

    `ending` is "open" while the request is in progress; then "completed", "gone" (the client left
    early), "refused" (an HTTP error: see `status`), or the kind of the fault that ended it.
    Times are seconds since the epoch by this machine's clock.
    """

    id: str
    number: int
    endpoint: Endpoint
    path: str
    key: str | None = None  # eight hex digits of the key's SHA-256
    received_at: float
    read_at: float | None = None  # when the whole request had arrived
    asked: Asked | None = None
    status: int | None = None
    error: str | None = None  # the message of the sent error
    fault: FaultKind | None = None
    text: str = ""  # all text that was sent, even if the stream then broke
    chunks: int = 0
    first_text_at: float | None = None
    ended_at: float | None = None
    ending: str = "open"


class Counts(Value):
    """The number of requests, counted in several ways."""

    total: int
    open: int
    by_endpoint: dict[str, int]
    by_status: dict[str, int]
    by_key: dict[str, int]
    by_ending: dict[str, int]
