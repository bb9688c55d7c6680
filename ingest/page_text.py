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
        self.x0 = min(f.x0 for f in self.fragments)
        self.x1 = max(f.x1 for f in self.fragments)
        self.y0 = min(f.y0 for f in self.fragments)
        self.y1 = max(f.y1 for f in self.fragments)
        main = max(self.fragments, key=lambda f: len(f.text))
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
    found: list[Fragment] = []
    current: list[int] = []
    boxes = [tuple(row) for row in page.boxes.tolist()]
    solid: list[bool] = np.asarray(page.boxes.any(axis=1)).tolist()
    tall = page.rules[(page.rules[:, 2] - page.rules[:, 0] <= 2.5) & (page.rules[:, 3] - page.rules[:, 1] > 5)]
    last = -1  # the last visible character

    def flush() -> None:
        nonlocal current, last
        fragment = _fragment(page, current, boxes, solid)
        if fragment is not None:
            found.append(fragment)
        current, last = [], -1

    for i, character in enumerate(page.characters):
        if character == "\n":
            flush()
            continue
        space = character.isspace()
        if page.style_of[i] < 0 or (space and not current):
            continue
        if last >= 0 and solid[i]:
            style, before = page.styles[page.style_of[i]], page.styles[page.style_of[last]]
            size = max(style.size, before.size)
            if style.upright != before.upright:
                flush()
            elif style.upright:
                gap = boxes[i][0] - boxes[last][2]
                moved = abs(style.baseline - before.baseline) > 0.6 * size
                back = gap < -1.0 * size and not _right_to_left(character)
                wide = gap > _CELL_GAP_EM * size and not _right_to_left(character)
                if moved or wide or back or (len(tall) and not space and _rule_between(tall, boxes[last], boxes[i])):
                    flush()
        current.append(i)
        if solid[i] and not space:
            last = i
        if character == "\u00ad" and i + 1 < len(boxes):
            following = next((j for j in range(i + 1, min(i + 4, len(boxes))) if solid[j]), -1)
            if following >= 0 and boxes[following][0] < boxes[i][0]:
                flush()
    flush()
    return found


def _fragment(page: Page, indices: list[int], boxes: list[tuple[float, ...]], solid: list[bool]) -> Fragment | None:
    kept: list[int] = []
    letters: list[str] = []
    for i in indices:
        character = page.characters[i]
        if not character.isspace():
            letters.append(character)
        elif letters and letters[-1] != " ":
            letters.append(" ")
        else:
            continue
        kept.append(i)
    while letters and letters[-1] == " ":
        letters.pop()
        kept.pop()
    shown = [i for i in kept if solid[i] and not page.characters[i].isspace()]
    if not shown:
        return None
    counts = Counter(page.style_of[i] for i in shown)
    style = page.styles[counts.most_common(1)[0][0]]
    bold = sum(count for index, count in counts.items() if page.styles[index].bold) > 0.9 * len(shown)
    mono = sum(count for index, count in counts.items() if page.styles[index].mono) > 0.9 * len(shown)
    return Fragment(
        min(boxes[i][0] for i in shown),
        min(boxes[i][1] for i in shown),
        max(boxes[i][2] for i in shown),
        max(boxes[i][3] for i in shown),
        style.size,
        bold,
        mono,
        style.upright,
        style.baseline,
        kept,
        "".join(letters),
    )


def _right_to_left(character: str) -> bool:
    return "\u0590" <= character <= "\u08ff" or "\ufb1d" <= character <= "\ufefc"


def _rule_between(tall: NDArray[np.float64], left: Sequence[float], right: Sequence[float]) -> bool:
    a, b = sorted(((left[0] + left[2]) / 2, (right[0] + right[2]) / 2))
    y = (right[1] + right[3]) / 2
    x = (tall[:, 0] + tall[:, 2]) / 2
    return bool(((x > a) & (x < b) & (tall[:, 1] <= y) & (y <= tall[:, 3])).any())


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
        backwards = sum(map(_right_to_left, text)) > len(text) / 2
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
