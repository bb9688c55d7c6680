"""What is told of answers and calls to whoever watches them: metrics.py and traces.py. Ids, names and numbers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from assistant.model import Answer, AnswerEvent, AnswerId, Begun
from ingest.metering import Purpose, Usage


@dataclass(frozen=True, slots=True)
class CallMade:
    """One call of a model that is over, or that was not let through."""

    purpose: Purpose
    model: str
    answer: AnswerId | None  # that it was made for
    status: str  # as model_call keeps it; "limited" and "left alone" for calls that were not made
    usage: Usage
    ended_at: float  # time.time()
    ms: float


class Watch(Protocol):
    """Told from the threads that answer; it must be quick, and must not raise."""

    def begun(self, answer: AnswerId) -> None: ...

    def called(self, made: CallMade) -> None: ...

    def ended(self, answer: AnswerId, kept: Answer | None) -> None:
        """An answer is over: kept, or None where it was stopped or failed."""
        ...


def watched(events: Iterator[AnswerEvent], watches: Sequence[Watch]) -> Iterator[AnswerEvent]:
    """The same events, with who watches told of the answer's beginning and end; closing it closes them."""
    begun: AnswerId | None = None
    kept: Answer | None = None
    try:
        with closing(events) as inner:  # type: ignore[type-var]  # answering is a generator
            for event in inner:
                if isinstance(event, Begun):
                    begun = event.answer
                    for watch in watches:
                        watch.begun(begun)
                elif isinstance(event, Answer):
                    kept = event
                yield event
    finally:
        if begun is not None:
            for watch in watches:
                watch.ended(begun, kept)
