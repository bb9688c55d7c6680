"""Ask one wired store many questions at a time, and look at every answer again afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from assistant.bootstrap import Quoth
from assistant.model import Answer, ClaimShown
from ingest.access import Reader
from ingest.errors import QuothError
from ingest.model import DocumentId


@dataclass(slots=True)
class Asked:
    """One question and what came of it."""

    question: str
    answer: Answer | None = None
    error: str | None = None  # the exception, by its name
    elapsed_s: float = 0.0
    shown_at: dict[str, float] = field(default_factory=dict)  # time.monotonic() of each claim, by its text


def ask(quoth: Quoth, question: str, reader: Reader) -> Asked:
    """Ask once; whatever is raised becomes the outcome."""
    asked, started = Asked(question), time.monotonic()
    try:
        for event in quoth.ask(question, reader):
            if isinstance(event, ClaimShown):
                asked.shown_at.setdefault(event.claim.text, time.monotonic())
            elif isinstance(event, Answer):
                asked.answer = event
    except Exception as error:
        asked.error = type(error).__name__
    asked.elapsed_s = time.monotonic() - started
    return asked


def ask_all(
    quoth: Quoth, questions: Iterable[str], reader: Reader, *, askers: int, hung_after_s: float
) -> tuple[list[Asked], int]:
    """Ask every question once, with so many threads.

    Returns:
        What came of them, and how many askers were still waiting `hung_after_s` after the last answer came.
    """
    waiting = iter(list(questions))
    lock = threading.Lock()
    done: list[Asked] = []
    last = time.monotonic()

    def work() -> None:
        nonlocal last
        while True:
            with lock:
                question = next(waiting, None)
            if question is None:
                return
            asked = ask(quoth, question, reader)
            with lock:
                done.append(asked)
                last = time.monotonic()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(askers)]
    for one in threads:
        one.start()
    for one in threads:
        while one.is_alive() and time.monotonic() - last < hung_after_s:
            one.join(0.2)
    return done, sum(one.is_alive() for one in threads)


class Stored:
    """The canonical texts of a store, each read once, to hold quotations against."""

    def __init__(self, quoth: Quoth, reader: Reader) -> None:
        self._quoth = quoth
        self._reader = reader
        self._texts: dict[tuple[DocumentId, int], str] = {}

    def inexact(self, answer: Answer) -> list[str]:
        """The quotations that do not stand where their citation says."""
        return [
            one.quote
            for one in answer.citations
            if not one.quote or self._text(one.document, one.version)[one.start : one.end] != one.quote
        ]

    def _text(self, document: DocumentId, version: int) -> str:
        key = (document, version)
        if key not in self._texts:
            self._texts[key] = self._quoth.catalog.text(self._reader, document, version)
        return self._texts[key]


def uncited(answer: Answer) -> list[str]:
    """Claims without a citation of the same answer."""
    markers = {one.marker for one in answer.citations}
    return [one.text for one in answer.claims if not one.citations or not set(one.citations) <= markers]


def is_kept(quoth: Quoth, answer: Answer, reader: Reader) -> bool:
    """Whether the store gives the same answer back: question, claims and quotations."""
    try:
        kept = quoth.answers.get(reader, answer.id)
    except QuothError:
        return False
    return (
        kept.question == answer.question
        and [one.text for one in kept.claims] == [one.text for one in answer.claims]
        and [one.quote for one in kept.citations] == [one.quote for one in answer.citations]
    )
