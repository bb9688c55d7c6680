"""From a span of the canonical text to the place where a person sees it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from ingest.model import Box, Element, Locator, PageMap

FULL = 65535  # page maps hold fractions of the page in 16 bits


def pack_boxes(page: PageMap) -> bytes:
    return zlib.compress(np.ascontiguousarray(page.boxes, dtype="<u2").tobytes(), 6)


def unpack_boxes(packed: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(packed), dtype="<u2").reshape(-1, 4)


def line_boxes(page: PageMap, start: int, end: int) -> tuple[Box, ...]:
    """The rectangles of a span on one page, one per line of print, in points as displayed.

    Characters without a box (spaces the reader made up) are skipped. A new rectangle begins where the next character
    does not overlap the line vertically or jumps back to the left: that is how a line of print ends.
    """
    rows = page.boxes[max(start, page.start) - page.start : max(min(end, page.end) - page.start, 0)]
    rows = rows[rows.any(axis=1)].astype(np.float64)
    lines: list[list[float]] = []
    last_left = -1.0
    for left, top, right, bottom in rows:
        if lines:
            line = lines[-1]
            overlap = min(line[3], bottom) - max(line[1], top)
            same_line = overlap > 0.4 * min(bottom - top, line[3] - line[1]) and left >= last_left - 1
            gap = left - line[2]
            if same_line and gap < 0.12 * FULL:
                line[0], line[1] = min(line[0], left), min(line[1], top)
                line[2], line[3] = max(line[2], right), max(line[3], bottom)
                last_left = left
                continue
        lines.append([left, top, right, bottom])
        last_left = left
    scale = (page.width / FULL, page.height / FULL)
    return tuple(
        (round(x0 * scale[0], 2), round(y0 * scale[1], 2), round(x1 * scale[0], 2), round(y1 * scale[1], 2))
        for x0, y0, x1, y1 in lines
    )


def locate(start: int, end: int, pages: Sequence[PageMap], elements: Sequence[Element]) -> Locator:
    """Where the span stands: pages and rectangles, or the slide, sheet and rows of the elements it touches.

    Args:
        pages: the version's pages that overlap the span; others do no harm.
        elements: the version's elements that overlap the span, in order.
    """
    shown = [page for page in pages if page.start < end and start < page.end]
    boxes = {page.page: line_boxes(page, start, end) for page in shown}
    boxes = {number: found for number, found in boxes.items() if found}
    touched = [element for element in elements if element.start < end and start < element.end]
    numbers = sorted(boxes) or sorted({element.page for element in touched if element.page is not None})
    place = _merged_place([element.place for element in touched])
    if not numbers:
        return Locator(page=None, end_page=None, boxes=(), place=place)
    first, last = numbers[0], numbers[-1]
    more = {number: found for number, found in boxes.items() if number != first}
    return Locator(page=first, end_page=last, boxes=boxes.get(first, ()), more=more, place=place)


def _merged_place(places: Sequence[Mapping[str, str | int]]) -> dict[str, str | int]:
    merged: dict[str, str | int] = {}
    for place in places:
        for key, value in place.items():
            if key == "last_row" and isinstance(value, int):
                merged[key] = max(value, int(merged.get(key, value)))
            else:
                merged.setdefault(key, value)
    return merged
