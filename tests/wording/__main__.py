"""Find phrases that we do not write: `python -m tests.wording`, a part of `make check`.

phrases.toml has the phrases and what to write instead. unconverted.txt lists the files that still
contain some; it may only shrink. `python -m tests.wording --shrink` removes the files from it that
have become clean.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PHRASES = HERE / "phrases.toml"
UNCONVERTED = HERE / "unconverted.txt"
# Not worded by us, and this package, which has to name the phrases.
_NOT_OURS = frozenset({"go.sum", "go.mod", "LICENSE", "requirements.txt"})


@dataclass(frozen=True)
class Phrase:
    """A phrase that we do not write, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str


@dataclass(frozen=True)
class Hit:
    """A place where one stands."""

    path: str
    line: int
    words: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.words!r}: write {self.instead}"


def phrases() -> list[Phrase]:
    """Read phrases.toml."""
    listed = tomllib.loads(PHRASES.read_text())["phrase"]
    return [
        Phrase(re.compile(rf"\b(?:{each['pattern']})\b", re.IGNORECASE), each["instead"])
        for each in listed
    ]


def unconverted() -> list[str]:
    """Read the list of files that may still contain phrases."""
    lines = UNCONVERTED.read_text().splitlines() if UNCONVERTED.exists() else []
    return [line for line in lines if line and not line.startswith("#")]


def tracked_files() -> list[str]:
    """List the files of the repository that people word, by their paths from its root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    paths = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return [path for path in paths if _is_ours(path) and (ROOT / path).is_file()]


def _is_ours(path: str) -> bool:
    return Path(path).name not in _NOT_OURS and not (ROOT / path).is_relative_to(HERE)


def find(text: str, path: str, known: Iterable[Phrase]) -> Iterator[Hit]:
    """Find the phrases in a text."""
    for phrase in known:
        for found in phrase.pattern.finditer(text):
            yield Hit(path, text.count("\n", 0, found.start()) + 1, found[0], phrase.instead)


def _read(path: str) -> str:
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return ""  # a picture, or bytes that a test needs


def judge(
    files: Iterable[str], allowed: Iterable[str], read: Callable[[str], str] = _read
) -> tuple[list[Hit], list[str]]:
    """Return the hits in files that are not ALLOWED to have any, and the allowed files without."""
    known, waiting = phrases(), set(allowed)
    hits: list[Hit] = []
    for path in files:
        found = list(find(read(path), path, known))
        if path not in waiting:
            hits += found
        elif found:
            waiting.remove(path)
    return hits, sorted(waiting)


def main(arguments: list[str]) -> int:
    """Print what is wrong; return 1 if something is."""
    hits, clean = judge(tracked_files(), unconverted())
    if arguments == ["--shrink"]:
        kept = [path for path in unconverted() if path not in clean]
        UNCONVERTED.write_text("".join(f"{path}\n" for path in kept))
        clean = []
    for hit in hits:
        print(hit)
    for path in clean:
        print(
            f"{path}: has no such phrase: `python -m tests.wording --shrink` takes it off the list"
        )
    return 1 if hits or clean else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
