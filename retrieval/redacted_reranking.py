"""A remote re-ranker sees placeholders instead of addresses, numbers and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingest.metering import Caller, in_name_of
from ingest.redaction import Redactor
from retrieval.model import Hit
from retrieval.reranking import Asked, Reranker


class RedactingReranker:
    """A Reranker that another one is asked through; scores need nothing put back."""

    def __init__(self, reranker: Reranker, redactor: Redactor) -> None:
        self._reranker = reranker
        self._redactor = redactor

    @property
    def name(self) -> str:
        return self._reranker.name

    def for_caller(self, caller: Caller) -> RedactingReranker:
        return RedactingReranker(in_name_of(self._reranker, caller), self._redactor)

    def scores(self, asked: Asked, candidates: Sequence[Hit], *, budget_s: float) -> list[float]:
        """Scores by the other re-ranker, of redacted texts; the same value has one placeholder in all of them."""
        call = self._redactor.call()
        question = replace(asked, text=call.redact(asked.text))
        shown = [
            replace(
                hit,
                title=call.redact(hit.title),
                source=call.redact(hit.source),
                heading=tuple(call.redact(one) for one in hit.heading),
                text=call.redact(hit.text),
            )
            for hit in candidates
        ]
        return self._reranker.scores(question, shown, budget_s=budget_s)

    def release(self) -> None:
        self._reranker.release()
