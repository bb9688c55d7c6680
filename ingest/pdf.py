"""PDF by PDFium: characters with their boxes, rules and pictures of each page; rendering. Runs only in the child."""

from __future__ import annotations

import io
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray

from ingest.canonical import assemble_pages, canonical
from ingest.errors import DocumentError
from ingest.form_fields import read_fields, with_fields
from ingest.language import detect_language
from ingest.layout import lay_out
from ingest.model import PageMap, ParsedDocument
from ingest.page_objects import read_objects
from ingest.page_reading import displayed, read_characters, to_display
from ingest.page_text import Page
from ingest.recognition import (
    DOTS_PER_INCH,
    MAX_SIDE,
    Picture,
    Progress,
    Recognised,
    Recogniser,
    numbered,
    recognition_warnings,
)
from ingest.suspicion import instructions_in
from ingest.unseen_text import Hidden, hidden_in, without

_MAX_PAGE_POINTS: Final = 50_000  # a page of 17 metres is a mistake or an attack
_MAX_CHARS: Final = 20_000_000
# What stands large on a first page without naming the document: a list of contents, or a numbered section.
_NO_TITLE: Final = re.compile(r"(table of )?contents$|inhalt|sommaire|\d+(\.\d+)*\s", re.IGNORECASE)
_LETTERS: Final = re.compile(r"[^\W_]")
_BLANKS: Final = dict.fromkeys(map(ord, " \n\t\r\u00a0\u00ad"))
_BOOKMARKS: Final = 300  # looked at, and twenty a page more: an excerpt may carry those of its whole book
_EDGE: Final = 0.2  # share of a page's height where a running header may stand


def parse_pdf(
    path: Path,
    *,
    name: str,
    recogniser: Recogniser | None = None,
    progress: Progress | None = None,
    max_recognised_pages: int = 1000,
) -> ParsedDocument:
    """Read a PDF's text in reading order with a box for every character.

    A page without a usable text of its own is read from its picture: one that is a picture with next to no letters,
    or whose fonts do not say which letters they show.

    Args:
        progress: told before and after each page that is read from its picture.

    Raises:
        DocumentError: encrypted, corrupt, too_large, unreadable (pictures without text) or empty.
    """
    with _opened(path, name) as document:
        if document.get_formtype() == pdfium.raw.FORMTYPE_ACRO_FORM:
            document.init_forms()
        looks: list[_Look] = []
        broken: list[int] = []
        characters = 0
        for index in range(len(document)):
            try:
                look = _read_page(document, index, name)
            except pdfium.PdfiumError:
                broken.append(index + 1)
                continue
            characters += len(look.page.characters)
            if characters > _MAX_CHARS:
                raise DocumentError(
                    "too_large",
                    f"{name!r} holds more than {_MAX_CHARS:,} characters. Split it into smaller files.",
                )
            looks.append(look)
        recognised = _recognised(
            document, looks, name, recogniser or Recogniser(), progress or _untold, max_recognised_pages
        )
        outline = _outline(document)
        title = _title(document)
        page_count = len(document)
    pages = [recognised[n].page if (n := look.page.number) in recognised else look.page for look in looks]
    text, elements, maps = assemble_pages(
        lay_out(pages, outline), {page.number: (page.width, page.height) for page in pages}
    )
    if not _LETTERS.search(text):
        raise _without_text(looks, broken, name)
    own = [look for look in looks if look.page.number not in recognised]
    warnings = _warnings(looks, recognised, broken)
    warnings.extend(_lost(pages, maps))
    if sum(look.unnamed for look in own) > 0.02 * characters:
        warnings.append("Some letters could not be read because their font does not name them.")
    if not title:
        heading = next((e for e in elements[:5] if e.category == "title" and e.depth == 0 and e.page == 1), None)
        title = " ".join(text[heading.start : heading.end].split())[:300] if heading else ""
        title = "" if _NO_TITLE.match(title) else title
    return ParsedDocument(
        title=title,
        text=text,
        elements=elements,
        pages=tuple(recognised[m.page].displayed(m) if m.page in recognised else m for m in maps),
        page_count=page_count,
        language=detect_language(text),
        media_type="application/pdf",
        warnings=tuple(warnings),
        findings=(*(f for look in looks for f in look.hidden.findings), *instructions_in(text)),
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


@dataclass(frozen=True, slots=True)
class _Look:
    """What a page's own text and drawing tell, before anything is recognised."""

    page: Page  # without what is hidden
    letters: int
    unnamed: int  # characters whose font does not say which letters they are
    strange: bool  # much of its text stands for no letters at all
    pictured: float  # share of the page that pictures cover
    paths: int
    hidden: Hidden

    @property
    def is_picture(self) -> bool:
        """Whether it has next to no text of its own beside a picture, or letters drawn as shapes."""
        if self.letters < 10:
            return self.pictured >= 0.05 or self.paths >= 100
        return self.letters < 150 and self.pictured >= 0.85


def _read_page(document: Any, index: int, name: str) -> _Look:
    page = document[index]
    try:
        width, height = page.get_size()
        _check_size(width, height, index + 1, name)
        matrix = to_display(page)

        def shown_at(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
            return displayed(boxes, matrix)

        drawn = read_objects(page, shown_at)
        textpage = page.get_textpage()
        try:
            read = read_characters(textpage, matrix, (width, height))
            fields = read_fields(page, document.formenv, shown_at) if document.formenv else []
            own_styles = len(read.styles)
            if fields:
                read = with_fields(read, fields)
            whole = Page(index + 1, width, height, read.characters, read.boxes, read.styles, read.style_of, drawn.rules)
            hidden = hidden_in(
                whole,
                drawn,
                lambda scale: _picture(page, scale, smooth=False),
                shown_at,
                shapeless=read.shapeless,
                outside=read.outside,
                filled_in=frozenset(range(own_styles, len(read.styles))),
            )
        finally:
            textpage.close()
    finally:
        page.close()
    shown = without(whole, hidden.styles)
    visible = "".join(shown.characters).translate(_BLANKS)
    nameless = sum(
        number
        for character, number in Counter(visible).items()
        if unicodedata.category(character) in ("Co", "Cn", "Cc", "Cs") or character == "\ufffd"
    )
    return _Look(
        page=shown,
        letters=sum(map(str.isalnum, visible)),
        unnamed=read.errors,
        strange=len(visible) >= 10 and max(read.errors, nameless) > 0.3 * len(visible),
        pictured=drawn.pictured(width, height),
        paths=len(drawn.paths),
        hidden=hidden,
    )


def _picture(page: Any, scale: float, *, smooth: bool = True) -> Picture:
    """A page as displayed, in blue, green, red; at most `MAX_SIDE` pixels wide and high.

    Args:
        smooth: whether pictures on the page are made smaller with care, which costs more than all else of many a page.
    """
    scale = min(scale, MAX_SIDE / max(page.get_size()))
    picture: Picture = page.render(
        scale=scale, rev_byteorder=False, prefer_bgrx=False, no_smoothimage=not smooth
    ).to_numpy()
    if picture.ndim == 2:
        picture = picture[:, :, None].repeat(3, axis=2)
    return picture[:, :, :3]


def _recognised(
    document: Any, looks: Sequence[_Look], name: str, recogniser: Recogniser, progress: Progress, most: int
) -> dict[int, Recognised]:
    """By number, the pages that are better read from their picture."""
    wanted = [look for look in looks if look.strange or look.is_picture]
    if len(wanted) > most:
        raise DocumentError(
            "too_large",
            f"{len(wanted):,} pages of {name!r} are pictures, and at most {most:,} of one document are read. Split it "
            "into smaller files.",
        )
    found: dict[int, Recognised] = {}
    for done, look in enumerate(wanted):
        progress(done, len(wanted))
        page = document[look.page.number - 1]
        try:
            picture = _picture(page, DOTS_PER_INCH / 72)
        except pdfium.PdfiumError:
            continue
        finally:
            page.close()
        read = recogniser.read(
            picture, number=look.page.number, width=look.page.width, height=look.page.height
        )  # fmt: skip
        if read.letters > (5 if look.strange else 2 * look.letters):
            found[look.page.number] = read
    if wanted:
        progress(len(wanted), len(wanted))
    return found


def _untold(done: int, total: int) -> None:
    pass


def _without_text(looks: Sequence[_Look], broken: Sequence[int], name: str) -> DocumentError:
    if any(look.strange for look in looks):
        return DocumentError(
            "unreadable",
            f"The fonts of {name!r} do not say which letters they show, and no text was recognised in pictures of its "
            "pages. Save the PDF anew from the program it was written in.",
        )
    if any(look.is_picture for look in looks):
        return DocumentError(
            "unreadable",
            f"The pages of {name!r} are pictures, and no text was recognised in them. Scan them anew, upright and "
            "sharp, or upload a copy with a text of its own.",
        )
    if any(look.letters for look in looks):
        return DocumentError(
            "unreadable", f"The text of {name!r} could not be put in order. Save the PDF anew from its source."
        )
    if broken:
        return DocumentError("corrupt", f"No page of {name!r} can be opened: it is damaged. Upload it again.")
    if any(look.hidden.findings for look in looks):
        return DocumentError("empty", f"{name!r} holds only text that its readers do not see. Nothing was taken in.")
    return DocumentError("empty", f"The pages of {name!r} are blank. Check that it is the right file.")


def _warnings(looks: Sequence[_Look], recognised: Mapping[int, Recognised], broken: list[int]) -> list[str]:
    warnings = []
    if broken:
        warnings.append(f"Damaged and not read: {numbered(broken)}.")
    warnings.extend(recognition_warnings(recognised))
    unread = [look.page.number for look in looks if look.page.number not in recognised]
    strange = {look.page.number for look in looks if look.strange}
    pictures = {look.page.number for look in looks if look.is_picture and look.letters < 10} - strange
    if lost := [number for number in unread if number in strange]:
        warnings.append(f"The fonts do not say which letters they show on {numbered(lost)}: the text there is wrong.")
    if blank := [number for number in unread if number in pictures]:
        warnings.append(f"No text was recognised on {numbered(blank)}, where only pictures stand.")
    if layered := [look.page.number for look in looks if look.hidden.scanners_layer]:
        warnings.append(
            f"The text of {numbered(layered)} is a text layer of a scan: what a scanner's software recognised, unseen "
            "over the picture. It may differ from what the picture shows."
        )
    return warnings


def _lost(pages: Sequence[Page], maps: Sequence[PageMap]) -> list[str]:
    """A warning where letters did not reach the text: some between a page's edges, where no header stands, or half."""
    kept = {page_map.page: page_map for page_map in maps}
    short = []
    for page in pages:
        letters = np.fromiter(map(str.isalnum, page.characters), np.bool_, len(page.characters))
        middle = (page.boxes[:, 1] + page.boxes[:, 3]) / 2 / page.height
        have = int((letters & (middle > _EDGE) & (middle < 1 - _EDGE)).sum())
        reached = whole = 0
        if page_map := kept.get(page.number):
            rows = page_map.boxes.astype(np.float64) / 65535
            whole = int(rows.any(axis=1).sum())
            centre = (rows[:, 1] + rows[:, 3]) / 2
            reached = int(((centre > _EDGE) & (centre < 1 - _EDGE)).sum())  # with signs: a little generous
        if (have > 30 and reached < 0.9 * have) or (letters.sum() > 200 and whole < 0.5 * letters.sum()):
            short.append(page.number)
    return [f"More than a tenth of the letters could not be put in order on {numbered(short)}."] if short else []


def _outline(document: Any) -> list[tuple[int, int, str]]:
    """(page from 1, level from 0, title) of the bookmarks."""
    found = []
    try:
        for bookmark in islice(document.get_toc(max_depth=6), _BOOKMARKS + 20 * len(document)):
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
