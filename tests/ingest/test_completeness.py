"""What a PDF's pages show reaches the text, and where it does not, the owner is told."""

from __future__ import annotations

from pathlib import Path

import pypdfium2 as pdfium
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen.canvas import Canvas

from ingest.model import PageMap
from ingest.page_text import Page
from ingest.pdf import _lost, _opened, _read_page, parse_pdf

PAGES = 4
LINES = 22


def printed(path: Path) -> Path:
    canvas = Canvas(str(path), pagesize=A5)
    for page in range(PAGES):
        canvas.setFont("Helvetica", 10)
        for line in range(LINES):
            canvas.drawString(
                40, 540 - 22 * line, f"Berth {page}-{line} is kept free for ship number {page * 77 + line}."
            )
        canvas.showPage()
    canvas.save()
    return path


def pages_of(path: Path) -> list[Page]:
    with _opened(path, path.name) as document:
        return [_read_page(document, index, path.name).page for index in range(len(document))]


def test_all_letters_that_pdfium_counts_reach_the_text(tmp_path: Path) -> None:
    file = printed(tmp_path / "berths.pdf")
    document = parse_pdf(file, name="berths.pdf")
    counted = [page.get_textpage().get_text_range() for page in pdfium.PdfDocument(file)]
    for page_map, text in zip(document.pages, counted, strict=True):
        reached = document.text[page_map.start : page_map.end]
        assert sorted(filter(str.isalnum, reached)) == sorted(filter(str.isalnum, text))
    assert document.warnings == ()


def test_letters_that_do_not_reach_the_text_are_told_by_page(tmp_path: Path) -> None:
    file = printed(tmp_path / "berths.pdf")
    maps = list(parse_pdf(file, name="berths.pdf").pages)
    pages = pages_of(file)
    assert _lost(pages, maps) == []
    short = maps[1]
    half = (short.end - short.start) // 2
    maps[1] = PageMap(2, short.start, short.start + half, short.width, short.height, short.boxes[:half])
    del maps[3]
    assert _lost(pages, maps) == ["More than a tenth of the letters could not be put in order on pages 2, 4."]
