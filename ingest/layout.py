"""From the characters of PDF pages to blocks in reading order: geometry only, no PDFium.

    characters -> fragments (cut at gaps) -> running headers out -> ruled tables -> columns -> lines -> paragraphs
    -> headings by size, weight and bookmarks -> blocks of runs that keep each character's box

All coordinates are points of the page as displayed, origin top left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.canonical import Block, Run, canonical_run
from ingest.model import Category
from ingest.ruled import RuledTable, ruled_tables
from ingest.running_titles import running_rows

FULL: Final = 65535
_CELL_GAP_EM: Final = 1.0  # wider than any word space that justified text is seen to have
_SAME_LINE_EM: Final = 0.5  # a superscript stands a third of its line's size higher, lines a whole one apart
_HYPHENS: Final = "\u00ad-\u2010"
_BULLET: Final = re.compile(r"[•◦▪▫■□●○‣⁃∙·➢➤✓✔\uf0b7\uf0a7–—*-]\s|[•◦▪■●‣]")
_NUMBERED: Final = re.compile(r"(\(?(\d{1,3}|[a-zA-Z]|[ivxIVX]{1,4})[.)]|\d{1,2}(\.\d{1,2}){1,3}\.?)\s")
_CAPTION: Final = re.compile(
    r"(fig(ure|\.)?|table|tab\.|abbildung|abb\.|tabelle|tableau|chart)\s+[\dIVX]+", re.IGNORECASE
)
_SENTENCE_END: Final = re.compile(r"[.!?:;…。！？][\"'”’»)\]]*$")
_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Style:
    """What the characters of one drawing operation share."""

    size: float  # points, with the matrix's scale
    bold: bool
    upright: bool  # reads from left to right as displayed
    baseline: float  # y as displayed
    run: int  # tells drawing operations apart


@dataclass(slots=True)
class Page:
    """What PDFium says of one page, in its own order."""

    number: int  # from 1
    width: float
    height: float
    characters: list[str]  # "\n" where PDFium ends a line, "\u00ad" for a hyphen at a line's end
    boxes: NDArray[np.float64]  # (n, 4); zeros for characters that PDFium made up
    styles: list[Style]
    style_of: list[int]
    rules: NDArray[np.float64]  # (n, 4) thin boxes: the straight lines drawn on the page

    def quantised(self) -> NDArray[np.uint16]:
        if not len(self.boxes):
            return np.zeros((0, 4), np.uint16)
        scale = np.array([self.width, self.height] * 2)
        rows = np.clip(self.boxes / scale, 0.0, 1.0) * FULL
        rows[:, :2], rows[:, 2:] = np.floor(rows[:, :2]), np.ceil(rows[:, 2:])
        rows[~self.boxes.any(axis=1)] = 0
        return rows.astype(np.uint16)


@dataclass(slots=True)
class Fragment:
    """Characters that stand on one line without a wide gap; or a whole table, which is never taken apart."""

    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    upright: bool
    baseline: float
    indices: list[int]  # into the page's characters
    text: str
    table: list[list[list[Line]]] | None = None  # rows of cells of lines


@dataclass(slots=True)
class Line:
    """Fragments on one baseline, left to right."""

    fragments: list[Fragment]
    page: int
    x0: float = field(init=False)
    x1: float = field(init=False)
    y0: float = field(init=False)
    y1: float = field(init=False)
    size: float = field(init=False)
    bold: bool = field(init=False)
    baseline: float = field(init=False)
    text: str = field(init=False)
    indices: list[int] = field(init=False)  # -1: a space that stands nowhere

    def __post_init__(self) -> None:
        self.x0 = min(f.x0 for f in self.fragments)
        self.x1 = max(f.x1 for f in self.fragments)
        self.y0 = min(f.y0 for f in self.fragments)
        self.y1 = max(f.y1 for f in self.fragments)
        main = max(self.fragments, key=lambda f: len(f.text))
        self.size, self.baseline = main.size, main.baseline
        self.bold = all(f.bold for f in self.fragments if any(map(str.isalnum, f.text)))
        indices: list[int] = []
        text: list[str] = []
        before: Fragment | None = None
        for f in self.fragments:
            if before is not None and abs(f.x0 - before.x1) > 0.12 * f.size and text[-1][-1:] != " ":
                indices.append(-1)
                text.append(" ")
            indices.extend(f.indices)
            text.append(f.text)
            before = f
        self.indices, self.text = indices, "".join(text)


@dataclass(slots=True)
class Paragraph:
    lines: list[Line]
    category: Category = "text"
    depth: int = 0
    opens: bool = False  # first of its column: may continue the paragraph before
    table: list[list[list[Line]]] | None = None

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)

    @property
    def size(self) -> float:
        return max(self.lines, key=lambda line: len(line.text)).size

    @property
    def bold(self) -> bool:
        return all(line.bold for line in self.lines)


def lay_out(pages: Sequence[Page], outline: Sequence[tuple[int, int, str]]) -> Iterable[Block]:
    """Blocks in reading order, without running headers, footers and page numbers.

    Args:
        outline: page from 1, level from 0 and title of each bookmark.
    """
    fragments = {page.number: _fragments(page) for page in pages}
    body = _body_size(fragments.values())
    rows = {page.number: _rows(fragments[page.number], page.number) for page in pages}
    heights = {page.number: page.height for page in pages}
    running = running_rows(
        {n: [(line.text, line.y0, line.y1, line.size) for line in lines] for n, lines in rows.items()}, heights, body
    )
    paragraphs: list[Paragraph] = []
    for page in pages:
        gone = {id(f) for at in running.get(page.number, ()) for f in rows[page.number][at].fragments}
        kept = [f for f in fragments[page.number] if id(f) not in gone]
        paragraphs.extend(_page_paragraphs(page, kept))
    words = _vocabulary(paragraphs)
    paragraphs = _joined(paragraphs)
    _classify(paragraphs, body, outline)
    by_number = {page.number: page for page in pages}
    quantised: dict[int, NDArray[np.uint16]] = {}
    for paragraph in paragraphs:
        for line in _all_lines(paragraph):
            if line.page not in quantised:
                quantised[line.page] = by_number[line.page].quantised()
        yield _block(paragraph, by_number, quantised, words)


# -- fragments and rows ------------------------------------------------------------------------------------------------


def _fragments(page: Page) -> list[Fragment]:
    """Cut the characters where a line ends, the baseline moves, a gap is wide or a ruling line stands between."""
    found: list[Fragment] = []
    current: list[int] = []
    boxes = page.boxes
    tall = page.rules[(page.rules[:, 2] - page.rules[:, 0] <= 2.5) & (page.rules[:, 3] - page.rules[:, 1] > 5)]
    last = -1  # the last character with a box

    def flush() -> None:
        nonlocal current, last
        fragment = _fragment(page, current)
        if fragment is not None:
            found.append(fragment)
        current, last = [], -1

    for i, character in enumerate(page.characters):
        if character == "\n":
            flush()
            continue
        if page.style_of[i] < 0 or (character.isspace() and not current):
            continue
        if last >= 0 and boxes[i].any():
            style, before = page.styles[page.style_of[i]], page.styles[page.style_of[last]]
            size = max(style.size, before.size)
            if style.upright != before.upright:
                flush()
            elif style.upright:
                gap = boxes[i, 0] - boxes[last, 2]
                moved = abs(style.baseline - before.baseline) > 0.6 * size
                back = gap < -1.0 * size and not _right_to_left(character)
                if moved or gap > _CELL_GAP_EM * size or back or _rule_between(tall, boxes[last], boxes[i]):
                    flush()
        current.append(i)
        if boxes[i].any() and not character.isspace():
            last = i
        if character == "\u00ad" and i + 1 < len(page.characters):
            following = next((j for j in range(i + 1, min(i + 4, len(boxes))) if boxes[j].any()), -1)
            if following >= 0 and boxes[following, 0] < boxes[i, 0]:
                flush()
    flush()
    return found


def _fragment(page: Page, indices: list[int]) -> Fragment | None:
    kept: list[int] = []
    for i in indices:
        space = page.characters[i].isspace()
        if not space or (kept and not page.characters[kept[-1]].isspace()):
            kept.append(i)
    while kept and page.characters[kept[-1]].isspace():
        kept.pop()
    solid = [i for i in kept if page.boxes[i].any()]
    if not solid:
        return None
    text = "".join(" " if page.characters[i].isspace() else page.characters[i] for i in kept)
    boxes = page.boxes[solid]
    styles = Counter(page.style_of[i] for i in solid)
    style = page.styles[styles.most_common(1)[0][0]]
    bold = sum(count for index, count in styles.items() if page.styles[index].bold) > 0.9 * len(solid)
    x0, y0 = boxes[:, :2].min(axis=0)
    x1, y1 = boxes[:, 2:].max(axis=0)
    return Fragment(
        float(x0), float(y0), float(x1), float(y1), style.size, bold, style.upright, style.baseline, kept, text
    )


def _right_to_left(character: str) -> bool:
    return "\u0590" <= character <= "\u08ff" or "\ufb1d" <= character <= "\ufefc"


def _rule_between(tall: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    if not len(tall):
        return False
    a, b = sorted(((left[0] + left[2]) / 2, (right[0] + right[2]) / 2))
    y = (right[1] + right[3]) / 2
    x = (tall[:, 0] + tall[:, 2]) / 2
    return bool(((x > a) & (x < b) & (tall[:, 1] <= y) & (y <= tall[:, 3])).any())


def _rows(fragments: Iterable[Fragment], page: int) -> list[Line]:
    """Fragments on the same baseline become a line; lines from top to bottom."""
    groups: list[list[Fragment]] = []
    for fragment in sorted((f for f in fragments if f.upright), key=lambda f: (f.baseline, f.x0)):
        if groups and fragment.table is None:
            main = max(groups[-1], key=lambda f: len(f.text))
            near = abs(fragment.baseline - main.baseline) <= _SAME_LINE_EM * max(fragment.size, main.size)
            if near and main.table is None:
                groups[-1].append(fragment)
                continue
        groups.append([fragment])
    lines = []
    for group in groups:
        text = "".join(f.text for f in group)
        backwards = sum(map(_right_to_left, text)) > len(text) / 2
        group.sort(key=lambda f: f.indices[0] if backwards and f.indices else f.x0)
        lines.append(Line(group, page))
    return lines


def _body_size(pages: Iterable[Sequence[Fragment]]) -> float:
    sizes: Counter[float] = Counter()
    for fragments in pages:
        for fragment in fragments:
            sizes[round(fragment.size * 2) / 2] += len(fragment.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


# -- one page ----------------------------------------------------------------------------------------------------------


def _page_paragraphs(page: Page, fragments: list[Fragment]) -> list[Paragraph]:
    upright = [f for f in fragments if f.upright]
    for found in ruled_tables(page.rules, upright):
        upright = _set_table(found, upright, page.number)
    paragraphs: list[Paragraph] = []
    for region in _reading_order(upright, 0):
        lines = _rows(region, page.number)
        fresh = _paragraphs(_with_gap_tables(lines))
        if fresh:
            fresh[0].opens = True
            paragraphs.extend(fresh)
    turned = [Paragraph([Line([f], page.number)]) for f in fragments if not f.upright]
    return paragraphs + turned


def _set_table(found: RuledTable, fragments: list[Fragment], page: int) -> list[Fragment]:
    """Put one fragment that is the table in the place of the fragments in its cells."""
    members = {at for row in found.cells for cell in row for at in cell}
    table = [[_rows([fragments[at] for at in cell], page) for cell in row] for row in found.cells]
    inside = [fragments[at] for at in sorted(members)]
    rest = [f for at, f in enumerate(fragments) if at not in members]
    return [*rest, _table_fragment(table, inside)]


def _table_fragment(table: list[list[list[Line]]], inside: Sequence[Fragment]) -> Fragment:
    top = min(f.y0 for f in inside)
    return Fragment(
        min(f.x0 for f in inside), top, max(f.x1 for f in inside), max(f.y1 for f in inside),
        size=median(f.size for f in inside), bold=False, upright=True, baseline=min(f.baseline for f in inside),
        indices=[], text=" " * 80, table=table,
    )  # fmt: skip


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


# -- lines to paragraphs -----------------------------------------------------------------------------------------------


def _cells(line: Line) -> list[Line]:
    """The parts of a line that wide gaps separate."""
    groups: list[list[Fragment]] = []
    for fragment in line.fragments:
        if groups and fragment.x0 - groups[-1][-1].x1 <= 0.9 * max(fragment.size, groups[-1][-1].size):
            groups[-1].append(fragment)
        else:
            groups.append([fragment])
    return [Line(group, line.page) for group in groups]


def _with_gap_tables(lines: list[Line]) -> list[Line]:
    """Put one line that is a table in the place of lines whose cells stand below each other."""
    found: list[Line] = []
    at = 0
    while at < len(lines):
        rows, end = _aligned(lines, at)
        if rows:
            inside = [f for line in lines[at:end] for f in line.fragments]
            found.append(Line([_table_fragment(rows, inside)], lines[at].page))
            at = end
        else:
            found.append(lines[at])
            at += 1
    return found


def _aligned(lines: list[Line], at: int) -> tuple[list[list[list[Line]]], int]:
    """The rows of the table that begins at a line, and where it ends; no rows if none begins."""
    cells = _cells(lines[at])
    if len(cells) < 2 or lines[at].fragments[0].table:
        return [], at
    members = [cells]
    columns = [(cell.x0, cell.x1) for cell in cells]
    end = at + 1
    while end < len(lines):
        line = lines[end]
        if line.fragments[0].table or line.baseline - lines[end - 1].baseline > 3 * max(line.size, lines[end - 1].size):
            break
        cells = _cells(line)
        merged = _merged_columns([*columns, *((cell.x0, cell.x1) for cell in cells)])
        if len(cells) == 1:
            tight = line.baseline - lines[end - 1].baseline < 1.5 * line.size
            inside = any(a - 2 <= cells[0].x0 and cells[0].x1 <= b + 2 for a, b in columns[1:])
            if not (tight and inside):
                break
        elif len(merged) < max(2, len(columns) - 1) or len(merged) < len(cells):
            break
        columns = merged
        members.append(cells)
        end += 1
    full = [row for row in members if len(row) > 1]
    if len(columns) < 2 or len(full) < (3 if len(columns) == 2 else 2):
        return [], at
    if (
        all(_BULLET.match(row[0].text + " ") or _NUMBERED.match(row[0].text + " ") for row in full)
        and len(columns) == 2
    ):
        return [], at  # a list whose markers stand apart
    rows: list[list[list[Line]]] = []
    for cells in members:
        row: list[list[Line]] = [[] for _ in columns]
        for cell in cells:
            middle = (cell.x0 + cell.x1) / 2
            nearest = min(range(len(columns)), key=lambda c: max(columns[c][0] - middle, middle - columns[c][1], 0.0))
            row[nearest].append(cell)
        if len(cells) == 1 and not row[0] and rows:
            for target, more in zip(rows[-1], row, strict=True):
                target.extend(more)
        else:
            rows.append(row)
    return rows, end


def _merged_columns(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged


def _paragraphs(lines: list[Line]) -> list[Paragraph]:
    found: list[Paragraph] = []
    if not lines:
        return found
    pitch = _pitch(lines)
    right = max(line.x1 for line in lines)
    left = min(line.x0 for line in lines)
    for line in lines:
        if line.fragments[0].table is not None:
            found.append(Paragraph([line], "table", table=line.fragments[0].table))
            continue
        previous = found[-1] if found and found[-1].table is None else None
        if previous is not None and not _breaks(previous, line, pitch, left, right):
            previous.lines.append(line)
        else:
            found.append(Paragraph([line]))
    return found


def _pitch(lines: Sequence[Line]) -> float:
    """The usual distance of baselines, as a multiple of the size."""
    steps = [
        (b.baseline - a.baseline) / b.size
        for a, b in zip(lines, lines[1:], strict=False)
        if abs(a.size - b.size) < 0.1 * b.size and 0.7 * b.size < b.baseline - a.baseline < 2.2 * b.size
    ]
    return min(median(steps), 1.8) if len(steps) >= 3 else 1.25


def _breaks(paragraph: Paragraph, line: Line, pitch: float, left: float, right: float) -> bool:
    """Whether a line opens a new paragraph."""
    last = paragraph.lines[-1]
    size = max(line.size, last.size)
    step = line.baseline - last.baseline
    if abs(line.size - last.size) > 0.1 * size or line.bold != last.bold:
        return True
    if step > (pitch + 0.3) * size or step < 0.3 * size:
        return True
    if len(paragraph.lines) >= 2:
        own = paragraph.lines[-1].baseline - paragraph.lines[-2].baseline
        if step > own + 0.3 * size:
            return True
    if last.text[-1] in _HYPHENS and line.text[0].islower():
        return False
    if _BULLET.match(line.text):
        return True
    ended = bool(_SENTENCE_END.search(last.text))
    word = line.text.split(" ", 1)[0]
    word_width = (line.x1 - line.x0) * len(word) / max(1, len(line.text))
    room = right - last.x1 - word_width - 0.3 * size
    marked = bool(_NUMBERED.match(line.text))
    listed = bool(_NUMBERED.match(paragraph.lines[0].text) or _BULLET.match(paragraph.lines[0].text))
    if marked and (ended or listed or room > 0):
        return True
    indent = line.x0 - last.x0
    first = paragraph.lines[0]
    if indent > 0.9 * size and ended and not (listed and last is first):
        return True
    if indent < -0.9 * size and ended and len(paragraph.lines) > 1 and last.x0 > first.x0 + 0.9 * size:
        return True  # hanging indents: the first line of each entry stands out to the left
    opens_like_a_sentence = not line.text[0].islower()
    return room > 0.12 * (right - left) and opens_like_a_sentence and (ended or room > 0.3 * (right - left))


def _joined(paragraphs: list[Paragraph]) -> list[Paragraph]:
    """Paragraphs that run on in the next column or on the next page become one."""
    found: list[Paragraph] = []
    for paragraph in paragraphs:
        before = found[-1] if found else None
        if (
            before is not None
            and paragraph.opens
            and before.table is None
            and paragraph.table is None
            and abs(before.size - paragraph.size) < 0.06 * before.size
            and before.bold == paragraph.bold
            and not _SENTENCE_END.search(before.lines[-1].text)
            and (paragraph.lines[0].text[0].islower() or before.lines[-1].text[-1] == "\u00ad")
        ):
            before.lines.extend(paragraph.lines)
        else:
            found.append(paragraph)
    return found


# -- what each paragraph is --------------------------------------------------------------------------------------------


def _classify(paragraphs: list[Paragraph], body: float, outline: Sequence[tuple[int, int, str]]) -> None:
    bookmarks = {(page, _squashed(title)): level for page, level, title in outline if _squashed(title)}
    letters = sum(len(p.text) for p in paragraphs if p.table is None)
    bold_body = sum(len(p.text) for p in paragraphs if p.table is None and p.bold) > 0.4 * letters
    ranked: list[Paragraph] = []
    for at, paragraph in enumerate(paragraphs):
        if paragraph.table is not None or not paragraph.lines[0].fragments[0].upright:
            continue
        text = paragraph.text
        key = _squashed(text)
        level = bookmarks.get((paragraph.lines[0].page, key))
        if level is None:
            level = bookmarks.get((paragraph.lines[0].page, key.lstrip("0123456789")))
        if level is not None and len(text) <= 250:
            paragraph.category, paragraph.depth = "title", level
            continue
        following = paragraphs[at + 1] if at + 1 < len(paragraphs) else None
        if _is_heading(paragraph, body, bold_body, following):
            paragraph.category = "title"
            ranked.append(paragraph)
        elif _CAPTION.match(text) and len(text) <= 300:
            paragraph.category = "caption"
        elif _BULLET.match(text) or _NUMBERED.match(text):
            paragraph.category = "list_item"
    sizes: list[float] = []
    for size in sorted({p.size for p in ranked if p.size > 1.08 * body}, reverse=True):
        if not sizes or size < 0.96 * sizes[-1]:
            sizes.append(size)
    for paragraph in ranked:
        bigger = [at for at, size in enumerate(sizes) if paragraph.size >= 0.96 * size]
        paragraph.depth = min(bigger[0] if bigger else len(sizes), 6)


def _is_heading(paragraph: Paragraph, body: float, bold_body: bool, following: Paragraph | None) -> bool:
    text = paragraph.text
    if len(text) > 200 or len(paragraph.lines) > 4 or sum(map(str.isalpha, text)) < 2:
        return False
    if _BULLET.match(text) or text.rstrip()[-1] in ",;":
        return False
    if paragraph.size >= 1.12 * body:
        return not (text.rstrip().endswith(".") and len(text) > 100)
    if not paragraph.bold or bold_body or paragraph.size < 0.97 * body or len(text) > 120 or len(paragraph.lines) > 2:
        return False
    return not text.rstrip().endswith((".", ":")) and following is not None and _CAPTION.match(text) is None


def _squashed(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


# -- blocks ------------------------------------------------------------------------------------------------------------


def _all_lines(paragraph: Paragraph) -> Iterable[Line]:
    if paragraph.table is None:
        return paragraph.lines
    return [line for row in paragraph.table for cell in row for line in cell]


def _vocabulary(paragraphs: Iterable[Paragraph]) -> frozenset[str]:
    """Words that stand whole on a line: they tell a hyphen of the word from one of the line break."""
    words: set[str] = set()
    for paragraph in paragraphs:
        for line in _all_lines(paragraph):
            text = line.text.replace("\u00ad", "-").replace("\u2010", "-").casefold()
            found = _WORD.findall(text)
            words.update(found[:-1] if text.endswith("-") else found)
    return frozenset(words)


def _keeps_hyphen(left: str, right: str, words: frozenset[str]) -> bool:
    before = re.search(r"[^\W\d_]+(?:-[^\W\d_]+)*$", left.casefold())
    after = re.match(r"[^\W\d_]+", right.casefold())
    if before is None or after is None or not right[0].islower():
        return True
    joined, hyphenated = before[0] + after[0], f"{before[0]}-{after[0]}"
    return hyphenated in words and joined not in words


class _Writer:
    """Collects characters and boxes page by page."""

    def __init__(self, pages: dict[int, Page], quantised: dict[int, NDArray[np.uint16]]) -> None:
        self._pages = pages
        self._quantised = quantised
        self._parts: list[tuple[int, list[str], list[NDArray[np.uint16]]]] = []
        self._nowhere = np.zeros(4, np.uint16)

    def line(self, line: Line, *, until: int | None = None) -> None:
        self._turn_to(line.page)
        _, characters, rows = self._parts[-1]
        page, boxes = self._pages[line.page], self._quantised[line.page]
        for index in line.indices[:until]:
            character = page.characters[index] if index >= 0 else " "
            if character.isspace():
                character = " "
            characters.append("-" if character == "\u00ad" else character)
            rows.append(boxes[index] if index >= 0 else self._nowhere)

    def made(self, text: str, page: int) -> None:
        """Characters that no page shows."""
        if not self._parts:
            self._turn_to(page)
        _, characters, rows = self._parts[-1]
        characters.extend(text)
        rows.extend([self._nowhere] * len(text))

    def _turn_to(self, page: int) -> None:
        if not self._parts or self._parts[-1][0] != page:
            self._parts.append((page, [], []))

    def runs(self) -> tuple[Run, ...]:
        return tuple(
            canonical_run(page, characters, np.array(rows, np.uint16).reshape(-1, 4))
            for page, characters, rows in self._parts
        )


def _write_lines(writer: _Writer, lines: Sequence[Line], words: frozenset[str]) -> None:
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else None
        if following is None:
            writer.line(line)
        elif len(line.text) > 1 and line.text[-1] in _HYPHENS and line.text[-2].isalnum():
            kept = _keeps_hyphen(line.text[:-1], following.text, words)
            writer.line(line, until=None if kept else -1)
        else:
            writer.line(line)
            writer.made(" ", line.page)


def _block(
    paragraph: Paragraph, pages: dict[int, Page], quantised: dict[int, NDArray[np.uint16]], words: frozenset[str]
) -> Block:
    writer = _Writer(pages, quantised)
    page = paragraph.lines[0].page
    if paragraph.table is None:
        _write_lines(writer, paragraph.lines, words)
    else:
        for number, row in enumerate(paragraph.table):
            if number:
                writer.made("\n", page)
            for column, cell in enumerate(row):
                if column:
                    writer.made(" | ", page)
                _write_lines(writer, cell, words)
    return Block(paragraph.category, depth=paragraph.depth, page=page, runs=writer.runs())
