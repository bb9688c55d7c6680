"""A document as chunks: spans of its canonical text that a retriever can find and a reader can read by themselves.

An edit must change the chunks near it and no others, because unchanged chunks keep their vectors. Packing from the
front would shift every later border. So borders are chosen twice: a long stretch is first cut at the border that
ranks highest by itself (a heading before a paragraph before a sentence; among equals, by a hash of the text that
follows), again and again, until a few chunks are left in each region; then each region is packed as well as possible.
What the first step decides depends on the words at a border and not on what stands pages before it (the idea of
content-defined chunking: Muthitacharoen et al., LBFS, SOSP 2001).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from ingest.model import ChunkSpan, Element, ParsedDocument, Span
from ingest.sentences import cut_before, sentence_spans, trimmed

TARGET_TOKENS: Final = 220
MAX_TOKENS: Final = 250
MAX_TITLE_TOKENS: Final = 60  # what is longer was taken for a title by mistake, and is treated as text
MAX_HEADER_ROW_CHARS: Final = 300
REGION_CHUNKS: Final = 2  # a region holds about this many: more pack better, fewer keep an edit's effect smaller
MAX_DEPTH: Final = 64  # of cutting in two; only a text made for the purpose gets there

_FALLBACK_CHARS_PER_TOKEN: Final = 10  # a word of 10,000 letters may count as one token, but it is no short text
_ROW: Final = re.compile(r"[^\n]+")

CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(slots=True)
class _Unit:
    """What is never divided: a sentence, a row of a table, a title."""

    start: int
    end: int
    sentences: list[Span]
    element: Element
    opens: bool  # first of its element
    tokens: int = 0
    weight: int = 1  # tokens, but never so few that endless text would fit
    is_title: bool = False
    path: tuple[int, ...] = ()  # of the titles in force: indices of units, outermost first
    glued: bool = False  # to the unit before
    section: bool = False  # a heading border lies before it


def chunk_spans(
    document: ParsedDocument,
    count_tokens: CountTokens,
    *,
    target_tokens: int = TARGET_TOKENS,
    max_tokens: int = MAX_TOKENS,
) -> list[ChunkSpan]:
    """Divide the document into chunks that hold every character but white space exactly once, in order.

    A chunk stays within one section, or holds whole small neighbouring sections of at most target_tokens together. It
    never divides a sentence or a row of a table, unless that alone is longer than max_tokens. A title goes with what
    follows it. `heading` is the path of titles in force where the chunk's text begins, its own title included; inside
    a table, the table's first row is added as last element.

    Args:
        count_tokens: of the embedder; called once with all sentences, and again only for pieces of oversized ones.
        target_tokens: what chunks come close to.
        max_tokens: exceeded only by titles with the one sentence that follows them, and then by at most 60.
    """
    units = _units(document, count_tokens, max_tokens)
    _outline(document.text, units)
    packing = _Packing(units, target_tokens, max_tokens)
    starts = [page.start for page in document.pages]
    chunks: list[ChunkSpan] = []
    for low, high in _regions(document.text, units, packing):
        for first, last in packing.pack(low, high):
            members = units[first:last]
            page = members[0].element.page
            if starts:
                page = document.pages[max(0, bisect_right(starts, members[0].start) - 1)].page
            chunks.append(
                ChunkSpan(
                    start=members[0].start,
                    end=members[-1].end,
                    heading=_heading(document.text, units, first, last),
                    page=page,
                    sentences=tuple(span for unit in members for span in unit.sentences),
                    tokens=sum(unit.tokens for unit in members),
                )
            )
    return chunks


def _units(document: ParsedDocument, count_tokens: CountTokens, max_tokens: int) -> list[_Unit]:
    text = document.text
    drafts: list[_Unit] = []
    for element in _covering(document):
        opens = True
        for sentences in _undivided(text, element):
            drafts.append(_Unit(sentences[0][0], sentences[-1][1], sentences, element, opens))
            opens = False
    spans = [span for unit in drafts for span in unit.sentences]
    counts = dict(zip(spans, count_tokens([text[start:end] for start, end in spans]), strict=True))

    def weight(span: Span) -> int:
        return max(1, counts[span], (span[1] - span[0]) // _FALLBACK_CHARS_PER_TOKEN)

    oversized = [span for span in spans if weight(span) > max_tokens]
    pieces: dict[Span, list[Span]] = {}
    while oversized:  # each round at least halves what is too long
        for start, end in oversized:
            limit = max(1, (end - start) * max_tokens * 4 // (5 * weight((start, end))))
            pieces[start, end] = _pieces(text, start, end, limit)
        made = [piece for span in oversized for piece in pieces[span]]
        counts.update(zip(made, count_tokens([text[start:end] for start, end in made]), strict=True))
        oversized = [piece for piece in made if weight(piece) > max_tokens and piece[1] - piece[0] > 1]

    units: list[_Unit] = []
    for draft in drafts:
        total = sum(map(weight, draft.sentences))
        draft.is_title = draft.element.category == "title" and total <= MAX_TITLE_TOKENS
        sentences = [leaf for span in draft.sentences for leaf in _leaves(span, pieces)]
        # a row, or a false title, that no chunk can hold whole is taken apart
        groups = [sentences] if total <= max_tokens else [[span] for span in sentences]
        for group in groups:
            unit = _Unit(group[0][0], group[-1][1], group, draft.element, draft.opens and group is groups[0])
            unit.is_title = draft.is_title
            unit.tokens = sum(counts[span] for span in group)
            unit.weight = sum(map(weight, group))
            units.append(unit)
    return units


def _covering(document: ParsedDocument) -> Iterator[Element]:
    """The elements in order, without overlaps, and what lies between them as elements of their own."""
    at, page = 0, None
    for element in sorted(document.elements, key=lambda element: (element.start, element.end)):
        start, end = max(at, element.start), min(element.end, len(document.text))
        if start > at and not document.text[at:start].isspace():
            yield Element(-1, "text", 0, at, start, page, {})
        if end > start:
            page = element.page
            same = start == element.start and end == element.end
            yield (
                element
                if same
                else Element(element.ordinal, element.category, element.depth, start, end, page, element.place)
            )
            at = end
    if at < len(document.text):
        yield Element(-1, "text", 0, at, len(document.text), page, {})


def _undivided(text: str, element: Element) -> Iterator[list[Span]]:
    """The sentences of each unit of the element."""
    if element.category == "title":
        sentences = sentence_spans(text, element.start, element.end)
        if sentences:
            yield sentences
    elif element.category == "table":
        for row in _ROW.finditer(text, element.start, element.end):
            sentences = sentence_spans(text, row.start(), row.end())
            if sentences:
                yield sentences
    else:
        for span in sentence_spans(text, element.start, element.end):
            yield [span]


def _pieces(text: str, start: int, end: int, limit: int) -> list[Span]:
    found: list[Span] = []
    while end - start > limit:
        low, high = trimmed(text, start, cut_before(text, start, start + limit))
        if low < high:
            found.append((low, high))
        start, _ = trimmed(text, max(high, start + 1), end)
    if start < end:
        found.append((start, end))
    return found


def _leaves(span: Span, pieces: dict[Span, list[Span]]) -> Iterator[Span]:
    if span not in pieces or pieces[span] == [span]:
        yield span
    else:
        for piece in pieces[span]:
            yield from _leaves(piece, pieces)


def _outline(text: str, units: list[_Unit]) -> None:
    """Note for each unit the path of titles in force, where sections begin, and what must stay together."""
    stack: list[int] = []
    run = 0  # weight of the titles that wait for their text
    for index, unit in enumerate(units):
        before = units[index - 1] if index else None
        if unit.is_title:
            while stack and units[stack[-1]].element.depth >= unit.element.depth:
                stack.pop()
            stack.append(index)
            unit.glued = run > 0 and run + unit.weight <= MAX_TITLE_TOKENS
            unit.section = not unit.glued
            run = unit.weight + (run if unit.glued else 0)
        else:
            unit.glued = before is not None and before.is_title
            run = 0
        unit.path = tuple(stack)


class _Packing:
    """Divides a run of units into chunks at the least cost."""

    def __init__(self, units: list[_Unit], target_tokens: int, max_tokens: int) -> None:
        self.units = units
        self.target = target_tokens
        self.max = max_tokens
        self.total = [0]  # weight of all units before each
        for unit in units:
            self.total.append(self.total[-1] + unit.weight)
        self.long = [False] * len(units)  # stands in an element so long that it may be divided
        first = 0
        for index in range(1, len(units) + 1):
            if index == len(units) or units[index].opens:
                if self.total[index] - self.total[first] > target_tokens // 2:
                    self.long[first:index] = [True] * (index - first)
                first = index

    def pack(self, low: int, high: int) -> list[Span]:
        """Chunks of units[low:high], as half-open ranges of indices."""
        total = self.total
        cuts = [low, *(i for i in range(low + 1, high) if self._may_cut(i)), high]
        cost: list[float] = [0.0] + [float("inf")] * (len(cuts) - 1)
        came = [0] * len(cuts)
        for i, first in enumerate(cuts[:-1]):
            for j in range(i + 1, len(cuts)):
                last = cuts[j]
                size = total[last] - total[first]
                if j > i + 1:
                    if size > self.max:
                        break
                    if not self._belongs(first, cuts[j - 1]):
                        break
                    if not self._whole(first, last, size):
                        continue
                price = cost[i] + self._price(first, last, size)
                if price < cost[j]:
                    cost[j], came[j] = price, i
        spans: list[Span] = []
        at = len(cuts) - 1
        while at:
            spans.append((cuts[came[at]], cuts[at]))
            at = came[at]
        return spans[::-1]

    def _may_cut(self, index: int) -> bool:
        unit = self.units[index]
        return not unit.glued and (unit.opens or unit.section or self.long[index])

    def _belongs(self, first: int, member: int) -> bool:
        """Whether the section of `member` is the first one's, or a sibling or descendant of it."""
        own, other = self.units[first].path, self.units[member].path
        if own == other or not own:
            return True
        level = len(own) - 1
        if other[:level] != own[:level] or len(other) <= level:
            return False
        return self.units[other[level]].element.depth >= self.units[own[level]].element.depth

    def _whole(self, first: int, last: int, size: int) -> bool:
        """Whether units[first:last] are part of one section, or whole sections that are small together."""
        units = self.units
        if not any(units[i].section for i in range(first + 1, last)):
            return True
        begins = first == 0 or units[first].section
        ends = last == len(units) or units[last].section
        return begins and ends and size <= self.target

    def _price(self, first: int, last: int, size: int) -> float:
        short = max(0, self.target - size) / self.target
        over = max(0, size - self.target) / self.target
        price = 0.05 + short * short + over * over
        if last < len(self.units):
            after = self.units[last]
            if not after.opens:
                price += 0.05 if after.element.category == "table" else 0.15
            elif after.element.category == "list_item" and not after.section:
                price += 0.02 if self.units[last - 1].element.category == "list_item" else 0.1
        return price


def _regions(text: str, units: list[_Unit], packing: _Packing) -> list[Span]:
    """Ranges of units, each small enough to be packed as a whole, cut where the borders rank highest."""
    total = packing.total
    limit = REGION_CHUNKS * packing.max
    margin = packing.target // 2  # no cut so near a region's end that a crumb would be left
    ranks = [_rank(text, unit, index) for index, unit in enumerate(units)]
    found: list[Span] = []
    waiting = [(0, len(units), 0)] if units else []
    while waiting:
        low, high, depth = waiting.pop()
        if total[high] - total[low] <= limit:
            found.append((low, high))
            continue
        first = max(low + 1, bisect_right(total, total[low] + margin - 1))
        last = min(high - 1, bisect_right(total, total[high] - margin) - 1)
        if first > last:
            first, last = low + 1, high - 1
        if depth > MAX_DEPTH:
            middle = bisect_right(total, (total[low] + total[high]) // 2)
            first, last = max(first, middle - 64), min(last, middle + 64)
        cut = max(range(first, last + 1), key=ranks.__getitem__, default=low)
        if cut == low or units[cut].glued:
            found.append((low, high))
            continue
        waiting.append((cut, high, depth + 1))
        waiting.append((low, cut, depth + 1))
    return found


def _rank(text: str, unit: _Unit, index: int) -> tuple[int, int, bytes, bytes]:
    """How good a border the unit's start is; equal texts are told apart by their place alone."""
    if unit.glued:
        return -1, 0, b"", b""
    kind = 2 if unit.section else 1 if unit.opens else 0
    depth = -unit.element.depth if unit.section else 0
    beginning = text[unit.start : min(unit.end, unit.start + 32)]
    place = index.to_bytes(8, "little")
    return kind, depth, _hash(beginning.encode("utf-8", "replace")), _hash(place)


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=8).digest()


def _heading(text: str, units: list[_Unit], first: int, last: int) -> tuple[str, ...]:
    at = first
    while at + 1 < last and units[at].is_title and units[at + 1].is_title and units[at + 1].path[:-1] == units[at].path:
        at += 1  # the titles at the chunk's start lead to where its text stands
    path = [" ".join(text[units[title].start : units[title].end].split()) for title in units[at].path]
    unit = units[first]
    if unit.element.category == "table" and not unit.opens:
        row = text[unit.element.start : unit.element.end].lstrip().partition("\n")[0].rstrip()
        if " | " in row and len(row) > MAX_HEADER_ROW_CHARS:
            row = row[: row.rfind(" | ", 0, MAX_HEADER_ROW_CHARS)]
        path.append(row[:MAX_HEADER_ROW_CHARS])
    return tuple(path)
