"""Map a provider's refusals and failures to errors; the provider's own text is not kept.

Providers use forms of their own (JSON of any shape, a list, a string, an HTML page), so the whole
body is examined: first its codes, then its wording, with the tables in provider_dialects.py. A
status that says more than the wording outweighs it.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.domain.errors import (
    BadPicture,
    Filtered,
    KeyRefused,
    ModelBusy,
    ModelDown,
    ModelMissing,
    ModelSlow,
    QuotaSpent,
    RequestRefused,
    Retried,
    SkyError,
    ToolMissing,
    TooMuchText,
)
from bot.llm import provider_dialects
from bot.llm.provider_dialects import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai

    from bot.llm.transport import Payload

_READ = 20_000  # characters of a refusal that are examined
_DEEP = 12  # levels of JSON
_CODE_KEYS = frozenset({"code", "type", "status", "reason"})
_PARAMETER_KEYS = frozenset({"param", "parameter", "loc", "field"})
_TOOLS = frozenset({"tools", "tool_choice"})
_HTTP = range(400, 600)
_TOO_LARGE = 413

_ERRORS: dict[Refusal, type[SkyError]] = {
    Refusal.KEY: KeyRefused,
    Refusal.CREDIT: QuotaSpent,
    Refusal.TOO_LONG: TooMuchText,
    Refusal.FILTERED: Filtered,
    Refusal.BAD_PICTURE: BadPicture,
    Refusal.RATE: ModelBusy,
    Refusal.MODEL: ModelMissing,
    Refusal.DOWN: ModelDown,
    Refusal.SLOW: ModelSlow,
}


class FeatureRefused(RequestRefused):
    """A refusal that names an optional part of the request; the request is retried without it.

    `what` is one of Refusal's features, `parameters` are the names of refused parameters. A person
    reads RequestRefused's sentence if the retry does not help.
    """

    def __init__(self, detail: str, what: Refusal, parameters: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.what = what
        self.parameters = parameters


@contextlib.contextmanager
def mapped(payload: Payload | None = None) -> Iterator[None]:
    """Convert exceptions of the libraries inside the block to the errors of domain/errors.py."""
    import aiohttp  # noqa: PLC0415  # imported late, see openai_client.py
    import httpx2  # noqa: PLC0415
    import openai  # noqa: PLC0415

    try:
        yield
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        if _broke(error, aiohttp.ClientError):
            raise ModelDown("the connection broke") from error
        raise ModelSlow("no answer in time") from error
    except (openai.APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
        raise ModelDown("no connection") from error
    except openai.APIStatusError as error:
        raise refused(error, payload) from error
    except json.JSONDecodeError as error:
        raise ModelDown("an event that is not JSON") from error


def _broke(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether a "timeout" was a broken connection of aiohttp, which the library reports alike."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__
    return cause is not None and not isinstance(cause, TimeoutError)


def refused(error: openai.APIStatusError, payload: Payload | None) -> SkyError:
    """Return the meaning of an HTTP error. Such a request was not processed, so it is unbilled."""
    response = error.response
    after = _seconds(response.headers.get("retry-after"))
    found = read(parsed(response.text), status=error.status_code, payload=payload, after=after)
    found.unbilled = True
    return found


def read(
    body: Any,
    *,
    status: int | None = None,
    payload: Payload | None = None,
    after: float | None = None,
) -> SkyError:
    """Return the meaning of a refusal: an HTTP error's body, or an error inside a stream.

    Without a `status`, one that the body names counts.
    """
    facts = _Facts(body)
    status = facts.status if status is None else status
    detail = f"status {status}, code {_plain(facts.code)}"
    meaning = _meaning(facts, status, payload)
    if meaning is Refusal.PARAMETER and payload is not None:
        return FeatureRefused(detail, meaning, payload.named(facts.parameters, facts.words))
    if payload is not None and payload.draws and facts.lacks_drawing(meaning, payload):
        return ToolMissing(detail)
    kind = _ERRORS.get(meaning)
    if kind is None:
        unknown = meaning is Refusal.UNKNOWN
        return RequestRefused(detail) if unknown else FeatureRefused(detail, meaning)
    return kind(detail, after=after) if issubclass(kind, Retried) else kind(detail)


# Meanings that count wherever the wording occurs; the others only where nothing else fits.
_CERTAIN = frozenset(
    {
        Refusal.KEY,
        Refusal.TOO_LONG,
        Refusal.CREDIT,
        Refusal.FILTERED,
        Refusal.SUCCESSIVE_TURNS,
        Refusal.SYSTEM_ROLE,
        Refusal.LAST_TURN,
    }
)


# With a page of HTML these come from something in front of the provider, such as a firewall.
_EDGE_STATUSES = frozenset({400, 403})


def _meaning(facts: _Facts, status: int | None, payload: Payload | None) -> Refusal:
    code, words = facts.by_code, facts.by_words(status)
    if code is Refusal.DOWN and status in provider_dialects.NEVER_DOWN:
        code = None
    if code is not None and code not in {Refusal.RATE, Refusal.DOWN}:
        return code
    named = payload is not None and _names_parameter(facts, status, payload, words)
    if words in _CERTAIN and not named:
        assert words is not None
        return words
    feature = _feature(facts, status, payload) if payload is not None else None
    if facts.page and status in _EDGE_STATUSES:
        return Refusal.DOWN
    known = feature or words or code or provider_dialects.STATUSES.get(status or 0)
    if known is not None:
        return known
    refused = status is not None and status < provider_dialects.SERVER_ERRORS
    return Refusal.UNKNOWN if refused else Refusal.DOWN


def _names_parameter(
    facts: _Facts, status: int | None, payload: Payload, words: Refusal | None
) -> bool:
    """Whether it is about a parameter, although it has certain words, such as "context window".

    It is if a field of the refusal names the parameter, or a refusal of a length names the one that
    bounds the answer; but not if it speaks of the conversation's length.
    """
    if status not in provider_dialects.ABOUT_THE_REQUEST:
        return False
    if words is not Refusal.TOO_LONG:
        return bool(payload.named(facts.parameters, ""))
    if provider_dialects.ABOUT_THE_INPUT.search(facts.words):
        return False
    bounds = replace(payload, optional=tuple(each for each in payload.optional if each.bounds))
    return bool(payload.named(facts.parameters, "") or bounds.named(set(), facts.words))


def _feature(facts: _Facts, status: int | None, payload: Payload) -> Refusal | None:
    """Return which part of the request a refusal is about."""
    about_pictures = facts.about_pictures and status not in provider_dialects.NEVER_ABOUT_PICTURES
    if payload.pictures and (status == _TOO_LARGE or about_pictures):
        bad = status != _TOO_LARGE and not facts.no_pictures
        return Refusal.BAD_PICTURE if bad else Refusal.PICTURES
    if payload.streamed and "stream" in facts.parameters:
        return Refusal.STREAMING
    if status not in provider_dialects.ABOUT_THE_REQUEST:
        return None
    if payload.named(facts.parameters, facts.words):
        return Refusal.PARAMETER
    if payload.streamed and provider_dialects.STREAM.search(facts.words):
        return Refusal.STREAMING
    return None


class _Facts:
    """The facts in a refusal's body, whatever its form."""

    def __init__(self, body: Any) -> None:
        self.code: object = None
        self.status: int | None = None
        self.codes: list[str] = []
        self.parameters: set[str] = set()
        self._texts: list[str] = []
        self.page = isinstance(body, str) and body.lstrip()[:1] == "<"
        if not self.page:  # a page of HTML has words about everything
            self._walk(body, "", 0)
        self.words = " \n ".join(self._texts)[:_READ].lower()

    @property
    def by_code(self) -> Refusal | None:
        """The meaning of its codes."""
        return next(
            (
                provider_dialects.CODES[code]
                for code in self.codes
                if code in provider_dialects.CODES
            ),
            None,
        )

    def by_words(self, status: int | None) -> Refusal | None:
        """The meaning of its wording, as far as the status does not say more."""
        for pattern, outweighed, meaning in provider_dialects.WORDINGS:
            if status not in outweighed and pattern.search(self.words):
                waits = meaning is Refusal.CREDIT and provider_dialects.WAIT.search(self.words)
                return Refusal.RATE if waits else meaning
        return None

    @property
    def about_pictures(self) -> bool:
        """Whether it mentions pictures."""
        return provider_dialects.PICTURES.search(self.words) is not None

    @property
    def no_pictures(self) -> bool:
        """Whether it says that no pictures are accepted at all."""
        about_one = provider_dialects.BAD_PICTURE.search(self.words)
        return about_one is None and provider_dialects.NO_PICTURES.search(self.words) is not None

    def lacks_drawing(self, meaning: Refusal, payload: Payload) -> bool:
        """Whether it says that there is no API, model or tool that makes pictures."""
        if meaning is Refusal.MODEL:
            return not payload.streamed
        about_tools = self.parameters & _TOOLS or "tool" in self.words
        return meaning is Refusal.UNKNOWN and bool(about_tools)

    def _walk(self, node: Any, key: str, depth: int) -> None:
        if depth > _DEEP:
            return
        if isinstance(node, dict):
            for name, inner in node.items():
                self._walk(inner, str(name), depth + 1)
        elif isinstance(node, list):
            for inner in node:
                self._walk(inner, key, depth + 1)
        elif isinstance(node, str) and node.lstrip()[:1] in {"{", "["} and depth:
            inner = parsed(node)  # a proxy quotes what the provider behind it said
            self._texts.append(node) if isinstance(inner, str) else self._walk(
                inner, key, depth + 1
            )
        elif node is not None:
            self._note(node, key)

    def _note(self, value: Any, key: str) -> None:
        text = str(value)
        if key in _PARAMETER_KEYS:
            self.parameters.add(text.lower())
        if isinstance(value, str):
            self._texts.append(text[:_READ])
        if key not in _CODE_KEYS:
            return
        if key == "code" and self.code is None:
            self.code = value
        self.codes.append(text.lower())
        if self.status is None and text.isascii() and text.isdigit() and int(text[:4]) in _HTTP:
            self.status = int(text[:4])


def parsed(text: str) -> Any:
    """Parse JSON; return anything else as text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _plain(code: object) -> str:
    """Return a code that is safe to log: a short name, or a placeholder."""
    text = str(code)
    return text if len(text) <= 64 and text.replace("_", "").isalnum() else "unnamed"  # noqa: PLR2004


def _seconds(value: str | None) -> float | None:
    """The seconds of a Retry-After header; None for a date or nonsense."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
