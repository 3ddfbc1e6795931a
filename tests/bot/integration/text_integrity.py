"""Whether the messages on Discord are the model's text, told without the bot's own splitting.

A message may have been given a fence's opening line at its start and a closing line at its end, or
what opens and closes bold, hidden and other marked text;
Discord drops white space at both ends of a message. Everything else has to be the text, in order.
"""

import re
from collections.abc import Sequence

OPENING = re.compile(r"^```[\w+.#-]*\n")
CLOSING = re.compile(r"\n?```$")
OPENING_MARKS = re.compile(r"^(?:> |>>> |-# )?[*_~|`]{0,8}")
CLOSING_MARKS = re.compile(r"[*_~|`]{1,8}$")


def is_whole(parts: Sequence[str], text: str) -> bool:
    """Say whether the parts, joined, are the text and nothing but it."""
    return _fits(list(parts), text.strip())


def _fits(parts: list[str], rest: str) -> bool:
    if not parts:
        return not rest.strip()
    for form in _forms(parts[0]):
        for bare in (form, form.strip()):
            tail = rest if rest.startswith(bare) else rest.lstrip()
            if bare and tail.startswith(bare) and _fits(parts[1:], tail[len(bare) :]):
                return True
    return False


def _forms(part: str) -> list[str]:
    heads = [part, OPENING.sub("", part), OPENING_MARKS.sub("", part)]
    tails = (closing.sub("", head) for head in heads for closing in (CLOSING, CLOSING_MARKS))
    return list(dict.fromkeys([*heads, *tails]))


def balanced(part: str) -> bool:
    """Say whether every fence that a message opens is closed in it."""
    return part.count("```") % 2 == 0
