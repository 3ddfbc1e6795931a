"""Composes the answers: scripted text, a directive's text, or a default text.

Deterministic: the same question in a request with the same number gets the same answer. A default
text includes the request's number, so no two answers of a run are alike.
"""

import itertools
import re
from collections.abc import Iterator
from typing import TypeVar

from .directives import Directives, without
from .records import Asked, Pace, ScriptedAnswer, Value

T = TypeVar("T")

WHO = re.compile(r"\bwho are you\b", re.IGNORECASE)
SENTENCE = re.compile(r".+?[.!?](?=\s|$)", re.DOTALL)
PIECE = re.compile(r"\s*\S+\s*$|\s*\S+")
CHARACTERS_PER_TOKEN = 4
DEFAULT_CHUNKS = 40
QUOTED = 300
SENTENCES = """
    the sky over the harbour turned slowly from grey to blue while the last gulls went home and
    somebody on the pier was still counting boats in a small green notebook
"""
WORDS = SENTENCES.split()


class Answer(Value):
    """What to send and how fast."""

    pieces: tuple[str, ...]
    first: float
    delay: float
    truncated: bool = False

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def compose(
    asked: Asked, number: int, directives: Directives, script: ScriptedAnswer | None, pace: Pace
) -> Answer:
    """Compose the answer to one request."""
    text = script.text if script else _text(asked, number, directives)
    kept = text[: asked.max_tokens * CHARACTERS_PER_TOKEN] if asked.max_tokens else text
    return Answer(
        pieces=tuple(
            pieces(kept, _chosen(directives.chunks, script.chunks if script else None, pace.chunks))
        ),
        first=_chosen(directives.first, script.first if script else None, pace.first) or 0,
        delay=_chosen(directives.delay, script.delay if script else None, pace.delay) or 0,
        truncated=len(kept) < len(text),
    )


def _chosen(*candidates: T | None) -> T | None:
    return next((c for c in candidates if c is not None), None)


def _text(asked: Asked, number: int, directives: Directives) -> str:
    if directives.text is not None:
        return directives.text
    question = asked.last_user_text
    if WHO.search(question):
        return first_sentence(asked.instructions)
    words = without(question)
    quoted = words if len(words) <= QUOTED else f"{words[:QUOTED]}…"
    head = f"You said: {quoted}\nThis is answer number {number}, made for you alone."
    if directives.length is None and not directives.fence:
        return head
    return _long(head, directives.length or len(head), directives.fence)


def first_sentence(text: str) -> str:
    """Return the first sentence, or all of a text without one; for no text, say so."""
    found = SENTENCE.match(text.strip())
    return found[0] if found else text.strip() or "I was given no instructions."


def _long(head: str, length: int, fences: int) -> str:
    """Fill up to a length with numbered lines, some of them in fenced code blocks."""
    blocks = 2 * fences + 1
    share = max(length - len(head), 0) // blocks
    lines = _lines()
    parts = [head]
    for block in range(blocks):
        inside = block % 2 == 1
        budget = share - (len("```python\n\n```") if inside else 1)
        prefix = "print" if inside else ""
        body = _fill(lines, budget, prefix)
        parts.append(f"```python\n{body}\n```" if inside else body)
    text = "\n".join(part for part in parts if part)
    return text[:length] if not fences else text


def _lines() -> Iterator[str]:
    words = itertools.cycle(WORDS)
    for number in itertools.count(1):
        yield f"{number}: " + " ".join(itertools.islice(words, 9))


def _fill(lines: Iterator[str], budget: int, prefix: str) -> str:
    chosen: list[str] = []
    while budget > 0:
        line = f'{prefix}("{next(lines)}")' if prefix else next(lines)
        budget -= len(line) + 1
        chosen.append(line)
    return "\n".join(chosen)


def pieces(text: str, count: int | None) -> list[str]:
    """Cut a text into chunks, whose concatenation is the text: at words, or of equal length."""
    if count is not None:
        count = min(count, len(text)) or 1
        edges = [len(text) * i // count for i in range(count + 1)]
        return [text[a:b] for a, b in itertools.pairwise(edges)]
    words = PIECE.findall(text)
    per_chunk = -(-len(words) // DEFAULT_CHUNKS) or 1
    return ["".join(words[i : i + per_chunk]) for i in range(0, len(words), per_chunk)] or [text]


def tokens(text: str) -> int:
    """Estimate tokens, for the reported usage."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)
