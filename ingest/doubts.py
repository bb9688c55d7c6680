"""Whether what a PDF page draws gives a reason to doubt that its text is seen. Runs only in the child.

Only a picture of the page shows what is seen, and to render one costs as much as to read a page. Most pages set dark
letters on paper, with nothing over them: these need none. Each question here is put so that a doubt is rather raised
than overlooked: a style is called hidden when no more than a third of its letters leave a trace, and doubted before.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

from ingest.page_objects import Drawn
from ingest.page_text import Page
from ingest.plain_calls import plain

_CONTRAST: Final = 64  # of 255: thin letters in a colour nearer to their background's may leave no trace at all
_SMALL_POINTS: Final = 3.0  # thin as a hair when rendered
_OVERLAP: Final = 0.2  # share of a style's box that others may cover without doubt
_CUT_OFF: Final = 0.3  # share of a style's box that a clip may leave out without doubt
_MOST_PAIRS: Final = 4_000_000
_EXACT: Final = 0.05  # points


class _PDFium(NamedTuple):
    mode: Callable[..., int]
    transparent: Callable[..., int]
    marks: Callable[..., int]
    mark: Callable[..., int]
    mark_name: Callable[..., int]
    clip: Callable[..., int]
    clips: Callable[..., int]
    corners: Callable[..., int]
    corner: Callable[..., int]
    point: Callable[..., int]
    corner_kind: Callable[..., int]
    font: Callable[..., int]
    embedded: Callable[..., int]
    font_data: Callable[..., int]


@lru_cache(maxsize=1)
def _pdfium() -> _PDFium:
    address, number, place = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    return _PDFium(
        plain("FPDFTextObj_GetTextRenderMode", number, address),
        plain("FPDFPageObj_HasTransparency", number, address),
        plain("FPDFPageObj_CountMarks", number, address),
        plain("FPDFPageObj_GetMark", place, address, ctypes.c_ulong),
        plain("FPDFPageObjMark_GetName", number, address, address, ctypes.c_ulong, address),
        plain("FPDFPageObj_GetClipPath", place, address),
        plain("FPDFClipPath_CountPaths", number, address),
        plain("FPDFClipPath_CountPathSegments", number, address, number),
        plain("FPDFClipPath_GetPathSegment", place, address, number, number),
        plain("FPDFPathSegment_GetPoint", number, address, address, address),
        plain("FPDFPathSegment_GetType", number, address),
        plain("FPDFTextObj_GetFont", place, address),
        plain("FPDFFont_GetIsEmbedded", number, address),
        plain("FPDFFont_GetFontData", number, address, address, place, address),
    )


def render_modes(texts: Sequence[int]) -> NDArray[np.int64]:
    """(n,) how each text is drawn, by its address: 0 filled, 3 not at all, 4 to 7 as a clip of what follows."""
    return np.fromiter(map(_pdfium().mode, texts), np.int64, len(texts))


def doubted(
    page: Page,
    drawn: Drawn,
    styles: NDArray[np.int64],
    boxes: NDArray[np.float64],
    colours: NDArray[np.int64],
    displayed: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> bool:
    """Whether text of any of these styles may leave no trace in a picture of the page.

    Args:
        styles: (n,) indexes into the page's styles.
        boxes: (n, 4) around the letters of each.
        colours: (n, 4) that fill each, of 255; -1 where no plain colour does.
        displayed: turns (n, 4) left, bottom, right, top in user space into x0, y0, x1, y1 as displayed.
    """
    texts = [page.styles[at].run for at in styles.tolist()]
    if any(text in drawn.nested or text not in drawn.order for text in texts):
        return True
    if (render_modes(texts) != 0).any() or (render_modes(list(drawn.order)) >= 4).any():
        return True
    if (colours[:, 3] < 0).any() or (255 - colours[:, :3].min(axis=1) < _CONTRAST).any():
        return True
    if min(page.styles[at].size for at in styles.tolist()) < _SMALL_POINTS:
        return True
    return (
        any(map(_pdfium().transparent, texts))
        or _may_be_switched_off(texts)
        or _drawn_letters(texts)
        or _covered(boxes, colours, np.array([drawn.order[text] for text in texts]), drawn)
        or _clipped(texts, boxes, displayed)
    )


def _may_be_switched_off(texts: Sequence[int]) -> bool:
    """Whether any stands in content that is marked as optional."""
    pdfium = _pdfium()
    name = ctypes.create_string_buffer(16)
    length = ctypes.c_ulong()
    places = ctypes.addressof(name), 16, ctypes.addressof(length)
    for text, count in zip(texts, map(pdfium.marks, texts), strict=True):
        for i in range(count):
            if pdfium.mark_name(pdfium.mark(text, i), *places) and name.raw[: length.value] == _OPTIONAL:
                return True
    return False


_OPTIONAL: Final = "OC\0".encode("utf-16-le")


def _drawn_letters(texts: Sequence[int]) -> bool:
    """Whether a font draws its letters by operations of their own (Type 3): those may draw nothing."""
    pdfium = _pdfium()
    length = ctypes.c_size_t()
    for font in set(map(pdfium.font, texts)):
        if font and pdfium.embedded(font) == 1:
            length.value = 0
            if not pdfium.font_data(font, 0, 0, ctypes.addressof(length)) or not length.value:
                return True
    return False


def _covered(boxes: NDArray[np.float64], colours: NDArray[np.int64], order: NDArray[np.int64], drawn: Drawn) -> bool:
    """Whether pictures, shapes over the text, or shapes of much the same colour beneath it share its place."""
    area = np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1e-6)
    shared = np.zeros(len(boxes))
    above = np.concatenate([drawn.pictures, drawn.notes])
    if len(boxes) * (len(above) + len(drawn.paths)) > _MOST_PAIRS:
        return True
    if len(above):
        shared += _overlaps(boxes, above).sum(axis=1)
    if len(drawn.paths):
        share = _overlaps(boxes, drawn.paths) * drawn.painted
        relevant = np.flatnonzero(share.any(axis=0))
        unlike = np.abs(colours[:, None, :3] - drawn.path_colours[None, relevant]).max(axis=2) >= _CONTRAST
        harmless = unlike & (drawn.path_colours[relevant, 0] >= 0) & (drawn.path_order[relevant] < order[:, None])
        shared += np.where(harmless, 0.0, share[:, relevant]).sum(axis=1)
    return bool((shared > _OVERLAP * area).any())


def _overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) areas that n boxes share with m others."""
    wide = np.minimum(boxes[:, None, 2], others[:, 2]) - np.maximum(boxes[:, None, 0], others[:, 0])
    high = np.minimum(boxes[:, None, 3], others[:, 3]) - np.maximum(boxes[:, None, 1], others[:, 1])
    shared: NDArray[np.float64] = np.maximum(wide, 0) * np.maximum(high, 0)
    return shared


def _clipped(
    texts: Sequence[int], boxes: NDArray[np.float64], displayed: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> bool:
    """Whether a clip leaves out much of any text, or is of a shape that does not say."""
    pdfium = _pdfium()
    clips = list(map(pdfium.clip, texts))
    at: list[int] = []
    kept: list[tuple[float, float, float, float]] = []
    for i, clip in enumerate(clips):
        for path in range(max(0, pdfium.clips(clip)) if clip else 0):
            rectangle = _rectangle(clip, path)
            if rectangle is None:
                return True
            at.append(i)
            kept.append(rectangle)
    if not at:
        return False
    open_to = np.repeat(np.array([[-1e6, -1e6, 1e6, 1e6]]), len(texts), axis=0)
    shown = displayed(np.array(kept))
    np.maximum.at(open_to[:, :2], at, shown[:, :2])
    np.minimum.at(open_to[:, 2:], at, shown[:, 2:])
    area = np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1e-6)
    sides = np.minimum(boxes[:, 2:], open_to[:, 2:]) - np.maximum(boxes[:, :2], open_to[:, :2])
    return bool((np.maximum(sides, 0).prod(axis=1) < (1 - _CUT_OFF) * area).any())


def _rectangle(clip: int, path: int) -> tuple[float, float, float, float] | None:
    """Left, bottom, right, top of a path of a clip that is an upright rectangle."""
    pdfium = _pdfium()
    count = pdfium.corners(clip, path)
    if not 4 <= count <= 5:
        return None
    point = (ctypes.c_float * 2)()
    x, y = ctypes.addressof(point), ctypes.addressof(point) + 4
    corners: list[tuple[float, float]] = []
    for i in range(count):
        corner = pdfium.corner(clip, path, i)
        if i and pdfium.corner_kind(corner) != raw.FPDF_SEGMENT_LINETO:
            return None
        pdfium.point(corner, x, y)
        corners.append((point[0], point[1]))
    xs, ys = zip(*corners, strict=True)
    left, bottom, right, top = min(xs), min(ys), max(xs), max(ys)
    for before, here in itertools.pairwise(corners):
        if min(abs(before[0] - here[0]), abs(before[1] - here[1])) > _EXACT:
            return None
    for x_, y_ in corners:
        if min(x_ - left, right - x_) > _EXACT or min(y_ - bottom, top - y_) > _EXACT:
            return None
    return left, bottom, right, top
