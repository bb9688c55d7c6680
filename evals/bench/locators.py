"""How exactly characters of the canonical text are found again in their files, checked against the files themselves.

    python -m evals.bench.locators [--pages 20] [FOLDER...]

Without a folder the sample documents are read. Each visible character of the canonical text falls into one class:

    exact    PDF: PDFium finds this very character at the middle of its box, and there is ink in the box. A picture of
             a page: ink in the box. Else: the line stands so in the source, runs of spaces apart, on its slide or
             sheet where it has one
    fuzzy    PDF: one of the two only. Else: only letters and digits of the line agree
    element  no box, but its element has boxes; or its word stands in the source, its line does not
    page     only the page, slide or sheet is known
    none     neither

The source's text comes from other code than the parser's: PDFium's search by position and its drawing, zip members'
XML, openpyxl, the bytes. Long PDFs are judged by pages spread evenly over them.
"""

from __future__ import annotations

import argparse
import csv
import email
import email.policy
import html
import io
import json
import re
import sys
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pypdfium2 as pdfium
from lxml import etree
from lxml import html as lxml_html
from PIL import Image

from evals.bench.hostile import files_under
from ingest.errors import DocumentError
from ingest.model import Element, PageMap, ParsedDocument
from ingest.parser import Parser

CLASSES: Final = ("exact", "fuzzy", "element", "page", "none")
SAMPLES: Final = Path(__file__).parent.parent / "samples" / "documents"
_FULL: Final = 65535
_SCALE: Final = 2.0  # pixels per point of the drawing
_INK: Final = 24  # grey levels by which ink differs from paper
_TOLERANCE: Final = 0.5  # points around the middle of a box
_MOST_PIXELS: Final = 40_000_000
_SPACES: Final = re.compile(r"\s+")
_MARKS: Final = re.compile(r"[\W_]+")

Sources = dict[str, str]  # "" -> the whole text; "slide 3", "sheet Rates" -> the part's


# -- pages -------------------------------------------------------------------------------------------------------------


def pages_of(document: ParsedDocument, file: Path, most: int) -> Counter[str]:
    """Classes of the characters of some pages of a PDF or a picture, by drawing and asking PDFium."""
    counts: Counter[str] = Counter()
    at = np.linspace(0, len(document.pages) - 1, min(most, len(document.pages))).round().astype(int)
    chosen = [document.pages[number] for number in sorted(set(at.tolist()))]
    if document.media_type != "application/pdf":
        with Image.open(file) as picture:
            for page in chosen:
                picture.seek(page.page - 1)
                grey = np.asarray(picture.convert("L"))
                counts += judged(document, page, inked(page, grey), None)
        return counts
    with pdfium.PdfDocument(file) as opened:
        for page in chosen:
            drawn = opened[page.page - 1]
            scale = min(_SCALE, (_MOST_PIXELS / max(page.width * page.height, 1)) ** 0.5)
            bitmap = drawn.render(scale=scale, grayscale=True)
            grey = bitmap.to_numpy().reshape(bitmap.height, bitmap.width, -1)[:, :, 0]
            said = None if page.recognition is not None else agreeing(document, page, drawn, bitmap)
            counts += judged(document, page, inked(page, grey), said)
            drawn.close()
    return counts


def inked(page: PageMap, grey: np.ndarray) -> np.ndarray:
    """For each character whether anything in its box differs from the page's paper."""
    height, width = grey.shape
    paper = int(np.bincount(grey.ravel(), minlength=256).argmax())
    marked: np.ndarray = np.abs(grey.astype(np.int16) - paper) > _INK
    sums = np.zeros((height + 1, width + 1), dtype=np.int64)
    sums[1:, 1:] = marked.cumsum(axis=0).cumsum(axis=1)
    boxes = page.boxes.astype(np.float64) / _FULL
    left = np.clip(np.floor(boxes[:, 0] * width).astype(int), 0, width - 1)
    top = np.clip(np.floor(boxes[:, 1] * height).astype(int), 0, height - 1)
    right = np.clip(np.ceil(boxes[:, 2] * width).astype(int), left + 1, width)
    bottom = np.clip(np.ceil(boxes[:, 3] * height).astype(int), top + 1, height)
    inside: np.ndarray = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return inside > 0


def agreeing(document: ParsedDocument, page: PageMap, drawn: Any, bitmap: Any) -> np.ndarray:
    """For each character whether PDFium names it when asked what stands at the middle of its box."""
    place = bitmap.get_posconv(drawn)
    textpage = drawn.get_textpage()
    found = np.zeros(page.end - page.start, dtype=bool)
    middles = (page.boxes[:, :2].astype(np.float64) + page.boxes[:, 2:]) / 2 / _FULL
    for number, character in enumerate(document.text[page.start : page.end]):
        if character.isspace() or not page.boxes[number].any():
            continue
        x, y = place.to_page(round(middles[number, 0] * bitmap.width), round(middles[number, 1] * bitmap.height))
        index = textpage.get_index(x, y, _TOLERANCE, _TOLERANCE)
        if index is not None:
            found[number] = same(character, textpage.get_text_range(index, 1))
    textpage.close()
    return found


def same(wanted: str, said: str) -> bool:
    """Whether two spellings of one character agree: ligatures, composed letters, hyphens and quotes aside."""
    if wanted == said:
        return True
    plain = unicodedata.normalize("NFKD", said).casefold()
    return unicodedata.normalize("NFKD", wanted).casefold()[:1] in plain or (
        not wanted.isalnum() and unicodedata.category(wanted)[0] == unicodedata.category(said[:1] or " ")[0]
    )


def judged(document: ParsedDocument, page: PageMap, ink: np.ndarray, said: np.ndarray | None) -> Counter[str]:
    """Count a page's characters by class; `said` is None where a picture was read."""
    counts: Counter[str] = Counter()
    boxed = np.asarray(page.boxes.any(axis=1))
    inside = [one for one in document.elements if one.start < page.end and page.start < one.end]
    for element in inside:
        start, end = max(element.start, page.start) - page.start, min(element.end, page.end) - page.start
        shown = boxed[start:end].any()
        for number in range(start, end):
            if document.text[page.start + number].isspace():
                continue
            if document.text[page.start + number] == "|" and not boxed[number]:
                continue  # Quoth's own, between the cells of a table
            if not boxed[number]:
                counts["element" if shown else "page"] += 1
            elif said is None:
                counts["exact" if ink[number] else "page"] += 1
            else:
                counts[("page", "fuzzy", "exact")[int(ink[number]) + int(said[number])]] += 1
    return counts


# -- other formats -----------------------------------------------------------------------------------------------------


def squashed(value: str) -> str:
    return _SPACES.sub(" ", unicodedata.normalize("NFC", value)).strip()


def letters(value: str) -> str:
    return _MARKS.sub("", unicodedata.normalize("NFKC", value)).casefold()


def lines_of(document: ParsedDocument, sources: Sources) -> Counter[str]:
    """Classes of the characters of a document without pages, line by line of each element."""
    counts: Counter[str] = Counter()
    whole = {name: squashed(value) for name, value in sources.items()}
    bare = {name: letters(value) for name, value in sources.items()}
    for element in document.elements:
        part = part_of(element, sources)
        for given in re.split(r"[\n\t|]+", document.text[element.start : element.end]):
            counts += line_of(squashed(given), whole[part], bare[part], placed=bool(part))
    return counts


def line_of(line: str, whole: str, bare: str, *, placed: bool) -> Counter[str]:
    """The class of one line; of its pieces where it was put together from several."""
    visible = sum(not character.isspace() for character in line)
    if not visible:
        return Counter()
    if line in whole:
        return Counter(exact=visible)
    if letters(line) in bare and letters(line):
        return Counter(fuzzy=visible)
    counts: Counter[str] = Counter()
    for word in line.split(" "):
        known = word in whole or (letters(word) and letters(word) in bare)
        counts["element" if known else "page" if placed else "none"] += len(word)
    return counts


def part_of(element: Element, sources: Sources) -> str:
    for name in (f"slide {element.place.get('slide')}", f"sheet {element.place.get('sheet')}"):
        if name in sources:
            return name
    return ""


def source_text(file: Path, media_type: str) -> Sources | None:
    """The file's text as simple code of another kind reads it; None for a format that it does not know."""
    content = file.read_bytes()
    kind = media_type.rsplit("/", 1)[-1]
    if "wordprocessingml" in kind:
        return {"": "\n".join(office_text(content, r"word/(document|header\d*|footer\d*|footnotes|endnotes)\.xml"))}
    if "presentationml" in kind:
        return slides_text(content)
    if "spreadsheetml" in kind:
        return sheets_text(content)
    if kind == "rfc822":
        return {"": mail_text(content)}
    if media_type.startswith("application/vnd.oasis"):
        return {"": "\n".join(office_text(content, r"(content|styles)\.xml"))}
    if kind == "epub+zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            pages = [name for name in archive.namelist() if re.search(r"\.x?html?$", name)]
            return {"": "\n".join(markup_text(archive.read(name)) for name in pages)}
    if kind in ("html", "xhtml+xml"):
        return {"": markup_text(content)}
    if kind == "json":
        return {"": json_text(content)}
    if kind in ("csv", "tab-separated-values"):
        rows = csv.reader(decoded(content).splitlines(), delimiter="\t" if kind.startswith("tab") else ",")
        return {"": decoded(content) + "\n" + "\n".join(cell for row in rows for cell in row)}
    if kind == "markdown":
        shown = re.sub(r"\[([^\]\n]*)\]\([^)\n]*\)", r"\1", decoded(content))
        return {"": html.unescape(re.sub(r"\\(?=[^\w\s])|[*_`]", "", shown) + "\n" + shown)}
    if media_type.startswith("text/") and kind != "rtf":
        return {"": html.unescape(re.sub(r"\\(?=[^\w\s])", "", decoded(content)))}
    if kind == "xml":
        return {"": decoded(content)}
    return None


def decoded(content: bytes) -> str:
    for encoding in ("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def office_text(content: bytes, wanted: str) -> Iterator[str]:
    """The text of each paragraph of the members whose names match, as the XML holds it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if re.fullmatch(wanted, name):
                root = etree.fromstring(archive.read(name), etree.XMLParser(resolve_entities=False, huge_tree=False))
                for paragraph in root.iter("{*}p", "{*}h"):
                    yield "".join(text_in(paragraph))


def text_in(paragraph: Any) -> Iterator[str]:
    """The pieces of a paragraph: in Office files what stands in <t>, in OpenDocument ones all that stands there."""
    everything = "opendocument" in str(etree.QName(paragraph).namespace)
    for node in paragraph.iter("{*}*"):
        name = etree.QName(node).localname
        if name in ("tab", "br", "cr", "s", "line-break"):
            yield " "
        if everything or name == "t":
            yield node.text or ""
        if everything and node is not paragraph:
            yield node.tail or ""


def slides_text(content: bytes) -> Sources:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"ppt/slides/slide\d+\.xml", name)]
    found = {
        f"slide {int(re.sub(r'[^0-9]', '', name))}": "\n".join(office_text(content, re.escape(name))) for name in names
    }
    notes = "\n".join(office_text(content, r"ppt/notesSlides/notesSlide\d+\.xml"))
    return {"": "\n".join([*found.values(), notes]), **{name: f"{value}\n{notes}" for name, value in found.items()}}


def sheets_text(content: bytes) -> Sources:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True, read_only=True)
    found = {
        f"sheet {sheet.title}": "\n".join(
            str(value) for row in sheet.iter_rows(values_only=True) for value in row if value is not None
        )
        for sheet in book.worksheets
    }
    return {"": "\n".join(found.values()), **{name: f"{name[6:]}\n{value}" for name, value in found.items()}}


def mail_text(content: bytes) -> str:
    message = email.message_from_bytes(content, policy=email.policy.default)
    parts = [f"{name}: {value}" for name, value in message.items()]
    for part in message.walk():
        if part.get_content_maintype() == "text":
            given = part.get_content()
            parts.append(markup_text(given.encode()) if part.get_content_subtype() == "html" else given)
        parts.append(part.get_filename() or "")
    return "\n".join(parts)


def markup_text(content: bytes) -> str:
    root = lxml_html.fromstring(decoded(content).encode(), parser=lxml_html.HTMLParser(encoding="utf-8"))
    for node in root.iter("br", "p", "li", "td", "th", "div", "h1", "h2", "h3", "h4", "tr"):
        node.tail = " " + (node.tail or "")
    return str(root.text_content())


def json_text(content: bytes) -> str:
    found: list[str] = [decoded(content)]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                found.append(str(key))
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        else:
            found.append(str(value))

    for line in [decoded(content)] if content.lstrip()[:1] in b"[{" else []:
        try:
            walk(json.loads(line))
        except ValueError:
            for one in line.splitlines():
                if one.strip():
                    walk(json.loads(one))
    return "\n".join(found)


# -- all of it ---------------------------------------------------------------------------------------------------------


def classes_of(document: ParsedDocument, file: Path, most: int) -> Counter[str] | None:
    """Classes of a document's characters; None where there is nothing to check it by."""
    if document.pages:
        return pages_of(document, file, most)
    sources = source_text(file, document.media_type)
    return None if sources is None else lines_of(document, sources)


def share(counts: Counter[str], name: str) -> str:
    return f"{100 * counts[name] / max(counts.total(), 1):8.2f}"


def report(found: dict[str, Counter[str]], files: Counter[str], tell: Callable[[str], None] = print) -> None:
    """The table, per format, in percent of the visible characters."""
    tell(f"{'format':12} {'files':>5} {'characters':>11} " + " ".join(f"{name:>8}" for name in CLASSES))
    for kind, counts in [*sorted(found.items()), ("all", sum(found.values(), Counter()))]:
        many = files[kind] if kind != "all" else files.total()
        tell(f"{kind:12} {many:5} {counts.total():11,} " + " ".join(share(counts, name) for name in CLASSES))


def main(argv: Sequence[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", default=[SAMPLES])
    arguments.add_argument("--pages", type=int, default=20, help="of each document that are drawn (20)")
    arguments.add_argument("--worst", type=int, default=10, help="files to name, those with the least exact (10)")
    given = arguments.parse_args(argv)
    absent = [folder for folder in given.folders if not folder.is_dir()]
    if absent:
        print(f"There is no folder {', '.join(map(str, absent))}. Nothing was read.", file=sys.stderr)
        return 2
    found: dict[str, Counter[str]] = {}
    files: Counter[str] = Counter()
    each: list[tuple[float, str, Counter[str]]] = []
    skipped: Counter[str] = Counter()
    with Parser() as parser:
        for file, source in files_under(given.folders):
            try:
                document = parser.parse(file, name=source)
                counts = classes_of(document, file, given.pages)
            except DocumentError as error:
                skipped[str(error.reason)] += 1
                continue
            except Exception as error:  # of the bench's own simple readers
                skipped[f"not checked ({type(error).__name__})"] += 1
                continue
            if counts is None:
                skipped[f"not checked ({document.media_type})"] += 1
                continue
            kind = file.suffix.lower().lstrip(".") or "none"
            found[kind] = found.get(kind, Counter()) + counts
            files[kind] += 1
            each.append((counts["exact"] / max(counts.total(), 1), source, counts))
    report(found, files)
    for exact, source, counts in sorted(each, key=lambda one: one[:2])[: given.worst]:
        print(f"  {100 * exact:6.2f} % exact  {source}  {dict(counts)}")
    for reason, count in skipped.most_common():
        print(f"  {count:4} files: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
