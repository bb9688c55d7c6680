"""Paragraphs of a PDF to blocks of canonical characters that keep their boxes; hyphens of line breaks undone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.canonical import Block, Run, canonical, canonical_run
from ingest.page_text import HYPHENS, Line
from ingest.paragraphs import Paragraph, all_lines

_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def vocabulary(paragraphs: Iterable[Paragraph]) -> frozenset[str]:
    """Words that stand whole on a line: they tell a hyphen of the word from one of the line break."""
    words: set[str] = set()
    for paragraph in paragraphs:
        for line in all_lines(paragraph):
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
    """Collects text and boxes page by page."""

    def __init__(self, quantised: dict[int, NDArray[np.uint16]]) -> None:
        self._quantised = quantised
        self._parts: list[tuple[int, list[str], list[NDArray[np.uint16]]]] = []

    def line(self, line: Line, *, until: int | None = None) -> None:
        self._turn_to(line.page)
        _, texts, rows = self._parts[-1]
        texts.append(line.text[:until].replace("\u00ad", "-"))
        rows.append(self._quantised[line.page][line.indices[:until]])  # -1 takes the last row: no box

    def made(self, text: str, page: int) -> None:
        """Characters that no page shows."""
        if not self._parts:
            self._turn_to(page)
        _, texts, rows = self._parts[-1]
        texts.append(text)
        rows.append(np.zeros((len(text), 4), np.uint16))

    def _turn_to(self, page: int) -> None:
        if not self._parts or self._parts[-1][0] != page:
            self._parts.append((page, [], []))

    def runs(self) -> tuple[Run, ...]:
        return tuple(_run(page, "".join(texts), np.concatenate(rows)) for page, texts, rows in self._parts if rows)


def _run(page: int, text: str, boxes: NDArray[np.uint16]) -> Run:
    return Run(page, text, boxes) if canonical(text) == text else canonical_run(page, text, boxes)


def _write_lines(writer: _Writer, lines: Sequence[Line], words: frozenset[str]) -> None:
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else None
        if following is None:
            writer.line(line)
        elif not line.mono and len(line.text) > 1 and line.text[-1] in HYPHENS and line.text[-2].isalnum():
            kept = _keeps_hyphen(line.text[:-1], following.text, words)
            writer.line(line, until=None if kept else -1)
        else:
            writer.line(line)
            writer.made("\n" if line.mono and following.mono else " ", line.page)


def block_of(paragraph: Paragraph, quantised: dict[int, NDArray[np.uint16]], words: frozenset[str]) -> Block:
    """The block of a paragraph or table.

    Args:
        quantised: by page, `Page.quantised`.
        words: of `vocabulary`.
    """
    writer = _Writer(quantised)
    page = paragraph.lines[0].page
    if paragraph.table is None:
        _write_lines(writer, paragraph.lines, words)
    else:
        for number, row in enumerate(paragraph.table):
            if number:
                writer.made("\n", page)
            while row and not row[-1]:
                row = row[:-1]
            for column, cell in enumerate(row):
                if column:
                    writer.made(" | " if row[column - 1] else "| ", page)
                _write_lines(writer, cell, words)
    return Block(paragraph.category, depth=paragraph.depth, page=page, runs=writer.runs())
