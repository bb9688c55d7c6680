"""Which questions lean on the one before, and what they take along."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.standalone import MOST_CARRIED, standalone

BEFORE = ["How long is parental leave for the second parent?"]


@pytest.mark.parametrize(
    "question",
    ["And for adoptive parents?", "Can it be split?", "Who approves it?", "What about interns?", "When?", "Interns too?",
     "Why is that so?", "Can they work from abroad while on it?", "Is there a rule about this?"],
)  # fmt: skip
def test_a_question_that_leans_takes_along_what_the_one_before_was_about(question: str) -> None:
    found = standalone(question, BEFORE)
    assert found.text.startswith(question) and "leave" in found.carried
    assert not {"how", "long", "is", "for", "the"} & {word.lower() for word in found.carried}


@pytest.mark.parametrize(
    "question",
    ["How many days of annual leave do I get?", "Does the office in Lisbon have a canteen?",
     "Who do I tell that I lost my badge?", "Which form is there for travel expenses of a conference?",
     "If a laptop breaks on a business trip abroad, does the insurance pay for its repair?"],
)  # fmt: skip
def test_a_question_that_stands_by_itself_is_left_alone(question: str) -> None:
    assert standalone(question, BEFORE).text == question


def test_what_was_carried_is_carried_on() -> None:
    questions = [*BEFORE, "Can it be split?", "Who approves that?"]
    assert {"parental", "leave", "split"} <= set(standalone("And in Lisbon?", questions).carried)


def test_without_a_conversation_nothing_is_carried() -> None:
    assert standalone("When?", []).text == "When?"


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=6))
def test_any_conversation_is_bounded(question: str, earlier: list[str]) -> None:
    found = standalone(question, earlier)
    assert found.text.startswith(question)
    assert len(found.carried) <= MOST_CARRIED
