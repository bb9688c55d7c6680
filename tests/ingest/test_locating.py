from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.locating import FULL, line_boxes, locate, pack_boxes, unpack_boxes
from ingest.model import Element, PageMap


def page_of(lines: list[str], *, number: int = 1, start: int = 0) -> PageMap:
    """A page 600 by 800 points: characters 10 points wide, lines 20 apart, a space before the next line has no box."""
    rows = []
    for at, line in enumerate(lines):
        for column in range(len(line)):
            left, top = 50 + 10 * column, 100 + 20 * at
            rows.append([left / 600, top / 800, (left + 10) / 600, (top + 12) / 800])
        rows.append([0, 0, 0, 0])
    boxes = np.round(np.array(rows[:-1]) * FULL).astype(np.uint16)
    return PageMap(number, start, start + len(boxes), 600.0, 800.0, boxes)


def test_a_span_over_two_lines_has_two_rectangles() -> None:
    page = page_of(["alpha beta", "gamma"])
    assert line_boxes(page, 6, 16) == ((110.0, 100.0, 150.0, 112.0), (50.0, 120.0, 100.0, 132.0))


def test_a_second_column_begins_a_new_rectangle() -> None:
    left, right = page_of(["one"]), page_of(["two"])
    right_boxes = right.boxes.copy()
    right_boxes[:, [0, 2]] += int(0.5 * FULL)
    both = PageMap(1, 0, 6, 600.0, 800.0, np.vstack([left.boxes, right_boxes]))
    assert len(line_boxes(both, 0, 6)) == 2


def test_a_span_over_two_pages_says_where_it_ends() -> None:
    pages = [page_of(["alpha"]), page_of(["beta"], number=2, start=6)]
    locator = locate(2, 8, pages, [])
    assert (locator.page, locator.end_page) == (1, 2)
    assert len(locator.boxes) == 1 and list(locator.more) == [2]


def test_without_pages_the_elements_say_where() -> None:
    rows = [
        Element(0, "table", 0, 0, 10, None, {"sheet": "Rates", "first_row": 2, "last_row": 21}),
        Element(1, "table", 0, 12, 30, None, {"sheet": "Rates", "first_row": 22, "last_row": 41}),
    ]
    assert locate(5, 15, [], rows).place == {"sheet": "Rates", "first_row": 2, "last_row": 41}
    assert locate(13, 15, [], rows).place == {"sheet": "Rates", "first_row": 22, "last_row": 41}
    assert locate(40, 50, [], rows).page is None


@given(st.lists(st.text("abc ", min_size=1, max_size=12), min_size=1, max_size=5), st.data())
def test_rectangles_cover_every_boxed_character_of_the_span(lines: list[str], data: st.DataObject) -> None:
    page = page_of(lines)
    start = data.draw(st.integers(0, page.end - 1))
    end = data.draw(st.integers(start + 1, page.end))
    found = line_boxes(page, start, end)
    for row in page.boxes[start:end].astype(float):
        if not row.any():
            continue
        x, y = (row[0] + row[2]) / 2 / FULL * 600, (row[1] + row[3]) / 2 / FULL * 800
        assert any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in found)
    lines_touched = {tuple(row[[1, 3]]) for row in page.boxes[start:end] if row.any()}
    assert len(found) == len(lines_touched)


@given(st.integers(0, 50))
def test_packing_boxes_loses_nothing(size: int) -> None:
    boxes = np.random.default_rng(size).integers(0, FULL, (size, 4)).astype(np.uint16)
    assert (unpack_boxes(pack_boxes(PageMap(1, 0, size, 1.0, 1.0, boxes))) == boxes).all()
