"""Paragraphs of plain text, and which lines are titles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.plain_text import text_paragraphs

BODY = "Everyone who works here for more than six months may take five days of leave in a row."


def found(text: str) -> list[tuple[str, int | None]]:
    return list(text_paragraphs(text))


@pytest.mark.parametrize(
    ("line", "depth"),
    [("STAFF RULES", 0), ("2.1.3 Leave of absence", 2), ("IV. Leave", 0), ("Chapter 3: Leave", 0), ("About leave", 1)],
)
def test_lines_that_stand_alone_above_a_paragraph_are_titles(line: str, depth: int) -> None:
    assert found(f"{line}\n\n{BODY}") == [(line, depth), (BODY, None)]


@pytest.mark.parametrize(
    "line",
    ["Dear all,", "It rained today.", "- a point", "1999", "see below", "What now?", "* * *", "A" * 101],
)
def test_other_lines_are_none(line: str) -> None:
    assert found(f"{line}\n\n{BODY}")[0] == (line, None)


def test_the_last_line_is_no_title() -> None:
    assert found(f"{BODY}\n\nAnna Berg") == [(BODY, None), ("Anna Berg", None)]


def test_underlined_lines_are_titles_by_their_line() -> None:
    assert found(f"Leave\n=====\n{BODY}\n\nDays\n----\n\n{BODY}") == [
        ("Leave", 0), (BODY, None), ("Days", 1), (BODY, None),
    ]  # fmt: skip


def test_a_numbered_line_on_top_of_its_paragraph_is_a_title_and_a_numbered_list_is_not() -> None:
    assert found(f"3.2 Days of leave\n{BODY}") == [("3.2 Days of leave", 1), (BODY, None)]
    assert found("1. Ask first\n2. Then go\n3. Come back") == [
        ("1. Ask first", None), ("2. Then go", None), ("3. Come back", None),
    ]  # fmt: skip


def test_wrapped_lines_are_joined_and_meant_breaks_stay() -> None:
    at = BODY.rindex(" ", 0, 45)
    assert found(f"{BODY[:at]}\n{BODY[at + 1 :]}") == [(BODY, None)]
    assert found("Box 12\nMain Street 4\nSpringfield") == [("Box 12\nMain Street 4\nSpringfield", None)]


@given(
    st.lists(st.sampled_from(["", " ", "- a", "1. b", "====", "TITLE", "some words of it.", BODY, "\t"]), max_size=12)
)
def test_no_word_is_lost_or_added(lines: list[str]) -> None:
    """But for rulers under titles."""
    text = "\n".join(lines)
    words = [word for word in text.split() if word != "===="]
    assert [word for paragraph, _ in found(text) for word in paragraph.split() if word != "===="] == words
