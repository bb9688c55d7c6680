"""Text recognition on pages that the tests print and then turn into pictures: words, their places, order, orientation."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from reportlab.lib.pagesizes import A5
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ingest.errors import DocumentError
from ingest.model import ParsedDocument
from ingest.pdf import parse_pdf
from ingest.recognition import CHECK_BELOW, Recogniser, numbered

Draw = Callable[[Canvas], None]
RULES = [
    "Every employee may take thirty days of leave in a year.",
    "A request is made in writing two weeks before it begins.",
    "The manager answers within five working days at most.",
    "Days that are not taken end with the month of March.",
]
LEFT = ["The left column opens the", "page and tells of harbours,", "their piers and the ships", "that lie at anchor there",
        "while winter storms pass."]  # fmt: skip
RIGHT = ["On the right the reader", "finds gardens with apples,", "pears and plums in rows", "that ripen in the month",
         "of August every summer."]  # fmt: skip


@pytest.fixture(scope="module")
def recogniser() -> Iterator[Recogniser]:
    yield Recogniser()


def printed(path: Path, *pages: Draw, size: tuple[float, float] = A5) -> Path:
    canvas = Canvas(str(path), pagesize=size)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def write(canvas: Canvas, lines: list[str], *, x: float = 40, y: float = 500, size: float = 11) -> None:
    canvas.setFont("Times-Roman", size)
    for line in lines:
        canvas.drawString(x, y, line)
        y -= 1.4 * size


def picture_of(path: Path, page: int = 1, *, dpi: float = 150) -> Image.Image:
    return pdfium.PdfDocument(path)[page - 1].render(scale=dpi / 72).to_pil()


def scanned(path: Path, pictures: list[Image.Image], *, size: tuple[float, float] = A5, quality: int = 80) -> Path:
    """A PDF whose pages are nothing but pictures."""
    canvas = Canvas(str(path), pagesize=size)
    for picture in pictures:
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "JPEG", quality=quality)
        width, height = (size[1], size[0]) if picture.width > picture.height else size
        canvas.setPageSize((width, height))
        canvas.drawImage(ImageReader(buffer), 0, 0, width, height)
        canvas.showPage()
    canvas.save()
    return path


def points(document: ParsedDocument, word: str) -> np.ndarray:
    """The union of the boxes of a word, in points as displayed."""
    start = document.text.index(word)
    page = next(p for p in document.pages if p.start <= start < p.end)
    rows = page.boxes[start - page.start : start - page.start + len(word)].astype(float)
    assert rows.any(axis=1).all()
    union = np.concatenate([rows[:, :2].min(axis=0), rows[:, 2:].max(axis=0)]) / 65535
    return union * np.array([page.width, page.height, page.width, page.height])


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def draw(canvas: Canvas) -> None:
        write(canvas, ["Leave and absence"], y=540, size=18)
        write(canvas, RULES)

    return printed(tmp_path_factory.mktemp("rules") / "rules.pdf", draw)


def test_a_scan_is_read_in_order_with_words_where_they_stand(
    recogniser: Recogniser, rules: Path, tmp_path: Path
) -> None:
    native = parse_pdf(rules, name="rules.pdf")
    document = parse_pdf(scanned(tmp_path / "scan.pdf", [picture_of(rules)]), name="scan.pdf", recogniser=recogniser)
    assert document.text.split() == ["Leave", "and", "absence", *" ".join(RULES).split()]
    first = document.elements[0]
    assert (first.category, document.text[first.start : first.end]) == ("title", "Leave and absence")
    assert document.title == "Leave and absence" and document.page_count == 1
    (page,) = document.pages
    assert page.recognition is not None and page.recognition > CHECK_BELOW
    assert (round(page.width), round(page.height)) == (420, 595)
    assert len(document.warnings) == 1 and "Page 1 was read from a picture" in document.warnings[0]
    for word in ("employee", "thirty", "writing", "manager", "working", "March"):
        assert np.abs(points(document, word) - points(native, word)).max() < 3.0  # a quarter of the letters' size


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180])
def test_a_page_lying_on_its_side_or_head_is_read_and_boxed_as_displayed(
    recogniser: Recogniser, rules: Path, tmp_path: Path, turn: Image.Transpose
) -> None:
    native = parse_pdf(rules, name="rules.pdf")
    file = scanned(tmp_path / "turned.pdf", [picture_of(rules).transpose(turn)])
    document = parse_pdf(file, name="turned.pdf", recogniser=recogniser)
    assert document.text.split()[3:] == " ".join(RULES).split()
    (page,) = document.pages
    for word in ("thirty", "manager"):
        x0, y0, x1, y1 = points(native, word)
        w, h = native.pages[0].width, native.pages[0].height
        expected = [w - x1, h - y1, w - x0, h - y0] if turn == Image.Transpose.ROTATE_180 else [y0, w - x1, y1, w - x0]
        assert np.abs(points(document, word) - expected).max() < 3.0
    assert (page.width > page.height) == (turn == Image.Transpose.ROTATE_90)


def test_a_slanting_scan_keeps_its_lines_whole_and_its_boxes_on_the_words(
    recogniser: Recogniser, rules: Path, tmp_path: Path
) -> None:
    native = parse_pdf(rules, name="rules.pdf")
    degrees = 3.0
    slanted = picture_of(rules).rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")
    document = parse_pdf(scanned(tmp_path / "s.pdf", [slanted]), name="s.pdf", recogniser=recogniser)
    assert " ".join(document.text.split()[3:]) == " ".join(RULES)
    centre = np.array([native.pages[0].width, native.pages[0].height]) / 2
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    for word in ("thirty", "manager", "March"):
        box = points(native, word)
        middle = (box[:2] + box[2:]) / 2 - centre
        expected = centre + np.array([middle[0] * cos + middle[1] * sin, middle[1] * cos - middle[0] * sin])
        found = points(document, word)
        assert np.abs((found[:2] + found[2:]) / 2 - expected).max() < 3.0


def test_columns_are_read_one_after_the_other(recogniser: Recogniser, tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, LEFT, x=30)
        write(canvas, RIGHT, x=225)

    file = printed(tmp_path / "columns.pdf", draw)
    document = parse_pdf(scanned(tmp_path / "scan.pdf", [picture_of(file)]), name="scan.pdf", recogniser=recogniser)
    assert document.text.split() == " ".join(LEFT + RIGHT).split()


def test_only_pages_without_text_of_their_own_are_recognised(rules: Path, tmp_path: Path) -> None:
    class Counting(Recogniser):
        def __init__(self) -> None:
            super().__init__()
            self.read_pages: list[int] = []

        def read(self, picture, *, number, width, height):  # type: ignore[no-untyped-def]
            self.read_pages.append(number)
            return super().read(picture, number=number, width=width, height=height)

    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)).resize((600, 600))
    scan = picture_of(rules)
    told: list[tuple[int, int]] = []

    def mixed(canvas: Canvas) -> None:
        write(canvas, RULES)
        canvas.drawImage(ImageReader(noise), 40, 40, 340, 380)

    def bare(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(noise), 40, 40, 340, 380)

    def scanned_page(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(scan), 0, 0, *A5)

    file = printed(tmp_path / "all.pdf", mixed, bare, scanned_page, lambda canvas: write(canvas, RULES))
    counting = Counting()
    document = parse_pdf(file, name="all.pdf", recogniser=counting, progress=lambda a, b: told.append((a, b)))
    assert counting.read_pages == [2, 3] and told == [(0, 2), (1, 2), (2, 2)]
    assert [(p.page, p.recognition is not None) for p in document.pages] == [(1, False), (3, True), (4, False)]
    assert any("No text was recognised on page 2" in warning for warning in document.warnings)
    assert any(warning.startswith("Page 3 was read from a picture") for warning in document.warnings)


def test_fonts_that_do_not_name_their_letters_are_read_from_the_picture(
    recogniser: Recogniser, rules: Path, tmp_path: Path
) -> None:
    """The letters are there for the eye; for PDFium each is a code without a meaning."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    pdfmetrics.registerFont(TTFont("Nameless", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", asciiReadable=False))
    canvas = Canvas(str(tmp_path / "codes.pdf"), pagesize=A5, pageCompression=0)
    canvas.setFont("Nameless", 11)
    for at, line in enumerate(RULES):
        canvas.drawString(40, 500 - 16 * at, line)
    canvas.save()
    content = (tmp_path / "codes.pdf").read_bytes()
    (tmp_path / "codes.pdf").write_bytes(content.replace(b"/ToUnicode", b"/XoUnicode"))
    document = parse_pdf(tmp_path / "codes.pdf", name="codes.pdf", recogniser=recogniser)
    assert document.pages[0].recognition is not None
    assert "thirty days of leave" in document.text


def test_a_script_that_is_not_read_is_not_passed_over_in_silence(recogniser: Recogniser, tmp_path: Path) -> None:
    from PIL import ImageDraw, ImageFont

    picture = Image.new("RGB", (1000, 1400), "white")
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 26)
    for at in range(18):
        text = "Съешь же ещё этих мягких французских булок, да выпей чаю"
        ImageDraw.Draw(picture).text((60, 100 + 50 * at), text, font=font, fill="black")
    file = scanned(tmp_path / "russian.pdf", [picture])
    try:
        document = parse_pdf(file, name="russian.pdf", recogniser=recogniser)
    except DocumentError as refused:
        assert refused.reason == "unreadable"
    else:
        assert any("check it" in warning for warning in document.warnings)


@given(st.sets(st.integers(1, 40), min_size=1).map(sorted))
def test_numbered_pages_name_exactly_those(pages: list[int]) -> None:
    words, ranges = numbered(pages).split(" ", 1)
    assert words == ("page" if len(pages) == 1 else "pages")
    named: list[int] = []
    for one in ranges.split(", "):
        first, _, last = one.partition("-")
        named.extend(range(int(first), int(last or first) + 1))
    assert named == pages
