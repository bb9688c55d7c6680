"""How well the blocks read from a PDF agree with what its author put there. Pure functions; texts compared squashed.

Squashed means letters and digits alone, case folded: neither spaces nor hyphens nor the kind of quotation mark count.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BETWEEN_CELLS: Final = re.compile(r" ?\| ")  # an empty cell leaves no space before it
Block = tuple[str, int, str]  # category, depth from 0, text
Table = tuple[tuple[str, ...], ...]  # rows of cells, "" where empty
COUNTS: Final = ("headings_found", "headings_true", "levels", "cells", "rows", "tables_true", "order", "running")


@dataclass(frozen=True, slots=True)
class Label:
    """What is in one document."""

    path: Path
    headings: tuple[tuple[int, str], ...]  # depth, 0 for the outermost; in reading order
    tables: tuple[Table, ...]
    starts: tuple[str, ...]  # the first words of each heading, paragraph and item, in reading order
    running: tuple[str, ...]  # what pages' edges repeat, and must not be in the text


def read_labels(folder: Path) -> list[Label]:
    """The labelled documents of a folder: NAME.pdf beside NAME.json, by name."""
    found = []
    for file in sorted(folder.glob("*.json")):
        label = json.loads(file.read_text("utf-8"))
        found.append(
            Label(
                file.with_suffix(".pdf"),
                tuple((int(depth), text) for depth, text in label["headings"]),
                tuple(tuple(map(tuple, table)) for table in label["tables"]),
                tuple(label["starts"]),
                tuple(label["running"]),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts, as (right, of so many); a sum of scores is a score."""

    headings_found: tuple[int, int]  # of the headings there are
    headings_true: tuple[int, int]  # of the blocks called headings
    levels: tuple[int, int]  # of the headings found, at their depth
    cells: tuple[int, int]  # of the cells with text, in the one block that has most of their table
    rows: tuple[int, int]  # of the rows: one line with exactly their cells
    tables_true: tuple[int, int]  # of the blocks called tables, with at least half of a table's cells
    order: tuple[int, int]  # of the starts: in the longest sequence that stands in order
    running: tuple[int, int]  # of the running titles: in no block
    misses: tuple[str, ...] = ()

    def __str__(self) -> str:
        def share(pair: tuple[int, int]) -> str:
            return f"{pair[0] / pair[1]:5.0%}" if pair[1] else "    -"

        return (
            f"headings {share(self.headings_found)} /{share(self.headings_true)}, levels {share(self.levels)}, "
            f"cells {share(self.cells)}, rows {share(self.rows)}, tables {share(self.tables_true)}, "
            f"order {share(self.order)}, running {share(self.running)}"
        )

    @staticmethod
    def total(all_scores: Sequence[Scores]) -> Scores:
        def added(name: str) -> tuple[int, int]:
            pairs = [getattr(one, name) for one in all_scores]
            return sum(right for right, _ in pairs), sum(of for _, of in pairs)

        return Scores(
            headings_found=added("headings_found"),
            headings_true=added("headings_true"),
            levels=added("levels"),
            cells=added("cells"),
            rows=added("rows"),
            tables_true=added("tables_true"),
            order=added("order"),
            running=added("running"),
        )


def squashed(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def scores_of(label: Label, blocks: Sequence[Block]) -> Scores:
    """Compare the blocks of one document, in the order they were read, with its label."""
    misses: list[str] = []
    titles = [(depth, squashed(text)) for category, depth, text in blocks if category == "title"]
    unclaimed = list(titles)
    found = at_depth = 0
    for depth, text in label.headings:
        match = next((one for one in unclaimed if one[1] == squashed(text)), None)
        if match is None:
            misses.append(f"heading missed: {text}")
            continue
        unclaimed.remove(match)
        found += 1
        at_depth += match[0] == depth
        if match[0] != depth:
            misses.append(f"level {match[0]} instead of {depth}: {text}")
    misses.extend(f"no heading: {text[:70]}" for _, text in unclaimed)
    cells, rows, tables_true = _tables(label, blocks, misses)
    return Scores(
        (found, len(label.headings)),
        (len(titles) - len(unclaimed), len(titles)),
        (at_depth, found),
        cells,
        rows,
        tables_true,
        _order(label, blocks, misses),
        _running(label, blocks, misses),
        tuple(misses),
    )


def _tables(
    label: Label, blocks: Sequence[Block], misses: list[str]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    read = [
        [[squashed(cell) for cell in _BETWEEN_CELLS.split(line)] for line in text.split("\n")]
        for category, _, text in blocks
        if category == "table"
    ]
    counted = [Counter(cell for row in table for cell in row if cell) for table in read]
    cells = rows = all_cells = all_rows = 0
    true: set[int] = set()
    for number, table in enumerate(label.tables):
        wanted = Counter(squashed(cell) for row in table for cell in row if squashed(cell))
        shared = [(wanted & have).total() for have in counted]
        best = max(range(len(read)), key=shared.__getitem__, default=None)
        all_cells += wanted.total()
        all_rows += len(table)
        if best is None or not shared[best]:
            misses.append(f"table {number + 1} missed: {' | '.join(table[0])}")
            continue
        cells += shared[best]
        true.update(at for at, count in enumerate(shared) if 2 * count >= min(wanted.total(), counted[at].total()))
        lines = [_bare(row) for row in read[best]]
        for row in table:
            right = _bare([squashed(cell) for cell in row]) in lines
            rows += right
            if not right:
                misses.append(f"row missed in table {number + 1}: {' | '.join(row)[:90]}")
    return (cells, all_cells), (rows, all_rows), (len(true), len(read))


def _bare(row: Sequence[str]) -> tuple[str, ...]:
    """A row without the empty cells at its end, which no line shows."""
    end = len(row)
    while end and not row[end - 1]:
        end -= 1
    return tuple(row[:end])


def _order(label: Label, blocks: Sequence[Block], misses: list[str]) -> tuple[int, int]:
    text = "".join(squashed(text) for _, _, text in blocks)
    places: list[int] = []
    for start in label.starts:
        # Searched from the last place first: what is repeated stands where it is expected, if it stands there.
        place = text.find(squashed(start), places[-1] + 1 if places else 0)
        place = place if place >= 0 else text.find(squashed(start))
        if place < 0:
            misses.append(f"not found: {start}")
            continue
        places.append(place)
    piles: list[int] = []
    for place in places:
        at = bisect_left(piles, place)
        piles[at : at + 1] = [place]
    if len(piles) < len(places):
        misses.append(f"{len(places) - len(piles)} paragraphs out of order")
    return len(piles), len(label.starts)


def _running(label: Label, blocks: Sequence[Block], misses: list[str]) -> tuple[int, int]:
    texts = [squashed(text) for category, _, text in blocks if category not in ("header", "footer")]
    seen = [one for one in label.running if any(squashed(one) in text for text in texts)]
    misses.extend(f"running title in the text: {one}" for one in seen)
    return len(label.running) - len(seen), len(label.running)
