"""What a PDF page draws beside its text: pictures, shapes and rules, in drawing order. Runs only in the child."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

from ingest.plain_calls import address_of, plain

MOST_OBJECTS: Final = 4000  # beyond, a page is a drawing; what it holds is not looked at one by one
_MAX_DEPTH: Final = 3  # of forms within forms
_GRID: Final = 64
_OPAQUE: Final = 128
RULE_POINTS: Final = 2.5  # no thicker is a ruling line
_MAX_CORNERS: Final = 8  # of a line or rectangle; what has more may be a hatching that covers

Rectangle = tuple[float, float, float, float]
Affine = tuple[float, float, float, float, float, float]
_IDENTITY: Final[Affine] = (1, 0, 0, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The objects of a page; boxes are points as displayed, origin top left, and `order` tells what lies on what."""

    pictures: NDArray[np.float64]  # (n, 4)
    fills: NDArray[np.float64]  # (m, 4) filled shapes
    colours: NDArray[np.int64]  # (m, 3) red, green, blue of 255; -1 where a pattern fills the shape
    fill_order: NDArray[np.int64]  # (m,)
    paths: NDArray[np.float64]  # (p, 4) all shapes, with what is only outlined
    path_colours: NDArray[np.int64]  # (p, 3) of plain opaque fills; -1 where another colour may show
    path_order: NDArray[np.int64]  # (p,)
    painted: NDArray[np.float64]  # (p,) share of each shape's box that it may paint, 0 to 1
    notes: NDArray[np.float64]  # (a, 4) annotations that are drawn, after all else
    order: dict[int, int]  # by address of a text's object
    nested: frozenset[int]  # addresses of texts within forms
    rules: NDArray[np.float64]  # (r, 4) the straight lines drawn on the page, at most 2.5 points thin
    objects: int  # looked at beside the text; at most 4000

    def pictured(self, width: float, height: float) -> float:
        """Share of the page that pictures cover, 0 to 1."""
        return _covered(self.pictures, width, height)


class _PDFium(NamedTuple):
    on_page: Callable[..., int]
    in_form: Callable[..., int]
    kind: Callable[..., int]
    bounds: Callable[..., int]
    draw_mode: Callable[..., int]
    colour: Callable[..., int]
    transparent: Callable[..., int]
    stroke_width: Callable[..., int]
    segments: Callable[..., int]
    matrix: Callable[..., int]


@lru_cache(maxsize=1)
def _pdfium() -> _PDFium:
    address, number, place = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    return _PDFium(
        plain("FPDFPage_GetObject", place, address, number),
        plain("FPDFFormObj_GetObject", place, address, ctypes.c_ulong),
        plain("FPDFPageObj_GetType", number, address),
        plain("FPDFPageObj_GetBounds", number, address, address, address, address, address),
        plain("FPDFPath_GetDrawMode", number, address, address, address),
        plain("FPDFPageObj_GetFillColor", number, address, address, address, address, address),
        plain("FPDFPageObj_HasTransparency", number, address),
        plain("FPDFPageObj_GetStrokeWidth", number, address, address),
        plain("FPDFPath_CountSegments", number, address),
        plain("FPDFPageObj_GetMatrix", number, address, address),
    )


def read_objects(page: Any, displayed: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Drawn:
    """Look at all objects of a page, also of those within forms.

    Args:
        page: as pypdfium2 wraps it.
        displayed: turns (n, 4) left, bottom, right, top in user space into x0, y0, x1, y1 as displayed.
    """
    found = _Found()
    found.walk(address_of(page), max(0, raw.FPDFPage_CountObjects(page)), _pdfium().on_page, -1, 0)
    bounds, known = _bounds(found)
    is_path = np.array(found.kinds, np.int64) == raw.FPDF_PAGEOBJ_PATH
    order = np.array(found.orders, np.int64)
    paths, pictures = np.flatnonzero(is_path & known), np.flatnonzero(~is_path & known)
    handles = [found.leaves[i] for i in paths.tolist()]
    paint = _paint(handles, bounds[paths])
    top = np.array(found.matrix_of, np.int64)[paths] < 0
    shown = displayed(bounds)
    boxes = shown[paths]
    rules: NDArray[np.float64] = np.zeros((0, 4))
    if len(paths) < MOST_OBJECTS:
        wide = bounds[paths]
        thin = np.minimum(wide[:, 2] - wide[:, 0], wide[:, 3] - wide[:, 1]) <= RULE_POINTS
        drawn_round = np.flatnonzero(top & ~thin & paint.stroked)
        edges = [edge for i in drawn_round.tolist() for edge in _edges(handles[i])]
        rules = np.concatenate([boxes[top & thin], displayed(np.array(edges, np.float64).reshape(-1, 4))])
    solid = paint.filled & ((paint.colours[:, 3] >= _OPAQUE) | (paint.colours[:, 3] < 0))
    return Drawn(
        pictures=shown[pictures],
        fills=boxes[solid],
        colours=paint.colours[solid, :3],
        fill_order=order[paths][solid],
        paths=boxes,
        path_colours=paint.plain,
        path_order=order[paths],
        painted=paint.share,
        notes=displayed(_notes(page)),
        order=found.texts,
        nested=frozenset(found.nested),
        rules=rules,
        objects=len(found.leaves) + len(found.matrices),
    )


@dataclass(slots=True)
class _Found:
    """What a walk finds: texts, and `leaves`, all objects but texts and forms, with what belongs to each."""

    leaves: list[int] = field(default_factory=list)  # addresses
    kinds: list[int] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    matrix_of: list[int] = field(default_factory=list)  # index into matrices; -1 on the page itself
    matrices: list[Affine] = field(default_factory=list)  # of forms
    texts: dict[int, int] = field(default_factory=dict)
    nested: set[int] = field(default_factory=set)

    def walk(self, holder: int, count: int, get: Callable[..., int], outer: int, depth: int) -> None:
        pdfium = _pdfium()
        handles = list(map(get, repeat(holder), range(count)))
        for handle, kind in zip(handles, map(pdfium.kind, handles), strict=True):
            seen = len(self.leaves) + len(self.matrices)
            if seen >= MOST_OBJECTS:
                return
            if kind == raw.FPDF_PAGEOBJ_TEXT:
                self.texts[handle] = len(self.texts) + seen
                if depth:
                    self.nested.add(handle)
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
                matrix = (ctypes.c_float * 6)()
                pdfium.matrix(handle, ctypes.addressof(matrix))
                self.matrices.append(_times(tuple(matrix), self.matrices[outer] if outer >= 0 else _IDENTITY))
                inside = raw.FPDFFormObj_CountObjects(ctypes.cast(handle, raw.FPDF_PAGEOBJECT))
                self.walk(handle, max(0, inside), pdfium.in_form, len(self.matrices) - 1, depth + 1)
            else:
                self.leaves.append(handle)
                self.kinds.append(kind)
                self.orders.append(len(self.texts) + seen)
                self.matrix_of.append(outer)


def _bounds(found: _Found) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, 4) left, bottom, right, top of all leaves on the page, and whether PDFium knows them."""
    n = len(found.leaves)
    boxes = np.zeros((n, 4), np.float32)
    begin = boxes.ctypes.data
    places = (range(begin + offset, begin + offset + 16 * n, 16) for offset in (0, 4, 8, 12))
    known = np.fromiter(map(_pdfium().bounds, found.leaves, *places), np.int64, n) != 0
    wide = boxes.astype(np.float64)
    for i, outer in enumerate(found.matrix_of):
        if outer >= 0:
            wide[i] = _moved(wide[i].tolist(), found.matrices[outer])
    return wide, known


class _Paint(NamedTuple):
    """How paths are painted."""

    filled: NDArray[np.bool_]
    stroked: NDArray[np.bool_]
    colours: NDArray[np.int64]  # (n, 4) red, green, blue, alpha that fill it; -1 for a pattern
    plain: NDArray[np.int64]  # (n, 3) of opaque fills without an outline that could hide their colour; -1 elsewhere
    share: NDArray[np.float64]  # of its box that each may paint


def _paint(handles: list[int], bounds: NDArray[np.float64]) -> _Paint:
    pdfium, n = _pdfium(), len(handles)
    modes = np.zeros((n, 2), np.int32)
    begin = modes.ctypes.data
    deque(map(pdfium.draw_mode, handles, range(begin, begin + 8 * n, 8), range(begin + 4, begin + 4 + 8 * n, 8)),
          maxlen=0)  # fmt: skip
    filled, stroked = modes[:, 0] != 0, modes[:, 1] != 0
    colours = fill_colours(handles)
    through = np.fromiter(map(pdfium.transparent, handles), np.int64, n) != 0
    plain_fill = filled & ~through & (colours[:, 3] == 255)
    # An outline without many corners paints its edges alone, as wide as its pen.
    share = np.ones(n)
    for i in np.flatnonzero(stroked & ~filled).tolist():
        if pdfium.segments(handles[i]) <= _MAX_CORNERS:
            left, bottom, right, top = bounds[i].tolist()
            if (area := (right - left) * (top - bottom)) > 0:
                share[i] = min(1.0, 2 * (right - left + top - bottom) * _pen(handles[i]) / area)
    share[~filled & ~stroked] = 0.0
    return _Paint(filled, stroked, colours, np.where(plain_fill[:, None], colours[:, :3], -1), share)


def _pen(path: int) -> float:
    """How wide a path's outline is at most, in points."""
    width, matrix = ctypes.c_float(), (ctypes.c_float * 6)()
    _pdfium().stroke_width(path, ctypes.addressof(width))
    _pdfium().matrix(path, ctypes.addressof(matrix))
    return max(1.0, width.value * max(abs(value) for value in matrix[:4]) * 1.5)


def fill_colours(handles: Sequence[int]) -> NDArray[np.int64]:
    """(n, 4) red, green, blue and alpha that fill objects, of 255; -1 where no plain colour does."""
    n = len(handles)
    colours = np.zeros((n, 4), np.uint32)
    begin = colours.ctypes.data
    places = (range(begin + offset, begin + offset + 16 * n, 16) for offset in (0, 4, 8, 12))
    known = np.fromiter(map(_pdfium().colour, handles, *places), np.int64, n) != 0
    return np.where(known[:, None], colours.astype(np.int64), -1)


def _edges(path: int) -> list[Rectangle]:
    """The straight lines of an outlined path, in user space."""
    drawn = ctypes.cast(path, raw.FPDF_PAGEOBJECT)
    segments = raw.FPDFPath_CountSegments(drawn)
    if not 2 <= segments <= 400:
        return []
    matrix = raw.FS_MATRIX()
    raw.FPDFPageObj_GetMatrix(drawn, ctypes.byref(matrix))
    x, y = ctypes.c_float(), ctypes.c_float()
    found = []
    before = start = (0.0, 0.0)
    for i in range(segments):
        segment = raw.FPDFPath_GetPathSegment(drawn, i)
        raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y))
        here = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_BEZIERTO:
            return []
        if kind == raw.FPDF_SEGMENT_MOVETO:
            start = here
        else:
            found.append((before, here))
        before = here
        if raw.FPDFPathSegment_GetClose(segment):
            found.append((here, start))
    return [
        (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
        for a, b in found
        if abs(a[0] - b[0]) < 1 or abs(a[1] - b[1]) < 1
    ]


def _notes(page: Any) -> NDArray[np.float64]:
    """(n, 4) left, bottom, right, top of the annotations that draw something."""
    boxes = []
    bounds = raw.FS_RECTF()
    for i in range(min(max(0, raw.FPDFPage_GetAnnotCount(page)), MOST_OBJECTS)):
        note = raw.FPDFPage_GetAnnot(page, i)
        if not note:
            continue
        quiet = raw.FPDFAnnot_GetSubtype(note) in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP, raw.FPDF_ANNOT_WIDGET)
        if (not quiet or raw.FPDFAnnot_HasKey(note, b"AP")) and raw.FPDFAnnot_GetRect(note, ctypes.byref(bounds)):
            boxes.append((bounds.left, bounds.bottom, bounds.right, bounds.top))
        raw.FPDFPage_CloseAnnot(note)
    return np.array(boxes, np.float64).reshape(-1, 4)


def _times(inner: Sequence[float], outer: Affine) -> Affine:
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _moved(box: Sequence[float], matrix: Affine) -> Rectangle:
    a, b, c, d, e, f = matrix
    corners = [(x * a + y * c + e, x * b + y * d + f) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _covered(boxes: NDArray[np.float64], width: float, height: float) -> float:
    grid = np.zeros((_GRID, _GRID), np.bool_)
    for x0, y0, x1, y1 in np.clip(boxes / np.array([width, height] * 2), 0.0, 1.0) * _GRID:
        grid[round(y0) : round(y1), round(x0) : round(x1)] = True
    return float(grid.mean())
