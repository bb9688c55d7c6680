import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sentences import MAX_SENTENCE_CHARS, sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["Dr. Smith paid approx. 3.5 million, e.g. to Acme Inc. of N.Y. in Jan. 2020.", "He left (see Fig. 3)."],
        ['"Really?" she asked.', '"Yes!"', "The answer is no.", "Ask J. R. Tolkien.", "See No. 5."],
        ["3.2 Foo applies.", "3. Scope of this."],
        ["Take plan B.", "The next is worse."],
        ["The U.S. Army left.", "It left the U.S.", "The law stayed."],
        ["And so on, etc.", "The end came… slowly.", "Wait...", "What?!", "Yes."],
        ["It was cited.[12]", "(It was not.)", "“It was,” he said.", "Done."],
        ["Version 2.3.1 is out.", "Visit www.example.org. Now it is 10:30 a.m. and cold."],
        ["Er kam am 3. Mai 2020, z.B. mit Nr. 5.", "Dann ging er."],
        ["It was 2020.", "The year ended at 5 p.m.", "We left."],
    ],
)
def test_english_and_german(expected):
    if "www" in expected[1]:
        expected = [expected[0], "Visit www.example.org.", "Now it is 10:30 a.m. and cold."]
    assert sentences(" ".join(expected)) == expected


def test_scripts_without_spaces_and_with_other_stops():
    assert sentences("今日は晴れ。明日は雨！「はい。」そう。") == ["今日は晴れ。", "明日は雨！", "「はい。」", "そう。"]
    assert sentences("यह है। वह था।") == ["यह है।", "वह था।"]
    assert sentences("هل هذا؟ نعم۔") == ["هل هذا؟", "نعم۔"]


def test_lines():
    text = (
        "A line that is wrapped\nin the middle. Then Bob\nSmith came.\n\n"
        "The list:\n- item one. With two\n- item two\n  goes on\nOutside\n1. First\n2) Second\n(c) third\n\n"
        "Rate | From. To | x\n1 | 2. X | 3\nafter"
    )
    assert sentences(text) == [
        "A line that is wrapped\nin the middle.",
        "Then Bob\nSmith came.",
        "The list:",
        "- item one.",
        "With two",
        "- item two\n  goes on",
        "Outside",
        "1. First",
        "2) Second",
        "(c) third",
        "Rate | From. To | x",
        "1 | 2. X | 3",
        "after",
    ]


def test_a_long_sentence_is_cut_where_it_pauses():
    words = "word " * 70
    first, second = sentences(f"{words}stops here; {words}ends")
    assert first.endswith("here;")
    assert second.endswith("ends")
    pieces = sentences("x" * 1500)
    assert list(map(len, pieces)) == [600, 600, 300]
    assert all(len(piece) <= 600 for piece in sentences("漢字、" * 700))
    assert all(piece.endswith("、") for piece in sentences("漢字、" * 700))
    cells = sentences(" | ".join(["cell, with: marks"] * 60))
    assert all(piece.count("cell") == piece.count("marks") for piece in cells)  # between cells, not inside one


def test_a_part_of_a_text_is_split_as_if_alone():
    text = "Before it. Dr. Smith came. He left. After"
    assert sentence_spans(text, 11, 35) == [(11, 26), (27, 35)]
    assert sentence_spans(text, 5, 5) == []


ALPHABET = st.sampled_from(
    [*"aB1 .!?\n\t;:,()[]\"'|-•。」…", " | ", "\n\n", "Dr.", "3.", "e.g.", " The ", "\u00a0", "é", "\u0301"]
)


@given(st.lists(ALPHABET, max_size=80).map("".join), st.integers(0, 40), st.integers(0, 60), st.integers(1, 40))
def test_spans_partition_what_is_not_blank(text, start, length, repeat):
    text *= repeat
    start = min(start, len(text))
    end = min(len(text), start + length * repeat)
    spans = sentence_spans(text, start, end)
    at = start
    for low, high in spans:
        assert at <= low < high <= end
        assert not text[at:low].strip()
        assert text[low:high] == text[low:high].strip()
        assert not re.search(r"\n\s*\n", text[low:high])
        assert high - low <= MAX_SENTENCE_CHARS
        at = high
    assert not text[at:end].strip()
    assert [(a - start, b - start) for a, b in spans] == sentence_spans(text[start:end])


@pytest.mark.parametrize(
    "unit",
    [
        ". ",
        "\n",
        " \n ",
        "a.",
        "a\n",
        "- a\n",
        "A. ",
        "1. ",
        ".)",
        ".[1]",
        "(",
        "a | ",
        "。",
        "• ",
        "a" + " " * 700,
        "x",
    ],
)
def test_hostile_text_takes_linear_time(unit):
    took = []
    for characters in (20_000, 160_000):
        text = unit * (characters // len(unit))
        started = time.process_time()
        sentence_spans(text)
        took.append(time.process_time() - started)
    assert took[1] < 8 * 4 * took[0] + 0.2  # quadratic would be 64 times
