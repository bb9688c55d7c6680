"""Picture files as documents: every format, many pages, the way up, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ingest.errors import DocumentError
from ingest.intake_rows import Stopped
from ingest.model import ParsedDocument
from ingest.parser import Parser, ParserLimits
from ingest.pictures import parse_picture, render_picture
from ingest.recognition import Recogniser
from ingest.sniffing import Kind

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
LINES = ["The ferry leaves the northern pier", "at seven in the morning and", "comes back in the evening."]
SIZE = (600, 320)
LIMIT = 120_000_000


@pytest.fixture(scope="module")
def recogniser() -> Iterator[Recogniser]:
    yield Recogniser()


def drawn(lines: list[str] = LINES) -> tuple[Image.Image, dict[str, tuple[float, float, float, float]]]:
    """A picture of lines, and where each word of them stands as shares of its size."""
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.truetype(FONT, 26)
    places = {}
    for at, line in enumerate(lines):
        x = 40.0
        for word in line.split():
            draw.text((x, 40 + 60 * at), word, font=font, fill="black")
            x0, y0, x1, y1 = draw.textbbox((x, 40 + 60 * at), word, font=font)
            places[word] = (x0 / SIZE[0], y0 / SIZE[1], x1 / SIZE[0], y1 / SIZE[1])
            x += draw.textlength(word + " ", font=font)
    return picture, places


def read(file: Path, kind: Kind, recogniser: Recogniser, *, max_pages: int = 1000) -> ParsedDocument:
    return parse_picture(file, kind, name=file.name, max_pixels=LIMIT, max_pages=max_pages, recogniser=recogniser)


def box_of(document: ParsedDocument, word: str) -> np.ndarray:
    start = document.text.index(word)
    page = next(p for p in document.pages if p.start <= start < p.end)
    rows = page.boxes[start - page.start : start - page.start + len(word)].astype(float) / 65535
    return np.concatenate([rows[:, :2].min(axis=0), rows[:, 2:].max(axis=0)])


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("png", "RGBA"), ("jpeg", "RGB"), ("tiff", "1"), ("bmp", "L"), ("webp", "RGB"), ("gif", "P")],
)
def test_every_format_is_read_with_a_box_around_each_word(
    recogniser: Recogniser, tmp_path: Path, kind: Kind, mode: str
) -> None:
    picture, places = drawn()
    file = tmp_path / f"notice.{kind}"
    picture.convert(mode).save(file, kind.upper())
    document = read(file, kind, recogniser)
    assert document.text.split() == " ".join(LINES).split()
    assert document.page_count == 1 and document.language == "en" and document.media_type == f"image/{kind}"
    assert document.pages[0].recognition is not None and document.pages[0].recognition > 0.9
    for word in ("ferry", "northern", "morning", "back"):
        assert np.abs(box_of(document, word) - places[word]).max() < 0.02


def test_all_pages_of_a_tiff_are_read_and_a_blank_one_is_named(recogniser: Recogniser, tmp_path: Path) -> None:
    pages = [drawn(LINES[:1])[0], Image.new("RGB", SIZE, "white"), drawn(LINES[1:])[0]]
    file = tmp_path / "fax.tiff"
    pages[0].save(file, save_all=True, append_images=pages[1:], compression="tiff_lzw")
    told: list[tuple[int, int]] = []
    document = parse_picture(
        file, "tiff", name="fax.tiff", max_pixels=LIMIT, recogniser=recogniser, progress=lambda *at: told.append(at)
    )
    assert document.text.split() == " ".join(LINES).split() and document.page_count == 3
    assert [page.page for page in document.pages] == [1, 3]
    assert {element.page for element in document.elements} == {1, 3}
    assert any("No text was recognised on page 2" in warning for warning in document.warnings)
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    with pytest.raises(DocumentError) as refused:
        read(file, "tiff", recogniser, max_pages=2)
    assert refused.value.reason == "too_large"


@pytest.mark.parametrize(("orientation", "turn"), [(6, Image.Transpose.ROTATE_90), (3, Image.Transpose.ROTATE_180)])
def test_a_camera_s_note_of_the_way_up_is_obeyed(
    recogniser: Recogniser, tmp_path: Path, orientation: int, turn: Image.Transpose
) -> None:
    upright, places = drawn()
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "photo.jpg"
    upright.transpose(turn).save(file, "JPEG", exif=exif, dpi=(72, 72))
    document = read(file, "jpeg", recogniser)
    assert document.text.split() == " ".join(LINES).split()
    page = document.pages[0]
    assert (round(page.width), round(page.height)) == SIZE
    assert np.abs(box_of(document, "morning") - places["morning"]).max() < 0.02
    shown = Image.open(io.BytesIO(render_picture(file, "jpeg", 1, scale=1.0, max_pixels=LIMIT, name="photo.jpg")))
    assert shown.size == SIZE
    assert np.abs(np.asarray(shown.convert("L"), float) - np.asarray(upright.convert("L"), float)).mean() < 4


def test_what_shows_no_text_is_refused_with_a_reason(recogniser: Recogniser, tmp_path: Path) -> None:
    Image.new("RGB", SIZE, "white").save(tmp_path / "blank.png")
    with pytest.raises(DocumentError) as empty:
        read(tmp_path / "blank.png", "png", recogniser)
    assert empty.value.reason == "empty" and "'blank.png'" in empty.value.detail
    picture, _ = drawn()
    picture.save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1500])
    with pytest.raises(DocumentError) as damaged:
        read(tmp_path / "half.png", "png", recogniser)
    assert damaged.value.reason == "corrupt"
    with pytest.raises(DocumentError) as large:
        parse_picture(tmp_path / "whole.png", "png", name="whole.png", max_pixels=1000, recogniser=recogniser)
    assert large.value.reason == "too_large"


def test_the_parser_tells_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    pages = [drawn(LINES[:1])[0] for _ in range(3)]
    pages[0].save(tmp_path / "three.tiff", save_all=True, append_images=pages[1:])
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if total:
            raise Stopped

    with Parser() as parser:
        with pytest.raises(Stopped):
            parser.parse(tmp_path / "three.tiff", name="three.tiff", progress=stop)
        assert told[0] == (0, 0) and told[-1][1] == 3
        told.clear()
        document = parser.parse(tmp_path / "three.tiff", name="three.tiff", progress=lambda *at: told.append(at))
    assert document.page_count == 3 and told[-1] == (3, 3) and told == sorted(told)


def test_each_recognised_page_brings_its_own_computing_time(tmp_path: Path) -> None:
    pages = [drawn()[0] for _ in range(2)]
    pages[0].save(tmp_path / "two.tiff", save_all=True, append_images=pages[1:])
    with Parser(ParserLimits(cpu_s=1, cpu_s_per_mb=0, recognition_cpu_s=60)) as parser:
        assert parser.parse(tmp_path / "two.tiff", name="two.tiff").page_count == 2
    with (
        Parser(ParserLimits(cpu_s=1, cpu_s_per_mb=0, recognition_cpu_s=0)) as parser,
        pytest.raises(DocumentError) as refused,
    ):
        parser.parse(tmp_path / "two.tiff", name="two.tiff")
    assert refused.value.reason == "timeout"
