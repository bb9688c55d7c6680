"""Tables whose cells are framed by drawn lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

_THIN: Final = 2.5  # points: thicker is a bar
_TOUCH: Final = 3.0  # points: lines nearer than that meet
_MAX_RULES: Final = 1500


class Placed(Protocol):
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class RuledTable:
    """Rows of cells; each cell lists indexes of the fragments that stand in it."""

    cells: list[list[list[int]]]


def ruled_tables(rules: NDArray[np.float64], fragments: Sequence[Placed]) -> Iterator[RuledTable]:
    """At most one table, the largest first, is yielded at a time: indexes hold until the caller changes its list.

    A grid needs lines both ways, and text in at least two rows and two columns; a frame around a paragraph is none.
    """
    wide = rules[:, 2] - rules[:, 0]
    high = rules[:, 3] - rules[:, 1]
    across = rules[(high <= _THIN) & (wide > 8)]
    down = rules[(wide <= _THIN) & (high > 5)]
    if len(across) < 3 or len(down) < 3 or len(across) + len(down) > _MAX_RULES:
        return
    grids = _grids(across, down)
    taken: list[RuledTable] = []
    used: set[int] = set()
    for xs, ys in grids:
        cells: list[list[list[int]]] = [[[] for _ in xs[1:]] for _ in ys[1:]]
        for at, fragment in enumerate(fragments):
            x, y = fragment.x0 + 0.5, (fragment.y0 + fragment.y1) / 2
            if at in used or not (xs[0] - 1 <= x <= xs[-1] and ys[0] - 1 <= y <= ys[-1]):
                continue
            if fragment.x1 > xs[-1] + _TOUCH:
                continue
            column = int(np.searchsorted(xs[1:-1], x, side="right"))
            row = int(np.searchsorted(ys[1:-1], y, side="right"))
            cells[row][column].append(at)
        filled = [row for row in cells if any(row)]
        columns = [c for c in range(len(xs) - 1) if any(row[c] for row in filled)]
        if len(filled) < 2 or len(columns) < 2:
            continue
        table = RuledTable([[row[c] for c in columns] for row in filled])
        used.update(at for row in table.cells for cell in row for at in cell)
        taken.append(table)
    yield from _renumbered(taken, len(fragments))


def _renumbered(tables: Sequence[RuledTable], count: int) -> Iterator[RuledTable]:
    """Each table's indexes as they are once the tables before it were taken out and put at the end of the list."""
    order = list(range(count))
    for table in tables:
        place = {original: at for at, original in enumerate(order)}
        yield RuledTable([[[place[at] for at in cell] for cell in row] for row in table.cells])
        gone = {at for row in table.cells for cell in row for at in cell}
        order = [original for original in order if original not in gone] + [-1]


def _grids(
    across: NDArray[np.float64], down: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Column and row borders of each group of lines that meet."""
    lines = np.concatenate([across, down])
    group = np.arange(len(lines))
    for at in range(len(lines)):
        box = lines[at]
        meets = (
            (lines[:, 0] <= box[2] + _TOUCH)
            & (lines[:, 2] >= box[0] - _TOUCH)
            & (lines[:, 1] <= box[3] + _TOUCH)
            & (lines[:, 3] >= box[1] - _TOUCH)
        )
        touched = np.unique(group[meets])
        group[np.isin(group, touched)] = touched[0]
    found = []
    for label in np.unique(group):
        members = group == label
        ys = _merged(((across[:, 1] + across[:, 3]) / 2)[members[: len(across)]])
        xs = _merged(((down[:, 0] + down[:, 2]) / 2)[members[len(across) :]])
        if len(xs) >= 3 and len(ys) >= 3:
            found.append((xs, ys))
    return sorted(found, key=lambda grid: float(grid[1][0]))


def _merged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    kept: list[float] = []
    for value in sorted(values.tolist()):
        if not kept or value - kept[-1] > _TOUCH:
            kept.append(value)
    return np.array(kept)
