"""A quote is the document's own words, or nothing: examples and laws."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assistant.citing import Unresolved, find_quote, resolve, squash
from assistant.model import Evidence, Passage, Resolved
from ingest.model import DocumentId

TEXT = (
    "Staff are unable to take more than 15 days. It lasts 10-15 docu-\nments, 1.5 m and 10² “Fine”. You can't; "
    "non-\nsmokers may.\n\nAt -5 °C the ﬁlter of INC-2041 stops… and then   starts. It costs 1,000 euros and 20% of it."
)


def passage(text: str = TEXT, *, start: int = 100, id: str = "P1") -> Passage:
    return Passage(
        id=id, source="a.txt", collection="default", title="A", heading=(), document=DocumentId(uuid.uuid4()),
        version=1, page=None, start=start, end=start + len(text), text=text, chunks=(),
    )  # fmt: skip


def quoted(quote: str, text: str = TEXT) -> str | None:
    span = find_quote(quote, text)
    return None if span is None else text[span[0] : span[1]]


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        ("take more than 15 days", "take more than 15 days"),
        ("STAFF ARE  unable\nto take", "Staff are unable to take"),
        ("10–15 documents", "10-15 docu-\nments"),
        ("10-15 docu\u00adments", "10-15 docu-\nments"),
        ("10² 'fine'", "10² “Fine”"),
        ("you can’t", "You can't"),
        ("nonsmokers may", "non-\nsmokers may"),
        ("the filter of INC-2041", "the ﬁlter of INC-2041"),
        ("−5 °C the", "-5 °C the"),
        ("At −5 °C", "At -5 °C"),
        ("stops... and then starts", "stops… and then   starts"),
    ],
)
def test_what_copying_changes_does_not_matter(quote: str, words: str) -> None:
    assert quoted(quote) == words


@pytest.mark.parametrize(
    "quote",
    [
        "take more than 5 days",
        "5 days",  # of 15 days
        "15 documents",  # of 10-15
        "able to take",  # of unable
        "you can",  # of can't
        "smokers may",  # of non-smokers, across a line's end
        "5 m and",  # of 1.5 m
        "5 °C the",  # of -5 °C
        "102 'fine'",  # of 10²
        "1015 documents",
        "000 euros",  # of 1,000
        "and 20",  # of 20 %
        "2041 stops",  # of INC-2041
        "ilter of INC-2041",  # half a ligature
        "",
        "  ",
    ],
)
def test_another_number_word_or_sign_is_another_quote(quote: str) -> None:
    assert quoted(quote) is None


def test_a_later_whole_word_is_found_behind_a_cut_one() -> None:
    assert find_quote("5 days", "15 days or 5 days") == (11, 17)
    assert find_quote("5  DAYS", "15 days or 5 days") == (11, 17)


def test_scripts_without_spaces_may_be_cut_anywhere() -> None:
    assert quoted("学校に行き", "子どもは学校に行きます。") == "学校に行き"


def test_offsets_are_those_of_the_version() -> None:
    one = passage(start=1000)
    found = resolve(Evidence(" P1 ", "“more than 15 days.”"), {"P1": one})
    assert isinstance(found, Resolved)
    assert found.quote == TEXT[found.start - 1000 : found.end - 1000] == "more than 15 days."


@pytest.mark.parametrize(
    "quote", ["... more than 15 days …", "[…] more than 15 days", '"more than 15 days"', "“more than 15 days.”"]
)
def test_marks_around_a_quote_are_taken_off(quote: str) -> None:
    found = resolve(Evidence("P1", quote), {"P1": passage()})
    assert isinstance(found, Resolved) and found.quote.rstrip(".") == "more than 15 days"


def test_a_full_stop_that_the_source_lacks_is_left_out() -> None:
    found = resolve(Evidence("P1", "Staff are unable to take more."), {"P1": passage()})
    assert isinstance(found, Resolved) and found.quote == "Staff are unable to take more"


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (Evidence("P2", "more than 15 days"), "'P2' is not a passage"),
        (Evidence("P1", "days"), "too short"),
        (Evidence("P1", " “…” "), "too short"),
        (Evidence("P1", "more than 15 days" * 60), "are the most"),
        (Evidence("P1", "Staff are unable ... 15 days"), "leaves words out"),
        (Evidence("P1", "more than 16 days"), "not in passage P1"),
    ],
)
def test_a_rejection_says_why(evidence: Evidence, words: str) -> None:
    found = resolve(evidence, {"P1": passage()})
    assert isinstance(found, Unresolved) and words in found.reason


def test_a_quote_is_looked_for_in_the_passage_it_names_only() -> None:
    passages = {"P1": passage("Nothing of the kind."), "P2": passage(id="P2")}
    assert isinstance(resolve(Evidence("P1", "more than 15 days"), passages), Unresolved)
    assert isinstance(resolve(Evidence("P2", "more than 15 days"), passages), Resolved)


def test_an_identifier_is_enough() -> None:
    found = resolve(Evidence("P1", "INC-2041"), {"P1": passage()})
    assert isinstance(found, Resolved) and found.quote == "INC-2041"


# --- laws ------------------------------------------------------------------------------------------------------------

words = st.text(st.sampled_from("abcdeéßñXYZИя0123456789ﬁ²"), min_size=1, max_size=6)
joints = st.sampled_from([" ", " ", " ", "  ", "\n", ", ", ". ", " “", "” ", " - ", "—", "'s ", "\u00a0", " (", ") "])
texts = st.lists(st.tuples(words, joints), min_size=1, max_size=25).map(lambda parts: "".join(w + j for w, j in parts))


def letters(text: str) -> list[str]:
    """An oracle that shares nothing with `squash`: the letters and digits alone."""
    folded = unicodedata.normalize("NFC", text.replace("ﬁ", "fi").casefold())
    return [one for one in folded if one.isalnum()]


def respaced(text: str, draw: Callable) -> str:
    return "".join(
        draw(st.sampled_from([" ", "  ", "\n", "\u00a0 ", "\t"])) if one.isspace() and one != "\n" else one
        for one in text
    )


@st.composite
def disturbed(draw: Callable) -> tuple[str, str, str]:
    """A text, a span of whole words of it, and the span as a bad copyist writes it."""
    text = draw(texts)
    starts = [i for i in range(len(text)) if text[i].isalnum() and (i == 0 or text[i - 1] in " \n“—(")]
    ends = [i for i in range(1, len(text) + 1) if text[i - 1].isalnum() and (i == len(text) or text[i] in " \n,.”—)")]
    start = draw(st.sampled_from(starts)) if starts else 0
    later = [end for end in ends if end > start]
    assume(starts and later)
    span = text[start : draw(st.sampled_from(later))]
    copy = respaced(span, draw)
    if draw(st.booleans()):
        copy = copy.upper() if copy.upper().casefold() == copy.casefold() else copy.casefold()
    copy = copy.translate({ord(one): draw(st.sampled_from("\"“”„'’")) for one in "“”'"})
    copy = copy.translate({ord("—"): draw(st.sampled_from(["—", "–", " - "]))})
    if draw(st.booleans()):
        copy = unicodedata.normalize("NFD", copy)
    return text, span, copy


@given(disturbed())
def test_a_disturbed_copy_of_whole_words_is_found(case: tuple[str, str, str]) -> None:
    text, span, copy = case
    found = find_quote(copy, text)
    assert found is not None, (span, copy)
    words = text[found[0] : found[1]]
    assert squash(words).text == squash(copy).text
    assert letters(words) == letters(copy)


@given(disturbed(), st.data())
def test_a_copy_with_another_letter_or_digit_is_not_found(case: tuple[str, str, str], data: st.DataObject) -> None:
    text, _, copy = case
    places = [i for i, one in enumerate(copy) if one.isalnum()]
    at = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from("qwq79"))
    assume(letters(other) != letters(copy[at]))
    altered = copy[:at] + other + copy[at + 1 :]
    found = find_quote(altered, text)
    if found is not None:  # the altered words happen to stand elsewhere
        assert letters(text[found[0] : found[1]]) == letters(altered)
    assume(found is None)


@given(st.text(max_size=60), st.integers(0, 60), st.integers(1, 60))
def test_whatever_the_text_a_result_is_a_span_that_says_the_same(text: str, start: int, length: int) -> None:
    quote = text[start : start + length]
    found = find_quote(quote, text)
    if found is not None:
        assert 0 <= found[0] < found[1] <= len(text)
        words = text[found[0] : found[1]]
        assert words == quote or squash(words).text == squash(quote).text


@given(st.text(max_size=80))
def test_squashing_maps_every_character_back(text: str) -> None:
    squashed = squash(text)
    assert len(squashed.text) == len(squashed.spans)
    assert list(squashed.spans) == sorted(squashed.spans)
    assert all(0 <= start < end <= len(text) for start, end in squashed.spans)
