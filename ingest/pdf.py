"""PDF by PDFium: characters with their boxes, rules and pictures of each page; rendering. Runs only in the child."""

from __future__ import annotations

import ctypes
import io
import math
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as raw
from numpy.typing import NDArray

from ingest.canonical import assemble_pages, canonical
from ingest.errors import DocumentError
from ingest.language import detect_language
from ingest.layout import lay_out
from ingest.model import ParsedDocument
from ingest.page_text import Page, Style

_DEVICE: Final = 1 << 24  # PDFium maps to whole device pixels: a huge page keeps the fractions exact
_MAX_PAGE_POINTS: Final = 50_000  # a page of 17 metres is a mistake or an attack
_MAX_CHARS: Final = 20_000_000
_MAX_PATH_OBJECTS: Final = 4000  # beyond, a page is a drawing, not a form with ruling lines
_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
}  # fmt: skip
_BOLD_NAME: Final = re.compile(r"bold|black|heavy|semibold|demi|-bd|CMBX|SFBX", re.IGNORECASE)
_MONO_NAME: Final = re.compile(r"mono|courier|consol|menlo|typewriter|CMTT|SFTT|LMTT", re.IGNORECASE)
# What stands large on a first page without naming the document: a list of contents, or a numbered section.
_NO_TITLE: Final = re.compile(r"(table of )?contents$|inhalt|sommaire|\d+(\.\d+)*\s", re.IGNORECASE)
_LETTERS: Final = re.compile(r"[^\W_]")


def parse_pdf(path: Path, *, name: str) -> ParsedDocument:
    """Read a PDF's text in reading order with a box for every character.

    Raises:
        DocumentError: encrypted, corrupt, too_large, unreadable (scans, fonts without Unicode) or empty.
    """
    with _opened(path, name) as document:
        pages: list[Page] = []
        scanned: list[int] = []
        broken: list[int] = []
        unmapped = characters = 0
        for index in range(len(document)):
            try:
                page, errors, pictured = _read_page(document, index)
            except pdfium.PdfiumError:
                broken.append(index + 1)
                continue
            letters = sum(character.isalnum() for character in page.characters)
            characters += len(page.characters)
            unmapped += errors
            if characters > _MAX_CHARS:
                raise DocumentError(
                    "too_large",
                    f"{name!r} holds more than {_MAX_CHARS:,} characters. Split it into smaller files.",
                )
            if pictured and letters < 10:
                scanned.append(index + 1)
            pages.append(page)
        outline = _outline(document)
        title = _title(document)
        page_count = len(document)
    text, elements, maps = assemble_pages(
        lay_out(pages, outline), {page.number: (page.width, page.height) for page in pages}
    )
    if unmapped > 0.5 * max(1, characters):
        raise DocumentError(
            "unreadable",
            f"The fonts of {name!r} do not say which letters they show, so its text cannot be read. Save the PDF anew "
            "from the program it was written in.",
        )
    if not _LETTERS.search(text):
        if scanned:
            raise DocumentError(
                "unreadable",
                f"The pages of {name!r} are pictures without text. Scanned pages are not read yet; upload a copy with "
                "recognised text.",
            )
        if broken:
            raise DocumentError("corrupt", f"No page of {name!r} can be opened: it is damaged. Upload it again.")
        raise DocumentError("empty", f"The pages of {name!r} are blank. Check that it is the right file.")
    warnings = []
    if broken:
        warnings.append(f"Damaged and not read: {_numbered(broken)}.")
    if scanned:
        warnings.append(f"No text was found on {_numbered(scanned)}: pictures and scans are not read yet.")
    if unmapped > 0.02 * characters:
        warnings.append("Some letters could not be read because their font does not name them.")
    if not title:
        heading = next((e for e in elements[:5] if e.category == "title" and e.depth == 0 and e.page == 1), None)
        title = " ".join(text[heading.start : heading.end].split())[:300] if heading else ""
        title = "" if _NO_TITLE.match(title) else title
    return ParsedDocument(
        title=title,
        text=text,
        elements=elements,
        pages=maps,
        page_count=page_count,
        language=detect_language(text),
        media_type="application/pdf",
        warnings=tuple(warnings),
    )


def render_page(path: Path, page: int, *, scale: float, max_pixels: int, name: str) -> bytes:
    """One page as PNG, as displayed.

    Args:
        page: from 1.
        scale: pixels per point, lowered where the page would exceed `max_pixels`.

    Raises:
        DocumentError: encrypted, corrupt, or unsafe when the page's measures are absurd.
    """
    with _opened(path, name) as document:
        if not 1 <= page <= len(document):
            raise DocumentError("corrupt", f"{name!r} has {len(document)} pages, and no page {page}.")
        opened = document[page - 1]
        width, height = opened.get_size()
        _check_size(width, height, page, name)
        scale = min(scale, math.sqrt(max_pixels / (width * height)))
        picture = opened.render(scale=scale).to_pil()
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()


def _opened(path: Path, name: str) -> Any:
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if "assword" in str(error):
            raise DocumentError("encrypted", f"{name!r} is password-protected. Upload an unprotected copy.") from error
        raise DocumentError(
            "corrupt", f"{name!r} cannot be opened as a PDF: it is damaged or incomplete. Upload it again."
        ) from error
    if not len(document):
        document.close()
        raise DocumentError("corrupt", f"{name!r} has no pages that can be read. Upload an undamaged copy.")
    return document


def _check_size(width: float, height: float, page: int, name: str) -> None:
    if not (0 < width <= _MAX_PAGE_POINTS and 0 < height <= _MAX_PAGE_POINTS):
        raise DocumentError(
            "unsafe", f"Page {page} of {name!r} claims to measure {width:.0f} x {height:.0f} points. It is not shown."
        )


def _read_page(document: Any, index: int) -> tuple[Page, int, bool]:
    """The page, how many characters have no Unicode, and whether it shows pictures."""
    page = document[index]
    try:
        width, height = page.get_size()
        _check_size(width, height, index + 1, "the document")
        to_display = _to_display(page)
        pictured, segments = _drawn(page, to_display)
        textpage = page.get_textpage()
        try:
            characters, boxes, styles, style_of, errors = _characters(textpage, to_display, (width, height))
        finally:
            textpage.close()
    finally:
        page.close()
    return (
        Page(index + 1, width, height, characters, boxes, styles, style_of, segments),
        errors,
        pictured,
    )


def _to_display(page: Any) -> NDArray[np.float64]:
    """The 2 x 3 matrix from PDF user space to points of the page as displayed, origin top left.

    Asked of PDFium itself, which knows the crop box, the rotation and their exceptions.
    """
    width, height = page.get_size()
    out_x, out_y = ctypes.c_int(), ctypes.c_int()

    def shown(x: float, y: float) -> tuple[float, float]:
        raw.FPDF_PageToDevice(page, 0, 0, _DEVICE, _DEVICE, 0, x, y, ctypes.byref(out_x), ctypes.byref(out_y))
        return out_x.value / _DEVICE * width, out_y.value / _DEVICE * height

    step = max(width, height)
    origin, right, up = shown(0, 0), shown(step, 0), shown(0, step)
    return np.array(
        [
            [(right[0] - origin[0]) / step, (up[0] - origin[0]) / step, origin[0]],
            [(right[1] - origin[1]) / step, (up[1] - origin[1]) / step, origin[1]],
        ]
    )


def _displayed(boxes: NDArray[np.float64], to_display: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 4) left, bottom, right, top in user space to x0, y0, x1, y1 as displayed."""
    corners = [boxes[:, [0, 1]], boxes[:, [2, 3]]]
    moved = np.stack([corner @ to_display[:, :2].T + to_display[:, 2] for corner in corners])
    return np.concatenate([moved.min(axis=0), moved.max(axis=0)], axis=1)


def _characters(
    textpage: Any, to_display: NDArray[np.float64], size: tuple[float, float]
) -> tuple[list[str], NDArray[np.float64], list[Style], list[int], int]:
    textpage = textpage.raw  # a million calls: without the wrapper's indirection
    count = raw.FPDFText_CountChars(textpage)
    characters: list[str] = []
    found: list[tuple[float, float, float, float]] = []
    styles: list[Style] = []
    style_of: list[int] = []
    known: dict[int, int] = {}
    unnamed: list[bool] = []  # by style: its font does not say which letters it draws
    errors = 0
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    places = tuple(map(ctypes.byref, (left, right, bottom, top)))
    loose = raw.FS_RECTF()
    nowhere = (0.0, 0.0, 0.0, 0.0)
    pending = 0  # the first half of a surrogate pair
    style = -1
    for i in range(count):
        code = raw.FPDFText_GetUnicode(textpage, i)
        if 0xD800 <= code < 0xDC00:
            pending = code
            continue
        if 0xDC00 <= code < 0xE000 and pending:
            code = 0x10000 + ((pending - 0xD800) << 10) + (code - 0xDC00)
        pending = 0
        if raw.FPDFText_IsGenerated(textpage, i) == 1:
            characters.append("\n" if code in (10, 13) else " ")
            found.append(nowhere)
            style_of.append(style)
            continue
        drawn = raw.FPDFText_GetTextObject(textpage, i)
        address = ctypes.addressof(drawn.contents) if drawn else 0
        if address not in known:
            known[address] = len(styles)
            styles.append(_style(textpage, i, address, to_display))
            unnamed.append(raw.FPDFText_HasUnicodeMapError(textpage, i) == 1)
        style = known[address]
        errors += unnamed[style]
        if not code:
            continue
        raw.FPDFText_GetCharBox(textpage, i, *places)
        box = (left.value, bottom.value, right.value, top.value)
        if box[2] <= box[0] or box[3] <= box[1]:  # no outline: a space, or a font that draws pictures
            raw.FPDFText_GetLooseCharBox(textpage, i, ctypes.byref(loose))
            box = (loose.left, loose.bottom, loose.right, loose.top)
        letters = _LIGATURES.get(code)
        if letters:
            share = (box[2] - box[0]) / len(letters)
            for at, letter in enumerate(letters):
                characters.append(letter)
                found.append((box[0] + at * share, box[1], box[0] + (at + 1) * share, box[3]))
                style_of.append(style)
            continue
        characters.append("\u00ad" if code in (2, 0xFFFE) else chr(code))
        found.append(box)
        style_of.append(style)
    boxes = np.array(found, np.float64).reshape(-1, 4)
    real = np.asarray(boxes.any(axis=1))
    shown = np.where(real[:, None], _displayed(boxes, to_display), 0.0)
    outside = real & ((shown[:, 2] <= 0) | (shown[:, 3] <= 0) | (shown[:, 0] >= size[0]) | (shown[:, 1] >= size[1]))
    if outside.any():  # beyond the page's edge nobody sees it: neither read nor quoted
        kept = np.flatnonzero(~outside)
        return [characters[i] for i in kept], shown[kept], styles, [style_of[i] for i in kept], errors
    return characters, shown, styles, style_of, errors


def _style(textpage: Any, i: int, address: int, to_display: NDArray[np.float64]) -> Style:
    matrix = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(textpage, i, ctypes.byref(matrix))
    size = raw.FPDFText_GetFontSize(textpage, i) * (math.hypot(matrix.b, matrix.d) or 1.0)
    along = to_display[:, :2] @ np.array([matrix.a, matrix.b])
    upright = bool(along[0] > 0 and abs(along[1]) < 0.1 * along[0])
    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(textpage, i, ctypes.byref(x), ctypes.byref(y))
    baseline = float(to_display[1, :2] @ np.array([x.value, y.value]) + to_display[1, 2])
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, i, buffer, 128, ctypes.byref(flags))
    fontname = buffer.value.decode("utf-8", "replace")
    weight = raw.FPDFText_GetFontWeight(textpage, i)
    bold = weight >= 600 or bool(_BOLD_NAME.search(fontname)) or bool(flags.value & (1 << 18))
    mono = bool(flags.value & 1) or bool(_MONO_NAME.search(fontname))
    return Style(size=round(abs(size), 2) or 1.0, bold=bold, mono=mono, upright=upright, baseline=baseline, run=address)


def _drawn(page: Any, to_display: NDArray[np.float64]) -> tuple[bool, NDArray[np.float64]]:
    """Whether the page shows pictures, and its straight rules: (n, 4) boxes as displayed, at most 2 points thin."""
    pictured = False
    rules: list[tuple[float, float, float, float]] = []
    count = raw.FPDFPage_CountObjects(page)
    paths = 0
    bounds = tuple(ctypes.c_float() for _ in range(4))
    for i in range(count):
        drawn = raw.FPDFPage_GetObject(page, i)
        kind = raw.FPDFPageObj_GetType(drawn)
        if kind in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM, raw.FPDF_PAGEOBJ_SHADING):
            pictured = True
        elif kind == raw.FPDF_PAGEOBJ_PATH:
            paths += 1
            if paths > _MAX_PATH_OBJECTS:
                return True, np.zeros((0, 4))
            if raw.FPDFPageObj_GetBounds(drawn, *map(ctypes.byref, bounds)):
                rules.extend(_rules(drawn, tuple(value.value for value in bounds)))
    if not rules:
        return pictured, np.zeros((0, 4))
    return pictured, _displayed(np.array(rules, np.float64), to_display)


def _rules(drawn: Any, bounds: tuple[float, ...]) -> list[tuple[float, float, float, float]]:
    """The straight lines of one path: itself when it is thin, the edges when it is a stroked rectangle."""
    left, bottom, right, top = bounds
    if min(right - left, top - bottom) <= 2.5:
        return [(left, bottom, right, top)]
    segments = raw.FPDFPath_CountSegments(drawn)
    if not 2 <= segments <= 400:
        return []
    filled, stroked = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(drawn, ctypes.byref(filled), ctypes.byref(stroked))
    if not stroked.value:
        return []
    matrix = raw.FS_MATRIX()
    raw.FPDFPageObj_GetMatrix(drawn, ctypes.byref(matrix))
    x, y = ctypes.c_float(), ctypes.c_float()
    found = []
    before = start = (0.0, 0.0)
    for i in range(segments):
        segment = raw.FPDFPath_GetPathSegment(drawn, i)
        raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y))
        here = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_BEZIERTO:
            return []
        if kind == raw.FPDF_SEGMENT_MOVETO:
            start = here
        else:
            found.append((before, here))
        before = here
        if raw.FPDFPathSegment_GetClose(segment):
            found.append((here, start))
    return [
        (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
        for a, b in found
        if abs(a[0] - b[0]) < 1 or abs(a[1] - b[1]) < 1
    ]


def _outline(document: Any) -> list[tuple[int, int, str]]:
    """(page from 1, level from 0, title) of the bookmarks."""
    found = []
    try:
        for bookmark in document.get_toc(max_depth=6):
            target = bookmark.get_dest()
            index = target.get_index() if target else None
            if index is not None:
                found.append((int(index) + 1, int(bookmark.level), str(bookmark.get_title())))
            if len(found) >= 5000:
                break
    except (pdfium.PdfiumError, ValueError, RecursionError, UnicodeDecodeError):
        return []
    return found


def _title(document: Any) -> str:
    """The title the document gives itself, unless a program put a file's name or nothing there."""
    try:
        title = " ".join(canonical(str(document.get_metadata_value("Title"))).split())
    except (pdfium.PdfiumError, UnicodeDecodeError):
        return ""
    junk = re.search(
        r"^(untitled|microsoft \w+ - |document\d*$|title$|slide \d+$)|\.\w{2,4}$|[/\\]", title, re.IGNORECASE
    )
    if junk or not 3 <= len(title) <= 200 or not re.search(r"[^\W\d_]{2}", title):
        return ""
    return title


def _numbered(pages: list[int]) -> str:
    ranges: list[str] = []
    start = before = pages[0]
    for page in [*pages[1:], 0]:
        if page != before + 1:
            ranges.append(str(start) if start == before else f"{start}-{before}")
            start = page
        before = page
    return ("page " if len(pages) == 1 else "pages ") + ", ".join(ranges)
