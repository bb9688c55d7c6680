"""Text of a PDF page that its readers do not see: told from how it is drawn and, in doubt, from a picture of the page.

Whoever plants words for an assistant hides them from people. What is hidden stays out of the text and is told to the
owner. The one honest use is the text that a scanner's software lays over the picture of a page: it stays.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

from ingest.model import Finding
from ingest.page_objects import Drawn, colour_of
from ingest.page_text import Page

_TINY_POINTS: Final = 1.5
_FAINT_ALPHA: Final = 20  # of 255
_SAME_COLOUR: Final = 12  # of 255, in each of red, green and blue: nobody tells such colours apart
_SCANNED: Final = 0.5  # share of the page that the picture under a scanner's text covers
_SAMPLED: Final = 60  # characters of one style whose place is looked at in the picture
_SCALE: Final = 1.5  # pixels per point
_MAX_STYLES: Final = 20_000
_INVISIBLE: Final = 3  # text render mode

_WORDS: Final = {
    "mode": "drawn as invisible text",
    "alpha": "drawn fully transparent",
    "colour": "in the colour of its background",
    "tiny": "in letters under 1.5 points",
    "outside": "beyond the edge of the page",
}


@dataclass(frozen=True, slots=True)
class Hidden:
    """What of a page is not seen."""

    styles: frozenset[int]  # indexes into the page's styles
    findings: tuple[Finding, ...]
    scanners_layer: bool  # the page's text is invisible and lies over a picture of it: text that a scanner recognised


def hidden_in(page: Page, drawn: Drawn, picture: Callable[[float], NDArray[np.uint8]], *, outside: str = "") -> Hidden:
    """Find the styles whose text nobody sees.

    Args:
        picture: renders the page at so many pixels per point, (height, width, 3); called only where colours leave
            doubt.
        outside: text that was already left out, because it stands beyond the page's edges.
    """
    scanned = drawn.pictured(page.width, page.height) >= _SCANNED
    style_of = np.array(page.style_of, np.int64)
    counts = np.bincount(style_of[style_of >= 0], minlength=len(page.styles))
    centres = _centres(page, style_of)
    why: dict[int, str] = {}
    doubtful: list[int] = []
    layer = 0
    for at, style in enumerate(page.styles[:_MAX_STYLES]):
        if not style.run or not counts[at]:
            continue
        drawing = ctypes.cast(style.run, raw.FPDF_PAGEOBJECT)
        mode = raw.FPDFTextObj_GetTextRenderMode(drawing)
        if mode == _INVISIBLE:
            if scanned:
                layer += int(counts[at])
            else:
                why[at] = "mode"
            continue
        if style.size < _TINY_POINTS:
            doubtful.append(at)
        if mode not in (0, 4):  # 0: filled; 4: filled, and clips what follows
            continue
        colour = colour_of(drawing)
        if colour is None:
            continue
        if colour[3] < _FAINT_ALPHA:
            why[at] = "alpha"
        elif _like_background(colour[:3], centres[at], drawn, drawn.order.get(style.run, 1 << 60)):
            doubtful.append(at)
    if doubtful:
        rows = _rows_by_style(page, doubtful)
        shown: NDArray[np.float64] | None = None
        for at in doubtful:
            boxes = rows.get(at)
            if boxes is None:
                continue
            if page.styles[at].size < _TINY_POINTS and float((boxes[:, 3] - boxes[:, 1]).max()) < _TINY_POINTS:
                why[at] = "tiny"
                continue
            if shown is None:
                shown = picture(_SCALE).astype(np.float64)
            if page.styles[at].size >= _TINY_POINTS and not _leaves_ink(boxes, shown, page):
                why[at] = "colour"
    return Hidden(
        styles=frozenset(why),
        findings=tuple(_findings(page, why, outside)),
        scanners_layer=layer > 0.5 * max(1, int(counts.sum())),
    )


def without(page: Page, styles: frozenset[int]) -> Page:
    """The page without the characters of these styles."""
    if not styles:
        return page
    kept = [i for i, style in enumerate(page.style_of) if style not in styles]
    return Page(
        page.number, page.width, page.height, [page.characters[i] for i in kept], page.boxes[kept], page.styles,
        [page.style_of[i] for i in kept], page.rules,
    )  # fmt: skip


def _centres(page: Page, style_of: NDArray[np.int64]) -> NDArray[np.float64]:
    """(styles, 2): the middle of each style's first character that has a box."""
    centres = np.full((len(page.styles), 2), -1.0)
    real = np.flatnonzero(page.boxes.any(axis=1) & (style_of >= 0))
    styles, first = np.unique(style_of[real], return_index=True)
    boxes = page.boxes[real[first]]
    centres[styles] = (boxes[:, :2] + boxes[:, 2:]) / 2
    return centres


def _rows_by_style(page: Page, styles: Iterable[int]) -> dict[int, NDArray[np.float64]]:
    wanted = set(styles)
    found: dict[int, list[int]] = {}
    for i, style in enumerate(page.style_of):
        if style in wanted and not page.characters[i].isspace() and len(found.setdefault(style, [])) < _SAMPLED:
            found[style].append(i)
    return {style: page.boxes[at] for style, at in found.items() if page.boxes[at].any()}


def _like_background(colour: tuple[int, ...], centre: NDArray[np.float64], drawn: Drawn, order: int) -> bool:
    """Whether the plain shapes beneath leave the text without contrast; white paper where there are none."""
    background = np.array([255, 255, 255])
    if len(drawn.fills):
        x, y = centre
        f = drawn.fills
        under = (f[:, 0] <= x) & (x <= f[:, 2]) & (f[:, 1] <= y) & (y <= f[:, 3])
        under &= (drawn.fill_order < order) & (drawn.colours[:, 0] >= 0)
        if under.any():
            background = drawn.colours[np.flatnonzero(under)[-1]]
    return bool(np.abs(np.array(colour) - background).max() <= _SAME_COLOUR) or min(colour) >= 255 - _SAME_COLOUR


def _leaves_ink(boxes: NDArray[np.float64], shown: NDArray[np.float64], page: Page) -> bool:
    """Whether the picture of the page differs within the letters' boxes from one pixel to the next."""
    scale = np.array([shown.shape[1] / page.width, shown.shape[0] / page.height] * 2)
    visible = looked = 0
    for x0, y0, x1, y1 in boxes * scale:
        area = shown[max(0, int(y0)) : int(np.ceil(y1)), max(0, int(x0)) : int(np.ceil(x1))]
        if area.size:
            looked += 1
            visible += bool(np.ptp(area, axis=(0, 1)).max() > _SAME_COLOUR)
    return visible > 0.3 * looked


def _findings(page: Page, why: dict[int, str], outside: str) -> Iterable[Finding]:
    texts: dict[str, list[str]] = {}
    for i, style in enumerate(page.style_of):
        if style in why:
            texts.setdefault(why[style], []).append(page.characters[i])
    if outside:
        texts["outside"] = [outside]
    for reason, characters in texts.items():
        text = " ".join("".join(characters).split())
        if any(map(str.isalnum, text)):
            yield Finding(
                "hidden_text",
                f"Page {page.number} holds text {_WORDS[reason]}, which its readers do not see. It was left out.",
                text[:200],
                page.number,
            )
