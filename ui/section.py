"""The part of a document around a quotation, for formats without pages: its whole section, slide or sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingest.model import Category, Element

AROUND: Final = 6000  # characters shown before and after the quotation at most
ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text, marked when it belongs to the quotation."""

    text: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Block:
    """One element of the section, or what of it fits."""

    kind: Category
    depth: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What is shown around a quotation."""

    headings: tuple[str, ...]  # the titles above the section's own, outermost first
    blocks: tuple[Block, ...]


def section_around(text: str, elements: Sequence[Element], start: int, end: int, *, around: int = AROUND) -> Section:
    """The section that holds a span, with the span marked.

    Args:
        text: a version's canonical text.
        elements: of that version, in reading order.
        start, end: the quotation, as a half-open span of `text`.
        around: characters kept before and after it; cut places end in an ellipsis.
    """
    touched = [index for index, element in enumerate(elements) if element.start < end and start < element.end]
    if not touched:
        return Section((), (_block(text, "text", 0, (0, len(text)), (start, end), (start - around, end + around)),))
    first, last = _bounds(elements, touched[0], touched[-1])
    window = (start - around, end + around)
    blocks = tuple(
        _block(text, element.category, element.depth, (element.start, element.end), (start, end), window)
        for element in elements[first : last + 1]
        if element.start < window[1] and window[0] < element.end
    )
    return Section(_headings_above(text, elements, first), blocks)


def _bounds(elements: Sequence[Element], first: int, last: int) -> tuple[int, int]:
    """Indices of the first and last element of the slide, sheet or section that holds elements `first` to `last`."""
    for name in ("slide", "sheet"):
        if name in elements[first].place:
            places = {elements[first].place[name], elements[last].place.get(name)}
            same = [index for index, one in enumerate(elements) if one.place.get(name) in places]
            return min(same[0], first), max(same[-1], last)
    top = first
    while top > 0 and elements[top].category != "title":
        top -= 1
    depth = elements[top].depth if elements[top].category == "title" else None
    while last + 1 < len(elements):
        after = elements[last + 1]
        if after.category == "title" and (depth is None or after.depth <= depth):
            break
        last += 1
    return top, last


def _headings_above(text: str, elements: Sequence[Element], index: int) -> tuple[str, ...]:
    found: list[str] = []
    depth = elements[index].depth if elements[index].category == "title" else 0
    for element in reversed(elements[:index]):
        if element.category == "title" and element.depth < depth:
            found.insert(0, text[element.start : element.end])
            depth = element.depth
    return tuple(found)


def _block(
    text: str,
    kind: Category,
    depth: int,
    span: tuple[int, int],
    quote: tuple[int, int],
    window: tuple[int, int],
) -> Block:
    """The span of one element, cut to the window and divided where the quotation begins and ends."""
    begin, finish = max(span[0], window[0]), min(span[1], window[1])
    inside = (min(max(quote[0], begin), finish), min(max(quote[1], begin), finish))
    before, marked, after = text[begin : inside[0]], text[inside[0] : inside[1]], text[inside[1] : finish]
    parts = [
        Part((ELLIPSIS if begin > span[0] else "") + before, False),
        Part(marked, True),
        Part(after + (ELLIPSIS if finish < span[1] else ""), False),
    ]
    return Block(kind, depth, tuple(part for part in parts if part.text))
