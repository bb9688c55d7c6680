"""How a document was divided: each passage's lines tinted on its page, or marked in the text."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st
from PIL import Image, ImageChops, ImageDraw, ImageFont

from ingest.access import Reader
from ingest.catalog import has_page_images
from ingest.document_list import ChunkShown, chunks_of, touched_chunks
from ingest.errors import DocumentError, ServiceError, UsageError
from ingest.model import Box, Document, Element, Locator, Span
from ui import page_image, wording
from ui.marked_text import MarkedBlock, MarkedPart, show_marked

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

ASSETS: Final = Path(__file__).with_name("assets")
SCALE: Final = 1.5  # pixels of a page's picture per point
TINTS: Final = ((190, 229, 216), (250, 228, 160))  # of neighbouring passages; multiplied with the page
INK: Final = (28, 37, 34)
LABEL_POINTS: Final = 9.0
AT_ONCE: Final = 20  # passages of a text
WIDTH: Final = 860  # pixels of the preview
STEPS_WIDTH: Final = 370  # and of the steps to its pages
LONGEST: Final = 40_000  # characters of a text without passages
PAGE: Final = "preview_page"  # key of the session's state: (document, page)


def show_preview(quoth: Quoth, reader: Reader, document: Document) -> None:
    """The passages of the current version, on its pages where it has some."""
    chunks = chunks_of(quoth.database, reader, document.id)
    pages = document.pages or 0
    as_page = False
    with st.container(horizontal=True, vertical_alignment="center", key="preview-bar"):
        if has_page_images(document.media_type) and pages:
            how = st.segmented_control(
                "Shown", ["Pages", "Text"], default="Pages", required=True, key=f"preview-how-{document.id}",
                label_visibility="collapsed",
            )  # fmt: skip
            as_page = how == "Pages"
        if as_page:
            number = _stepped(f"{PAGE}-{document.id}", pages)
        else:
            number = _stepped(f"preview-part-{document.id}", math.ceil(len(chunks) / AT_ONCE))
    with st.container(key="preview", width=WIDTH, gap="xsmall"):
        if as_page:
            _show_page(quoth, reader, document, chunks, number)
        else:
            _show_text(quoth, reader, document, chunks, number)


def open_page(document: Document, page: int) -> None:
    """Have the preview begin with this page."""
    st.session_state[f"{PAGE}-{document.id}"] = page
    st.session_state[f"preview-how-{document.id}"] = "Pages"


def _stepped(key: str, last: int) -> int:
    """The number chosen, from 1 to `last`."""
    if not 1 <= st.session_state.get(key, 1) <= max(last, 1):
        st.session_state.pop(key)
    return st.pagination(last, key=key, width=STEPS_WIDTH) if last > 1 else 1


def _show_page(quoth: Quoth, reader: Reader, document: Document, chunks: Sequence[ChunkShown], number: int) -> None:
    elements = quoth.catalog.elements(reader, document.id, document.version)
    located = [
        (one, boxes_on(quoth.catalog.locate(reader, document.id, document.version, one.start, one.end), number))
        for one in possibly_on(chunks, page_span(elements, number), number)
    ]
    marked = [(one.ordinal, boxes) for one, boxes in located if boxes]
    here = [one for one, boxes in located if boxes]
    st.caption(_here_words(here, len(chunks), f"page {number} of {document.pages}"))
    try:
        picture = quoth.catalog.page_image(reader, document.id, document.version, number, scale=SCALE)
    except (DocumentError, ServiceError, UsageError) as error:
        st.warning(f"The page cannot be drawn: {wording.literal(wording.error_words(error))}")
        return
    _picture_component()(
        key=f"preview-page-{document.id}",
        data={
            "url": page_image.data_url(divided(picture, marked, scale=SCALE)),
            "alt": f"Page {number} with {wording.counted(len(here), 'passage')} marked",
            "top": 0,
            "shown": f"{document.id}/{document.version}/{number}",
        },
    )


def _show_text(quoth: Quoth, reader: Reader, document: Document, chunks: Sequence[ChunkShown], turn: int) -> None:
    text = quoth.catalog.text(reader, document.id, document.version)
    elements = quoth.catalog.elements(reader, document.id, document.version)
    here = list(chunks[(turn - 1) * AT_ONCE : turn * AT_ONCE])
    st.caption(_here_words(here, len(chunks), ""))
    start = 0 if turn == 1 else chunks[(turn - 1) * AT_ONCE - 1].end
    end = here[-1].end if turn * AT_ONCE < len(chunks) else len(text)
    show_marked(
        marked_blocks(text, elements, here, (start, end if here else min(end, LONGEST))),
        name="The document's text",
        shown=f"{document.id}/{document.version}/{turn}",
        key=f"preview-text-{document.id}",
    )


def _here_words(here: Sequence[ChunkShown], total: int, where: str) -> str:
    if not here:
        return wording.literal(f"No passage{f' on {where}' if where else ''}; {total:,} in all")
    first, last = here[0].ordinal + 1, here[-1].ordinal + 1
    tokens = sum(one.tokens for one in here)
    which = f"Passage {first}" if first == last else f"Passages {first} to {last}"
    place = f" · {where}" if where else ""
    return wording.literal(
        f"{which} of {total:,}, {wording.counted(tokens, 'token')}{place}. Each is found and quoted by itself."
    )


def possibly_on(chunks: Sequence[ChunkShown], span: Span | None, page: int) -> list[ChunkShown]:
    """The chunks that touch a page's elements, and the one before: it may go on from an earlier page."""
    here = touched_chunks(chunks, span) if span else []
    first = here[0].ordinal if here else len(chunks)
    earlier = [one for one in chunks if one.ordinal < first and one.page is not None and one.page < page]
    return [*earlier[-1:], *here]


def page_span(elements: Sequence[Element], page: int) -> Span | None:
    """The span of a page's elements in the canonical text; None for a page without text."""
    spans = [(one.start, one.end) for one in elements if one.page == page]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


def boxes_on(locator: Locator, page: int) -> tuple[Box, ...]:
    """The rectangles of a passage on one page."""
    return locator.boxes if locator.page == page else tuple(locator.more.get(page, ()))


def divided(png: bytes, passages: Sequence[tuple[int, Sequence[Box]]], *, scale: float) -> bytes:
    """Tint each passage's lines on the picture of a page, with its number at the first.

    Args:
        passages: ordinal from 0, and rectangles in points from the top left of the page as displayed.
        scale: pixels of the picture per point.

    Returns:
        A PNG of the same size.
    """
    with Image.open(io.BytesIO(png)) as opened:
        page = opened.convert("RGB")
    ink = Image.new("RGB", page.size, "white")
    draw = ImageDraw.Draw(ink)
    for ordinal, boxes in passages:
        for box in boxes:
            x0, y0, x1, y1 = (value * scale for value in box)
            draw.rounded_rectangle((x0 - scale, y0 - scale, x1 + scale, y1 + scale), scale, TINTS[ordinal % 2])
    drawn = ImageChops.multiply(page, ink)
    font = ImageFont.load_default(size=LABEL_POINTS * scale)
    draw = ImageDraw.Draw(drawn)
    for ordinal, boxes in passages:
        if boxes:
            _label(draw, str(ordinal + 1), boxes[0], font, scale)
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    return buffer.getvalue()


def _label(draw: ImageDraw.ImageDraw, words: str, box: Box, font: Any, scale: float) -> None:
    """The passage's number in the margin left of its first line, or at the line's beginning on a page without one."""
    width, height = draw.textlength(words, font=font) + 6 * scale, (LABEL_POINTS + 4) * scale
    x0 = max(box[0] * scale - width - 3 * scale, 1.0)
    middle = (box[1] + box[3]) / 2 * scale
    top = max(middle - height / 2, 1.0)
    draw.rounded_rectangle((x0, top, x0 + width, top + height), height / 2, INK)
    draw.text((x0 + width / 2, top + height / 2), words, fill="white", font=font, anchor="mm")


def marked_blocks(
    text: str, elements: Sequence[Element], chunks: Sequence[ChunkShown], window: tuple[int, int]
) -> list[MarkedBlock]:
    """The elements within a window of the text, cut where passages begin and end; their texts add up to it.

    Args:
        chunks: those to be marked, in order, without overlap.
        window: half-open span of `text`.
    """
    blocks = []
    for element in elements:
        begin, end = max(element.start, window[0]), min(element.end, window[1])
        if begin >= end:
            continue
        parts = []
        at = begin
        for chunk in touched_chunks(chunks, (begin, end)):
            start, stop = max(chunk.start, at), min(chunk.end, end)
            if start >= stop:
                continue
            if start > at:
                parts.append(MarkedPart(text[at:start]))
            label = f"{chunk.ordinal + 1}" if chunk.start >= begin else ""
            parts.append(MarkedPart(text[start:stop], "even" if chunk.ordinal % 2 else "odd", label))
            at = stop
        if at < end:
            parts.append(MarkedPart(text[at:end]))
        blocks.append(MarkedBlock(element.category, tuple(parts)))
    return blocks


@functools.cache
def _picture_component() -> Callable[..., Any]:
    return st.components.v2.component(
        "quoth_divided_page",
        html="<div class='frame'></div>",
        css=(ASSETS / "page_picture.css").read_text(encoding="utf-8"),
        js=(ASSETS / "page_picture.js").read_text(encoding="utf-8"),
    )
