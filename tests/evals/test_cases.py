"""Cases are read with messages that lead to the line; gold quotes are found where a reader would find them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.cases import Case, Gold, read_cases
from evals.gold import occurrences, page_numbers, passage_of
from ingest.errors import UsageError
from ingest.model import Element


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_every_field_of_a_case_is_read(tmp_path: Path) -> None:
    file = write(
        tmp_path / "cases.jsonl",
        {
            "id": 7,
            "question": "How long?",
            "answerable": True,
            "gold": [{"source": "hr/leave.md", "quote": "20 weeks", "collection": "hr"}, {"source": "a", "quote": "b"}],
            "answer": "20 weeks",
            "type": "number",
            "turns": ["Who may take leave?", {"question": "And fathers?"}, {"role": "assistant", "content": "Yes."}],
            "groups": ["hr", "legal"],
            "note": "fields may be added",
        },
        {"id": "b", "question": "Who?", "answerable": False, "gold": None, "groups": []},
    )
    first, second = read_cases(file)
    assert first == Case(
        "7",
        "How long?",
        True,
        (Gold("hr/leave.md", "20 weeks", "hr"), Gold("a", "b")),
        "20 weeks",
        "number",
        ("Who may take leave?", "And fathers?"),
        ("hr", "legal"),
    )
    assert second == Case("b", "Who?", False, groups=())  # no groups at all is not the same as none given
    assert read_cases(write(tmp_path / "one.jsonl", {"id": "c", "question": "?x"}))[0].groups is None


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    line = json.dumps({"id": "a", "question": "one\u2028two\x85three"}, ensure_ascii=False)
    file.write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\r\n\n")
    assert read_cases(file)[0].question == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": "a"', "line 2: this is not JSON"),
        ("[1]", "line 2: this is not a JSON object"),
        ('{"question": "x"}', "line 2: 'id' must be a text"),
        ('{"id": "b", "question": "  "}', "line 2: 'question' must be a text that is not empty, not '  '"),
        ('{"id": "b", "question": "x", "answerable": "yes"}', "'answerable' must be true or false, not 'yes'"),
        ('{"id": "b", "question": "x", "gold": {}}', "'gold' must be a list"),
        ('{"id": "b", "question": "x", "gold": ["q"]}', "gold\\[0\\] must be an object"),
        ('{"id": "b", "question": "x", "gold": [{"source": "s"}]}', "line 2: gold\\[0\\]: 'quote' must be a text"),
        ('{"id": "b", "question": "x", "turns": [3]}', "turns\\[0\\] must be a question"),
        ('{"id": "b", "question": "x", "groups": ["*"]}', "'groups': '\\*' is not a group name"),
        ('{"id": "b", "question": "x", "answer": 3}', "'answer' must be a text or null"),
        ('{"id": "a", "question": "x"}', "line 2: the id 'a' was used before"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_field(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"id": "a", "question": "x"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        read_cases(file)


def test_a_file_that_is_missing_empty_or_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl' cannot be read"):
        read_cases(tmp_path / "none.jsonl")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no case"):
        read_cases(empty)
    empty.write_bytes("{é}".encode("latin-1"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        read_cases(empty)


def test_an_exact_quote_is_found_everywhere_it_stands() -> None:
    assert occurrences("Leave is 20 weeks. Paid leave is 20 weeks.", "20 weeks") == [(9, 17), (33, 41)]


def test_a_quote_is_found_through_white_space_case_marks_and_hyphens() -> None:
    text = "The “long-\nterm” plan  covers\nﬁve years."
    (span,) = occurrences(text, "'long term' PLAN covers five years")
    assert text[slice(*span)] == "“long-\nterm” plan  covers\nﬁve years"


def test_other_words_are_not_found() -> None:
    assert occurrences("Leave is 20 weeks.", "Leave is 21 weeks.") == []
    assert occurrences("Leave.", "—") == []
    assert occurrences("Leave.", " ") == []


def test_cells_of_a_row_are_found_without_the_bars_between_them() -> None:
    text = "Town | Lunch | Dinner\nGhent | 18 | 32\nGhent Sea | 20 | 35"
    (span,) = occurrences(text, "Ghent 18 32")
    assert text[slice(*span)] == "Ghent | 18 | 32"


def test_a_part_of_a_number_is_another_number() -> None:
    assert occurrences("Leave is 15 days, later 5 days.", "5 days") == [(24, 30)]


@given(st.lists(st.sampled_from(["leave", "is", "20", "weeks.", "“paid”", "a-b", "ﬁve"]), max_size=30), st.data())
def test_the_words_of_a_text_are_found_at_their_places(words: list[str], data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([" ", "\n", "  "])).join(words)
    start = data.draw(st.integers(0, len(words)))
    end = data.draw(st.integers(start, len(words)))
    found = occurrences(text, " ".join(words[start:end]))
    if start < end:
        assert found
        assert all(text[slice(*span)].split() == words[start:end] for span in found)
        assert all(a[1] <= b[0] for a, b in pairwise(found))


def test_the_passage_of_a_span_is_what_it_touches() -> None:
    elements = [Element(i, "text", 0, a, b, None, {}) for i, (a, b) in enumerate([(0, 10), (12, 20), (22, 30)])]
    assert passage_of((3, 5), elements) == (0, 10)
    assert passage_of((8, 14), elements) == (0, 20)
    assert passage_of((10, 12), elements) == (10, 12)  # between two
    assert page_numbers(None, None) == frozenset()
    assert page_numbers(3, None) == {3}
    assert page_numbers(3, 5) == {3, 4, 5}
