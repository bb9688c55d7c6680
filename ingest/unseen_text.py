"""Text of a PDF page that its readers do not see: told from how it is drawn and from a picture of the page.

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

from ingest.canonical import canonical
from ingest.doubts import doubted, render_modes
from ingest.model import Finding
from ingest.page_objects import MOST_OBJECTS, Drawn, fill_colours
from ingest.page_text import Page
from ingest.suspicion import excerpt_of, instructions_in

_TINY_POINTS: Final = 1.5
_FAINT_ALPHA: Final = 20  # of 255
_SAME_COLOUR: Final = 12  # of 255, in each of red, green and blue: nobody tells such colours apart
_SCANNED: Final = 0.5  # share of the page that the picture under a scanner's text covers
_VISIBLE: Final = 0.3  # share of a style's letters that must leave a trace in the picture
_MOSTLY: Final = 0.7
_WORDS_WORTH: Final = 8  # letters
_WORTH_TELLING: Final = 4  # letters: one that a drawing covers is no secret
_LATIN: Final = 0x250  # code points below have shapes even where the file brings no font
_SCALE: Final = 1.0  # pixels per point
_MAX_STYLES: Final = 20_000
_INVISIBLE: Final = 3  # text render mode

_WORDS: Final = {
    "mode": "drawn as invisible text",
    "alpha": "drawn fully transparent",
    "colour": "in the colour of its background",
    "covered": "that is covered, clipped away or switched off",
    "tiny": "in letters under 1.5 points",
    "outside": "beyond the edge of the page",
}


@dataclass(frozen=True, slots=True)
class Hidden:
    """What of a page is not seen."""

    styles: frozenset[int]  # indexes into the page's styles
    findings: tuple[Finding, ...]
    scanners_layer: bool  # the page's text is invisible and lies over a picture of it: text that a scanner recognised


def hidden_in(
    page: Page,
    drawn: Drawn,
    picture: Callable[[float], NDArray[np.uint8]],
    displayed: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    shapeless: frozenset[int] = frozenset(),
    outside: str = "",
    filled_in: frozenset[int] = frozenset(),
) -> Hidden:
    """Find the styles whose text nobody sees.

    Args:
        picture: renders the page at so many pixels per point, (height, width, 3); called once, if at all: only where
            the page's objects give a reason.
        displayed: turns (n, 4) left, bottom, right, top in user space into x0, y0, x1, y1 as displayed.
        shapeless: styles with letters that have no outline.
        outside: text that was already left out, because it stands beyond the page's edges. Told only where it
            addresses an assistant: printers' marks and the other half of a spread stand there, too.
        filled_in: styles of what fields of a form hold.
    """
    scanned = drawn.pictured(page.width, page.height) >= _SCANNED
    style_of = np.array(page.style_of, np.int64)
    counts = np.bincount(style_of[style_of >= 0], minlength=len(page.styles))
    asked = np.array([at for at, style in enumerate(page.styles[:_MAX_STYLES]) if style.run and counts[at]], np.int64)
    texts = [page.styles[at].run for at in asked.tolist()]
    modes, colours = render_modes(texts), fill_colours(texts)
    invisible = modes == _INVISIBLE
    plain = ((modes == 0) | (modes == 4)) & (colours[:, 3] >= 0)  # 0: filled; 4: filled, and clips what follows
    faint = plain & (colours[:, 3] < _FAINT_ALPHA)
    order = np.array([drawn.order.get(text, 1 << 60) for text in texts], np.int64)
    like = _like_background(colours[:, :3], _centres(page, style_of)[asked], order, drawn)
    layer = set(asked[invisible].tolist()) if scanned else set()
    doubtful = set(asked[plain & ~faint & like].tolist())
    why: dict[int, str] = {} if scanned else dict.fromkeys(asked[invisible].tolist(), "mode")
    why |= dict.fromkeys(asked[faint].tolist(), "alpha")
    letters = _letters(page, style_of, frozenset(why))
    tiny = _tiny(page, style_of, letters)
    why |= dict.fromkeys(tiny, "tiny")
    letters &= ~np.isin(style_of, tiny)
    crowded = drawn.objects >= MOST_OBJECTS  # to render a drawing of so much may take many seconds
    if crowded:
        letters &= np.isin(style_of, sorted(doubtful))
    else:
        left = np.isin(asked, style_of[letters])
        boxes = _around(page, style_of, letters)[asked[left]]
        if not (
            scanned
            or doubtful
            or filled_in
            or not shapeless.isdisjoint(asked[left].tolist())
            or (left.any() and doubted(page, drawn, asked[left], boxes, colours[left], displayed))
        ):
            letters[:] = False
    if letters.any():
        traced, looked = _traces(page, style_of, letters, picture(_SCALE))
        beneath = scanned and traced.sum() > _MOSTLY * looked.sum()  # visible text that a scan was laid over
        for at in map(int, np.flatnonzero((looked > 0) & (traced <= _VISIBLE * looked))):
            if at in layer:
                if traced[at] == 0 and looked[at] >= _WORDS_WORTH:  # the picture shows nothing there
                    why[at] = "mode"
            elif at in doubtful:
                why[at] = "colour"
            elif not beneath and (page.styles[at].run or at in filled_in) and _has_shapes(page, style_of, at):
                why[at] = "covered"
    return Hidden(
        styles=frozenset(why),
        findings=tuple(_findings(page, why, outside)),
        scanners_layer=int(counts[sorted(layer - why.keys())].sum()) > 0.5 * max(1, int(counts.sum())),
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


def _letters(page: Page, style_of: NDArray[np.int64], known: frozenset[int]) -> NDArray[np.bool_]:
    """Which characters are letters or digits with a place of their own, and not known to be hidden."""
    letters = np.fromiter(map(str.isalnum, page.characters), np.bool_, len(page.characters))
    letters &= page.boxes.any(axis=1) & (style_of >= 0) & (style_of < _MAX_STYLES)
    return letters & ~np.isin(style_of, sorted(known)) if known else letters


def _tiny(page: Page, style_of: NDArray[np.int64], letters: NDArray[np.bool_]) -> list[int]:
    """The styles of a size that nobody reads, none of whose letters is any taller."""
    small = np.array([style.size < _TINY_POINTS for style in page.styles], np.bool_)
    if not small.any():
        return []
    tallest = np.zeros(len(page.styles))
    np.maximum.at(tallest, style_of[letters], (page.boxes[:, 3] - page.boxes[:, 1])[letters])
    return [int(at) for at in np.flatnonzero(small & (tallest > 0) & (tallest < _TINY_POINTS))]


def _around(page: Page, style_of: NDArray[np.int64], letters: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(styles, 4): the box around each style's letters."""
    around = np.repeat(np.array([[np.inf, np.inf, -np.inf, -np.inf]]), len(page.styles), axis=0)
    at = np.flatnonzero(letters)
    at = at[np.argsort(style_of[at], kind="stable")]
    if len(at):
        styles, first = np.unique(style_of[at], return_index=True)
        around[styles, :2] = np.minimum.reduceat(page.boxes[at, :2], first)
        around[styles, 2:] = np.maximum.reduceat(page.boxes[at, 2:], first)
    return around


def _like_background(
    colours: NDArray[np.int64], centres: NDArray[np.float64], order: NDArray[np.int64], drawn: Drawn
) -> NDArray[np.bool_]:
    """(n,): whether the plain shapes beneath leave a text without contrast; white paper where there are none."""
    background = np.full((len(colours), 3), 255)
    for box, colour, at in zip(drawn.fills, drawn.colours, drawn.fill_order.tolist(), strict=True):
        if colour[0] >= 0:
            inside = (box[:2] <= centres).all(axis=1) & (centres <= box[2:]).all(axis=1)
            background[inside & (at < order)] = colour
    near: NDArray[np.bool_] = np.abs(colours - background).max(axis=1, initial=0) <= _SAME_COLOUR
    return near | (colours.min(axis=1, initial=255) >= 255 - _SAME_COLOUR)


def _traces(
    page: Page, style_of: NDArray[np.int64], letters: NDArray[np.bool_], shown: NDArray[np.uint8]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of each style, how many letters leave an edge in the picture of the page, and how many were looked at.

    An edge is a pixel unlike the one beside it, both in the letter's box: a background that changes slowly has none.
    """
    scale = np.array([shown.shape[1] / page.width, shown.shape[0] / page.height] * 2)
    boxes = page.boxes[letters] * scale
    limits = np.array([shown.shape[1], shown.shape[0]])
    starts = np.clip(np.floor(boxes[:, :2]), 0, limits - 1).astype(np.int64)
    ends = np.maximum(np.clip(np.ceil(boxes[:, 2:]), 0, limits).astype(np.int64), np.minimum(starts + 2, limits)) - 1
    styles = style_of[letters]
    looked = np.bincount(styles, minlength=len(page.styles))
    # one colour shows nearly all letters; the others are asked only where it shows too few
    has_edge = _edges_within(shown[:, :, 1], starts, ends)
    traced = np.bincount(styles[has_edge], minlength=len(page.styles))
    if ((looked > 0) & (traced <= _VISIBLE * looked)).any():
        has_edge |= _edges_within(shown[:, :, 0], starts, ends) | _edges_within(shown[:, :, 2], starts, ends)
        traced = np.bincount(styles[has_edge], minlength=len(page.styles))
    return traced, looked


def _edges_within(shade: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a pixel differs, so that an eye can tell, from the one to its right or below; of each rectangle.

    Args:
        starts: (n, 2) first column and row.
        ends: (n, 2) last column and row, which are only compared with.
    """
    shade = np.ascontiguousarray(shade)
    here, right, below = shade[:-1, :-1], shade[:-1, 1:], shade[1:, :-1]
    differs = np.maximum(here, right) - np.minimum(here, right) > _SAME_COLOUR
    differs |= np.maximum(here, below) - np.minimum(here, below) > _SAME_COLOUR
    sums = np.zeros((shade.shape[0], shade.shape[1]), np.int32)
    np.cumsum(differs, axis=1, out=sums[1:, 1:])
    np.cumsum(sums, axis=0, out=sums)
    (x0, y0), (x1, y1) = starts.T, ends.T
    found: NDArray[np.bool_] = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0] > 0
    return found


def _has_shapes(page: Page, style_of: NDArray[np.int64], at: int) -> bool:
    """Whether the font is there to draw a style's letters with; where it is not, the picture lacks what readers see."""
    run = page.styles[at].run
    font = raw.FPDFTextObj_GetFont(ctypes.cast(run, raw.FPDF_PAGEOBJECT)) if run else None
    if font and raw.FPDFFont_GetIsEmbedded(font) == 1:
        return True
    return all(ord(page.characters[i]) < _LATIN for i in np.flatnonzero(style_of == at))


def _findings(page: Page, why: dict[int, str], outside: str) -> Iterable[Finding]:
    texts: dict[str, list[str]] = {}
    for i, style in enumerate(page.style_of):
        if style in why:
            texts.setdefault(why[style], []).append(page.characters[i])
    if instructions_in(outside):
        texts["outside"] = [outside]
    for reason, characters in texts.items():
        text = canonical(" ".join("".join(characters).split()))
        if sum(map(str.isalnum, text)) >= _WORTH_TELLING:
            addressed = " It addresses an assistant." if instructions_in(text) else ""
            yield Finding(
                "hidden_text",
                f"Page {page.number} holds text {_WORDS[reason]}, which its readers do not see. It was left out."
                f"{addressed}",
                excerpt_of(text),
                page.number,
            )
