"""Runs made of outcomes, for tests of what is computed from runs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from evals.answers_run import AnswersRun, measured
from evals.case_record import CaseRecord
from evals.case_run import failure_class
from evals.gold import Place
from evals.outcome import Cited, GoldSeen, JudgedCitation, JudgedClaim, Outcome
from evals.run_store import KeptRun, RunFacts

DOCUMENT = uuid.UUID(int=7)
PLACE = Place(DOCUMENT, 1, (0, 10), (0, 50), frozenset({1}))
RIGHT = Outcome(
    "right",
    True,
    "answered",
    "fact",
    claims=(JudgedClaim(True, (JudgedCitation(True, True),), grounded=True),),
    citations=(Cited(DOCUMENT, 1, (0, 10), frozenset({1})),),
    gold=(GoldSeen((PLACE,), True, {"lexical": 2, "dense": 1, "fused": 1, "reranked": 1}),),
    context_known=True,
    ranked=True,
    confidence=0.9,
    latency_ms=100.0,
)
ASIDE = replace(RIGHT, citations=(Cited(DOCUMENT, 1, (80, 90), frozenset({2})),))  # cites beside the gold
SILENT = replace(RIGHT, status="abstained", claims=(), citations=())
HOPELESS = Outcome("none", False, "abstained", "none", context_known=True, confidence=0.1, latency_ms=50.0)


def facts(**changes: object) -> RunFacts:
    return replace(
        RunFacts("cases.jsonl", "c" * 64, 0, "i" * 32, "code", 1, {"models": "quoted", "judge": "local"}),
        **changes,  # type: ignore[arg-type]
    )


def made_run(outcomes: Sequence[Outcome], run: str = "aaaa", **changes: object) -> AnswersRun:
    """Outcomes get ids from their place, unless they have one of their own."""
    named = [replace(one, case_id=f"{one.case_id}-{at}") for at, one in enumerate(outcomes)]
    records = [
        CaseRecord(one, failure_class(one, retrieved=any(gold.ranks for gold in one.gold) if one.ranked else None))
        for one in named
    ]
    known = facts(**{"cases": len(records), **changes})
    kept = KeptRun(run, known, datetime.now(UTC), datetime.now(UTC), len(records))
    return measured(kept, records)
