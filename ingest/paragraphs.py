"""Lines of a PDF to paragraphs, and what each paragraph is: heading, list item, caption or text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from ingest.model import Category
from ingest.page_text import BULLET, HYPHENS, NUMBERED, Line

_CAPTION: Final = re.compile(
    r"(fig(ure|\.)?|table|tab\.|abbildung|abb\.|tabelle|tableau|chart)\s+[\dIVX]+", re.IGNORECASE
)
_SENTENCE_END: Final = re.compile(r"[.!?:;…。！？][\"'”’»)\]]*$")


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


def paragraphs_of(lines: list[Line]) -> list[Paragraph]:
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
        for a, b in itertools.pairwise(lines)
        if abs(a.size - b.size) < 0.1 * b.size and 0.7 * b.size < b.baseline - a.baseline < 2.2 * b.size
    ]
    return min(median(steps), 1.8) if len(steps) >= 3 else 1.25


def _breaks(paragraph: Paragraph, line: Line, pitch: float, left: float, right: float) -> bool:
    """Whether a line opens a new paragraph."""
    last = paragraph.lines[-1]
    size = max(line.size, last.size)
    step = line.baseline - last.baseline
    if abs(line.size - last.size) > 0.1 * size or line.bold != last.bold or line.mono != last.mono:
        return True
    if step > (pitch + 0.3) * size or step < 0.3 * size:
        return True
    if len(paragraph.lines) >= 2:
        own = paragraph.lines[-1].baseline - paragraph.lines[-2].baseline
        if step > own + 0.3 * size:
            return True
    if line.mono:
        return False
    if last.text[-1] in HYPHENS and line.text[0].islower():
        return False
    if BULLET.match(line.text):
        return True
    ended = bool(_SENTENCE_END.search(last.text))
    word = line.text.split(" ", 1)[0]
    word_width = (line.x1 - line.x0) * len(word) / max(1, len(line.text))
    room = right - last.x1 - word_width - 0.3 * size
    marked = bool(NUMBERED.match(line.text))
    listed = bool(NUMBERED.match(paragraph.lines[0].text) or BULLET.match(paragraph.lines[0].text))
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


def joined(paragraphs: list[Paragraph]) -> list[Paragraph]:
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


def classify(paragraphs: list[Paragraph], body: float, outline: Sequence[tuple[int, int, str]]) -> None:
    bookmarks = {(page, _squashed(title)): level for page, level, title in outline if _squashed(title)}
    letters = sum(len(p.text) for p in paragraphs if p.table is None)
    bold_body = sum(len(p.text) for p in paragraphs if p.table is None and p.bold) > 0.4 * letters
    ranked: list[Paragraph] = []
    for at, paragraph in enumerate(paragraphs):
        if paragraph.table is not None or not paragraph.lines[0].fragments[0].upright:
            continue
        if len(paragraph.lines) > 1 and all(line.mono for line in paragraph.lines):
            paragraph.category = "code"
            continue
        text = paragraph.text
        level = None
        if bookmarks and len(text) <= 250:
            key, page = _squashed(text), paragraph.lines[0].page
            level = bookmarks.get((page, key), bookmarks.get((page, key.lstrip("0123456789"))))
        if level is not None:
            paragraph.category, paragraph.depth = "title", level
            continue
        following = paragraphs[at + 1] if at + 1 < len(paragraphs) else None
        if _is_heading(paragraph, body, bold_body, following):
            paragraph.category = "title"
            ranked.append(paragraph)
        elif _CAPTION.match(text) and len(text) <= 300:
            paragraph.category = "caption"
        elif BULLET.match(text) or NUMBERED.match(text):
            paragraph.category = "list_item"
    sizes: list[float] = []
    for size in sorted({p.size for p in ranked if p.size > 1.08 * body}, reverse=True):
        if not sizes or size < 0.96 * sizes[-1]:
            sizes.append(size)
    for paragraph in ranked:
        bigger = [at for at, size in enumerate(sizes) if paragraph.size >= 0.96 * size]
        paragraph.depth = min(bigger[0] if bigger else len(sizes), 6)


def merged_titles(paragraphs: Sequence[Paragraph]) -> list[Paragraph]:
    """Lines of one large title that stand close together become one title."""
    found: list[Paragraph] = []
    for paragraph in paragraphs:
        before = found[-1] if found else None
        if (
            before is not None
            and before.category == paragraph.category == "title"
            and before.depth == paragraph.depth
            and before.lines[-1].page == paragraph.lines[0].page
            and abs(before.size - paragraph.size) < 0.03 * before.size
            and 0 < paragraph.lines[0].baseline - before.lines[-1].baseline < 1.45 * paragraph.size
            and not NUMBERED.match(paragraph.text)
        ):
            before.lines.extend(paragraph.lines)
        else:
            found.append(paragraph)
    return found


def _is_heading(paragraph: Paragraph, body: float, bold_body: bool, following: Paragraph | None) -> bool:
    text = paragraph.text
    if len(text) > 200 or len(paragraph.lines) > 4 or sum(map(str.isalpha, text)) < 2:
        return False
    if BULLET.match(text) or text.rstrip()[-1] in ",;":
        return False
    if paragraph.size >= 1.12 * body:
        return not (text.rstrip().endswith(".") and len(text) > 100)
    if not paragraph.bold or bold_body or paragraph.size < 0.97 * body or len(text) > 120 or len(paragraph.lines) > 2:
        return False
    return not text.rstrip().endswith((".", ":")) and following is not None and _CAPTION.match(text) is None


def _squashed(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def all_lines(paragraph: Paragraph) -> Iterable[Line]:
    """The lines of a paragraph, or of all cells of a table."""
    if paragraph.table is None:
        return paragraph.lines
    return [line for row in paragraph.table for cell in row for line in cell]
