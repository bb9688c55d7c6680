"""The source beside the answer: the page with the quoted words highlighted, or the section with them marked."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from assistant.model import Answer, Newer
from ingest.access import Reader
from ingest.catalog import has_page_images
from ingest.errors import DocumentError, QuothError, ServiceError, UsageError
from ingest.model import Box, Document, DocumentId, Locator
from ui import page_image, wording
from ui.section import section_around

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

ASSETS: Final = Path(__file__).with_name("assets")
SCALE: Final = 1.6  # pixels of a page's picture per point
OPEN: Final = "open_source"  # keys of the session's state
PICTURE: Final = "page_picture"


@dataclass(frozen=True, slots=True)
class OpenSource:
    """What the reader opened: a citation of an answer, or one of its nearest passages."""

    answer: str  # its id
    marker: int | None = None
    passage: int | None = None  # from 0
    page: int | None = None  # None: where the quotation begins
    newer: bool = False  # the version that has replaced the cited one


@dataclass(frozen=True, slots=True)
class Target:
    """A span of a version, and where it can be shown."""

    document: DocumentId
    version: int
    title: str
    source: str
    start: int
    end: int
    quote: str
    locator: Locator
    newer: Newer | None = None  # what has replaced it; None where that is shown itself, too
    shows_newer: bool = False


def show_source(quoth: Quoth, reader: Reader, answer: Answer, opened: OpenSource) -> None:
    """Show what is opened, with a way to close it and to go to the next citation.

    Access is asked for again each time: what the reader may no longer read is not shown, whatever was open before.
    """
    bar = _bar(answer, opened)
    try:
        target = target_of(quoth, reader, answer, opened)
        document, _ = quoth.catalog.find(reader, str(target.document))
    except UsageError:
        st.info("This source is no longer available: it was removed, or you may no longer read it.")
        return
    except QuothError as error:
        st.error(wording.literal(str(error)))
        return
    _heading(target, document)
    _versions(target, opened)
    if has_page_images(document.media_type) and target.locator.page is not None:
        _page(quoth, reader, target, opened, document, bar)
    else:
        _section(quoth, reader, target)


def draw_ahead(quoth: Quoth, reader: Reader, answer: Answer) -> None:
    """Start the process that draws pages while the reader still reads the answer: its first start takes seconds."""
    first = next((one for one in answer.citations if one.locator and one.locator.boxes), None)
    if first is None or first.page is None or quoth.parser.pid is not None:
        return

    def draw() -> None:
        with contextlib.suppress(QuothError):
            quoth.catalog.page_image(reader, first.document, first.version, first.page or 1, scale=SCALE)

    threading.Thread(target=draw, name="draw-ahead", daemon=True).start()


def target_of(quoth: Quoth, reader: Reader, answer: Answer, opened: OpenSource) -> Target:
    """The span that is opened.

    Raises:
        UsageError: the answer has no such citation or passage that the reader may read.
    """
    if opened.passage is not None and 0 <= opened.passage < len(answer.passages):
        one = answer.passages[opened.passage]
        locator = quoth.catalog.locate(reader, one.document, one.version, one.start, one.end)
        return Target(one.document, one.version, one.title, one.source, one.start, one.end, one.text, locator)
    for cited in answer.citations:
        if cited.marker == opened.marker and cited.source:
            if opened.newer and cited.newer is not None:
                number, (start, end) = cited.newer.version, cited.newer.span or (0, 0)
                locator = quoth.catalog.locate(reader, cited.document, number, start, max(end, start + 1))
                quote = cited.quote if cited.newer.span else ""
                return Target(
                    cited.document, number, cited.title, cited.source, start, end, quote, locator, cited.newer, True
                )
            locator = cited.locator or quoth.catalog.locate(
                reader, cited.document, cited.version, cited.start, cited.end
            )
            return Target(
                cited.document, cited.version, cited.title, cited.source, cited.start, cited.end, cited.quote, locator,
                cited.newer,
            )  # fmt: skip
    raise UsageError("This source is no longer available.")


def boxes_on(locator: Locator, page: int) -> tuple[Box, ...]:
    """The rectangles of a span on one of its pages."""
    return locator.boxes if page == locator.page else tuple(locator.more.get(page, ()))


def _bar(answer: Answer, opened: OpenSource) -> Any:
    """Previous and next citation, and close; returns the place between them, for the pages."""
    markers = [one.marker for one in answer.citations if one.source]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="source-bar"):
        if opened.marker in markers:
            at = markers.index(opened.marker)
            before, after = markers[max(at - 1, 0)], markers[min(at + 1, len(markers) - 1)]
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", width="content"):
                _step("Previous citation", at > 0, replace(opened, marker=before, page=None, newer=False))
                st.markdown(f"Citation {at + 1} of {len(markers)}", width="content")
                _step("Next citation", at + 1 < len(markers), replace(opened, marker=after, page=None, newer=False))
        else:
            st.markdown("Passage", width="content")
        pages = st.container(horizontal=True, vertical_alignment="center", gap="xsmall", width="content")
        st.button(
            "Close", key="source-close", icon=":material/close:", type="tertiary", on_click=_open, args=(None,)
        )  # fmt: skip
    return pages


def _step(label: str, enabled: bool, to: OpenSource) -> None:
    icon = ":material/chevron_left:" if label.startswith("Previous") else ":material/chevron_right:"
    key = "source-" + label.lower().replace(" ", "-")
    st.button(
        label, key=key, icon=icon, help=label, type="tertiary", disabled=not enabled, on_click=_open, args=(to,)
    )  # fmt: skip


def _open(source: OpenSource | None) -> None:
    st.session_state[OPEN] = source


def _heading(target: Target, document: Document) -> None:
    st.subheader(wording.literal(wording.document_name(target.title, target.source)), anchor=False)
    facts = [wording.literal(f"{document.collection} / {target.source}")]
    if document.version == target.version:
        facts.append(f"version {target.version}, {wording.date_words(document.updated_at)}")
    else:
        facts.append(f"version {target.version}")
    if document.owner:
        facts.append(wording.literal(document.owner))
    st.caption(" · ".join(facts))
    if document.version != target.version:
        st.badge(
            f"Superseded by version {document.version} on {wording.date_words(document.updated_at)}", color="orange"
        )


def _versions(target: Target, opened: OpenSource) -> None:
    """Whether the quotation still stands in the version that has replaced the cited one, and the way there and back."""
    if target.newer is None:
        return
    number = target.newer.version
    if target.shows_newer:
        if not target.quote:
            st.warning(f"The quotation does not stand in version {number}, word for word. It begins here.")
        st.button("Back to the cited version", key="source-cited", icon=":material/undo:", type="tertiary",
                  on_click=_open, args=(replace(opened, newer=False, page=None),))  # fmt: skip
        return
    stands = "still stands in" if target.newer.span else "does not stand in"
    st.caption(f"The quotation {stands} version {number}, word for word.")
    st.button(f"Show it in version {number}" if target.newer.span else f"Show version {number}", key="source-newer",
              icon=":material/update:", type="tertiary", on_click=_open,
              args=(replace(opened, newer=True, page=None),))  # fmt: skip


def _page(quoth: Quoth, reader: Reader, target: Target, opened: OpenSource, document: Document, bar: Any) -> None:
    own = target.locator.page or 1
    elements_pages = [one.page or 0 for one in quoth.catalog.elements(reader, target.document, target.version)]
    current = document.pages or 0 if document.version == target.version else 0
    last = max(current, own, target.locator.end_page or 0, *elements_pages, 1)
    number = min(max(opened.page or own, 1), last)
    with bar:
        _step("Previous page", number > 1, replace(opened, page=number - 1))
        st.markdown(f"Page {number} of {last}", width="content")
        _step("Next page", number < last, replace(opened, page=number + 1))
        if number != own:
            st.button(
                "Back to the quotation", key="source-back", type="tertiary", on_click=_open,
                args=(replace(opened, page=None),),
            )  # fmt: skip
    boxes = boxes_on(target.locator, number) if target.quote else ()
    try:
        picture = _picture(quoth, reader, target, number)
    except (DocumentError, ServiceError, UsageError) as error:
        st.warning(f"The page cannot be drawn: {wording.literal(wording.error_words(error))}")
        _section(quoth, reader, target)
        return
    name = wording.document_name(target.title, target.source)
    marked = f", with the quotation “{wording.shortened(target.quote, 300)}” highlighted" if boxes else ""
    _page_component()(
        key="source-page",
        data={
            "url": page_image.data_url(page_image.highlighted(picture, boxes, scale=SCALE)),
            "alt": f"Page {number} of {name}{marked}",
            "top": page_image.top_of(boxes, picture, scale=SCALE),
            "shown": f"{target.document}/{target.version}/{number}/{target.start}",
        },
    )


def _picture(quoth: Quoth, reader: Reader, target: Target, number: int) -> bytes:
    """The page as PNG. Only the picture on screen is kept; access to it was asked for in this run already."""
    wanted = (target.document, target.version, number, reader.principals)
    kept = st.session_state.get(PICTURE)
    if kept is not None and kept[0] == wanted:
        return bytes(kept[1])
    picture = quoth.catalog.page_image(reader, target.document, target.version, number, scale=SCALE)
    st.session_state[PICTURE] = (wanted, picture)
    return picture


def _section(quoth: Quoth, reader: Reader, target: Target) -> None:
    text = quoth.catalog.text(reader, target.document, target.version)
    elements = quoth.catalog.elements(reader, target.document, target.version)
    place = wording.place_words(target.locator.page, target.locator.end_page, target.locator.place)
    if place:
        st.markdown(f"**{wording.literal(place[0].upper() + place[1:])}**")
    show_text(section_data(text, elements, target.start, target.end), key="source-section")


def section_data(text: str, elements: Any, start: int, end: int) -> dict[str, Any]:
    """What the text component is given: plain strings and flags."""
    section = section_around(text, elements, start, end)
    return {
        "headings": list(section.headings),
        "blocks": [
            {
                "kind": block.kind,
                "depth": min(block.depth, 3),
                "parts": [{"text": part.text, "marked": part.marked} for part in block.parts],
            }
            for block in section.blocks
        ],
        "shown": f"{start}-{end}-{len(text)}",
    }


def show_text(data: Mapping[str, Any], *, key: str) -> None:
    """Show blocks of a document's text, scrolled to what is marked."""
    _text_component()(key=key, data=dict(data))


@functools.cache
def _page_component() -> Callable[..., Any]:
    return st.components.v2.component(
        "quoth_page_picture",
        html="<div class='frame'></div>",
        css=(ASSETS / "page_picture.css").read_text(encoding="utf-8"),
        js=(ASSETS / "page_picture.js").read_text(encoding="utf-8"),
    )


@functools.cache
def _text_component() -> Callable[..., Any]:
    return st.components.v2.component(
        "quoth_section_text",
        html="<div class='frame'></div>",
        css=(ASSETS / "section_text.css").read_text(encoding="utf-8"),
        js=(ASSETS / "section_text.js").read_text(encoding="utf-8"),
    )
