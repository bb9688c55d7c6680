from __future__ import annotations

import base64
import io

from PIL import Image

from ui import page_image

SCALE = 2.0


def png(width: int = 200, height: int = 300, colour: str = "white") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def test_only_the_rectangle_is_marked() -> None:
    marked = opened(page_image.highlighted(png(), [(10.0, 20.0, 60.0, 32.0)], scale=SCALE))
    assert marked.size == (200, 300)
    assert marked.getpixel((70, 52)) == page_image.HIGHLIGHT
    for outside in ((70, 30), (70, 75), (10, 52), (130, 52)):
        assert marked.getpixel(outside) == (255, 255, 255)


def test_ink_stays_readable() -> None:
    page = opened(png())
    page.putpixel((70, 52), (0, 0, 0))
    file = io.BytesIO()
    page.save(file, "PNG")
    assert opened(page_image.highlighted(file.getvalue(), [(10, 20, 60, 32)], scale=SCALE)).getpixel((70, 52)) == (
        0,
        0,
        0,
    )


def test_rectangles_that_overlap_are_not_darker() -> None:
    twice = [(10.0, 20.0, 60.0, 32.0), (30.0, 20.0, 90.0, 32.0)]
    assert opened(page_image.highlighted(png(), twice, scale=SCALE)).getpixel((80, 52)) == page_image.HIGHLIGHT


def test_a_page_without_rectangles_is_the_picture_itself() -> None:
    assert page_image.highlighted(png(), [], scale=SCALE) == png()


def test_rectangles_beyond_the_page_are_cut() -> None:
    marked = opened(page_image.highlighted(png(), [(-50.0, -50.0, 900.0, 900.0)], scale=SCALE))
    assert marked.size == (200, 300)
    assert marked.getpixel((100, 150)) == page_image.HIGHLIGHT


def test_where_the_first_mark_begins() -> None:
    boxes = [(10.0, 75.0, 20.0, 80.0), (10.0, 30.0, 20.0, 40.0)]
    assert page_image.top_of(boxes, png(), scale=SCALE) == 0.2
    assert page_image.top_of([], png(), scale=SCALE) == 0.0


def test_the_picture_travels_inside_the_page() -> None:
    url = page_image.data_url(png())
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")) == png()
