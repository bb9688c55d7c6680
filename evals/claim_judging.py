"""Judging an answer's sentences: each against its citations, against what was given, and against the reference.

The judge is asked one claim at a time. A judge that fails has said nothing: the sentence counts as unsupported, and as
unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from assistant.model import Answer, Checker, Citation, Claim, Passage
from evals.cases import Case
from evals.outcome import JudgedCitation, JudgedClaim, JudgedFact, JudgedNugget
from ingest.errors import QuothError
from ingest.sentences import sentence_spans

PARTLY: Final = 0.5  # a judge's score from which a nugget counts as held in part


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that a judge said of one answer."""

    claims: tuple[JudgedClaim, ...]
    reference: tuple[JudgedFact, ...]
    nuggets: tuple[JudgedNugget, ...]


def judged(answer: Answer, context: Sequence[Passage], case: Case, judge: Checker) -> Judgement:
    """Judge an answer.

    Args:
        context: all that the answerer was given; empty where nobody says.
    """
    texts = [claim.text for claim in answer.claims]
    facts = sentences(case.answer) if case.answerable and case.answer else []
    reference = [*facts, *(gold.quote for gold in case.gold)] if facts else []
    return Judgement(
        claims=tuple(_claim(claim, answer, context, reference, judge) for claim in answer.claims),
        reference=tuple(
            JudgedFact(
                in_context=_by_one(fact, context, judge) if context else None,
                in_answer=_entailed(fact, texts, judge),
            )
            for fact in facts
        ),
        nuggets=tuple(JudgedNugget(one.vital, _held(one.text, texts, judge)) for one in case.nuggets),
    )


def sentences(text: str) -> list[str]:
    """The sentences of a reference answer."""
    return [part for start, end in sentence_spans(text) if (part := text[start:end].strip())]


def _claim(
    claim: Claim, answer: Answer, context: Sequence[Passage], reference: Sequence[str], judge: Checker
) -> JudgedClaim:
    try:
        supported, citations = _citations(claim, answer, context, judge)
        return JudgedClaim(
            supported=supported,
            citations=citations,
            grounded=_by_one(claim.text, _cited_first(claim, answer, context), judge) if context else None,
            right=_entailed(claim.text, reference, judge) if reference else None,
        )
    except QuothError:
        known = {citation.marker for citation in answer.citations}
        return JudgedClaim(False, tuple(JudgedCitation(marker in known) for marker in claim.citations), judged=False)


def _citations(
    claim: Claim, answer: Answer, context: Sequence[Passage], judge: Checker
) -> tuple[bool, tuple[JudgedCitation, ...]]:
    """Whether all citations support a sentence together; each alone, and without each."""
    by_marker = {citation.marker: citation for citation in answer.citations}
    markers = list(dict.fromkeys(claim.citations))  # the same one twice is one
    known = [by_marker[marker] for marker in markers if marker in by_marker]

    def supports(citations: Sequence[Citation]) -> bool:
        if not citations:
            return False
        passages = [passage_with(one, context) for one in citations]
        around = [passage.text if passage else one.quote for passage, one in zip(passages, citations, strict=True)]
        return judge.check(claim.text, [one.quote for one in citations], around=around).supported

    together = supports(known)
    if len(markers) == 1 and known:
        return together, (JudgedCitation(True, together, False),)
    return together, tuple(
        JudgedCitation(
            marker in by_marker,
            marker in by_marker and supports([by_marker[marker]]),
            supports([one for one in known if one.marker != marker]),
        )
        for marker in markers
    )


def passage_with(citation: Citation, context: Sequence[Passage]) -> Passage | None:
    """The passage that a citation stands in."""
    for passage in context:
        same = (passage.document, passage.version) == (citation.document, citation.version)
        if same and passage.start <= citation.start and citation.end <= passage.end:
            return passage
    return None


def _cited_first(claim: Claim, answer: Answer, context: Sequence[Passage]) -> list[Passage]:
    """Where a sentence's support most likely stands comes first, so that the judge is asked less."""
    cited = [passage_with(one, context) for one in answer.citations if one.marker in claim.citations]
    first = [passage for passage in cited if passage is not None]
    return [*first, *(passage for passage in context if passage not in first)]


def _by_one(claim: str, passages: Sequence[Passage], judge: Checker) -> bool | None:
    """Whether one passage by itself entails a claim."""
    try:
        return any(judge.check(claim, [one.text], around=[f"{one.title}\n{one.text}"]).supported for one in passages)
    except QuothError:
        return None


def _entailed(claim: str, texts: Sequence[str], judge: Checker) -> bool | None:
    """Whether some texts together entail a claim."""
    try:
        return bool(texts) and judge.check(claim, list(texts), around=list(texts)).supported
    except QuothError:
        return None


def _held(nugget: str, texts: Sequence[str], judge: Checker) -> float | None:
    try:
        verdict = judge.check(nugget, list(texts), around=list(texts)) if texts else None
    except QuothError:
        return None
    if verdict is None:
        return 0.0
    if verdict.supported:
        return 1.0
    return PARTLY if verdict.score >= PARTLY else 0.0
