"""The layout of PDFs: ten labelled documents against their labels, words from right to left, lists beside tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from evals.bench import pdf_scores
from evals.bench.pdf_reading import LABELS
from evals.bench.pdf_scores import Label, read_labels, scores_of
from ingest.chunking import chunk_spans
from ingest.page_reading import put_in_reading_order
from ingest.pdf import parse_pdf

ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهويאבגדהוזחטי"


@pytest.mark.parametrize("label", read_labels(LABELS), ids=lambda label: label.path.stem)
def test_labelled_documents_are_read_as_their_author_meant(label: Label) -> None:
    read = parse_pdf(label.path, name=label.path.name)
    scores = scores_of(label, [(e.category, e.depth, read.text[e.start : e.end]) for e in read.elements])
    assert scores.misses == ()
    pairs = (getattr(scores, name) for name in pdf_scores.COUNTS)
    assert all(right == of for right, of in pairs)


def test_the_scores_see_what_is_missed() -> None:
    label = next(one for one in read_labels(LABELS) if one.path.stem == "manual")
    scores = scores_of(label, [("title", 3, label.headings[0][1]), ("title", 0, "Elsewhere")])
    assert scores.headings_found == (1, len(label.headings))
    assert scores.headings_true == (1, 2)
    assert scores.levels == (0, 1)
    assert scores.cells[0] == 0 < scores.cells[1]


@given(
    st.lists(st.text(ARABIC, min_size=2, max_size=8), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_words_from_right_to_left_are_in_reading_order_however_they_were_given(
    words: list[str], turned: list[bool]
) -> None:
    codes: list[int] = []
    boxes: list[tuple[float, float, float, float]] = []
    styles: list[int] = []
    wanted = " ".join(words)
    place = 500.0
    for number, word in enumerate(words):
        if number:
            codes.append(32)
            boxes.append((place - 10, 0, place, 10))
            styles.append(0)
            place -= 10
        letters = [(ord(letter), (place - 10 * (at + 1), 0.0, place - 10 * at, 10.0)) for at, letter in enumerate(word)]
        for code, box in reversed(letters) if turned[number] else letters:
            codes.append(code)
            boxes.append(box)
            styles.append(int(box[0]))
        place -= 10 * len(word)
    read, places, style_of = np.array(codes, np.uint32), np.array(boxes, np.float64), np.array(styles, np.int64)
    put_in_reading_order(read, places, style_of)
    assert "".join(map(chr, read.tolist())) == wanted
    letters_at = read != 32
    assert (np.diff(places[:, 0]) < 0).all()
    assert (style_of[letters_at] == places[letters_at, 0]).all()


def test_words_from_left_to_right_stay_as_they_are() -> None:
    text = "Harbour 12 \u0663\u0664"  # Arabic digits run from left to right
    codes = np.array([*map(ord, text)], np.uint32)
    boxes = np.array([(10.0 * at, 0, 10.0 * at + 10, 10) for at in range(len(text))])
    put_in_reading_order(codes, boxes, np.zeros(len(text), np.int64))
    assert "".join(map(chr, codes.tolist())) == text


def _printed(path: Path, rows: list[tuple[str, str]], second: float) -> Path:
    canvas = Canvas(str(path), pagesize=A4)
    canvas.setFont("Helvetica", 11)
    for number, (left, right) in enumerate(rows):
        canvas.drawString(72, 700 - 15 * number, left)
        canvas.drawString(second, 700 - 15 * number, right)
    canvas.save()
    return path


def test_counted_sentences_are_a_list_and_counted_figures_a_table(tmp_path: Path) -> None:
    sentences = [(f"{n}", f"The warden closes gate {n} before the tide.") for n in range(1, 6)]
    listed = parse_pdf(_printed(tmp_path / "list.pdf", sentences, 100), name="list.pdf")
    assert [e.category for e in listed.elements if e.category == "table"] == []
    assert "3 The warden closes gate 3 before the tide." in listed.text
    figures = [(f"{n}", f"{n * 7}.50") for n in range(1, 6)]
    table = parse_pdf(_printed(tmp_path / "table.pdf", figures, 200), name="table.pdf")
    assert [e.category for e in table.elements] == ["table"]
    assert "3 | 21.50" in table.text


def test_a_table_that_goes_on_over_pages_is_one_table_with_one_header(tmp_path: Path) -> None:
    path = tmp_path / "fees.pdf"
    canvas = Canvas(str(path), pagesize=A4)
    rows = [("Vessel", "Length", "Fee"), *((f"Boat {n}", f"{n % 9 + 10} m", f"{n + 100}.50") for n in range(1, 90))]
    for page in range(3):
        canvas.setFont("Helvetica", 11)
        for at, row in enumerate(rows[30 * page : 30 * page + 30]):
            for x, cell in zip((72, 200, 320), row, strict=True):
                canvas.drawString(x, 760 - 16 * at, cell)
        canvas.showPage()
    canvas.save()
    read = parse_pdf(path, name="fees.pdf")
    assert [e.category for e in read.elements] == ["table"]
    assert read.text.splitlines() == [" | ".join(row) for row in rows]
    assert [page.page for page in read.pages] == [1, 2, 3]
    chunks = chunk_spans(read, lambda texts: [len(text.split()) for text in texts], target_tokens=100, max_tokens=150)
    assert len(chunks) > 3
    assert all(chunk.heading[-1:] == ("Vessel | Length | Fee",) for chunk in chunks[1:])
