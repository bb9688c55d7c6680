"""What PDFium knows of one page: its characters with boxes and styles.

PDFium answers for one character at a time. The calls are made by `map` over ranges of indexes and of addresses, so that
the loop runs in C and the answers land in arrays: a page costs three calls a character and no Python for each.
Runs only in the child.
"""

from __future__ import annotations

import ctypes
import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

from ingest.page_text import SPACES, Style
from ingest.plain_calls import address_of, plain

_DEVICE: Final = 1 << 24  # PDFium maps to whole device pixels: a huge page keeps the fractions exact
_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
}  # fmt: skip
_BOLD_NAME: Final = re.compile(r"bold|black|heavy|semibold|demi|-bd|CMBX|SFBX", re.IGNORECASE)
_MONO_NAME: Final = re.compile(r"mono|courier|consol|menlo|typewriter|CMTT|SFTT|LMTT", re.IGNORECASE)
_MADE_UP: Final = (10, 13, 32)  # what PDFium adds between words and at the ends of lines
_SOFT_HYPHEN: Final = 0xAD


class Characters(NamedTuple):
    """The characters of a page in PDFium's order, without those beyond its edges."""

    characters: list[str]  # "\n" where PDFium ends a line, "\u00ad" for a hyphen at a line's end
    boxes: NDArray[np.float64]  # (n, 4): x0, y0, x1, y1 in points as displayed; zeros for what PDFium made up
    styles: list[Style]
    style_of: list[int]  # -1 before the first character that is drawn
    errors: int  # characters whose font does not say which letters they are
    outside: str  # what stands beyond the page's edges
    shapeless: frozenset[int]  # styles with letters that have no outline


class _PDFium(NamedTuple):
    """Functions of PDFium that take and give plain numbers and addresses, so that `map` can call them."""

    text: Callable[..., int]
    unicode: Callable[..., int]
    object: Callable[..., int]
    box: Callable[..., int]
    loose_box: Callable[..., int]
    generated: Callable[..., int]
    font_size: Callable[..., float]
    matrix: Callable[..., int]
    origin: Callable[..., int]
    unnamed: Callable[..., int]
    font: Callable[..., int]


@lru_cache(maxsize=1)
def _pdfium() -> _PDFium:
    page, index, address = ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
    return _PDFium(
        plain("FPDFText_GetText", ctypes.c_int, page, index, ctypes.c_int, address),
        plain("FPDFText_GetUnicode", ctypes.c_uint, page, index),
        plain("FPDFText_GetTextObject", ctypes.c_size_t, page, index),
        plain("FPDFText_GetCharBox", ctypes.c_int, page, index, address, address, address, address),
        plain("FPDFText_GetLooseCharBox", ctypes.c_int, page, index, address),
        plain("FPDFText_IsGenerated", ctypes.c_int, page, index),
        plain("FPDFText_GetFontSize", ctypes.c_double, page, index),
        plain("FPDFText_GetMatrix", ctypes.c_int, page, index, address),
        plain("FPDFText_GetCharOrigin", ctypes.c_int, page, index, address, address),
        plain("FPDFText_HasUnicodeMapError", ctypes.c_int, page, index),
        plain("FPDFTextObj_GetFont", ctypes.c_size_t, ctypes.c_void_p),
    )


def to_display(page: Any) -> NDArray[np.float64]:
    """The 2 x 3 matrix from PDF user space to points of the page as displayed, origin top left.

    Asked of PDFium itself, which knows the crop box, the rotation and their exceptions.
    """
    width, height = page.get_size()
    out_x, out_y = ctypes.c_int(), ctypes.c_int()

    def shown(x: float, y: float) -> tuple[float, float]:
        raw.FPDF_PageToDevice(page, 0, 0, _DEVICE, _DEVICE, 0, x, y, ctypes.byref(out_x), ctypes.byref(out_y))
        return out_x.value / _DEVICE * width, out_y.value / _DEVICE * height

    step = max(width, height)
    origin, right, up = shown(0, 0), shown(step, 0), shown(0, step)
    return np.array(
        [
            [(right[0] - origin[0]) / step, (up[0] - origin[0]) / step, origin[0]],
            [(right[1] - origin[1]) / step, (up[1] - origin[1]) / step, origin[1]],
        ]
    )


def displayed(boxes: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 4) left, bottom, right, top in user space to x0, y0, x1, y1 as displayed."""
    corners = [boxes[:, [0, 1]], boxes[:, [2, 3]]]
    moved = np.stack([corner @ matrix[:, :2].T + matrix[:, 2] for corner in corners])
    return np.concatenate([moved.min(axis=0), moved.max(axis=0)], axis=1)


def read_characters(textpage: Any, matrix: NDArray[np.float64], size: tuple[float, float]) -> Characters:
    """Read all characters of a page.

    Args:
        textpage: as pypdfium2 wraps it.
        matrix: of `to_display`.
        size: width and height of the page as displayed, in points.
    """
    handle = address_of(textpage)
    pdfium = _pdfium()
    count = max(0, raw.FPDFText_CountChars(textpage.raw))
    indexes = range(count)
    codes = _units(handle, count)
    high = (codes >= 0xD800) & (codes < 0xDC00)
    made_up = np.zeros(count, np.bool_)
    maybe = np.flatnonzero(np.isin(codes, _MADE_UP))
    made_up[maybe] = np.fromiter(map(pdfium.generated, repeat(handle), maybe.tolist()), np.int64, len(maybe)) == 1
    drawn = ~made_up & ~high

    addresses = _operations(handle, codes)
    styles, unnamed, style_of = _styles(handle, addresses, drawn, matrix)
    errors = int(unnamed[style_of[drawn]].sum())

    boxes = np.zeros((count, 4))
    start, end = boxes.ctypes.data, boxes.ctypes.data + 32 * count
    places = (range(start + offset, end + offset, 32) for offset in (0, 16, 8, 24))  # left, right, bottom, top
    deque(map(pdfium.box, repeat(handle), indexes, *places), maxlen=0)
    boxes[~drawn] = 0.0
    # No outline: a space, or a font that draws pictures. These get the box of the line's height.
    flat = np.flatnonzero(drawn & ((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])))
    loose = np.zeros((len(flat), 4), np.float32)  # left, top, right, bottom
    start, end = loose.ctypes.data, loose.ctypes.data + 16 * len(flat)
    deque(map(pdfium.loose_box, repeat(handle), flat.tolist(), range(start, end, 16)), maxlen=0)
    boxes[flat] = loose[:, [0, 3, 2, 1]]
    shapeless = frozenset(style_of[flat[~np.isin(codes[flat], SPACES)]].tolist())

    codes = _code_points(codes, high, made_up)
    kept = np.flatnonzero(~high & (made_up | (codes != 0)))
    codes, boxes, style_of = _spelt_out(codes[kept], boxes[kept], style_of[kept])
    real = np.asarray(boxes.any(axis=1))
    shown = np.where(real[:, None], displayed(boxes, matrix), 0.0)
    outside = real & ((shown[:, 2] <= 0) | (shown[:, 3] <= 0) | (shown[:, 0] >= size[0]) | (shown[:, 1] >= size[1]))
    beyond = ""
    if outside.any():  # beyond the page's edge nobody sees it: neither read nor quoted
        latest = np.maximum.accumulate(np.where(real, np.arange(len(real)), 0))  # a space made up goes with its word
        beyond = "".join(map(chr, codes[outside[latest]].tolist()))
        codes, shown, style_of = codes[~outside], shown[~outside], style_of[~outside]
    put_in_reading_order(codes, shown, style_of)
    text = codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return Characters(list(text), shown, styles, style_of.tolist(), errors, beyond, shapeless)


def _units(handle: int, count: int) -> NDArray[np.uint32]:
    """The UTF-16 unit of each character.

    PDFium gives them all at once, but leaves some out there: only where none is missing do its indexes hold, and else
    each is asked for. U+FFFE stands for hyphens at a line's end and for letters without Unicode, which differ singly.
    """
    pdfium = _pdfium()
    text = np.zeros(count + 1, np.uint16)
    if pdfium.text(handle, 0, count, text.ctypes.data) == count + 1:
        units = text[:count].astype(np.uint32)
        for i in np.flatnonzero(units == 0xFFFE).tolist():
            units[i] = pdfium.unicode(handle, i)
        return units
    return np.fromiter(map(pdfium.unicode, repeat(handle), range(count)), np.uint32, count)


def _operations(handle: int, codes: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The address of the drawing operation of each character.

    An operation's characters follow each other, so a word whose ends belong to one belongs to it as a whole. Words
    from right to left are turned round by PDFium, and asked for letter by letter.
    """
    pdfium = _pdfium()
    count = len(codes)
    if np.any((codes >= 0x590) & (codes < 0x900) | (codes >= 0xD800)):
        return np.fromiter(map(pdfium.object, repeat(handle), range(count)), np.uint64, count)
    letter = np.concatenate([[False], codes > 32, [False]])
    starts = np.flatnonzero(letter[1:-1] & ~letter[:-2])
    lasts = np.flatnonzero(letter[1:-1] & ~letter[2:])
    if not len(starts):
        return np.fromiter(map(pdfium.object, repeat(handle), range(count)), np.uint64, count)
    first = np.fromiter(map(pdfium.object, repeat(handle), starts.tolist()), np.uint64, len(starts))
    last = np.fromiter(map(pdfium.object, repeat(handle), lasts.tolist()), np.uint64, len(lasts))
    word = np.cumsum(letter[1:-1] & ~letter[:-2]) - 1  # of a space: the word before it
    same = np.concatenate([(last[:-1] == first[1:]) & (starts[1:] - lasts[:-1] < 4), [False]])
    inside = np.where(letter[1:-1], (first == last)[word], same[word]) & (word >= 0)
    found = np.where(inside, last[word], np.uint64(0))
    rest = np.flatnonzero(~inside)
    found[rest] = np.fromiter(map(pdfium.object, repeat(handle), rest.tolist()), np.uint64, len(rest))
    return found


def _code_points(codes: NDArray[np.uint32], high: NDArray[np.bool_], made_up: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """UTF-16 units joined where the second half of a pair stands; PDFium's own signs replaced by Unicode's."""
    codes = codes.copy()
    low = np.flatnonzero((codes[1:] >= 0xDC00) & (codes[1:] < 0xE000) & high[:-1]) + 1
    codes[low] = 0x10000 + ((codes[low - 1] - 0xD800) << 10) + (codes[low] - 0xDC00)
    codes[~made_up & ((codes == 2) | (codes == 0xFFFE))] = _SOFT_HYPHEN
    codes[made_up] = np.where(codes[made_up] == 32, 32, 10)
    codes[codes > 0x10FFFF] = 0xFFFD
    return codes


def _spelt_out(
    codes: NDArray[np.uint32], boxes: NDArray[np.float64], style_of: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.float64], NDArray[np.int64]]:
    """Ligatures as their letters, which share the width of the box."""
    joined = np.flatnonzero((codes >= 0xFB00) & (codes <= 0xFB06))
    if not len(joined):
        return codes, boxes, style_of
    letters = [_LIGATURES[code] for code in codes[joined].tolist()]
    repeats = np.ones(len(codes), np.int64)
    repeats[joined] = [len(one) for one in letters]
    source = np.repeat(np.arange(len(codes)), repeats)
    nth = np.arange(len(source)) - (np.cumsum(repeats) - repeats)[source]
    spelt, wide = codes[source], boxes[source]
    share = (wide[:, 2] - wide[:, 0]) / repeats[source]
    several = repeats[source] > 1
    left = wide[:, 0] + nth * share
    wide[several, 2] = (wide[:, 0] + (nth + 1) * share)[several]
    wide[several, 0] = left[several]
    spelt[several] = [ord(letter) for one in letters for letter in one]
    return spelt, wide, style_of[source]


def put_in_reading_order(codes: NDArray[np.uint32], boxes: NDArray[np.float64], style_of: NDArray[np.int64]) -> None:
    """Turn round, in place, the words of scripts from right to left that PDFium gives from left to right.

    It turns most of them itself, but not all, and some it should not; where the letters stand decides.
    """
    backwards = (codes >= 0x590) & (codes <= 0x8FF) | (codes >= 0xFB1D) & (codes <= 0xFDFF) | (codes >= 0xFE70)
    backwards &= (codes <= 0xFEFC) & ~((codes >= 0x660) & (codes <= 0x669) | (codes >= 0x6F0) & (codes <= 0x6F9))
    if not backwards.any():
        return
    backwards &= boxes.any(axis=1)
    middle = boxes[:, 0] + boxes[:, 2]
    edges = np.diff(np.concatenate([[False], backwards, [False]]).astype(np.int8))
    for start, end in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        steps = np.sign(np.diff(middle[start:end])).sum()
        one_glyph = steps == 0 and (boxes[start:end] == boxes[start]).all()  # named by its font with a whole word
        if steps > 0 or one_glyph:
            for array in (codes, boxes, style_of):
                array[start:end] = array[start:end][::-1].copy()


def _styles(
    handle: int, addresses: NDArray[np.uint64], drawn: NDArray[np.bool_], matrix: NDArray[np.float64]
) -> tuple[list[Style], NDArray[np.bool_], NDArray[np.int64]]:
    """The style of each drawing operation in the order they appear, which are unnamed, and each character's style."""
    at = np.flatnonzero(drawn)
    style_of = np.full(len(drawn), -1, np.int64)
    if not len(at):
        return [], np.zeros(0, np.bool_), style_of
    _, first, inverse = np.unique(addresses[at], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    style_of[at] = rank[inverse]
    latest = np.maximum.accumulate(np.where(drawn, np.arange(len(drawn)), -1))
    style_of = np.where(latest >= 0, style_of[latest], -1)

    firsts = at[first[order]].tolist()
    n = len(firsts)
    pdfium = _pdfium()
    sizes = np.fromiter(map(pdfium.font_size, repeat(handle), firsts), np.float64, n)
    matrices = np.zeros((n, 6), np.float32)
    begin = matrices.ctypes.data
    deque(map(pdfium.matrix, repeat(handle), firsts, range(begin, begin + 24 * n, 24)), maxlen=0)
    origins = np.zeros((n, 2))
    begin = origins.ctypes.data
    places = range(begin, begin + 16 * n, 16), range(begin + 8, begin + 8 + 16 * n, 16)
    deque(map(pdfium.origin, repeat(handle), firsts, *places), maxlen=0)
    unnamed = np.fromiter(map(pdfium.unnamed, repeat(handle), firsts), np.int64, n) == 1

    wide = matrices.astype(np.float64)
    scale = np.hypot(wide[:, 1], wide[:, 3])
    sizes = np.abs(sizes * np.where(scale == 0, 1.0, scale))
    along = wide[:, :2] @ matrix[:, :2].T
    upright = (along[:, 0] > 0) & (np.abs(along[:, 1]) < 0.1 * along[:, 0])
    baselines = origins @ matrix[1, :2] + matrix[1, 2]
    fonts: dict[int, tuple[bool, bool]] = {}
    styles = []
    runs = addresses[firsts].tolist()
    facts = zip(firsts, runs, sizes.tolist(), upright.tolist(), baselines.tolist(), strict=True)
    for i, run, size, straight, baseline in facts:
        font = pdfium.font(run) if run else 0
        if not font or font not in fonts:
            fonts[font] = _font(handle, i)
        bold, mono = fonts[font]
        styles.append(Style(round(size, 2) or 1.0, bold, mono, straight, baseline, run))
    return styles, unnamed, style_of


def _font(handle: int, i: int) -> tuple[bool, bool]:
    """Whether the font of a character is bold, and whether all its letters are as wide."""
    textpage = ctypes.cast(handle, raw.FPDF_TEXTPAGE)
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, i, buffer, 128, ctypes.byref(flags))
    name = buffer.value.decode("utf-8", "replace")
    weight = raw.FPDFText_GetFontWeight(textpage, i)
    bold = weight >= 600 or bool(_BOLD_NAME.search(name)) or bool(flags.value & (1 << 18))
    return bold, bool(flags.value & 1) or bool(_MONO_NAME.search(name))
