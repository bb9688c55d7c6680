"""What was said before, short enough to go with every question of a long conversation. By rules, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from assistant.model import Answer
from assistant.moderation import DECLINED, DECLINED_UNSEEN

MOST_CHARS: Final = 2400
NEAR_TURNS: Final = 2  # the latest, told at more length
NEAR_ANSWER_CHARS: Final = 600
FAR_ANSWER_CHARS: Final = 120
QUESTION_CHARS: Final = 240


def earlier_turns(turns: Sequence[Answer], *, most_chars: int = MOST_CHARS) -> str:
    """A bounded summary of a conversation for the model's context.

    The latest turns are told with most of their answers, those before with the first statement; what does not fit is
    left out from the oldest on, and counted. An answer that its reader may no longer read comes as records give it:
    without its words.

    Args:
        turns: oldest first.

    Returns:
        At most `most_chars` characters; "" for no turns.
    """
    if not turns:
        return ""
    kept = fitting(turns, most_chars)
    if len(kept) < len(turns):
        left_out = _left_out(len(turns))
        kept = fitting(turns, most_chars - len(left_out))
        kept.insert(0, _left_out(len(turns) - len(kept)))
    return "\n".join(kept)[: max(most_chars, 0)]


def fitting(turns: Sequence[Answer], most_chars: int) -> list[str]:
    """The latest turns that fit, told as above, oldest first; with a line break after each, `most_chars` characters."""
    kept: list[str] = []
    room = most_chars
    for age, turn in enumerate(reversed(turns)):
        told = _told(turn, NEAR_ANSWER_CHARS if age < NEAR_TURNS else FAR_ANSWER_CHARS)
        if len(told) + 1 > room:
            break
        room -= len(told) + 1
        kept.append(told)
    return kept[::-1]


def told_shortly(turn: Answer) -> str:
    """One turn as it is told to whoever shortens it."""
    return _told(turn, NEAR_ANSWER_CHARS)


def _told(turn: Answer, answer_chars: int) -> str:
    question = _cut(turn.question, QUESTION_CHARS)
    if turn.claims:
        said = " ".join(claim.text for claim in turn.claims)
        if answer_chars < NEAR_ANSWER_CHARS:
            said = turn.claims[0].text
    elif turn.status == "clarifying":
        said = f"It was asked back which is meant: {'; '.join(turn.choices)}"
    else:
        silent = turn.status == "abstained" and turn.missing not in (DECLINED, DECLINED_UNSEEN)
        said = "The documents do not say." if silent else "It was not answered."
    return f"Asked: {question}\nAnswered: {_cut(said, answer_chars)}"


def _left_out(count: int) -> str:
    return f"({count} earlier questions are left out.)"


def _cut(words: str, limit: int) -> str:
    line = " ".join(words.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "\u2026"
