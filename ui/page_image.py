"""A page's picture with the quoted words marked, as a highlighter would."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageChops, ImageDraw

from ingest.model import Box

HIGHLIGHT: Final = (255, 226, 92)  # multiplied with the page: white turns to this, black stays black
MARGIN: Final = 1.5  # points around each rectangle, so that letters do not touch its edge


def highlighted(png: bytes, boxes: Sequence[Box], *, scale: float) -> bytes:
    """Mark rectangles on the picture of a page.

    Args:
        png: the page as displayed.
        boxes: x0, y0, x1, y1 in points, origin top left of the page as displayed.
        scale: pixels of the picture per point.

    Returns:
        A PNG of the same size; the picture itself where there is nothing to mark.
    """
    if not boxes:
        return png
    with Image.open(io.BytesIO(png)) as opened:
        page = opened.convert("RGB")
    ink = Image.new("RGB", page.size, "white")
    draw = ImageDraw.Draw(ink)
    for x0, y0, x1, y1 in boxes:
        corners = ((x0 - MARGIN) * scale, (y0 - MARGIN) * scale, (x1 + MARGIN) * scale, (y1 + MARGIN) * scale)
        draw.rounded_rectangle(corners, radius=2 * scale, fill=HIGHLIGHT)
    buffer = io.BytesIO()
    ImageChops.multiply(page, ink).save(buffer, "PNG")
    return buffer.getvalue()


def top_of(boxes: Sequence[Box], png: bytes, *, scale: float) -> float:
    """How far down the page the first mark begins: 0 at the top, 1 at the bottom; 0 without boxes."""
    if not boxes:
        return 0.0
    with Image.open(io.BytesIO(png)) as opened:
        height = opened.height
    return min(max(min(box[1] for box in boxes) * scale / height, 0.0), 1.0)


def data_url(png: bytes) -> str:
    """The picture as part of the page itself: no address that anybody else could open."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
