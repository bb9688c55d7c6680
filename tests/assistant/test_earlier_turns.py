from __future__ import annotations

import uuid
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from assistant.earlier_turns import earlier_turns
from assistant.model import Answer, AnswerId, Claim, ConversationId, Usage


def turn(question: str, *said: str) -> Answer:
    claims = tuple(Claim(one, "supported", 1.0, (1,)) for one in said)
    return Answer(
        AnswerId(uuid.uuid4()), ConversationId(uuid.uuid4()), question, "answered" if said else "abstained", "", claims,
        (), (), None, "m", "p", None, Usage(), {},
    )  # fmt: skip


def test_the_latest_turns_are_told_at_length_and_older_ones_by_their_first_statement() -> None:
    turns = [turn(f"Question {n}?", f"First {n}.", f"Second {n}.") for n in range(4)]
    told = earlier_turns(turns)
    assert "Answered: First 3. Second 3." in told
    assert "First 0." in told and "Second 0." not in told
    assert told.index("Question 0?") < told.index("Question 3?")


def test_what_does_not_fit_is_counted_from_the_oldest_on() -> None:
    told = earlier_turns([turn(f"Question {n}?", "x" * 500) for n in range(30)], most_chars=1000)
    assert told.startswith("(") and "earlier questions are left out.)" in told.splitlines()[0]
    assert "Question 29?" in told and "Question 0?" not in told


def test_what_was_not_answered_is_said() -> None:
    assert "Answered: The documents do not say." in earlier_turns([turn("Why?")])
    assert earlier_turns([]) == ""


def test_what_was_asked_back_is_told() -> None:
    asked = replace(turn("Which?"), status="clarifying", choices=("Leave A", "Leave B"))
    assert "which is meant: Leave A; Leave B" in earlier_turns([asked])


@given(st.lists(st.tuples(st.text(max_size=400), st.lists(st.text(max_size=900), max_size=3)), max_size=12),
       st.integers(60, 3000))  # fmt: skip
def test_it_never_grows_beyond_its_bound(turns: list[tuple[str, list[str]]], most_chars: int) -> None:
    assert len(earlier_turns([turn(q, *said) for q, said in turns], most_chars=most_chars)) <= most_chars
