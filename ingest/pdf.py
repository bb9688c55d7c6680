"""PDF by PDFium: characters with their boxes, rules and pictures of each page; rendering. Runs only in the child."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any, Final

import pypdfium2 as pdfium

from ingest.canonical import assemble_pages, canonical
from ingest.errors import DocumentError
from ingest.language import detect_language
from ingest.layout import lay_out
from ingest.model import ParsedDocument
from ingest.page_reading import read_characters, read_drawn, to_display
from ingest.page_text import Page

_MAX_PAGE_POINTS: Final = 50_000  # a page of 17 metres is a mistake or an attack
_MAX_CHARS: Final = 20_000_000
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
        matrix = to_display(page)
        pictured, segments = read_drawn(page, matrix)
        textpage = page.get_textpage()
        try:
            characters, boxes, styles, style_of, errors = read_characters(textpage, matrix, (width, height))
        finally:
            textpage.close()
    finally:
        page.close()
    return (
        Page(index + 1, width, height, characters, boxes, styles, style_of, segments),
        errors,
        pictured,
    )


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
