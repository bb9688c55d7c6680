"""Rows of spreadsheets and CSV files as tables of a few rows, each with its header line and its row numbers."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import openpyxl

from ingest.canonical import Block

ROWS_PER_BLOCK: Final = 20  # about what one chunk holds, so that a row is always read with its header
MAX_COLUMNS: Final = 2000
_MAX_CELL_CHARS: Final = 20_000
_MAX_HEADER_ROWS: Final = 3
_DELIMITERS: Final = ",;\t|"
_NUMBER: Final = re.compile(r"[-+(]?[\d.,\s]*\d\)?\s*[%€$£]?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")

Row = tuple[int, list[str]]  # number as the program shows it, from 1; cells


def csv_blocks(text: str, *, delimiter: str | None = None) -> Iterator[Block]:
    """Blocks of a CSV text, its delimiter found by trying."""
    csv.field_size_limit(_MAX_CELL_CHARS * 100)
    delimiter = delimiter or _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = ((number, [_clean(cell) for cell in row]) for number, row in enumerate(reader, 1))
    yield from _area_blocks([row for row in rows if any(row[1])], {})


def _delimiter(text: str) -> str:
    """The delimiter that divides the first lines into the most even columns."""
    sample = "\n".join(text.split("\n", 60)[:60])[:100_000]

    def evenness(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row]
        except csv.Error:
            return 0.0, 0
        usual = max(set(widths), key=widths.count) if widths else 1
        return (widths.count(usual) / len(widths), usual) if usual > 1 else (0.0, 0)

    best = max(_DELIMITERS, key=evenness)
    return best if evenness(best)[1] > 1 else ","


def xlsx_blocks(path: Path) -> tuple[list[Block], list[str], str]:
    """Blocks of a workbook's visible sheets, warnings, and the workbook's own title."""
    # by its bytes: given a path, openpyxl asks for a file name that ends in .xlsx, and a snapshot's does not
    workbook = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True, keep_links=False)
    blocks: list[Block] = []
    hidden: list[str] = []
    try:
        title = str(workbook.properties.title or "")
        for sheet in workbook.worksheets:
            if sheet.sheet_state != "visible":
                hidden.append(sheet.title)
                continue
            sheet.reset_dimensions()  # what a file declares may be a lie of a million columns
            blocks.extend(sheet_blocks(_sheet_rows(sheet), str(sheet.title)))
    finally:
        workbook.close()
    warnings = [f"Hidden sheets are not read: {', '.join(map(repr, hidden))}."] if hidden else []
    return blocks, warnings, title


def sheet_blocks(rows: Iterable[Row], sheet: str) -> Iterator[Block]:
    """Blocks of one sheet, whatever program it is from."""
    for area in _with_headers(_areas(rows)):
        yield from _area_blocks(area, {"sheet": sheet})


def _sheet_rows(sheet: Any) -> Iterator[Row]:
    for number, cells in enumerate(sheet.iter_rows(), 1):  # given max_col, openpyxl fills every row up to it
        row = [_shown(cell) for cell in cells[:MAX_COLUMNS]]
        while row and not row[-1]:
            row.pop()
        yield number, row


def _shown(cell: Any) -> str:
    """A cell's value about as the program shows it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        style = str(getattr(cell, "number_format", "") or "")
        if "%" in style:
            decimals = len(style.partition(".")[2].partition("%")[0])
            return f"{value * 100:.{decimals}f}%"
        return format(value, ".15g") if isinstance(value, float) else str(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "minutes")
    return _clean(str(value))


def _clean(cell: str) -> str:
    return " ".join(cell.split())[:_MAX_CELL_CHARS]


def _areas(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Runs of rows without an empty row between them."""
    for filled, area in itertools.groupby(rows, key=lambda row: any(row[1])):
        if filled:
            yield list(area)


def _with_headers(areas: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """Areas, with a header that an empty row sets off from its numbers put on top of them again."""
    header: list[Row] = []
    for area in areas:
        if header and area[0][0] == header[-1][0] + 2 and any(map(_NUMBER.fullmatch, area[0][1][1:])):
            area = header + area
        elif header:
            yield header
        header = []
        short = len(area) <= _MAX_HEADER_ROWS and all(sum(map(bool, cells)) > 1 for _, cells in area)
        if short and not any(_NUMBER.fullmatch(cell) for _, cells in area for cell in cells):
            header = area
        else:
            yield area
    if header:
        yield header


def _area_blocks(area: Sequence[Row], place: dict[str, str | int]) -> Iterator[Block]:
    """One area: lines of a single cell are text, the rest is a table under its first row."""
    first = next((at for at, (_, cells) in enumerate(area) if sum(map(bool, cells)) > 1), None)
    if first is None and len(area) >= 3:
        first = 0  # a list in one column
    for number, cells in area if first is None else area[:first]:
        yield Block("text", " ".join(filter(None, cells)), place={**place, "first_row": number, "last_row": number})
    if first is not None:
        yield from _table_blocks(area[first:], place)


def _table_blocks(rows: Sequence[Row], place: dict[str, str | int]) -> Iterator[Block]:
    if not rows:
        return
    left = min(next(at for at, cell in enumerate(cells) if cell) for _, cells in rows)
    width = max(len(cells) for _, cells in rows)
    used = [c for c in range(left, width) if any(c < len(cells) and cells[c] for _, cells in rows)]
    lines = [
        (number, " | ".join(cells[c] if c < len(cells) else "" for c in used).rstrip(" |")) for number, cells in rows
    ]
    above = _header_rows(rows, len(used))
    header = [line for _, line in lines[:above]]
    body = lines[above:]
    for at in range(0, len(body), ROWS_PER_BLOCK):
        block = body[at : at + ROWS_PER_BLOCK]
        start = lines[0][0] if at == 0 else block[0][0]
        yield Block(
            "table",
            "\n".join([*header, *(line for _, line in block)]),
            place={**place, "first_row": start, "last_row": block[-1][0]},
        )


def _header_rows(rows: Sequence[Row], columns: int) -> int:
    """How many rows name the columns: the first, and those that fill the gaps it leaves, down to the first number."""
    numbered = [any(_NUMBER.fullmatch(cell) for cell in cells) for _, cells in rows[: _MAX_HEADER_ROWS + 1]]
    if len(rows) < 2 or numbered[0]:
        return 0
    if sum(map(bool, rows[0][1])) < columns and True in numbered:
        return numbered.index(True)
    return 1
