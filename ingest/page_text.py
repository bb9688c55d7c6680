"""The characters of a PDF page as fragments and lines: geometry only, no PDFium.

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

FULL: Final = 65535  # page maps hold fractions of the page in 16 bits
HYPHENS: Final = "\u00ad-\u2010"  # the first is what PDFium calls a hyphen at a line's end
_CELL_GAP_EM: Final = 1.0  # wider than any word space that justified text is seen to have
_SAME_LINE_EM: Final = 0.5  # a superscript stands a third of its line's size higher, lines a whole one apart
_NEWLINE: Final = 10
_SOFT_HYPHEN: Final = 0xAD
SPACES: Final = np.array(
    [*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000],
    np.uint32,
)  # what str.isspace calls space
# What opens an item of a list: a bullet, or a number or letter.
BULLET: Final = re.compile(r"[•◦▪▫■□●○‣⁃∙·➢➤✓✔\uf0b7\uf0a7–—*-]\s|[•◦▪■●‣]")
NUMBERED: Final = re.compile(r"(\(?(\d{1,3}|[a-zA-Z]|[ivxIVX]{1,4})[.)]|\d{1,2}(\.\d{1,2}){1,3}\.?)\s")


@dataclass(frozen=True, slots=True)
class Style:
    """What the characters of one drawing operation share."""

    size: float  # points, with the matrix's scale
    bold: bool
    mono: bool  # all letters as wide: code, or a typewriter
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
        """(n + 1, 4): the boxes as fractions of the page in 16 bits; zeros where there is none, and in the last row."""
        rows = np.zeros((len(self.boxes) + 1, 4), np.uint16)
        if len(self.boxes):
            scaled = np.clip(self.boxes / np.array([self.width, self.height] * 2), 0.0, 1.0) * FULL
            scaled[:, :2], scaled[:, 2:] = np.floor(scaled[:, :2]), np.ceil(scaled[:, 2:])
            scaled[~self.boxes.any(axis=1)] = 0
            rows[:-1] = scaled
        return rows


@dataclass(slots=True)
class Fragment:
    """Characters that stand on one line without a wide gap; or a whole table, which is never taken apart."""

    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    mono: bool
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
    mono: bool = field(init=False)
    baseline: float = field(init=False)
    text: str = field(init=False)
    indices: list[int] = field(init=False)  # -1: a space that stands nowhere

    def __post_init__(self) -> None:
        first = main = self.fragments[0]
        self.x0, self.x1, self.y0, self.y1 = first.x0, first.x1, first.y0, first.y1
        for f in self.fragments[1:]:
            self.x0, self.x1 = min(self.x0, f.x0), max(self.x1, f.x1)
            self.y0, self.y1 = min(self.y0, f.y0), max(self.y1, f.y1)
            if len(f.text) > len(main.text):
                main = f
        self.size, self.baseline = main.size, main.baseline
        self.bold = all(f.bold for f in self.fragments if any(map(str.isalnum, f.text)))
        self.mono = all(f.mono for f in self.fragments)
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


def fragments_of(page: Page) -> list[Fragment]:
    """Cut the characters where a line ends, the baseline moves, a gap is wide or a ruling line stands between."""
    count = len(page.characters)
    if not count or not page.styles:
        return []
    text = "".join(page.characters)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    solid = np.asarray(page.boxes.any(axis=1))
    space = np.isin(codes, SPACES)
    style_of = np.asarray(page.style_of, np.int64)
    placed = (codes != _NEWLINE) & (style_of >= 0)
    letters = np.flatnonzero(placed & ~space)
    cut = _cuts(page, codes, solid, space, placed, style_of)
    # Each fragment's letters follow each other; spaces between them belong to it, those at its ends to none.
    group = np.cumsum(cut)[letters]
    visible = solid[letters]
    starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])) if len(letters) else np.zeros(0, int)
    if not len(starts):
        return []
    boxes, own = page.boxes[letters], style_of[letters]
    low = np.minimum.reduceat(np.where(visible[:, None], boxes[:, :2], np.inf), starts).tolist()
    high = np.maximum.reduceat(np.where(visible[:, None], boxes[:, 2:], -np.inf), starts).tolist()
    shown = np.add.reduceat(visible.astype(np.int64), starts)
    bold_styles = np.array([style.bold for style in page.styles])
    mono_styles = np.array([style.mono for style in page.styles])
    bold = np.add.reduceat((bold_styles[own] & visible).astype(np.int64), starts) > 0.9 * shown
    mono = np.add.reduceat((mono_styles[own] & visible).astype(np.int64), starts) > 0.9 * shown
    single = np.minimum.reduceat(own, starts) == np.maximum.reduceat(own, starts)
    ends = np.append(starts[1:], len(letters))
    doubled = np.zeros(count, np.int64)
    doubled[1:] = (space[1:] & (space[:-1] | (codes[1:] != 32))) | (style_of[1:] < 0)
    uneven = np.cumsum(doubled)

    found: list[Fragment] = []
    for at, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if not shown[at]:
            continue
        first, last = int(letters[start]), int(letters[end - 1])
        style = page.styles[own[start]]
        if not single[at]:
            counts = Counter(own[start:end][visible[start:end]].tolist())
            style = page.styles[counts.most_common(1)[0][0]]
        words = text[first : last + 1]
        indices = list(range(first, last + 1))
        if uneven[last] != uneven[first]:
            indices, words = _one_space_each(text, indices)
        (x0, y0), (x1, y1) = low[at], high[at]
        found.append(
            Fragment(
                x0,
                y0,
                x1,
                y1,
                style.size,
                bool(bold[at]),
                bool(mono[at]),
                style.upright,
                style.baseline,
                indices,
                words,
            )
        )
    return found


def _cuts(
    page: Page,
    codes: NDArray[np.uint32],
    solid: NDArray[np.bool_],
    space: NDArray[np.bool_],
    placed: NDArray[np.bool_],
    style_of: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """(n,): whether a fragment ends before the character, seen from the last letter before it."""
    boxes = page.boxes
    cut = codes == _NEWLINE
    visible = np.where(solid & ~space & placed, np.arange(len(codes)), -1)
    before = np.concatenate([[-1], np.maximum.accumulate(visible)[:-1]])
    here = np.flatnonzero(solid & placed & (before >= 0))
    last = before[here]
    sizes = np.array([style.size for style in page.styles])
    upright = np.array([style.upright for style in page.styles])
    baselines = np.array([style.baseline for style in page.styles])
    size = np.maximum(sizes[style_of[here]], sizes[style_of[last]])
    moved = np.abs(baselines[style_of[here]] - baselines[style_of[last]]) > 0.6 * size
    gap = boxes[here, 0] - boxes[last, 2]
    from_right = _backwards(codes)
    line = np.cumsum(codes == _NEWLINE)
    mostly = 2 * np.bincount(line, from_right) > np.bincount(line, solid & ~space)  # its full stops and numbers too
    backwards = from_right[here] | mostly[line[here]]
    apart = moved | (~backwards & ((gap > _CELL_GAP_EM * size) | (gap < -1.0 * size)))
    straight = upright[style_of[here]]
    ends = np.where(straight == upright[style_of[last]], straight & apart, True)
    tall = page.rules[(page.rules[:, 2] - page.rules[:, 0] <= 2.5) & (page.rules[:, 3] - page.rules[:, 1] > 5)]
    if len(tall):
        open_pairs = np.flatnonzero(straight & ~ends & ~space[here])
        ends[open_pairs] = _rule_between(tall, boxes[last[open_pairs]], boxes[here[open_pairs]])
    cut[here[ends]] = True
    for i in np.flatnonzero(codes[:-1] == _SOFT_HYPHEN).tolist():
        following = next((j for j in range(i + 1, min(i + 4, len(codes))) if solid[j]), -1)
        if following >= 0 and boxes[following, 0] < boxes[i, 0]:
            cut[i + 1] = True
    return cut


def _one_space_each(text: str, indices: list[int]) -> tuple[list[int], str]:
    kept: list[int] = []
    letters: list[str] = []
    for i in indices:
        if not text[i].isspace():
            letters.append(text[i])
        elif letters[-1] != " ":
            letters.append(" ")
        else:
            continue
        kept.append(i)
    return kept, "".join(letters)


def _backwards(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return ((codes >= 0x590) & (codes <= 0x8FF)) | ((codes >= 0xFB1D) & (codes <= 0xFEFC))


def _right_to_left(character: str) -> bool:
    return "\u0590" <= character <= "\u08ff" or "\ufb1d" <= character <= "\ufefc"


def _rule_between(
    tall: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(n,): whether an upright rule stands between the middles of the n pairs of boxes."""
    tall = tall[np.argsort(tall[:, 0] + tall[:, 2])]
    x = (tall[:, 0] + tall[:, 2]) / 2
    middles = (left[:, 0] + left[:, 2]) / 2, (right[:, 0] + right[:, 2]) / 2
    first = np.searchsorted(x, np.minimum(*middles), side="right")
    until = np.searchsorted(x, np.maximum(*middles), side="left")
    y = (right[:, 1] + right[:, 3]) / 2
    between = np.zeros(len(y), np.bool_)
    for at in np.flatnonzero(first < until).tolist():
        rules = tall[first[at] : until[at]]
        between[at] = bool(((rules[:, 1] <= y[at]) & (y[at] <= rules[:, 3])).any())
    return between


def lines_of(fragments: Iterable[Fragment], page: int) -> list[Line]:
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
        backwards = not text.isascii() and sum(map(_right_to_left, text)) > len(text) / 2
        group.sort(key=lambda f: f.indices[0] if backwards and f.indices else f.x0)
        lines.append(Line(group, page))
    return lines


def table_fragment(table: list[list[list[Line]]], inside: Sequence[Fragment]) -> Fragment:
    top = min(f.y0 for f in inside)
    return Fragment(
        min(f.x0 for f in inside), top, max(f.x1 for f in inside), max(f.y1 for f in inside),
        size=median(f.size for f in inside), bold=False, mono=False, upright=True,
        baseline=min(f.baseline for f in inside), indices=[], text=" " * 80, table=table,
    )  # fmt: skip
