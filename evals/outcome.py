"""What became of one case, in ids, spans and verdicts: all that measures are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from evals.gold import Place
from ingest.model import Span
from retrieval.model import Stage

Status = Literal["answered", "partial", "abstained", "clarifying", "failed"]


@dataclass(frozen=True, slots=True)
class JudgedCitation:
    """One citation of one sentence, as the support judge sees it."""

    resolves: bool = True  # False: the marker points to no citation of the answer
    supports_alone: bool = False
    others_support: bool = False  # the sentence's other citations together


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """One sentence of an answer."""

    supported: bool  # by all its citations together
    citations: tuple[JudgedCitation, ...]
    needs_citation: bool = True  # False: it states nothing, as a greeting does
    grounded: bool | None = None  # some passage of the context entails it; None: not judged
    right: bool | None = None  # the reference answer or the gold entails it; None: there is none, or not judged
    judged: bool = True  # False: the judge failed; everything it did not say counts as a no


@dataclass(frozen=True, slots=True)
class Cited:
    """One citation of an answer, as a span of the store."""

    document: UUID
    version: int
    span: Span
    pages: frozenset[int] = frozenset()
    matches_stored: bool = True  # canonical_text[start:end] == quote, read again as the asker
    in_context: bool = True  # inside a passage that the answerer was given


@dataclass(frozen=True, slots=True)
class GoldSeen:
    """A gold quote, where it stands, and whether the answerer was given it."""

    places: tuple[Place, ...]  # empty: not found in the store
    in_context: bool = False
    ranks: Mapping[Stage, int] = field(default_factory=dict)  # the best rank of a chunk that touches it


@dataclass(frozen=True, slots=True)
class JudgedFact:
    """A sentence of the reference answer; None: not judged, counts as a no."""

    in_context: bool | None = None  # some passage of the context entails it
    in_answer: bool | None = None


@dataclass(frozen=True, slots=True)
class JudgedNugget:
    """A fact that a right answer holds, as the case names it."""

    vital: bool
    support: float | None = None  # 1 whole, 0.5 in part, 0 not; None: not judged, counts as 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case."""

    case_id: str
    answerable: bool
    status: Status
    type: str | None = None
    claims: tuple[JudgedClaim, ...] = ()
    citations: tuple[Cited, ...] = ()
    gold: tuple[GoldSeen, ...] = ()
    reference: tuple[JudgedFact, ...] = ()
    nuggets: tuple[JudgedNugget, ...] = ()
    context_known: bool = False  # False: nobody says what the answerer was given, as with answers from outside
    ranked: bool = False  # the stages' rankings were looked at
    leaked: bool = False  # a document that the asker may not read was found, given or cited
    confidence: float | None = None
    token_f1: float | None = None  # with the reference answer
    conflict: bool = False  # documents disagree: a right answer cites every gold quote
    latency_ms: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def answered(self) -> bool:
        return self.status in ("answered", "partial")


@dataclass(frozen=True, slots=True)
class Measure:
    """A value over n items with its 95 % interval; all None and 0 where nothing was to be measured."""

    value: float | None
    n: int
    interval: tuple[float, float] | None
    per_case: Mapping[str, float] = field(default_factory=dict)  # for drill-down and paired tests
