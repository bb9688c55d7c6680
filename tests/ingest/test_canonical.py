"""Canonical text by its laws: spans are exact, page maps tile, nothing invisible or ambiguous remains."""

from __future__ import annotations

import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.canonical import SEPARATOR, Block, Run, assemble, assemble_pages, canonical, canonical_run

# What normalising is about: composing marks, Hangul, line breaks of all kinds, controls, half surrogate pairs.
AWKWARD = st.sampled_from(
    [*"aeé \t-.", "\u0301", "\u0327", "\u1100", "\u1161", "\u11a8", "\r", "\n", "\x0b", "\x0c", "\x1c", "\x85",
     "\u2028", "\u2029", "\0", "\x07", "\u00ad", "\u200b", "\ufeff", "\u202e", "\ud800", "\U0001f600", "ﬁ", "中"]
)  # fmt: skip
TEXTS = st.text(AWKWARD | st.characters(), max_size=40)
CATEGORIES = st.sampled_from(["text", "title", "code", "table"])


def boxed(characters: list[str], first: int) -> np.ndarray:
    """A box for each character that tells which one it is."""
    numbers = np.arange(first, first + len(characters), dtype=np.uint16)
    return np.stack([numbers, numbers, numbers + 1, numbers + 1], axis=1).reshape(-1, 4)


@given(TEXTS)
def test_canonical_text_is_stable_and_has_one_line_break(text: str) -> None:
    clean = canonical(text)
    assert canonical(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert clean.splitlines() == clean.removesuffix("\n").split("\n") or not clean
    assert "\0" not in clean and "\u202e" not in clean
    clean.encode("utf-8")


def test_words_of_joining_scripts_keep_their_joiners() -> None:
    assert canonical("می\u200cخواهم") == "می\u200cخواهم"


def test_line_breaks_become_one_kind() -> None:
    assert canonical("a\r\nb\rc\u2028d\u2029e\x85f\x0bg\x0ch") == "a\nb\nc\nd\ne\nf\ng\nh"


@given(st.lists(st.tuples(CATEGORIES, TEXTS), max_size=8))
def test_elements_are_exact_spans_in_order(blocks: list[tuple[str, str]]) -> None:
    text, elements = assemble(Block(category, content) for category, content in blocks)  # type: ignore[arg-type]
    assert SEPARATOR.join(text[e.start : e.end] for e in elements) == text
    assert unicodedata.is_normalized("NFC", text)
    assert [e.ordinal for e in elements] == list(range(len(elements)))
    for element in elements:
        own = text[element.start : element.end]
        assert own.strip() and own == own.strip("\n")


@given(st.text(AWKWARD.filter(lambda c: c != "\r") | st.characters(exclude_characters="\r"), max_size=40))
def test_a_run_is_the_canonical_text_with_a_box_each(text: str) -> None:
    run = canonical_run(1, list(text), boxed(list(text), 1))
    assert run.text == canonical(text)
    assert run.boxes.shape == (len(run.text), 4)


def test_a_composed_character_gets_the_union_of_its_parts() -> None:
    boxes = np.array([[10, 20, 30, 40], [12, 10, 20, 15], [30, 20, 50, 40]], np.uint16)
    run = canonical_run(1, ["e", "\u0301", "t"], boxes)
    assert run.text == "ét"
    assert run.boxes.tolist() == [[10, 10, 30, 40], [30, 20, 50, 40]]


RUNS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=12), max_size=4)


@given(st.lists(st.tuples(st.integers(0, 2), RUNS), max_size=6))
def test_page_maps_tile_the_text_and_keep_every_box(plan: list[tuple[int, list[str]]]) -> None:
    blocks: list[Block] = []
    page = 1
    for skipped, texts in plan:
        runs = []
        for content in texts:
            page += skipped
            runs.append(canonical_run(page, list(content), boxed(list(content), 100)))
        blocks.append(Block("text", runs=tuple(runs)))
    sizes = dict.fromkeys(range(1, page + 1), (600.0, 800.0))
    text, elements, maps = assemble_pages(blocks, sizes)
    assert SEPARATOR.join(text[e.start : e.end] for e in elements) == text
    at = 0
    for page_map in maps:
        assert page_map.start == at < page_map.end
        assert page_map.boxes.shape == (page_map.end - page_map.start, 4)
        at = page_map.end
    assert at == len(text)
    kept = [block for block in blocks if "".join(run.text for run in block.runs).strip()]
    for element, block in zip(elements, kept, strict=True):
        assert text[element.start : element.end] == "".join(run.text for run in block.runs)
        rows = np.concatenate([m.boxes[max(0, element.start - m.start) : max(0, element.end - m.start)] for m in maps])
        assert np.array_equal(rows, np.concatenate([run.boxes for run in block.runs]))


def test_a_separator_belongs_to_the_page_before() -> None:
    def run(page: int, text: str) -> Run:
        return canonical_run(page, list(text), boxed(list(text), 1))

    blocks = [Block("text", runs=(run(1, "one"),)), Block("text", runs=(run(2, "two"),))]
    text, _, maps = assemble_pages(blocks, {1: (100.0, 100.0), 2: (100.0, 100.0)})
    assert text == "one\n\ntwo"
    assert [(m.page, m.start, m.end) for m in maps] == [(1, 0, 5), (2, 5, 8)]
    assert not maps[0].boxes[3:].any()
