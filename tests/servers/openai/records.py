"""What both sides of the control API speak: faults, scripted answers, and what was asked and sent.

The server writes these values as JSON and `control.py` reads them back, so a test sees the same
types that the server uses. Unknown fields are errors on both sides.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Endpoint = Literal["responses", "chat", "images", "models", "moderations", "unknown"]


class Value(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FaultKind(StrEnum):
    """Every way in which the server can fail; README.md says what a client sees of each."""

    # Instead of an answer.
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
    # In an answer, after `after` chunks of text.
    STALL = "stall"
    CUT = "cut"
    RESET = "reset"
    MALFORMED = "malformed"
    ERROR_EVENT = "error_event"
    ERROR_OBJECT = "error_object"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    CONTENT_FILTER = "content_filter"
    # An answer that ends in an unusual way (Chat Completions).
    EMPTY = "empty"
    HTML = "html"
    NO_FINISH = "no_finish"
    FINISH_ERROR = "finish_error"
    FINISH_UNKNOWN = "finish_unknown"
    ONLY_REASONING = "only_reasoning"
    # An answer of its own kind.
    REFUSAL = "refusal"


class UsageKind(StrEnum):
    """What a provider may tell of what an answer used up; README.md says what each is."""

    NONE = "none"
    NULL = "null"
    ZERO = "zero"
    PARTIAL = "partial"
    TEXT = "text"
    NEGATIVE = "negative"


class Fault(Value):
    """One fault to inject; it ends after `count` requests or `seconds`, whichever is first."""

    kind: FaultKind
    match: str | None = None  # only where the last user text contains this; None: every request
    endpoint: Endpoint | None = None
    count: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    after: int = Field(default=3, ge=0)  # chunks of text sent before a fault in the stream
    retry_after: float | None = Field(default=None, ge=0)


class ActiveFault(Value):
    """A fault as the server holds it."""

    id: str
    fault: Fault
    hits: int
    over: bool


class Pace(Value):
    """How fast an answer comes, unless a directive or a scripted answer says otherwise."""

    first: float = Field(default=0, ge=0)  # seconds before the first text
    delay: float = Field(default=0, ge=0)  # seconds between chunks
    chunks: int | None = Field(default=None, ge=1)  # None: a chunk for each word, 40 at most


class ScriptedAnswer(Value):
    """What to answer where the last user text contains `match`; the newest that matches wins.

    With `status`, `text` is the response's body to the letter, of the type `content_type`.
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
    """Which dialect is spoken (a file of dialects/), and what differs in this installation.

    `context` is the models' context in tokens, `refuses` names further parameters that are refused,
    `alternate` demands that roles take turns, `usage` says whether streams carry it.
    """

    name: str
    context: int | None = Field(default=None, ge=1)
    refuses: tuple[str, ...] = ()
    alternate: bool = False
    usage: Literal["asked", "always", "never"] | None = None


class Turn(Value):
    """One turn of the conversation, as it was asked."""

    role: Literal["system", "developer", "user", "assistant"]
    text: str
    images: tuple[str, ...] = ()  # addresses; of a data URL only its media type
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
    chosen: str = ""  # the tool that has to be used
    max_tool_calls: int | None = None

    @property
    def instructions(self) -> str:
        """The first system or developer text, empty where there is none."""
        return next((t.text for t in self.turns if t.role in {"system", "developer"}), "")

    @property
    def last_user_text(self) -> str:
        """The newest user text, empty where there is none."""
        return next((t.text for t in reversed(self.turns) if t.role == "user"), "")


class Record(Value):
    """One request and what became of it.

    `ending` is "open" while the server works on it; then "completed", "gone" (the client left
    first), "refused" (an HTTP error: see `status`), or the kind of the fault that ended it.
    Times are seconds since the epoch by this machine's clock.
    """

    id: str
    number: int
    endpoint: Endpoint
    path: str
    key: str | None = None  # eight hex digits of the key's SHA-256
    received_at: float
    read_at: float | None = None  # when all of the request was here
    asked: Asked | None = None
    status: int | None = None
    error: str | None = None  # the message of the error that was sent
    fault: FaultKind | None = None
    text: str = ""  # all text that was sent, also when the stream then broke
    chunks: int = 0
    first_text_at: float | None = None
    ended_at: float | None = None
    ending: str = "open"


class Counts(Value):
    """How many requests there were, each way of counting on its own."""

    total: int
    open: int
    by_endpoint: dict[str, int]
    by_status: dict[str, int]
    by_key: dict[str, int]
    by_ending: dict[str, int]
