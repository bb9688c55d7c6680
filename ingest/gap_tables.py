"""Tables without ruling lines: rows whose cells stand below each other, told by the gaps between them."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.page_text import BULLET, NUMBERED, Fragment, Line, table_fragment


def _cells(line: Line) -> list[Line]:
    """The parts of a line that wide gaps separate."""
    groups: list[list[Fragment]] = []
    for fragment in line.fragments:
        if groups and fragment.x0 - groups[-1][-1].x1 <= 0.9 * max(fragment.size, groups[-1][-1].size):
            groups[-1].append(fragment)
        else:
            groups.append([fragment])
    return [Line(group, line.page) for group in groups]


def with_gap_tables(lines: list[Line]) -> list[Line]:
    """Put one line that is a table in the place of lines whose cells stand below each other."""
    found: list[Line] = []
    at = 0
    while at < len(lines):
        rows, end = _aligned(lines, at)
        if rows:
            inside = [f for line in lines[at:end] for f in line.fragments]
            found.append(Line([table_fragment(rows, inside)], lines[at].page))
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
    if len(columns) == 2 and _is_list(full):
        return [], at
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


def _is_list(rows: list[list[Line]]) -> bool:
    """Whether rows of two cells are items of a list whose markers stand apart."""
    if all(BULLET.match(row[0].text + " ") or NUMBERED.match(row[0].text + " ") for row in rows):
        return True
    markers = [row[0].text.strip() for row in rows]
    if not all(marker.isascii() and marker.isdigit() for marker in markers):
        return False
    numbers = [int(marker) for marker in markers]
    sentences = sum(len(row[-1].text.split()) >= 4 for row in rows)
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and 2 * sentences > len(rows)


def _merged_columns(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged
