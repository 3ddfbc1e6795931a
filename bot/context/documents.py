"""Parsers of documents: a PDF, an Office file or a web page becomes plain text.

This module is the program of the child process that parser_process.py starts, and it is imported
nowhere else. A stranger made the file, so the process first limits itself: its memory, its time,
what it may open, and the share of the CPU that it takes from the answers. It imports nothing of
bot/, and a format's library only when a file of that format comes.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import posixpath
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

if TYPE_CHECKING:
    from zipfile import ZipFile

ENCRYPTED = "it is encrypted"
DAMAGED = "it is damaged"
TOO_LARGE = "it unpacks to more than I can read"
TOO_SLOW = "it takes too long to read"
NO_TEXT = "there is no text in it"
SCANNED = "there is no text in it, only pictures of pages"
ARCHIVE = "it is an archive, and I open only single files"

_UNPACKED = 32 << 20  # bytes of all parts of a file that are read, and of one stream of a PDF
_ENTRIES = 10_000  # files in an Office file
_PIECE = 1 << 16
_OPEN_FILES = 32


class Unreadable(Exception):
    """A file cannot be read; the message says why, as a clause about "it"."""


class _Enough(Exception):
    """As much text was read as may be."""


class _TimeIsUp(BaseException):
    """The time is over. No `except Exception` of a library stops it."""


@dataclass(slots=True)
class DocumentText:
    """What was read so far: `pages` of `of_pages`, and whether text is missing at the end."""

    most: int  # characters
    most_pages: int
    title: str = ""
    pages: int = 0
    of_pages: int = 0
    truncated: bool = False
    parts: list[str] = field(default_factory=list)

    def add(self, piece: str) -> None:
        """Append some text; raises _Enough when there is no room for all of it."""
        self.parts.append(piece[: self.most])
        if len(piece) > self.most:
            self.most = 0
            raise _Enough
        self.most -= len(piece)

    @property
    def whole(self) -> str:
        """The text, tidied."""
        text = _tidy("".join(self.parts).replace("\r\n", "\n"))
        return re.sub(r"[ \t]*\n(?:[ \t]*\n)+", "\n\n", text).strip()


Parser: TypeAlias = "Callable[[bytes, DocumentText], None]"


def main() -> None:
    """Parse the file on stdin as the order in the arguments says; print the result as JSON."""
    order = json.loads(sys.argv[1])
    _confine(order["memory"], order["seconds"])
    text = DocumentText(order["characters"], order["pages"])
    data = sys.stdin.buffer.read()
    result: dict[str, Any]
    try:
        _fill(text, PARSERS[order["kind"]], data, _Clock(order["seconds"] * 0.8, order["share"]))
        result = _result(text, nothing=SCANNED if order["kind"] == "pdf" else NO_TEXT)
    except Unreadable as error:
        result = {"error": str(error)}
    except MemoryError:
        result = {"error": TOO_LARGE}
    except _TimeIsUp:
        result = {"error": TOO_SLOW}
    except Exception:  # noqa: BLE001  # a library's way of saying that it understands nothing
        result = {"error": DAMAGED}
    sys.stdout.buffer.write(json.dumps(result).encode())
    sys.stdout.flush()
    os._exit(0)  # nothing is left to tidy, and tidying takes time


def _fill(text: DocumentText, parser: Parser, data: bytes, clock: _Clock) -> None:
    """Read a file; what was read before its time was over is the result."""
    try:
        clock.start()
        parser(data, text)
    except _Enough:
        text.truncated = True
    except _TimeIsUp:
        if not text.pages and not text.parts:
            raise
        text.truncated = True
    finally:
        clock.stop()


def _result(text: DocumentText, nothing: str) -> dict[str, Any]:
    if not (whole := text.whole):
        raise Unreadable(nothing)
    return {
        "text": whole,
        "title": _tidy(" ".join(text.title.split())[:_TITLE]),
        "pages": text.pages,
        "of_pages": text.of_pages,
        "truncated": text.truncated,
    }


def _tidy(text: str) -> str:
    """Replace halves of characters and controls: no model reads them."""
    text = text.encode("utf-8", "replace").decode("utf-8", "replace")
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]+", " ", text)


def _confine(memory: int, seconds: float) -> None:
    """Give up what a parser does not need."""
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: int(seconds) + 1,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_NPROC: 0,
    }
    for limit, value in limits.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
        resource.setrlimit(limit, (value, value))
    os.nice(19)
    with contextlib.suppress(OSError):  # where memory is short after all, this ends, not the bot
        Path("/proc/self/oom_score_adj").write_text("1000")

    def refuse(event: str, _arguments: tuple[object, ...]) -> None:
        if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn")):
            raise PermissionError(event)

    sys.addaudithook(refuse)


class _Clock:
    """Ends the parsing when its time is over, and lets it rest, so that it takes little of a CPU.

    The container's CPU time is for all its processes together, and a process of low priority still
    uses it up: then the bot stands still for the rest of the period. So this one takes little at
    a time.
    """

    _TICK = 0.004  # seconds of CPU time; what the kernel's timers can measure

    def __init__(self, seconds: float, share: float) -> None:
        self._until = time.monotonic() + seconds
        self._rests = 1 / share - 1  # for each second of work
        self._used = 0.0  # what the start of the interpreter used is rested for as well

    def start(self) -> None:
        """Begin: from now on _TimeIsUp may be raised anywhere."""
        signal.signal(signal.SIGALRM, self._end)
        signal.signal(signal.SIGPROF, self._rest)
        # Again later: a library may have caught the first.
        signal.setitimer(signal.ITIMER_REAL, max(0.01, self._until - time.monotonic()), 0.5)
        if self._rests > 0:
            signal.setitimer(signal.ITIMER_PROF, self._TICK, self._TICK)
            self._rest()

    def stop(self) -> None:
        """Stop: nothing is raised any more."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _end(self, _number: int, _frame: FrameType | None) -> NoReturn:
        raise _TimeIsUp

    def _rest(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        used = time.process_time()
        rest = (used - self._used) * self._rests
        self._used = used
        time.sleep(max(0.0, min(rest, self._until - time.monotonic())))


def parse_pdf(data: bytes, text: DocumentText) -> None:
    """Read the pages of a PDF."""
    if b"/Encrypt" not in data:
        sys.modules["cryptography"] = None  # type: ignore[assignment]  # large, and of no use here
    import pypdf  # noqa: PLC0415
    from pypdf.errors import LimitReachedError  # noqa: PLC0415

    troubles = _count_warnings("pypdf")
    pypdf.overwrite_configuration(
        zlib_maximum_output_length=_UNPACKED,
        lzw_maximum_output_length=_UNPACKED,
        run_length_maximum_output_length=_UNPACKED,
        array_based_stream_maximum_output_length=_UNPACKED,
        stream_decoding_work_maximum_length=4 * _UNPACKED,
        jbig2dec_binary=None,
        disable_legacy_handling=True,
    )
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable(ENCRYPTED)
        text.title = str((reader.metadata and reader.metadata.title) or "")
        text.of_pages = len(reader.pages)
        for number in range(min(text.of_pages, text.most_pages)):
            found = reader.pages[number].extract_text().strip()
            text.add(f"{found}\n\n" if found else "")
            text.pages += 1
    except LimitReachedError as error:
        raise Unreadable(TOO_LARGE) from error
    text.truncated = text.pages < text.of_pages
    if troubles and not text.whole:  # they are only logged, and the page is empty
        raise Unreadable(DAMAGED)


def _count_warnings(logger: str) -> list[int]:
    """Return a list that grows with each warning of a library."""
    found = list[int]()

    class Counter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(found) < _WARNINGS:
                found.append(record.levelno)

    logging.getLogger(logger).addHandler(Counter())
    return found


_WARNINGS = 10


def parse_office(data: bytes, text: DocumentText) -> None:
    """Read a .docx, .xlsx or .pptx file, whichever it is."""
    import zipfile  # noqa: PLC0415

    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise Unreadable(DAMAGED) from error
    names = set(archive.namelist())
    if len(names) > _ENTRIES:
        raise Unreadable(TOO_LARGE)
    package = _Package(archive, names)
    for part, read in _OFFICE.items():
        if part in names:
            read(package, text)
            break
    else:
        raise Unreadable(ARCHIVE)


Start: TypeAlias = "Callable[[str, dict[str, str]], None]"
End: TypeAlias = "Callable[[str], None]"
Characters: TypeAlias = "Callable[[str], None]"


_FALLBACK = "http://schemas.openxmlformats.org/markup-compatibility/2006|Fallback"


class _Package:
    """The parts of an Office file, which are XML."""

    def __init__(self, archive: ZipFile, names: set[str]) -> None:
        self._archive = archive
        self._names = names
        self._left = _UNPACKED

    def __contains__(self, part: str) -> bool:
        return part in self._names

    def walk(
        self,
        part: str,
        start: Start,
        end: End = lambda _: None,
        characters: Characters = lambda _: None,
    ) -> None:
        """Call back for what is in a part, with the local names of elements and attributes."""
        from xml.parsers import expat  # noqa: PLC0415

        def local(name: str) -> str:
            return name.rpartition("|")[2]

        def no_types(*_: object) -> NoReturn:  # no Office file has them, but bombs do
            raise Unreadable(DAMAGED)

        def key(name: str) -> str:  # a relationship's id may stand beside one of another kind
            return "r:id" if name.endswith("relationships|id") else local(name)

        doubled = 0  # within what older programs show instead of what stands beside it

        def begins(name: str, attributes: dict[str, str]) -> None:
            nonlocal doubled
            doubled += name == _FALLBACK
            if not doubled:
                start(local(name), {key(each): value for each, value in attributes.items()})

        def ends(name: str) -> None:
            nonlocal doubled
            if not doubled:
                end(local(name))
            doubled -= name == _FALLBACK

        parser = expat.ParserCreate(namespace_separator="|")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = no_types
        parser.StartElementHandler = begins
        parser.EndElementHandler = ends
        parser.CharacterDataHandler = lambda piece: None if doubled else characters(piece)
        for piece in self._pieces(part):
            parser.Parse(piece)
        parser.Parse(b"", True)  # noqa: FBT003

    def _pieces(self, part: str) -> Iterator[bytes]:
        """Unpack a part; what it says of its size is not believed."""
        info = self._archive.getinfo(part)
        if info.flag_bits & 1:
            raise Unreadable(ENCRYPTED)
        with self._archive.open(info) as stream:
            while piece := stream.read(_PIECE):
                self._left -= len(piece)
                if self._left < 0:
                    raise Unreadable(TOO_LARGE)
                yield piece

    def targets(self, part: str) -> dict[str, str]:
        """Return the parts that a part refers to, by the ids of the relationships."""
        folder, name = posixpath.split(part)
        found = dict[str, str]()

        def start(element: str, attributes: dict[str, str]) -> None:
            if element == "Relationship" and attributes.get("TargetMode") != "External":
                target = attributes.get("Target", "")
                found[attributes.get("Id", "")] = posixpath.normpath(
                    target[1:] if target.startswith("/") else posixpath.join(folder, target)
                )

        if (relations := f"{folder}/_rels/{name}.rels") in self:
            self.walk(relations, start)
        return found

    def listed(self, part: str, element: str) -> list[tuple[str, str]]:
        """Return name and part of what a part lists as `element`, in its order."""
        ids = list[tuple[str, str]]()

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == element:
                ids.append((attributes.get("name", ""), attributes.get("r:id", "")))

        self.walk(part, start)
        targets = self.targets(part)
        return [(name, targets[each]) for name, each in ids if targets.get(each) in self._names]


class _Word:
    """Collects the text of a Word file: paragraphs, and tables with a tab between cells."""

    _BREAKS: ClassVar = {"br": "\n", "cr": "\n"}

    def __init__(self, text: DocumentText) -> None:
        self._text = text
        self._cells = 0
        self._shown = self._run = False

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._cells += name == "tc"
        self._run = self._run or name == "r"
        self._shown = self._shown or name == "t"
        if name in self._BREAKS:
            self._text.add(self._BREAKS[name])
        elif name == "tab" and self._run:  # elsewhere it says where tabs lead
            self._text.add("\t")

    def end(self, name: str) -> None:
        self._cells -= name == "tc"
        self._run = self._run and name != "r"
        self._shown = self._shown and name != "t"
        ends = {"p": " " if self._cells else "\n", "tc": "\t", "tr": "\n"}
        if name in ends:
            self._text.add(ends[name])

    def characters(self, piece: str) -> None:
        if self._shown:
            self._text.add(piece)


def _read_docx(package: _Package, text: DocumentText) -> None:
    word = _Word(text)
    package.walk("word/document.xml", word.start, word.end, word.characters)


def _read_pptx(package: _Package, text: DocumentText) -> None:
    slides = package.listed("ppt/presentation.xml", "sldId")
    text.of_pages = len(slides)
    shown = False

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal shown
        shown = shown or name == "t"
        if name == "br":
            text.add("\n")

    def end(name: str) -> None:
        nonlocal shown
        if name == "t":
            shown = False
        elif name == "p":
            text.add("\n")

    for _, part in slides[: text.most_pages]:
        package.walk(part, start, end, lambda piece: text.add(piece) if shown else None)
        text.add("\n")
        text.pages += 1
    text.truncated = text.pages < text.of_pages


def _read_xlsx(package: _Package, text: DocumentText) -> None:
    sheets = package.listed("xl/workbook.xml", "sheet")
    text.of_pages = len(sheets)
    strings = _shared_strings(package)
    dates = _date_styles(package)
    for name, part in sheets[: text.most_pages]:
        if len(sheets) > 1:
            text.add(f"Sheet {name}:\n")
        _read_sheet(package, part, text, strings, dates)
        text.add("\n")
        text.pages += 1
    text.truncated = text.pages < text.of_pages


def _read_sheet(
    package: _Package, part: str, text: DocumentText, strings: list[str], dates: list[bool]
) -> None:
    row: list[str] = []
    cell: dict[str, str] = {}
    value: list[str] = []
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal cell, inside
        if name == "row":
            row.clear()
        elif name == "c":
            cell = attributes
            value.clear()
        elif name in {"v", "t"}:
            inside = True

    def end(name: str) -> None:
        nonlocal inside
        if name in {"v", "t"}:
            inside = False
        elif name == "c":
            column = _column(cell.get("r", ""))
            row.extend([""] * min(column - 1 - len(row), _BLANKS))
            row.append(_shown("".join(value), cell, strings, dates))
        elif name == "row" and any(row):
            text.add("\t".join(row).rstrip() + "\n")

    package.walk(part, start, end, lambda piece: value.append(piece) if inside else None)


_BLANKS = 20  # empty cells in a row, one after the other


def _column(reference: str) -> int:
    """Return the number of a cell's column: 28 for "AB7"; 0 if unknown."""
    number = 0
    for letter in reference[:3]:
        if not "A" <= letter <= "Z":
            break
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _shown(value: str, cell: dict[str, str], strings: list[str], dates: list[bool]) -> str:
    kind, style = cell.get("t", "n"), cell.get("s", "0")
    if kind == "s":
        number = int(value) if value.isdecimal() else len(strings)
        return strings[number] if number < len(strings) else ""
    if kind == "b":
        return "TRUE" if value == "1" else "FALSE"
    if kind == "n" and style.isdecimal() and int(style) < len(dates) and dates[int(style)]:
        return _date(value)
    return " ".join(value.split())


def _date(value: str) -> str:
    """Show a spreadsheet's number of days as a date, with the time where it has one."""
    import datetime  # noqa: PLC0415

    try:
        days = float(value)
        at = datetime.datetime(1899, 12, 30) + datetime.timedelta(days=days)  # noqa: DTZ001
    except (ValueError, OverflowError):
        return value
    if days < 1:
        return f"{at:%H:%M:%S}"
    return f"{at:%Y-%m-%d}" if days.is_integer() else f"{at:%Y-%m-%d %H:%M}"


def _shared_strings(package: _Package) -> list[str]:
    strings: list[str] = []
    pieces: list[str] = []
    inside = phonetic = False

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal inside, phonetic
        if name == "si":
            pieces.clear()
        phonetic = phonetic or name == "rPh"
        inside = inside or (name == "t" and not phonetic)

    def end(name: str) -> None:
        nonlocal inside, phonetic
        if name == "si":
            strings.append(" ".join("".join(pieces).split()))
        phonetic = phonetic and name != "rPh"
        inside = inside and name != "t"

    if "xl/sharedStrings.xml" in package:
        package.walk(
            "xl/sharedStrings.xml",
            start,
            end,
            lambda piece: pieces.append(piece) if inside else None,
        )
    return strings


_BUILT_IN_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})


def _date_styles(package: _Package) -> list[bool]:
    """Say of each style of a workbook's cells whether it shows a number as a date."""
    custom: set[int] = set()
    styles: list[bool] = []
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        number = attributes.get("numFmtId", "0")
        number_id = int(number) if number.isdecimal() else 0
        if name == "numFmt":
            code = re.sub(r'"[^"]*"|\\.|\[(?![hms]+\])[^\]]*\]', "", attributes["formatCode"])
            if re.search(r"[dmyhs]", code, re.IGNORECASE) and "General" not in code:
                custom.add(number_id)
        elif name == "cellXfs":
            inside = True
        elif name == "xf" and inside:
            styles.append(number_id in _BUILT_IN_DATES or number_id in custom)

    def end(name: str) -> None:
        nonlocal inside
        inside = inside and name != "cellXfs"

    if "xl/styles.xml" in package:
        package.walk("xl/styles.xml", start, end)
    return styles


_OFFICE: dict[str, Callable[[_Package, DocumentText], None]] = {
    "word/document.xml": _read_docx,
    "ppt/presentation.xml": _read_pptx,
    "xl/workbook.xml": _read_xlsx,
}

_UNSHOWN = frozenset({"script", "style", "noscript", "template", "svg", "head", "iframe"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset"),
        *("figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header"),
        *("hr", "li", "main", "nav", "ol", "option", "p", "pre", "section", "table", "tr", "ul"),
    }
)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)


def parse_html(data: bytes, text: DocumentText) -> None:
    """Read what a web page shows. UTF-8 is tried before what the page says of its encoding."""
    from html.parser import HTMLParser  # noqa: PLC0415

    page = _WebPage(text)

    class Page(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
            page.start(tag)

        def handle_endtag(self, tag: str) -> None:
            page.end(tag)

        def handle_data(self, data: str) -> None:
            page.characters(data)

    parser = Page()
    parser.feed(_decoded(data))
    parser.close()


class _WebPage:
    """Collects what a web page shows."""

    def __init__(self, text: DocumentText) -> None:
        self._text = text
        self._unshown: list[str] = []
        self._pre = self._in_title = False

    def start(self, tag: str) -> None:
        self._in_title = tag == "title" and not self._text.title
        if tag == "body":
            self._unshown.clear()  # a head may have no end
        elif tag in _UNSHOWN:
            self._unshown.append(tag)
        self._pre = self._pre or tag == "pre"
        self._space(tag)

    def end(self, tag: str) -> None:
        self._in_title = False
        if tag in self._unshown:
            del self._unshown[self._unshown.index(tag) :]
        self._pre = self._pre and tag != "pre"
        self._space(tag)

    def characters(self, data: str) -> None:
        if self._in_title:
            self._text.title += data[:_TITLE]
        elif not self._unshown:
            self._text.add(data if self._pre else re.sub(r"\s+", " ", data))

    def _space(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._text.add("\n")
        elif tag in {"td", "th"}:
            self._text.add("\t")


_TITLE = 200


def _decoded(data: bytes) -> str:
    declared = _CHARSET.search(data[:4096])
    wide = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
    for encoding in filter(None, (wide, "utf-8-sig", declared and declared[1].decode("ascii"))):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("cp1252", "replace")


def parse_page(data: bytes, text: DocumentText) -> None:
    """Read the main text of a web page; of one that has none to be found, all its text."""
    import trafilatura  # noqa: PLC0415

    tree = trafilatura.load_html(_decoded(data))
    article = None if tree is None else trafilatura.extract(tree)
    if tree is None or not article:
        parse_html(data, text)
        return
    text.title = tree.findtext(".//title") or ""
    text.add(article)


PARSERS: dict[str, Parser] = {
    "pdf": parse_pdf,
    "office": parse_office,
    "html": parse_html,
    "page": parse_page,
}
