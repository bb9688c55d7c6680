"""One case: asked as its asker, each citation read again from the store, each sentence judged, gold looked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from assistant.bootstrap import Quoth
from assistant.model import Answer, AnswerId, Checker, Citation, ConversationId, Passage
from evals.cases import Case
from evals.gold import GoldFinder, LocatedGold, Place, page_numbers
from evals.measures import Cited, GoldSeen, JudgedCitation, JudgedClaim, Outcome, distinct_gold
from ingest.access import Reader
from ingest.errors import UsageError
from retrieval.model import STAGES, Hit, Stage

ASKER: Final = "eval"  # the name under which cases are asked; it belongs to no group by itself
CANDIDATE_DEPTH: Final = 100  # chunks of each first stage among which gold is looked for


@dataclass(frozen=True, slots=True)
class CaseRun:
    """One case: what was asked, what came, and what it is worth."""

    case: Case
    outcome: Outcome
    failure_class: str
    answer: AnswerId | None
    model: str
    citations: tuple[Citation, ...]
    text: str
    missing: str | None
    degraded: str | None
    problems: tuple[str, ...]  # in words: gold not found, citations not as stored, what failed
    gold_ranks: tuple[Mapping[Stage, int], ...]  # per gold quote: the best rank of a chunk that holds it, by stage
    elapsed_ms: float


def _asker(case: Case, reader: Reader) -> Reader:
    if case.groups is not None:
        return Reader(ASKER, frozenset(case.groups), operator=reader.name)
    # a run's conversations are not to stand among those of whoever works as `local`
    return replace(reader, name=ASKER, operator=reader.name) if reader.reads_all else reader


def run_case(
    quoth: Quoth, case: Case, reader: Reader, collection: str | None, finder: GoldFinder, checker: Checker
) -> CaseRun:
    """Ask a case as its asker, the earlier turns first, and compare what comes with the store and with the gold.

    Args:
        reader: who asks, where the case names no groups; else a reader with the case's groups alone.
    """
    reader = _asker(case, reader)
    gold = [finder.locate(one) for one in case.gold] if case.answerable else []
    problems = [one.problem for one in gold if one.problem]
    started = time.perf_counter()
    try:
        answer = _asked(quoth, case, reader, collection)
    except UsageError as error:
        failed = Outcome(
            case.id, case.answerable, "failed", case.type, gold=tuple(GoldSeen(one.places) for one in gold)
        )
        return CaseRun(case, failed, "failed", None, "", (), "", None, None, (*problems, str(error)), (), 0.0)
    elapsed_ms = (time.perf_counter() - started) * 1000
    context = quoth.answers.get(reader, answer.id).passages  # all that the answerer was given, also for an abstention
    cited = tuple(read_again(quoth, reader, one, context) for one in answer.citations)
    problems += [
        f"citation {one.marker} is not what the store holds"
        for one, seen in zip(answer.citations, cited, strict=True)
        if not seen.matches_stored
    ]
    outcome = Outcome(
        case.id,
        case.answerable,
        answer.status,
        case.type,
        claims=judged_claims(answer, context, checker),
        citations=cited,
        gold=tuple(GoldSeen(one.places, any(_shown(place, context) for place in one.places)) for one in gold),
    )
    ranks = _gold_ranks(quoth, case, reader, collection, gold)
    return CaseRun(
        case=case,
        outcome=outcome,
        failure_class=failure_class(outcome, retrieved=any(ranks)),
        answer=answer.id,
        model=answer.model,
        citations=answer.citations,
        text=answer.text,
        missing=answer.missing,
        degraded=answer.degraded,
        problems=tuple(problems),
        gold_ranks=ranks,
        elapsed_ms=round(elapsed_ms, 1),
    )


def _asked(quoth: Quoth, case: Case, reader: Reader, collection: str | None) -> Answer:
    conversation: ConversationId | None = None
    last: Answer | None = None
    for question in (*case.turns, case.question):
        for event in quoth.ask(question, reader, collection=collection, conversation=conversation):
            if isinstance(event, Answer):
                last, conversation = event, event.conversation
    if last is None:
        raise RuntimeError(f"asking {case.id!r} ended without an answer")
    return last


def read_again(quoth: Quoth, reader: Reader, citation: Citation, context: Sequence[Passage]) -> Cited:
    """A citation as the store holds it now, read as the asker: what they may not read does not match."""
    stored, _ = quoth.catalog.stored_span(reader, citation.document, citation.version, citation.start, citation.end)
    return Cited(
        document=citation.document,
        version=citation.version,
        span=(citation.start, citation.end),
        pages=page_numbers(citation.page, citation.end_page),
        matches_stored=bool(citation.quote) and stored == citation.quote,
        in_context=_passage_with(citation, context) is not None,
    )


def _passage_with(citation: Citation, context: Sequence[Passage]) -> Passage | None:
    for passage in context:
        same = (passage.document, passage.version) == (citation.document, citation.version)
        if same and passage.start <= citation.start and citation.end <= passage.end:
            return passage
    return None


def _shown(place: Place, context: Sequence[Passage]) -> bool:
    return any(
        (passage.document, passage.version) == (place.document, place.version)
        and passage.start < place.span[1]
        and passage.end > place.span[0]
        for passage in context
    )


def judged_claims(answer: Answer, context: Sequence[Passage], checker: Checker) -> tuple[JudgedClaim, ...]:
    """Each sentence under the support judge: with all its citations, with each alone, and without each."""
    by_marker = {citation.marker: citation for citation in answer.citations}

    def supports(claim: str, citations: Sequence[Citation]) -> bool:
        if not citations:
            return False
        passages = [_passage_with(one, context) for one in citations]
        around = [passage.text if passage else one.quote for passage, one in zip(passages, citations, strict=True)]
        return checker.check(claim, [one.quote for one in citations], around=around).supported

    judged = []
    for claim in answer.claims:
        known = [by_marker[marker] for marker in claim.citations if marker in by_marker]
        judged.append(
            JudgedClaim(
                supports(claim.text, known),
                tuple(
                    JudgedCitation(
                        marker in by_marker,
                        marker in by_marker and supports(claim.text, [by_marker[marker]]),
                        supports(claim.text, [one for one in known if one.marker != marker]),
                    )
                    for marker in claim.citations
                ),
            )
        )
    return tuple(judged)


def _gold_ranks(
    quoth: Quoth, case: Case, reader: Reader, collection: str | None, gold: Sequence[LocatedGold]
) -> tuple[Mapping[Stage, int], ...]:
    if not gold:
        return ()
    hits = quoth.searching.candidates(case.question, reader, depth=CANDIDATE_DEPTH, collection=collection).hits
    return tuple(best_ranks(hits, one.places) for one in gold)


def best_ranks(hits: Sequence[Hit], places: Sequence[Place]) -> dict[Stage, int]:
    """By stage, the best rank of a hit that touches one of the places; stages that found none are left out."""
    touching = [
        hit
        for hit in hits
        if any(
            (hit.document, hit.version) == (place.document, place.version)
            and hit.start < place.span[1]
            and hit.end > place.span[0]
            for place in places
        )
    ]
    found: dict[Stage, int] = {}
    for stage in STAGES:
        ranks = [hit.ranks[stage] for hit in touching if stage in hit.ranks]
        if ranks:
            found[stage] = min(ranks)
    return found


def failure_class(outcome: Outcome, *, retrieved: bool) -> str:
    """What went right or wrong with a case, in the words of the report.

    Args:
        retrieved: whether any stage brought a chunk that holds gold.
    """
    if outcome.status == "failed":
        return "failed"
    if not outcome.answerable:
        return "should have abstained" if outcome.answered else "rightly not answered"
    gold = distinct_gold(outcome.gold)
    if not any(each.places for each in gold):
        return "unscorable"
    if not retrieved:
        return "not retrieved"
    if not any(each.in_context for each in gold):
        return "retrieved, not in context"
    if not outcome.answered:
        return "should have answered"
    cited = {(one.document, one.version, one.span) for one in outcome.citations}
    used = [
        any(
            (document, version) == (place.document, place.version) and start < place.span[1] and end > place.span[0]
            for place in each.places
            for document, version, (start, end) in cited
        )
        for each in gold
    ]
    if all(used):
        return "used"
    return "used in part" if any(used) else "in context, not used"


def case_json(run: CaseRun) -> dict[str, Any]:
    """One case's record. Holds quotations: it is for who may read what the case's asker may read."""
    gold = run.outcome.gold
    return {
        "id": run.case.id,
        "type": run.case.type,
        "question": run.case.question,
        "answerable": run.case.answerable,
        "status": run.outcome.status,
        "class": run.failure_class,
        "text": run.text,
        "missing": run.missing,
        "model": run.model,
        "degraded": run.degraded,
        "answer": None if run.answer is None else str(run.answer),
        "citations": [
            {
                "marker": one.marker,
                "source": one.source,
                "page": one.page,
                "start": one.start,
                "end": one.end,
                "quote": one.quote,
                "matches_stored": seen.matches_stored,
                "in_context": seen.in_context,
            }
            for one, seen in zip(run.citations, run.outcome.citations, strict=True)
        ],
        "gold": [
            {
                **{name: value for name, value in asdict(wanted).items() if value is not None},
                "found": bool(seen.places),
                "in_context": seen.in_context,
                "ranks": dict(run.gold_ranks[at]) if at < len(run.gold_ranks) else {},
            }
            for at, (wanted, seen) in enumerate(zip(run.case.gold, gold, strict=False))
        ],
        "problems": list(run.problems),
        "elapsed_ms": run.elapsed_ms,
    }
