"""Which rows of a PDF's pages are running headers, footers and page numbers: what the pages' edges repeat."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

_EDGE: Final = 0.12  # of the page's height, at the top and at the bottom
_OUTERMOST_EDGE: Final = 0.2  # for the first and the last row
_ROWS: Final = 3  # at most so many rows from each edge
_SAME_PLACE_POINTS: Final = 12.0
_NUMBER: Final = re.compile(r"\d+")
_ROMAN: Final = re.compile(r"[ivxlc]+", re.IGNORECASE)
_PAGE_OF: Final = re.compile(r"(page|seite|página|pagina)\s+\d+(\s*(of|/|von|sur|de|di)\s*\d+)?", re.IGNORECASE)

Row = tuple[str, float, float, float]  # text, top, bottom, size of print in points


def running_rows(
    pages: Mapping[int, Sequence[Row]], heights: Mapping[int, float], body_size: float
) -> dict[int, set[int]]:
    """Indexes into each page's rows (given from top to bottom) that are not part of the text.

    A row runs when it stands in the same place on at least three pages (two when there are but two), word for word or
    with one number that counts with the pages. Larger print than the body's stays, and pages that repeat one another
    as a whole are counted once.
    """
    places: dict[tuple[bool, str], list[tuple[int, int, float]]] = defaultdict(list)
    running: dict[int, set[int]] = defaultdict(set)
    seen: dict[tuple[str, ...], int] = {}
    distinct: list[int] = []
    for page, rows in pages.items():
        whole = tuple(text for text, *_ in rows)
        if whole and seen.setdefault(whole, page) == page:
            distinct.append(page)
    for page in distinct:
        rows = pages[page]
        height = heights[page]
        last = len(rows) - 1
        top = [at for at in range(min(_ROWS, last + 1)) if rows[at][2] < (_EDGE if at else _OUTERMOST_EDGE) * height]
        low = [
            at
            for at in range(max(0, last + 1 - _ROWS), last + 1)
            if rows[at][1] > (1 - (_EDGE if at < last else _OUTERMOST_EDGE)) * height
        ]
        for at in {*top, *low}:
            text, y0, _, size = rows[at]
            if size > 1.2 * body_size or len(text) > 200:
                continue
            if _PAGE_OF.fullmatch(text.strip()):
                running[page].add(at)
            for key in _keys(text, page):
                places[at in top, key].append((page, at, y0))
    needed = min(3, len(distinct))
    if needed >= 2:
        for found in places.values():
            middle = median(y for _, _, y in found)
            near = [(page, at) for page, at, y in found if abs(y - middle) <= _SAME_PLACE_POINTS]
            if len({page for page, _ in near}) >= needed:
                for page, at in near:
                    running[page].add(at)
    for page, rows in pages.items():  # a repeated page loses what its first print loses
        first = seen.get(tuple(text for text, *_ in rows), page)
        if first != page and first in running:
            running[page] = running[first]
    return running


def _keys(text: str, page: int) -> list[str]:
    """The row itself, and the row with each of its numbers as a distance from the page's."""
    squashed = " ".join(text.split()).casefold()
    keys = [squashed] if any(map(str.isalpha, squashed)) else []
    for number in list(_NUMBER.finditer(squashed))[:4]:
        if len(number[0]) <= 5:
            keys.append(f"{squashed[: number.start()]}\x00{int(number[0]) - page}{squashed[number.end() :]}")
    bare = squashed.strip(" .-–—[]()|")
    if _ROMAN.fullmatch(bare):
        keys.append(f"\x00{_roman(bare) - page}")
    return keys


def _roman(numeral: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[letter] for letter in numeral.lower()]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
