"""The visible response to a command: it quotes the question, and the answer replies to it.

It is the question as everybody in the channel sees it, and as a successor of this process finds it,
so what was asked can be read back from it. Pure.

    -# Ada asks Pirate for a picture:
    >>> a ship at sea
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONGEST = 2000  # Discord's limit for a message
_CUT = "…"
_MARKDOWN = re.compile(r"([\\*_~`|<>\[\]()#])")
_PICTURE = " for a picture"
_HEAD = re.compile(
    rf"-# .* asks (?P<persona>.{{1,32}}?)(?P<image>{_PICTURE})?"
    r"(?: about https://discord\.com/channels/(?:@me|\d+)/\d+/(?P<target>\d+))?:"
)


@dataclass(frozen=True, slots=True)
class Quoted:
    """What was asked: the words (perhaps cut), of whom, for what, about which message."""

    topic: str
    persona: str
    image: bool = False
    target: int | None = None


def quote(asker: str, quoted: Quoted, place: tuple[int | None, int]) -> str:
    """Write a question down; `place` are the ids of server (None: direct) and channel."""
    name = _MARKDOWN.sub(r"\\\1", " ".join(asker.split()))
    about = ""
    if quoted.target is not None:
        server = place[0] or "@me"
        about = f" about https://discord.com/channels/{server}/{place[1]}/{quoted.target}"
    picture = _PICTURE if quoted.image else ""
    head = f"-# {name} asks {quoted.persona}{picture}{about}:"
    if not quoted.topic:
        return head
    room = _LONGEST - len(head) - len("\n>>> ")
    topic = quoted.topic
    if len(topic) > room:
        topic = topic[: room - len(_CUT)] + _CUT
    return f"{head}\n>>> {topic}"


def unquote(text: str) -> Quoted | None:
    """Read a question back; None where `text` was not written by `quote`."""
    head, _, body = text.partition("\n")
    found = _HEAD.fullmatch(head)
    if found is None or not (body.startswith(">>> ") or not body):
        return None
    target = int(found["target"]) if found["target"] else None
    topic = body.removeprefix(">>> ").strip()
    return Quoted(topic, found["persona"], image=bool(found["image"]), target=target)
