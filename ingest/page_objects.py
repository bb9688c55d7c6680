"""What a PDF page draws beside its text: pictures and filled shapes, in drawing order. Runs only in the child."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

_MAX_OBJECTS: Final = 4000  # beyond, a page is a drawing; what it holds is not looked at one by one
_MAX_DEPTH: Final = 3  # of forms within forms
_GRID: Final = 64
_OPAQUE: Final = 128

Rectangle = tuple[float, float, float, float]
Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The objects of a page; boxes are points as displayed, origin top left, and `order` tells what lies on what."""

    pictures: NDArray[np.float64]  # (n, 4)
    fills: NDArray[np.float64]  # (m, 4) filled shapes
    colours: NDArray[np.int64]  # (m, 3) red, green, blue of 255; -1 where a pattern fills the shape
    fill_order: NDArray[np.int64]  # (m,)
    order: dict[int, int]  # by address of a text's object
    paths: int
    objects: int  # looked at beside the text; at most 4000

    def pictured(self, width: float, height: float) -> float:
        """Share of the page that pictures cover, 0 to 1."""
        return _covered(self.pictures, width, height)

    def largest_picture(self, width: float, height: float) -> float:
        """Share of the page that the largest picture covers, 0 to 1."""
        return max((_covered(box[None], width, height) for box in self.pictures), default=0.0)


def read_objects(page: Any, displayed: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Drawn:
    """Look at all objects of a page, also of those within forms.

    Args:
        page: as pypdfium2 wraps it.
        displayed: turns (n, 4) left, bottom, right, top in user space into x0, y0, x1, y1 as displayed.
    """
    pictures: list[Rectangle] = []
    fills: list[Rectangle] = []
    colours: list[tuple[int, int, int]] = []
    fill_order: list[int] = []
    order: dict[int, int] = {}
    seen = paths = 0
    bounds = tuple(ctypes.c_float() for _ in range(4))
    places = tuple(map(ctypes.byref, bounds))
    matrix = raw.FS_MATRIX()

    def walk(count: int, get: Callable[[int], Any], outer: Affine, depth: int) -> None:
        nonlocal seen, paths
        for i in range(count):
            if seen >= _MAX_OBJECTS:
                return
            drawn = get(i)
            if not drawn:
                continue
            kind = raw.FPDFPageObj_GetType(drawn)
            if kind == raw.FPDF_PAGEOBJ_TEXT:
                order[ctypes.addressof(drawn.contents)] = len(order) + seen
                continue
            seen += 1
            if kind == raw.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
                raw.FPDFPageObj_GetMatrix(drawn, ctypes.byref(matrix))
                inner = _times((matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f), outer)
                inside = raw.FPDFFormObj_CountObjects(drawn)
                if inside > 0:
                    walk(inside, partial(raw.FPDFFormObj_GetObject, drawn), inner, depth + 1)
                continue
            if not raw.FPDFPageObj_GetBounds(drawn, *places):
                continue
            box = _moved((bounds[0].value, bounds[1].value, bounds[2].value, bounds[3].value), outer)
            if kind != raw.FPDF_PAGEOBJ_PATH:
                pictures.append(box)
                continue
            paths += 1
            colour = _fill(drawn)
            if colour is not None:
                fills.append(box)
                colours.append(colour)
                fill_order.append(len(order) + seen)

    walk(raw.FPDFPage_CountObjects(page), partial(raw.FPDFPage_GetObject, page), (1, 0, 0, 1, 0, 0), 0)
    return Drawn(
        pictures=displayed(np.array(pictures, np.float64).reshape(-1, 4)),
        fills=displayed(np.array(fills, np.float64).reshape(-1, 4)),
        colours=np.array(colours, np.int64).reshape(-1, 3),
        fill_order=np.array(fill_order, np.int64),
        order=order,
        paths=paths,
        objects=seen,
    )


def colour_of(drawn: Any) -> tuple[int, int, int, int] | None:
    """Red, green, blue and alpha that fill an object, of 255; None where no plain colour does."""
    parts = tuple(ctypes.c_uint() for _ in range(4))
    if not raw.FPDFPageObj_GetFillColor(drawn, *map(ctypes.byref, parts)):
        return None
    return parts[0].value, parts[1].value, parts[2].value, parts[3].value


def _fill(drawn: Any) -> tuple[int, int, int] | None:
    """The colour of a filled, opaque path; (-1, -1, -1) for a pattern; None when it is not filled."""
    filled, stroked = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(drawn, ctypes.byref(filled), ctypes.byref(stroked))
    if not filled.value:
        return None
    colour = colour_of(drawn)
    if colour is None:
        return (-1, -1, -1)
    return colour[:3] if colour[3] >= _OPAQUE else None


def _times(inner: Affine, outer: Affine) -> Affine:
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _moved(box: Rectangle, matrix: Affine) -> Rectangle:
    a, b, c, d, e, f = matrix
    corners = [(x * a + y * c + e, x * b + y * d + f) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _covered(boxes: NDArray[np.float64], width: float, height: float) -> float:
    grid = np.zeros((_GRID, _GRID), np.bool_)
    for x0, y0, x1, y1 in np.clip(boxes / np.array([width, height] * 2), 0.0, 1.0) * _GRID:
        grid[round(y0) : round(y1), round(x0) : round(x1)] = True
    return float(grid.mean())
