"""The links as text for people and as JSON for programs."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

from clusters.azure.doctor.facts import Facts
from clusters.azure.doctor.links import Link, first_broken
from clusters.azure.doctor.result import Status

_MARKS = {Status.OK: "✓", Status.BROKEN: "✗", Status.UNKNOWN: "?", Status.NOT_REACHED: "·"}
_WIDTH = 37  # of the longest title


def as_text(links: tuple[Link, ...], facts: Facts) -> str:
    """Return a line for each link, then what to do about the broken ones, the first one first."""
    lines = [_line(link, facts) for link in links]
    found = first_broken(links)
    if found:
        lines += ["", f"Broken: {found.title}.", *_folded(found.result.summary)]
        lines += ["", *_folded(found.result.remedy)]
        lines += [f"  {command}" for command in found.result.commands]
        for link in links:
            if link.result.status is Status.BROKEN and link is not found:
                lines += ["", f"Broken as well: {link.title}.", *_folded(link.result.summary)]
                lines += ["", *_folded(link.result.remedy)]
                lines += [f"  {command}" for command in link.result.commands]
    else:
        lines += ["", "No link is broken, as far as could be checked."]
        for link in links:
            if link.result.status is Status.UNKNOWN and link.result.remedy:
                lines += _folded(f"{link.title}? {link.result.remedy}")
                lines += [f"  {command}" for command in link.result.commands]
    if facts.not_checked:
        lines += ["", "Not checked:", *(f"  {sentence}" for sentence in facts.not_checked)]
    return "\n".join(lines)


def as_json(links: tuple[Link, ...], facts: Facts) -> str:
    """Return the same for a program: `broken` is the name of the first broken link, or null."""
    found = first_broken(links)
    shown = {
        "broken": found.name if found else None,
        "links": [
            {"name": link.name, "title": link.title, **asdict(link.result)} for link in links
        ],
        "not_checked": list(facts.not_checked),
    }
    return json.dumps(shown, indent=1)


def _folded(text: str) -> list[str]:
    """Wrap for a terminal, without breaking what people copy."""
    lines = text.splitlines()
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, 100, break_long_words=False, break_on_hyphens=False)
    ]


def _line(link: Link, facts: Facts) -> str:
    result = link.result
    summary = result.summary
    if (
        result.status is Status.BROKEN
    ):  # explained below; the first line says which cluster was asked
        summary = facts.context if link.name == "cluster" else ""
    return f"{_MARKS[result.status]} {link.title:{_WIDTH}} {result.status:11} {summary}".rstrip()
