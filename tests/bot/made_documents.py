"""Documents for the tests, sound and hostile."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence

_OFFICE = "http://schemas.openxmlformats.org"
_RELATIONS = f"{_OFFICE}/officeDocument/2006/relationships"


def pdf(
    pages: Sequence[str],
    *,
    title: str = "",
    last: bytes = b"",
    filters: str = "/FlateDecode",
    shared: bool = False,
) -> bytes:
    """Return a PDF with one line of text on each page; an empty line leaves the page empty.

    `last` is the packed content of the last page, instead; if it is `shared`, of every page.
    """
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, line in enumerate(pages):
        content = 5 + 2 * (len(pages) - 1 if shared else number)
        stream = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET".encode() if line else b""
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode(),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        ]
    if last:
        packed = b"<< /Length %d /Filter [%b] >>\nstream\n%b\nendstream"
        objects[-1] = packed % (len(last), filters.encode(), last)
    objects.append(f"<< /Title ({title}) >>".encode())
    return _file(objects, b"/Root 1 0 R /Info %d 0 R" % len(objects))


def pdf_bomb(megabytes: int) -> bytes:
    """Return a small PDF whose only page unpacks to so much."""
    packer = zlib.compressobj(9)
    piece = b"0 0 m 1 1 l S\n" * 65536
    packed = b"".join(packer.compress(piece) for _ in range((megabytes << 20) // len(piece)))
    packed = zlib.compress(packed + packer.flush(), 9)  # twice, so that the file stays small
    return pdf([""], last=packed, filters="/FlateDecode /FlateDecode")


def slow_pdf(*pages: str) -> bytes:
    """Return a small PDF whose last page takes some seconds, and then more memory than there is."""
    packed = zlib.compress(b"BT /F1 12 Tf " + b"(a) Tj 1 0 Td " * 400_000 + b"ET", 9)
    return pdf([*pages, ""], last=packed)


def endless_pdf() -> bytes:
    """Return a PDF of 1,000 pages without words that takes minutes, in little memory."""
    return pdf([""] * 1000, last=b"BT " + b"1 0 Td " * 250_000 + b"ET", filters="", shared=True)


def encrypted_pdf() -> bytes:
    """Return a PDF that opens with a password only."""
    from pypdf import PdfReader, PdfWriter  # noqa: PLC0415

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["the treasure is here"]))))
    writer.encrypt("parrot", algorithm="RC4-128")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def _file(objects: Sequence[bytes], trailer: bytes) -> bytes:
    data, places = bytearray(b"%PDF-1.7\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d %b >>\nstartxref\n%d\n%%%%EOF\n"
    return bytes(data) + end % (size, table, size, trailer, len(data))


def package(parts: dict[str, str | bytes]) -> bytes:
    """Return a ZIP archive of parts."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return written.getvalue()


def docx(*paragraphs: str, table: Sequence[Sequence[str]] = ()) -> bytes:
    """Return a Word file of paragraphs and a table."""

    def paragraph(text: str) -> str:
        return f"<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"

    rows = "".join(
        f"<w:tr>{''.join(f'<w:tc>{paragraph(cell)}</w:tc>' for cell in row)}</w:tr>"
        for row in table
    )
    body = "".join(map(paragraph, paragraphs)) + (f"<w:tbl>{rows}</w:tbl>" if rows else "")
    main = f"{_OFFICE}/wordprocessingml/2006/main"
    document = f'<w:document xmlns:w="{main}"><w:body>{body}</w:body></w:document>'
    return package({"[Content_Types].xml": "<Types/>", "word/document.xml": document})


def pptx(*slides: str) -> bytes:
    """Return a presentation whose slides have one line each; the files are in reverse order."""
    count = len(slides)
    listed = "".join(f'<p:sldId r:id="r{number}" id="{256 + number}"/>' for number in range(count))
    main = f'xmlns:p="{_OFFICE}/presentationml/2006/main" xmlns:r="{_RELATIONS}"'
    parts: dict[str, str | bytes] = {
        "ppt/presentation.xml": f"<p:presentation {main}>{listed}</p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relations(
            {f"r{number}": f"slides/slide{count - number}.xml" for number in range(count)}
        ),
    }
    drawing = f'xmlns:a="{_OFFICE}/drawingml/2006/main"'
    for number, line in enumerate(slides):
        parts[f"ppt/slides/slide{count - number}.xml"] = (
            f"<s {drawing}><a:p><a:r><a:t>{line}</a:t></a:r></a:p></s>"
        )
    return package(parts)


def xlsx(sheets: dict[str, Sequence[Sequence[str | float]]]) -> bytes:
    """Return a workbook; a number below 0 is written as a date: so many days after 1899."""
    strings: list[str] = []

    def cell(row: int, column: int, value: str | float) -> str:
        place = f'r="{chr(ord("A") + column)}{row + 1}"'
        if isinstance(value, str):
            strings.append(value)
            return f'<c {place} t="s"><v>{len(strings) - 1}</v></c>' if value else ""
        return f'<c {place} s="{int(value < 0)}"><v>{abs(value)}</v></c>'

    listed = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
        for number, name in enumerate(sheets)
    )
    parts: dict[str, str | bytes] = {
        "xl/workbook.xml": f'<workbook xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(
            {f"r{number}": f"/xl/worksheets/s{number}.xml" for number in range(len(sheets))}
        ),
        "xl/styles.xml": '<styleSheet><numFmts><numFmt numFmtId="164" formatCode="d/m/yyyy"/>'
        '</numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>',
    }
    for number, rows in enumerate(sheets.values()):
        written = "".join(
            f"<row>{''.join(cell(row, column, value) for column, value in enumerate(values))}</row>"
            for row, values in enumerate(rows)
        )
        parts[f"xl/worksheets/s{number}.xml"] = (
            f"<worksheet><sheetData>{written}</sheetData></worksheet>"
        )
    shared = "".join(f"<si><t>{each}</t></si>" for each in strings)
    return package({**parts, "xl/sharedStrings.xml": f"<sst>{shared}</sst>"})


def office_bomb(megabytes: int) -> bytes:
    """Return a small Word file that unpacks to so much, none of it text."""
    return package({"word/document.xml": b"<a>" + b" " * (megabytes << 20) + b"</a>"})


def entity_bomb() -> bytes:
    """Return a Word file with an entity of entities of entities."""
    entities = "".join(f'<!ENTITY e{number + 1} "{f"&e{number};" * 10}">' for number in range(12))
    document = f'<!DOCTYPE d [<!ENTITY e0 "lol">{entities}]><d><t>&e12;</t></d>'
    return package({"word/document.xml": document})


def _relations(targets: dict[str, str]) -> str:
    entries = (f'<Relationship Id="{key}" Target="{part}"/>' for key, part in targets.items())
    return f"<Relationships>{''.join(entries)}</Relationships>"
