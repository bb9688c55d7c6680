"""Canonical text: how blocks of a document become one text, with elements and page maps that fit it exactly."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.model import Category, Element, PageMap

# Part of a version's identity: raised whenever the same bytes would give another text, other elements or other boxes.
PARSER_PROFILE: Final = "2"

SEPARATOR: Final = "\n\n"

_SPACES: Final = re.compile(r"[^\S\n]+")
_TRAILING: Final = re.compile(r"[^\S\n]+$", re.MULTILINE)
_LINE_BREAKS: Final = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
# What no reader sees and no search finds, yet can split words or turn them round: controls, soft hyphen, zero-width
# space and joiner, byte order mark, bidirectional overrides, tag characters. ZWJ, ZWNJ and the direction marks stay:
# Arabic, Persian and Indic scripts are misspelt without them.
_INVISIBLE: Final = (
    *(code for code in range(32) if chr(code) not in "\t\n" + _LINE_BREAKS),
    *range(0x7F, 0x85),
    *range(0x86, 0xA0),
    0xAD,
    0x200B,
    *range(0x202A, 0x202F),
    0x2060,
    *range(0x2066, 0x206A),
    0xFEFF,
    *range(0xFFFE, 0x10000),
    *range(0xE0000, 0xE0080),
)
_TRANSLATED: Final[dict[int, str | None]] = {
    **dict.fromkeys(map(ord, _LINE_BREAKS), "\n"),
    **dict.fromkeys(_INVISIBLE, None),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),  # half a surrogate pair is no character, and UTF-8 refuses it
}


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one page: canonical already, with a box for each."""

    page: int  # from 1
    text: str
    boxes: NDArray[np.uint16]  # (len(text), 4), as in PageMap


@dataclass(frozen=True, slots=True)
class Block:
    """What becomes one element. Either `text`, or for documents with page maps `runs` in the order of pages."""

    category: Category
    text: str = ""
    depth: int = 0
    page: int | None = None
    place: Mapping[str, str | int] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()


def canonical(text: str) -> str:
    """NFC with `\\n` as the only line break, and without invisible characters and half surrogate pairs."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").translate(_TRANSLATED))


def canonical_run(page: int, characters: Sequence[str], boxes: NDArray[np.uint16]) -> Run:
    """The same for characters that each have a box; what composes into one character gets the union of the boxes.

    Args:
        characters: single characters, or short strings that share one box.
        boxes: (len(characters), 4); rows of zeros mean no box.
    """
    pieces: list[str] = []
    sources: list[int] = []
    for index, character in enumerate(characters):
        for one in character.translate(_TRANSLATED):
            pieces.append(one)
            sources.append(index)
    text = "".join(pieces)
    rows = boxes[sources] if sources else np.zeros((0, 4), np.uint16)
    if unicodedata.is_normalized("NFC", text):
        return Run(page, text, rows)
    texts: list[str] = []
    unions: list[NDArray[np.uint16]] = []
    for start, end in _clusters(text):
        composed = unicodedata.normalize("NFC", text[start:end])
        texts.append(composed)
        unions.extend([_union(rows[start:end])] * len(composed))
    return Run(page, "".join(texts), np.array(unions, np.uint16).reshape(-1, 4))


def _clusters(text: str) -> Iterable[tuple[int, int]]:
    """Cut where normalising left and right apart equals normalising both together."""
    start = 0
    for index in range(1, len(text)):
        if unicodedata.combining(text[index]):
            continue
        left, right = text[start:index], text[index]
        both = unicodedata.normalize("NFC", left + right)
        if both == unicodedata.normalize("NFC", left) + unicodedata.normalize("NFC", right):
            yield start, index
            start = index
    yield start, len(text)


def _union(rows: NDArray[np.uint16]) -> NDArray[np.uint16]:
    rows = rows[rows.any(axis=1)]
    if not len(rows):
        return np.zeros(4, np.uint16)
    return np.concatenate([rows[:, :2].min(axis=0), rows[:, 2:].max(axis=0)])


def assemble(blocks: Iterable[Block]) -> tuple[str, tuple[Element, ...]]:
    """Join blocks that have no page maps. Blocks without a visible character fall away."""
    parts: list[str] = []
    elements: list[Element] = []
    at = 0
    for block in blocks:
        text = canonical(block.text)
        if block.category != "code":  # tabs and hard spaces say nothing there, and keep quotes from being found
            text = _SPACES.sub(" ", text).strip()
        text = _TRAILING.sub("", text).strip("\n")
        if not text.strip():
            continue
        if parts:
            parts.append(SEPARATOR)
            at += len(SEPARATOR)
        parts.append(text)
        elements.append(
            Element(len(elements), block.category, block.depth, at, at + len(text), block.page, dict(block.place))
        )
        at += len(text)
    return "".join(parts), tuple(elements)


def assemble_pages(
    blocks: Iterable[Block], sizes: Mapping[int, tuple[float, float]]
) -> tuple[str, tuple[Element, ...], tuple[PageMap, ...]]:
    """Join blocks of runs. The page maps tile the text; a separator belongs to the page before it.

    Args:
        blocks: with runs, whose pages never go back.
        sizes: width and height in points of each page as displayed.
    """
    parts: list[str] = []
    elements: list[Element] = []
    page_rows: dict[int, list[NDArray[np.uint16]]] = {}
    last_page, at = 0, 0
    for block in blocks:
        runs = [run for run in block.runs if run.text]
        text = "".join(run.text for run in runs)
        if not text.strip():
            continue
        if parts:
            parts.append(SEPARATOR)
            page_rows[last_page].append(np.zeros((len(SEPARATOR), 4), np.uint16))
            at += len(SEPARATOR)
        for run in runs:
            if run.page < last_page:
                raise ValueError(f"page {run.page} comes after page {last_page}")
            page_rows.setdefault(run.page, []).append(run.boxes)
            last_page = run.page
        parts.append(text)
        elements.append(
            Element(
                len(elements), block.category, block.depth, at, at + len(text), runs[0].page, dict(block.place)
            )
        )  # fmt: skip
        at += len(text)
    maps: list[PageMap] = []
    start = 0
    for page, rows in page_rows.items():
        boxes = np.concatenate(rows)
        width, height = sizes[page]
        maps.append(PageMap(page, start, start + len(boxes), width, height, boxes))
        start += len(boxes)
    return "".join(parts), tuple(elements), tuple(maps)
