"""Files that were valid once, broken by chance: each ends in a document that holds together, or in a reason.

The short form runs one fixed seed. `pytest -m soak tests/test_fuzzing.py` goes on with fresh seeds for
QUOTH_FUZZ_MINUTES (10), prints the seed, and keeps what breaks a law in QUOTH_FUZZ_KEEP, a folder. What was found and
is worth keeping lies in `ingest/fuzz_corpus`.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
import secrets
import struct
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import docx
import numpy as np
import openpyxl
import pptx
import pytest
from PIL import Image, ImageDraw
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen.canvas import Canvas

from evals.bench.hostile import broken_laws, complaints
from ingest import handover
from ingest.errors import DocumentError
from ingest.handover import HandoverError
from ingest.model import Attachment, Element, Finding, PageMap, ParsedDocument
from ingest.parser import Parser, ParserLimits

CORPUS: Final = Path(__file__).parent / "ingest" / "fuzz_corpus"
LIMITS: Final = ParserLimits(memory_bytes=2048 << 20, cpu_s=40, wall_s=90.0)  # a small file needs none of it
SHORT_SEED: Final = 20_261_121
SHORT_ROUNDS: Final = 20  # mutated files per format; pictures get fewer, since recognition takes seconds
WORDS: Final = (
    "The boat house opens at seven. Keys hang beside the tide table, and whoever takes one signs the grey book. "
    "A skiff carries four people at most. In fog nobody leaves the harbour without the warden's word."
)


# -- valid files, one of every format ----------------------------------------------------------------------------------


def seed_docx() -> bytes:
    document = docx.Document()
    document.add_heading("Boat house rules", 0)
    document.add_heading("Opening", 1)
    document.add_paragraph(WORDS)
    document.add_paragraph("Bring back the oars", style="List Bullet")
    table = document.add_table(rows=3, cols=2)
    for row, (boat, seats) in enumerate((("Boat", "Seats"), ("Skiff", "4"), ("Gig", "7"))):
        table.cell(row, 0).text, table.cell(row, 1).text = boat, seats
    document.sections[0].header.paragraphs[0].text = "Harbour office"
    return _saved(document)


def seed_pptx() -> bytes:
    slides = pptx.Presentation()
    for title in ("Boats", "Tides"):
        slide = slides.slides.add_slide(slides.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = WORDS
    slides.slides[0].notes_slide.notes_text_frame.text = "Say where the keys hang."
    return _saved(slides)


def seed_xlsx() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Boats"
    for row in (("Boat", "Seats", "Next survey"), ("Skiff", 4, "2026-03-01"), ("Gig", 7, "2027-05-09")):
        sheet.append(row)
    sheet["E1"] = "=SUM(B2:B3)"
    sheet.merge_cells("A5:C5")
    sheet["A5"] = WORDS
    book.create_sheet("Tides").append(("High water", "06:12"))
    return _saved(book)


def seed_pdf() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A5, pageCompression=0)
    canvas.setTitle("Boat house rules")
    for page in (1, 2):
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawString(40, 540, f"Part {page}")
        canvas.bookmarkPage(f"p{page}")
        canvas.addOutlineEntry(f"Part {page}", f"p{page}")
        canvas.setFont("Helvetica", 10)
        for index, sentence in enumerate(WORDS.split(". ")):
            canvas.drawString(40, 500 - 14 * index, sentence)
        for column in range(3):
            canvas.line(40 + 80 * column, 300, 40 + 80 * column, 360)
            canvas.line(40, 300 + 30 * column, 200, 300 + 30 * column)
        canvas.drawString(45, 310, "Skiff")
        canvas.drawString(125, 310, "4 seats")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def seed_eml() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "warden@harbour.example", "crew@harbour.example", "Keys and fog"
    mail["Date"] = "Tue, 03 Mar 2026 08:00:00 +0000"
    mail.set_content(WORDS)
    mail.add_alternative(f"<html><body><h1>Keys</h1><p>{WORDS}</p></body></html>", subtype="html")
    mail.add_attachment("Skiff,4\nGig,7\n", subtype="csv", filename="boats.csv")
    return mail.as_bytes()


def seed_odt() -> bytes:
    office = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    text = 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {office} {text} office:version="1.3">'
        f'<office:body><office:text><text:h text:outline-level="1">Boat house rules</text:h><text:p>{WORDS}</text:p>'
        "<text:list><text:list-item><text:p>Bring back the oars</text:p></text:list-item></text:list>"
        "</office:text></office:body></office:document-content>"
    )
    media = "application/vnd.oasis.opendocument.text"
    manifest = (
        '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return _zipped({"mimetype": media, "content.xml": content, "META-INF/manifest.xml": manifest})


def seed_epub() -> bytes:
    container = (
        '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">b1</dc:identifier>'
        "<dc:title>Boat house rules</dc:title><dc:language>en</dc:language></metadata><manifest>"
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    page = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>{0}</title></head>'
        f"<body><h1>{{0}}</h1><p>{WORDS}</p></body></html>"
    )
    return _zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "book.opf": package,
            "a.xhtml": page.format("Opening"),
            "b.xhtml": page.format("Fog"),
        }
    )


def seed_png() -> bytes:
    picture = Image.new("RGB", (420, 120), "white")
    ImageDraw.Draw(picture).text((10, 40), "The boat house opens at seven.", fill="black", font_size=24)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def seed_html() -> bytes:
    return (
        f"<!doctype html><html lang='en'><head><title>Boat house</title><style>p {{ color: red }}</style></head><body>"
        f"<h1>Boat house rules</h1><h2>Opening</h2><p>{WORDS}</p><ul><li>Bring back the oars</li></ul>"
        "<table><tr><th>Boat</th><th>Seats</th></tr><tr><td>Skiff</td><td>4</td></tr></table>"
        "<p style='display:none'>unseen</p><script>let a = 1</script></body></html>"
    ).encode()


def seed_md() -> bytes:
    return (
        f"# Boat house rules\n\n## Opening\n\n{WORDS}\n\n- Bring back the *oars*\n- [Tides](tides.md)\n\n"
        "| Boat | Seats |\n|---|---|\n| Skiff | 4 |\n\n```python\nkeys = 3\n```\n\n> Quiet after ten.\n"
    ).encode()


def seed_rst() -> bytes:
    return (
        f"Boat house rules\n================\n\nOpening\n-------\n\n{WORDS}\n\n* Bring back the oars\n\n"
        "===== =====\nBoat  Seats\n===== =====\nSkiff 4\nGig   7\n===== =====\n\n.. note:: Quiet after ten.\n\n::\n\n   keys\n"
    ).encode()


def seed_rtf() -> bytes:
    return (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}{\info{\title Boat house rules}}"
        rf"\pard\b Boat house rules\b0\par {WORDS}\par caf\'e9 \u8212?\par"
        r"\trowd\cellx2000\cellx4000 Skiff\cell 4\cell\row\pard Done.\par}"
    ).encode()


def seed_csv() -> bytes:
    return b"Boat,Seats,Note\n" + "".join(f'Skiff {n},{n},"{WORDS[:40]}, é"\n' for n in range(30)).encode()


def seed_json() -> bytes:
    return json.dumps({"title": "Boat house", "rules": [{"id": n, "words": WORDS} for n in range(3)]}).encode()


def seed_xml() -> bytes:
    return f"<?xml version='1.0'?><rules><rule id='1'><t>Opening</t><p>{WORDS}</p></rule></rules>".encode()


def seed_txt() -> bytes:
    return f"BOAT HOUSE RULES\n\n1. Opening\n\n{WORDS}\n\n- Bring back the oars\n".encode()


def _saved(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _zipped(members: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            kind = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, kind)
    return out.getvalue()


SEEDS: Final[dict[str, Callable[[], bytes]]] = {
    "docx": seed_docx, "pptx": seed_pptx, "xlsx": seed_xlsx, "pdf": seed_pdf, "html": seed_html, "md": seed_md,
    "eml": seed_eml, "csv": seed_csv, "json": seed_json, "xml": seed_xml, "rtf": seed_rtf, "odt": seed_odt,
    "epub": seed_epub, "rst": seed_rst, "txt": seed_txt, "png": seed_png,
}  # fmt: skip
SLOW: Final = frozenset({"png"})


# -- ways to break them ------------------------------------------------------------------------------------------------

Mutation = Callable[[bytes, random.Random], bytes]
ODD_TEXT: Final = (
    "\u202e\u2066\u200b", "e\u0301" * 40, "\ufeff", "\x85\u2028\u2029\x0b\x0c\r", "\U000e0041\U0001f600", "ﷺ" * 30,
    "\u0300" * 200, "\ufffe", "ﬁ" * 9, " " * 5000, "x" * 20_000, "&#xD800;&#0;&#x1F;", "]]>", "<!--", "\\u0000",
    "%n%s", "../../etc/passwd", "1e999", "NaN", "=cmd|' /C calc'!A0",
)  # fmt: skip
ODD_NUMBERS: Final = (
    b"0",
    b"-1",
    b"1",
    b"2147483648",
    b"-2147483649",
    b"99999999999999999999",
    b"1e30",
    b"0.0001",
    b"65536",
)


def flip(content: bytes, rng: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20, 200))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwrite(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    junk = rng.choice(
        (rng.randbytes(rng.randint(1, 64)), b"\0" * 32, b"\xff" * 8, struct.pack("<I", rng.getrandbits(32)))
    )
    return content[:at] + junk + content[at + rng.choice((0, len(junk))) :]


def truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(1, len(content))]


def cut(content: bytes, rng: random.Random) -> bytes:
    low, high = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:low] + content[min(high, low + rng.choice((1, 100, len(content) // 3))) :] or b"x"


def repeat(content: bytes, rng: random.Random) -> bytes:
    low = rng.randrange(len(content))
    high = min(len(content), low + rng.choice((1, 8, 200, 3000)))
    times = min(rng.choice((1, 10, 1000)), 400_000 // max(1, high - low))
    return content[:high] + content[low:high] * times + content[high:]


def odd_text(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + rng.choice(ODD_TEXT).encode() + content[at:]


def odd_number(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"\d+", content))
    for match in sorted(rng.sample(found, min(len(found), rng.choice((1, 2, 5)))), key=lambda m: -m.start()):
        content = content[: match.start()] + rng.choice(ODD_NUMBERS) + content[match.end() :]
    return content


def xml_edit(content: bytes, rng: random.Random) -> bytes:
    """Repeat, nest, remove or exchange elements; change attributes."""
    found = [
        match
        for match in re.finditer(rb"<([A-Za-z][\w:.-]*)(\s[^<>]*)?(/>|>)", content)
        if not match.group(1).startswith(b"?")
    ]
    if not found:
        return flip(content, rng)
    match = rng.choice(found)
    tag = match.group(1)
    close = content.find(b"</" + tag + b">", match.end())
    end = match.end() if match.group(3) == b"/>" or close < 0 else close + len(tag) + 3
    whole = content[match.start() : end]
    kind = rng.randrange(6)
    if kind == 0:
        return content[:end] + whole * min(rng.choice((1, 5, 500)), 200_000 // len(whole) + 1) + content[end:]
    if kind == 1:
        depth = rng.choice((2, 50, 400, 3000))
        return (
            content[: match.start()]
            + match.group(0) * depth
            + content[match.end() : end]
            + (b"</" + tag + b">") * depth
            + content[end:]
        )
    if kind == 2:
        return content[: match.start()] + content[end:] or b"x"
    if kind == 3:
        other = rng.choice(found).group(0)
        return content[: match.start()] + other + content[match.end() :]
    if kind == 4 and match.group(2):
        value = rng.choice((*ODD_NUMBERS, *(text.encode() for text in ODD_TEXT), b""))
        attributes = re.sub(rb'="[^"]*"', lambda _: b'="' + value.replace(b'"', b"") + b'"', match.group(2), count=1)
        return content[: match.start(2)] + attributes + content[match.end(2) :]
    return content[: match.end()] + rng.choice(ODD_TEXT).encode() + content[match.end() :]


def zip_surgery(content: bytes, rng: random.Random) -> bytes:
    """Remove, rename, repeat, exchange or edit members, or lie about them in the headers."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = rng.randrange(len(members))
    name, inside = members[at]
    kind = rng.randrange(8)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members[at] = (
            rng.choice((name.upper(), "../" + name, name + "x", "/" + name, "word/document.xml", "é" * 99)),
            inside,
        )
    elif kind == 2:
        members.insert(rng.randrange(len(members)), (name, rng.choice((inside, flip(inside or b"x", rng), b""))))
    elif kind == 3:
        other = rng.randrange(len(members))
        members[at], members[other] = (name, members[other][1]), (members[other][0], inside)
    elif kind == 4:
        lie = bytearray(content)
        for signature, fields in ((b"PK\x03\x04", (6, 8, 14, 18, 22, 26)), (b"PK\x01\x02", (8, 10, 16, 20, 24, 42))):
            places = [match.start() for match in re.finditer(re.escape(signature), content)]
            if places and rng.random() < 0.7:
                place = rng.choice(places) + rng.choice(fields)
                lie[place : place + 2] = struct.pack("<H", rng.choice((0, 1, 8, 9, 99, 0xFFFF, rng.getrandbits(16))))
        return bytes(lie)
    else:
        edits = [
            index for index, (entry, _) in enumerate(members) if entry.endswith((".xml", ".rels", ".xhtml", ".opf"))
        ]
        for index in rng.sample(edits, min(len(edits), rng.choice((1, 1, 2)))):
            entry, text = members[index]
            members[index] = (entry, rng.choice((xml_edit, xml_edit, odd_number, flip, truncate))(text or b"x", rng))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, inside in members:
            archive.writestr(zipfile.ZipInfo(entry, (2026, 1, 1, 0, 0, 0)), inside, zipfile.ZIP_DEFLATED)
    return out.getvalue() or b"x"


def pdf_edit(content: bytes, rng: random.Random) -> bytes:
    """Remove, exchange, repeat objects; make references wrong or circular; change numbers, names and operators."""
    found = list(re.finditer(rb"(\d+) 0 obj(.*?)endobj", content, re.DOTALL))
    if not found:
        return flip(content, rng)
    match, other = rng.choice(found), rng.choice(found)
    kind = rng.randrange(7)
    body = match.group(2)
    if kind == 0:
        body = b" null "
    elif kind == 1:
        body = other.group(2)
    elif kind == 2:
        body = re.sub(
            rb"\d+ 0 R", rng.choice((match.group(1), other.group(1))) + b" 0 R", body, count=rng.choice((0, 1))
        )
    elif kind == 3:
        body = odd_number(body, rng)
    elif kind == 4:
        names = list(re.finditer(rb"/[A-Za-z]+", content))
        body = re.sub(rb"/[A-Za-z]+", lambda _: rng.choice(names).group(0), body, count=rng.choice((1, 2)))
    elif kind == 5:
        operators = (
            b" BT",
            b" ET",
            b" q",
            b" Q",
            b" Tf",
            b" cm",
            b" Tm",
            b" TJ",
            b" Do",
            b" sh",
            b" BI",
            b" 3 Tr",
            b" Tz",
        )
        at = rng.randrange(len(body) + 1)
        body = body[:at] + rng.choice(operators) * rng.choice((1, 1, 5000)) + body[at:]
    else:
        body = xrefless(body, rng)
    return content[: match.start(2)] + body + content[match.end(2) :]


def xrefless(body: bytes, rng: random.Random) -> bytes:
    opened = rng.choice((b"<<", b"[", b"(", b"<"))
    return opened * rng.choice((1, 600, 20_000)) + body


def nest(content: bytes, rng: random.Random) -> bytes:
    opening = rng.choice(
        (b"> ", b"[", b"{", b"(", b"- ", b"*", b"<div>", b"<b>", b"{\\b ", b'{"a":', b"\t", b"#", b"`", b"|")
    )
    at = rng.choice((0, rng.randrange(len(content))))
    return content[:at] + opening * rng.choice((10, 500, 20_000)) + content[at:]


GENERAL: Final[tuple[Mutation, ...]] = (flip, overwrite, truncate, cut, repeat)
TEXTUAL: Final[tuple[Mutation, ...]] = (odd_text, odd_number, nest)
MUTATIONS: Final[dict[str, tuple[Mutation, ...]]] = {
    **dict.fromkeys(SEEDS, GENERAL + TEXTUAL),
    **dict.fromkeys(("docx", "pptx", "xlsx", "odt", "epub"), (flip, truncate, overwrite, *[zip_surgery] * 7)),
    **dict.fromkeys(("html", "xml"), (*GENERAL, *TEXTUAL, *[xml_edit] * 4)),
    "pdf": (*GENERAL, odd_number, *[pdf_edit] * 8),
    "png": GENERAL,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One broken file, which its label makes again."""

    suffix: str
    label: str  # seed and number
    content: bytes
    done: str  # the mutations' names


def broken(seeds: dict[str, bytes], suffix: str, label: str) -> Case:
    rng = random.Random(f"{label} {suffix}")
    content, done = seeds[suffix], []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        mutation = rng.choice(MUTATIONS[suffix])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # members of one name are meant
                content = mutation(content, rng) or b"x"
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, KeyError, EOFError, OSError):
            content = flip(content, rng)  # what an earlier step broke cannot be opened for surgery
        except Exception as error:  # zlib.error has no base of its own
            if type(error).__name__ != "error":
                raise
            content = flip(content, rng)
        done.append(mutation.__name__)
    return Case(suffix, label, content, "+".join(done))


# -- the verdict -------------------------------------------------------------------------------------------------------


def verdict(parser: Parser, case: Case, folder: Path) -> tuple[str, list[str]]:
    """The outcome, and the laws that were broken."""
    name = f"{secrets.token_hex(6)}.{case.suffix}"
    file = folder / name
    file.write_bytes(case.content)
    try:
        document = parser.parse(file, name=name)
    except DocumentError as error:
        crashed = "reader crash" in error.detail or "damaged or unusual" in error.detail
        return f"{error.reason}{' (process ended)' if crashed else ''}", complaints(error, name)
    except Exception as error:
        return "FAULT", [f"{type(error).__name__}: {error}"]
    finally:
        file.unlink()
    return "added", broken_laws(document)


@pytest.fixture(scope="module")
def seeds() -> dict[str, bytes]:
    return {suffix: make() for suffix, make in SEEDS.items()}


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser(LIMITS) as opened:
        yield opened


def still_answers(parser: Parser, folder: Path) -> bool:
    file = folder / "probe.txt"
    file.write_text(WORDS, encoding="utf-8")
    return parser.parse(file, name="probe.txt").text == WORDS


def test_each_seed_is_read_as_it_is(parser: Parser, seeds: dict[str, bytes], tmp_path: Path) -> None:
    outcomes = {suffix: verdict(parser, Case(suffix, "seed", seeds[suffix], ""), tmp_path) for suffix in seeds}
    assert [(suffix, laws) for suffix, (_, laws) in outcomes.items() if laws] == []
    assert {
        outcome for suffix, (outcome, _) in outcomes.items() if suffix in ("docx", "pptx", "xlsx", "pdf", "eml")
    } == {"added"}


def test_broken_files_end_in_a_document_that_holds_or_in_a_reason(
    parser: Parser, seeds: dict[str, bytes], tmp_path: Path
) -> None:
    assert still_answers(parser, tmp_path)
    server = parser.pid
    cases = [
        broken(seeds, suffix, f"{SHORT_SEED}/{number}")
        for suffix in seeds
        for number in range(2 if suffix in SLOW else SHORT_ROUNDS)
    ]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        verdicts = list(pool.map(lambda case: verdict(parser, case, tmp_path), cases))
    assert [(c.suffix, c.label, c.done, laws) for c, (_, laws) in zip(cases, verdicts, strict=True) if laws] == []
    assert len({outcome for outcome, _ in verdicts}) > 3  # the mutations do break things
    assert still_answers(parser, tmp_path)
    assert parser.pid == server


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.*")), ids=lambda file: file.name)
def test_what_was_found_before(parser: Parser, file: Path, tmp_path: Path) -> None:
    assert still_answers(parser, tmp_path)
    server = parser.pid
    outcome, laws = verdict(parser, Case(file.suffix[1:], file.stem, file.read_bytes(), ""), tmp_path)
    assert laws == []
    assert "process ended" not in outcome and outcome != "timeout"
    assert parser.pid == server and still_answers(parser, tmp_path)


@pytest.mark.soak
def test_soak(seeds: dict[str, bytes], tmp_path: Path) -> None:
    seed = os.environ.get("QUOTH_FUZZ_SEED") or secrets.token_hex(4)
    minutes = float(os.environ.get("QUOTH_FUZZ_MINUTES", "10"))
    keep = os.environ.get("QUOTH_FUZZ_KEEP")
    suffixes = [suffix for suffix in seeds for _ in range(1 if suffix in SLOW else 8)]
    print(f"\nQUOTH_FUZZ_SEED={seed}")
    outcomes: Counter[str] = Counter()
    failed: list[tuple[str, str, str, list[str]]] = []
    end = time.monotonic() + 60 * minutes

    with Parser(LIMITS) as parser:
        assert still_answers(parser, tmp_path)
        server = parser.pid

        def work(number: int) -> None:
            while time.monotonic() < end:
                label = f"{seed}/{number}"
                case = broken(seeds, random.Random(label).choice(suffixes), label)
                outcome, laws = verdict(parser, case, tmp_path)
                outcomes[f"{case.suffix} {outcome}"] += 1
                notable = laws or "process ended" in outcome or outcome.split()[0] in ("timeout", "too_large")
                if laws:
                    failed.append((case.suffix, case.label, case.done, laws))
                if notable:
                    print(case.suffix, case.label, case.done, outcome, laws, flush=True)
                    if keep:
                        Path(keep).mkdir(parents=True, exist_ok=True)
                        (Path(keep) / f"{label.replace('/', '-')}.{case.suffix}").write_bytes(case.content)
                number += workers

        workers = min(4, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            for one in [pool.submit(work, number) for number in range(workers)]:
                one.result()
        assert still_answers(parser, tmp_path)
        same = parser.pid == server
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:7} {outcome}")
    print(f"{sum(outcomes.values()):7} files, {len(failed)} broke a law")
    assert failed == []
    assert same


# -- what the child hands over -----------------------------------------------------------------------------------------

ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, -1, 0, 1, 3, 2**31, 2**63, 10**30, 1.5, float("nan"), float("inf"), "", "x", "\0", "\ud800",
    "\r", "\x01", "e\u0301", "empty", "title", [], [1], [[1]], {}, {"a": 1}, {"a": {}}, "x" * 5000,
)  # fmt: skip


def honest() -> bytes:
    text = "Boat house\n\nThe boat house opens at seven."
    boxes = np.arange(len(text) * 4, dtype=np.uint16).reshape(-1, 4)
    document = ParsedDocument(
        title="Boat house",
        text=text,
        elements=(
            Element(0, "title", 0, 0, 10, 1, {}),
            Element(1, "text", 0, 12, len(text), 2, {"sheet": "A", "row": 3}),
        ),
        pages=(PageMap(1, 0, 12, 420.0, 595.0, boxes[:12]), PageMap(2, 12, len(text), 420.0, 595.0, boxes[12:], 0.9)),
        page_count=2,
        language="en",
        media_type="application/pdf",
        warnings=("One page is faint.",),
        findings=(Finding("hidden_text", "White on white.", "opens", 2, 27, 32), Finding("instruction", "It asks.")),
        attachments=(Attachment("boats.csv", b"Skiff,4\n"), Attachment("more.bin", bytes(range(256)))),
    )
    return handover.encode_document(document)


def unstorable(document: ParsedDocument) -> list[str]:
    """What of a decoded document the database would refuse, which no document may do to the others of its batch."""
    wrong = []
    numbers = [n for e in document.elements for n in (e.depth, e.page or 0)] + [p.page for p in document.pages]
    if not all(0 <= number < 2**31 for number in (*numbers, document.page_count or 0)):
        wrong.append("a number does not fit its column")
    texts = [document.title, document.text, document.language, document.media_type, *document.warnings]
    texts += [part for e in document.elements for pair in e.place.items() for part in pair if isinstance(part, str)]
    texts += [part for f in document.findings for part in (f.words, f.excerpt)]
    texts += [attachment.name for attachment in document.attachments]
    for value in texts:
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            wrong.append(f"{value[:20]!r} is no text for a database")
    return wrong


def decoded(content: bytes) -> list[str]:
    """Decode; what was wrong with what came out."""
    try:
        document = handover.decode(content)
    except HandoverError:
        return []
    except DocumentError as error:
        if "\0" in error.detail or any("\ud800" <= character <= "\udfff" for character in error.detail):
            return ["the words are no text for a database"]
        return []
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    wrong = unstorable(document)
    at = 0
    for element in document.elements:
        if not at <= element.start < element.end <= len(document.text):
            wrong.append("an element's span")
        at = element.end
    for page in document.pages:
        if page.boxes.shape != (page.end - page.start, 4):
            wrong.append("a page map's boxes")
    return wrong


def with_odd_value(content: bytes, rng: random.Random) -> bytes:
    """The same handover with values of its JSON exchanged."""
    (length,) = struct.unpack_from("<I", content)
    head = json.loads(content[4 : 4 + length])
    for _ in range(rng.choice((1, 1, 2, 3))):
        holder: Any = head
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = rng.choice(keys)
            inside = holder[key]
            if not (isinstance(inside, dict | list) and inside) or rng.random() < 0.2:
                break
            holder = inside
        kind = rng.random()
        if kind < 0.1:
            del holder[key]
        elif kind < 0.2 and isinstance(holder, list):
            holder.append(inside)
        else:
            holder[key] = rng.choice(ODD_VALUES)
        if not head:
            break
    packed = json.dumps(head, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    return struct.pack("<I", len(packed)) + packed + content[4 + length :]


def test_an_honest_handover_is_taken() -> None:
    assert decoded(honest()) == []
    assert handover.decode(honest()).attachments[1].content == bytes(range(256))


def test_no_handover_gets_past_the_check() -> None:
    content = honest()
    wrong: Counter[str] = Counter()
    for number in range(6000):
        rng = random.Random(f"{SHORT_SEED} handover {number}")
        if number % 3 == 0:
            made = rng.choice((flip, overwrite, truncate, cut, repeat))(content, rng)
        elif number % 30 == 1:
            made = rng.randbytes(rng.randint(0, 300))
        elif number % 30 == 2:
            packed = json.dumps(
                dict.fromkeys(("reason", "detail"), rng.choice(ODD_VALUES)) | {"reason": "empty"}
            ).encode()
            made = struct.pack("<I", len(packed)) + packed
        else:
            made = with_odd_value(content, rng)
        wrong.update(decoded(made))
    assert wrong == Counter()


def test_a_handover_of_any_depth_is_refused() -> None:
    for packed in (b"[" * 100_000, b'{"a":' * 100_000, b"1" * 100_000, b'{"text": "' + base64.b64encode(b"\0" * 999)):
        assert decoded(struct.pack("<I", len(packed)) + packed) == []
    assert decoded(struct.pack("<I", 2**32 - 1) + b"{}") == []
    assert decoded(b"") == [] and decoded(b"\0\0") == []


def test_the_laws_see_what_is_wrong() -> None:
    fine = handover.decode(honest())
    assert (
        broken_laws(
            replace(
                fine,
                pages=(),
                page_count=None,
                elements=(replace(fine.elements[0], page=None), replace(fine.elements[1], page=None)),
            )
        )
        == []
    )
    assert broken_laws(replace(fine, text=fine.text.replace("Boat", "Bo\x07t")))
    assert broken_laws(replace(fine, elements=fine.elements[:1]))
    assert broken_laws(replace(fine, elements=(fine.elements[0], replace(fine.elements[1], end=999))))
    assert broken_laws(replace(fine, pages=fine.pages[:1]))
    assert broken_laws(replace(fine, attachments=(Attachment("../a", b""),)))
