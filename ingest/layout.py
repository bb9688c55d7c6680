"""From the characters of PDF pages to blocks in reading order.

characters -> fragments (cut at gaps) -> running headers out -> ruled tables -> columns -> lines -> paragraphs
-> headings by size, weight and bookmarks -> blocks that keep each character's box
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ingest.canonical import Block
from ingest.gap_tables import with_gap_tables
from ingest.page_blocks import block_of, vocabulary
from ingest.page_text import Fragment, Line, Page, fragments_of, lines_of, table_fragment
from ingest.paragraphs import Paragraph, all_lines, classify, joined, merged_titles, paragraphs_of
from ingest.ruled import RuledTable, ruled_tables
from ingest.running_titles import running_rows


def lay_out(pages: Sequence[Page], outline: Sequence[tuple[int, int, str]]) -> Iterable[Block]:
    """Blocks in reading order, without running headers, footers and page numbers.

    Args:
        outline: page from 1, level from 0 and title of each bookmark.
    """
    fragments = {page.number: fragments_of(page) for page in pages}
    body = _body_size(fragments.values())
    _forgive_typewriters(fragments.values())
    rows = {page.number: lines_of(fragments[page.number], page.number) for page in pages}
    heights = {page.number: page.height for page in pages}
    running = running_rows(
        {n: [(line.text, line.y0, line.y1, line.size) for line in lines] for n, lines in rows.items()}, heights, body
    )
    paragraphs: list[Paragraph] = []
    for page in pages:
        gone = {id(f) for at in running.get(page.number, ()) for f in rows[page.number][at].fragments}
        kept = [f for f in fragments[page.number] if id(f) not in gone]
        paragraphs.extend(_page_paragraphs(page, kept))
    words = vocabulary(paragraphs)
    paragraphs = _with_tables_joined(joined(paragraphs))
    classify(paragraphs, body, outline)
    paragraphs = merged_titles(paragraphs)
    by_number = {page.number: page for page in pages}
    quantised: dict[int, NDArray[np.uint16]] = {}
    for paragraph in paragraphs:
        for line in all_lines(paragraph):
            if line.page not in quantised:
                quantised[line.page] = by_number[line.page].quantised()
        yield block_of(paragraph, quantised, words)


def _with_tables_joined(paragraphs: list[Paragraph]) -> list[Paragraph]:
    """A table that goes on at the top of the next page, in as many columns at the same place, is one table.

    Else the first row there would pass for its header.
    """
    found: list[Paragraph] = []
    for paragraph in paragraphs:
        before = found[-1] if found else None
        if before is not None and before.table is not None and paragraph.table is not None:
            last, first = before.lines[-1], paragraph.lines[0]
            columns = {max(map(len, table)) for table in (before.table, paragraph.table)}
            level = abs(last.x0 - first.x0) < 3 and abs(last.x1 - first.x1) < 15
            if first.page == last.page + 1 and level and len(columns) == 1:
                before.table = before.table + paragraph.table
                before.lines = before.lines + paragraph.lines
                continue
        found.append(paragraph)
    return found


def _forgive_typewriters(pages: Iterable[Sequence[Fragment]]) -> None:
    """Where much of a document is in letters of one width, they do not mean code."""
    everything = [fragment for fragments in pages for fragment in fragments]
    if sum(len(f.text) for f in everything if f.mono) > 0.4 * sum(len(f.text) for f in everything):
        for fragment in everything:
            fragment.mono = False


def _body_size(pages: Iterable[Sequence[Fragment]]) -> float:
    sizes: Counter[float] = Counter()
    for fragments in pages:
        for fragment in fragments:
            sizes[round(fragment.size * 2) / 2] += len(fragment.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _page_paragraphs(page: Page, fragments: list[Fragment]) -> list[Paragraph]:
    upright = [f for f in fragments if f.upright]
    for found in ruled_tables(page.rules, upright):
        upright = _set_table(found, upright, page.number)
    paragraphs: list[Paragraph] = []
    for region in _reading_order(upright, 0):
        lines = lines_of(region, page.number)
        fresh = paragraphs_of(with_gap_tables(lines))
        if fresh:
            fresh[0].opens = True
            paragraphs.extend(fresh)
    turned = [Paragraph([Line([f], page.number)]) for f in fragments if not f.upright]
    return paragraphs + turned


def _set_table(found: RuledTable, fragments: list[Fragment], page: int) -> list[Fragment]:
    """Put one fragment that is the table in the place of the fragments in its cells."""
    members = {at for row in found.cells for cell in row for at in cell}
    table = [[lines_of([fragments[at] for at in cell], page) for cell in row] for row in found.cells]
    inside = [fragments[at] for at in sorted(members)]
    rest = [f for at, f in enumerate(fragments) if at not in members]
    return [*rest, table_fragment(table, inside)]


def _reading_order(fragments: list[Fragment], depth: int) -> list[list[Fragment]]:
    """Regions to be read one after the other: bands from top to bottom, in each its columns from left to right."""
    gutter = _gutter(fragments) if depth < 3 and len(fragments) >= 8 else None
    if gutter is None:
        return [fragments] if fragments else []
    regions: list[list[Fragment]] = []
    band: list[Fragment] = []
    for fragment in [*sorted(fragments, key=lambda f: f.y0), None]:
        spans = fragment is not None and fragment.x0 < gutter - 1 and fragment.x1 > gutter + 1
        if fragment is not None and not spans:
            band.append(fragment)
            continue
        left = [f for f in band if (f.x0 + f.x1) / 2 < gutter]
        right = [f for f in band if (f.x0 + f.x1) / 2 >= gutter]
        if left and right and max(len(left), len(right)) >= 3:
            regions.extend(_reading_order(left, depth + 1))
            regions.extend(_reading_order(right, depth + 1))
        elif band:
            regions.append(band)
        band = []
        if fragment is not None:
            regions.append([fragment])
    merged: list[list[Fragment]] = []  # lines that span all columns follow each other in one region
    wide: set[int] = set()
    for region in regions:
        single = len(region) == 1 and region[0].x0 < gutter - 1 and region[0].x1 > gutter + 1
        if single and merged and len(merged) - 1 in wide:
            merged[-1].extend(region)
            continue
        if single:
            wide.add(len(merged))
        merged.append(list(region))
    return merged


def _gutter(fragments: Sequence[Fragment]) -> float | None:
    """The x of a white strip between two columns of running text, if there is one.

    Conservative: lines on both sides must fill most of their column, which cells of a table do not.
    """
    left_edge = min(f.x0 for f in fragments)
    right_edge = max(f.x1 for f in fragments)
    width = right_edge - left_edge
    if width < 100:
        return None
    bins = np.zeros(int(width) + 2)
    for f in fragments:
        bins[int(f.x0 - left_edge) : int(f.x1 - left_edge) + 1] += 1
    low, high = int(0.2 * width), int(0.8 * width)
    strip = bins[low:high]
    least = strip.min()
    if least > 0.3 * len(fragments):
        return None
    white = np.concatenate([[0], (strip <= least + max(1.0, 0.06 * len(fragments))).astype(int), [0]])
    starts, ends = np.flatnonzero(np.diff(white) == 1), np.flatnonzero(np.diff(white) == -1)
    best = int(np.argmax(ends - starts))
    if ends[best] - starts[best] < 4:
        return None
    x = left_edge + low + (starts[best] + ends[best]) / 2
    left = [f for f in fragments if f.x1 <= x + 1 and f.table is None]
    right = [f for f in fragments if f.x0 >= x - 1 and f.table is None]
    if len(left) < 4 or len(right) < 4:
        return None
    overlap = min(max(f.y1 for f in left), max(f.y1 for f in right)) - max(
        min(f.y0 for f in left), min(f.y0 for f in right)
    )
    if overlap < 2 * median(f.size for f in fragments):
        return None
    for side in (left, right):
        side_width = max(f.x1 for f in side) - min(f.x0 for f in side)
        if median(f.x1 - f.x0 for f in side) < 0.5 * side_width or median(len(f.text) for f in side) < 15:
            return None
    return x
