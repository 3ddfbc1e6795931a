"""The chain as a person reads it, and as a program does."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

from clusters.azure.doctor.facts import Facts
from clusters.azure.doctor.links import Link, first_broken
from clusters.azure.doctor.result import Status

_MARKS = {Status.OK: "✓", Status.BROKEN: "✗", Status.UNSEEN: "?", Status.NOT_REACHED: "·"}
_WIDTH = 37  # of the longest title


def as_text(links: tuple[Link, ...], facts: Facts) -> str:
    """Write one line for each link, then what to do about the first that is broken."""
    lines = [_line(link, facts) for link in links]
    found = first_broken(links)
    if found:
        lines += ["", f"Broken: {found.title}.", *_folded(found.verdict.said)]
        lines += ["", *_folded(found.verdict.remedy)]
        lines += [f"  {command}" for command in found.verdict.commands]
    else:
        lines += ["", "No link is broken, as far as could be seen."]
        for link in links:
            if link.verdict.status is Status.UNSEEN and link.verdict.remedy:
                lines += _folded(f"{link.title}? {link.verdict.remedy}")
                lines += [f"  {command}" for command in link.verdict.commands]
    if facts.unseen:
        lines += ["", "Not looked at:", *(f"  {sentence}" for sentence in facts.unseen)]
    return "\n".join(lines)


def as_json(links: tuple[Link, ...], facts: Facts) -> str:
    """Write the same for a program: `broken` is the name of the first broken link, or null."""
    found = first_broken(links)
    shown = {
        "broken": found.name if found else None,
        "links": [
            {"name": link.name, "title": link.title, **asdict(link.verdict)} for link in links
        ],
        "unseen": list(facts.unseen),
    }
    return json.dumps(shown, indent=1)


def _folded(text: str) -> list[str]:
    """Fold for a terminal; what is to be copied stays in one piece."""
    lines = text.splitlines()
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, 100, break_long_words=False, break_on_hyphens=False)
    ]


def _line(link: Link, facts: Facts) -> str:
    verdict = link.verdict
    said = verdict.said
    if verdict.status is Status.BROKEN:  # why is told below; the first line says who was asked
        said = facts.asked if link.name == "cluster" else ""
    return f"{_MARKS[verdict.status]} {link.title:{_WIDTH}} {verdict.status:11} {said}".rstrip()
