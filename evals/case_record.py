"""One case's record: what was found, given, cited and judged, as ids, spans and numbers. It holds no words.

The words are those of the case and of the kept answer that it names, read when they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from assistant.model import Answer
from evals.cases import Case
from evals.outcome import Outcome
from ingest.model import Span
from retrieval.model import Stage

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class HitSeen:
    """A chunk that the search brought."""

    chunk: UUID
    document: UUID
    version: int
    span: Span
    ranks: Mapping[Stage, int]
    scores: Mapping[Stage, float]


@dataclass(frozen=True, slots=True)
class SpanSeen:
    """A passage that the answerer was given."""

    document: UUID
    version: int
    span: Span


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """One case of a run, as it is kept."""

    outcome: Outcome
    failure_class: str
    tags: tuple[str, ...] = ()
    answer: UUID | None = None  # a kept answer
    principal: str = ""  # whose it is
    model: str = ""
    prompt_version: str = ""
    degraded: bool = False  # a lesser path answered; the answer says why
    problems: tuple[str, ...] = ()  # in words, by number of gold quote and citation
    hits: tuple[HitSeen, ...] = ()  # the best of the last stage; empty where nobody searched
    context: tuple[SpanSeen, ...] = ()
    claim_scores: tuple[float, ...] = ()  # the checker's, as shown
    timings_ms: Mapping[str, float | None] = field(default_factory=dict)
    cached_input_tokens: int = 0

    @property
    def case_id(self) -> str:
        return self.outcome.case_id

    @property
    def latency_ms(self) -> float | None:
        return self.outcome.latency_ms


def to_json(record: CaseRecord) -> dict[str, Any]:
    """As it is stored."""
    stored: dict[str, Any] = _adapter().dump_python(record, mode="json")
    return stored


def from_json(stored: Mapping[str, Any]) -> CaseRecord:
    """What `to_json` made; fields that a former form lacks have their defaults."""
    return _adapter().validate_python(dict(stored))


@cache
def _adapter() -> TypeAdapter[CaseRecord]:
    from pydantic import TypeAdapter  # a fraction of a second that no other command need wait for

    return TypeAdapter(CaseRecord)


def report_json(record: CaseRecord, case: Case | None, answer: Answer | None) -> dict[str, Any]:
    """One case's line of a report, with its words. It is for who may read what the case's asker may read.

    Args:
        case: None where the file of cases is not at hand.
        answer: None where it is not kept any more, or failed.
    """
    outcome = record.outcome
    citations = answer.citations if answer and len(answer.citations) == len(outcome.citations) else ()
    return {
        "id": record.case_id,
        "type": outcome.type,
        "tags": list(record.tags),
        "question": case.question if case else (answer.question if answer else None),
        "answerable": outcome.answerable,
        "status": outcome.status,
        "class": record.failure_class,
        "text": answer.text if answer else None,
        "missing": answer.missing if answer else None,
        "model": record.model,
        "prompt_version": record.prompt_version,
        "degraded": (answer.degraded if answer else None) if record.degraded else None,
        "answer": None if record.answer is None else str(record.answer),
        "claims": [
            {
                "text": answer.claims[at].text if answer and at < len(answer.claims) else None,
                "score": record.claim_scores[at] if at < len(record.claim_scores) else None,
                **asdict(claim),
            }
            for at, claim in enumerate(outcome.claims)
        ],
        "citations": [
            {
                "marker": citations[at].marker if citations else at + 1,
                "source": citations[at].source if citations else None,
                "document": str(seen.document),
                "version": seen.version,
                "pages": sorted(seen.pages),
                "start": seen.span[0],
                "end": seen.span[1],
                "quote": citations[at].quote if citations else None,
                "matches_stored": seen.matches_stored,
                "in_context": seen.in_context,
            }
            for at, seen in enumerate(outcome.citations)
        ],
        "gold": [
            {
                **(
                    {name: value for name, value in asdict(case.gold[at]).items() if value is not None}
                    if case and at < len(case.gold)
                    else {}
                ),
                "found": bool(seen.places),
                "in_context": seen.in_context,
                "ranks": dict(seen.ranks),
            }
            for at, seen in enumerate(outcome.gold)
        ],
        "hits": [
            {"chunk": str(one.chunk), "document": str(one.document), "ranks": dict(one.ranks)} for one in record.hits
        ],
        "context": [
            {"document": str(one.document), "version": one.version, "start": one.span[0], "end": one.span[1]}
            for one in record.context
        ],
        "problems": list(record.problems),
        "elapsed_ms": outcome.latency_ms,
        "timings_ms": dict(record.timings_ms),
        "usage": {
            "input_tokens": outcome.input_tokens,
            "cached_input_tokens": record.cached_input_tokens,
            "output_tokens": outcome.output_tokens,
            "cost_usd": outcome.cost_usd,
        },
        "confidence": outcome.confidence,
    }
