"""The bench of locators sees what is wrong: boxes that stand beside their characters, text that is not in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.bench.locators import SAMPLES, classes_of, same
from ingest.parser import Parser


@pytest.fixture(scope="module")
def parser(shared_parser: Parser) -> Parser:
    return shared_parser


def exact(parser: Parser, file: Path, shift: float = 0.0, words: tuple[str, str] = ("", "")) -> float:
    """The share of exact characters after the boxes were shifted by a share of the page, or words were replaced."""
    document = parser.parse(file, name=file.name)
    pages = tuple(
        replace(
            page,
            boxes=np.where(page.boxes.any(axis=1, keepdims=True), page.boxes + int(shift * 65535), 0).astype("<u2"),
        )
        for page in document.pages
    )
    changed = replace(document, pages=pages, text=document.text.replace(*words) if words[0] else document.text)
    counts = classes_of(changed, file, 2)
    assert counts is not None and counts.total() > 500
    return counts["exact"] / counts.total()


def test_boxes_beside_their_characters_are_noticed(parser: Parser) -> None:
    file = SAMPLES / "hr" / "parental_leave.pdf"
    assert exact(parser, file) > 0.99
    assert exact(parser, file, shift=0.01) < 0.4


@pytest.mark.parametrize(
    "name", ["hr/annual_leave.docx", "hr/onboarding.pptx", "it/on_call.md", "hr/special_leave.html"]
)
def test_words_that_the_file_does_not_hold_are_noticed(parser: Parser, name: str) -> None:
    whole = exact(parser, SAMPLES / name)
    assert whole > 0.95
    assert exact(parser, SAMPLES / name, words=("e", "q")) < whole - 0.5


def test_spellings_of_one_character_agree() -> None:
    assert same("f", "\ufb01") and same("\u00e9", "e\u0301") and same("-", "\u2010") and same("A", "a")
    assert not same("a", "b") and not same("1", "l") and not same("a", " ")
