"""A picture file as a document of pages, each read by text recognition; and a page of it for showing.

Runs only in the parser's child. The size a picture claims is checked before any of it is unpacked.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ingest.canonical import assemble_pages
from ingest.errors import DocumentError
from ingest.language import detect_language
from ingest.layout import lay_out
from ingest.model import ParsedDocument
from ingest.recognition import MAX_SIDE, Picture, Progress, Recognised, Recogniser, numbered, recognition_warnings
from ingest.sniffing import MEDIA_TYPES, Kind
from ingest.suspicion import instructions_in

_FORMATS: Final[dict[Kind, str]] = {
    "png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "bmp": "BMP", "webp": "WEBP", "gif": "GIF",
}  # fmt: skip
_DPI: Final = 96.0  # where a picture does not say, or says nonsense: what screens are taken to have
_SENSIBLE_DPI: Final = (50.0, 2400.0)
_MOST_POINTS: Final = 1440.0  # cameras write 72 dpi into pictures of twelve million pixels; half a metre will do
_BROKEN: Final = (OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, IndexError, OverflowError)


def parse_picture(
    path: Path,
    kind: Kind,
    *,
    name: str,
    max_pixels: int,
    max_pages: int = 1000,
    recogniser: Recogniser | None = None,
    progress: Progress | None = None,
) -> ParsedDocument:
    """Read the text of a picture; of a TIFF, of all its pages; of an animation, of its first picture.

    Args:
        max_pixels: of one page, as the file claims.
        progress: told before and after each page.

    Raises:
        DocumentError: empty when no text is recognised; too_large, corrupt.
    """
    recogniser = recogniser or Recogniser()
    with _opened(path, kind, name) as file:
        with _damage_named(name):
            total = getattr(file, "n_frames", 1) if kind == "tiff" else 1
        if total > max_pages:
            raise DocumentError(
                "too_large",
                f"{name!r} has {total:,} pages; at most {max_pages:,} are read. Split it into smaller files.",
            )
        read: dict[int, Recognised] = {}
        for number in range(1, total + 1):
            if progress:
                progress(number - 1, total)
            page, width, height = _page(file, number, max_pixels, name)
            page.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
            read[number] = recogniser.read(_pixels(page), number=number, width=width, height=height)
        if progress:
            progress(total, total)
    text, elements, maps = assemble_pages(
        lay_out([one.page for one in read.values()], []),
        {number: (one.page.width, one.page.height) for number, one in read.items()},
    )
    if not any(map(str.isalnum, text)):
        raise DocumentError(
            "empty",
            f"No text was recognised in the picture {name!r}. Latin, Chinese and Japanese script is read; if it shows "
            "some, give a sharper or larger picture.",
        )
    blank = [number for number, one in read.items() if not one.letters]
    warnings = recognition_warnings({number: one for number, one in read.items() if one.letters})
    if blank:
        warnings.append(f"No text was recognised on {numbered(blank)}.")
    heading = next((e for e in elements[:5] if e.category == "title" and e.depth == 0), None)
    return ParsedDocument(
        title=" ".join(text[heading.start : heading.end].split())[:300] if heading else "",
        text=text,
        elements=elements,
        pages=tuple(read[page_map.page].displayed(page_map) for page_map in maps),
        page_count=total,
        language=detect_language(text),
        media_type=MEDIA_TYPES[kind],
        warnings=tuple(warnings),
        findings=instructions_in(text),
    )


def render_picture(path: Path, kind: Kind, page: int, *, scale: float, max_pixels: int, name: str) -> bytes:
    """One page of a picture file as PNG, the right way up.

    Args:
        page: from 1.
        scale: pixels per point, lowered where the result would exceed `max_pixels`.
            The file itself may hold ten times as many.

    Raises:
        DocumentError: corrupt or too_large.
    """
    with _opened(path, kind, name) as file:
        picture, width, height = _page(file, page, 10 * max_pixels, name)
        scale = min(scale, math.sqrt(max_pixels / (width * height)))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        buffer = io.BytesIO()
        picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).save(buffer, "PNG")
        return buffer.getvalue()


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    try:
        yield
    except (UnidentifiedImageError, *_BROKEN) as error:
        raise DocumentError("corrupt", f"The picture {name!r} is damaged or incomplete. Upload it again.") from error


@contextmanager
def _opened(path: Path, kind: Kind, name: str) -> Iterator[Image.Image]:
    Image.MAX_IMAGE_PIXELS = None  # our own limit holds, and says what it is
    with _damage_named(name):
        file = Image.open(path, formats=[_FORMATS[kind]])
    with file:
        yield file


def _page(file: Image.Image, number: int, max_pixels: int, name: str) -> tuple[Image.Image, float, float]:
    """A page upright, in colours without transparency, and its width and height in points."""
    with _damage_named(name):
        file.seek(number - 1)
        width, height = file.size
        if width * height > max_pixels:
            raise DocumentError(
                "too_large",
                f"{name!r} claims to hold {width:,} x {height:,} pixels; at most {max_pixels / 1e6:,.0f} million are "
                "read. Make it smaller.",
            )
        dpi = _dpi(file)
        if file.format == "JPEG":
            file.draft("RGB", (MAX_SIDE, MAX_SIDE))  # unpacks a large photograph at a half or a quarter of its size
        sized = (width * 72 / dpi[0], height * 72 / dpi[1])
        shrunk = min(1.0, _MOST_POINTS / max(sized))
        sized = (sized[0] * shrunk, sized[1] * shrunk)
        turned = file.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        upright = _flat(ImageOps.exif_transpose(file))
        return upright, *(sized[::-1] if turned else sized)


def _dpi(file: Image.Image) -> tuple[float, float]:
    given = file.info.get("dpi")
    try:
        dpi = (float(given[0]), float(given[1])) if given else (_DPI, _DPI)
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return _DPI, _DPI
    low, high = _SENSIBLE_DPI
    return dpi if all(low <= one <= high for one in dpi) else (_DPI, _DPI)


def _flat(picture: Image.Image) -> Image.Image:
    """In red, green, blue of 8 bits; what is transparent shows white paper."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture, np.float64)
        low, high = float(values.min()), float(values.max())
        picture = Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        paper = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(paper, over).convert("RGB")
    return picture.convert("RGB")


def _pixels(picture: Image.Image) -> Picture:
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
