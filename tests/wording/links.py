"""Follow the relative links of every Markdown file: `python -m tests.wording.links`.

A part of `make check`. A link is wrong if its file or folder is not in the tree, or if a Markdown
file has no heading of that anchor. Addresses outside are not asked for.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from tests.wording.__main__ import ROOT, tracked_files

_LINK = re.compile(r"\]\(<?([^()<>\s]+)>?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
_CODE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:", re.IGNORECASE)


def _prose(text: str) -> str:
    """Blank fenced code, whose brackets are no links; line numbers stay."""
    return _CODE.sub(lambda fence: "\n" * fence[0].count("\n"), text)


@cache
def anchors(path: Path) -> frozenset[str]:
    """Name the anchors of a Markdown file's headings as GitHub does."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_prose(path.read_text("utf-8"))):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def broken(path: Path) -> Iterator[str]:
    """Yield a sentence for each link of a Markdown file that leads nowhere."""
    for number, line in enumerate(_prose(path.read_text("utf-8")).splitlines(), start=1):
        for link in _LINK.findall(line):
            if _ELSEWHERE.match(link):
                continue
            place, _, anchor = unquote(link).partition("#")
            target = (path.parent / place).resolve() if place else path
            if not target.exists():
                yield f"{path}:{number}: {link}: there is no such file"
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                yield f"{path}:{number}: {link}: no heading has this anchor"


def main() -> int:
    """Print every broken link; return 1 if there is one."""
    files = [ROOT / path for path in tracked_files() if path.endswith(".md")]
    found = [sentence for path in files for sentence in broken(path)]
    for sentence in found:
        print(sentence.removeprefix(f"{ROOT}/"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
