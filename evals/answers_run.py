"""Measuring answers: every case is asked as its asker, and each citation is read again from the store."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from assistant.bootstrap import Quoth, checker_from
from assistant.model import Answer, AnswerId, Checker, Citation, ConversationId, Passage
from evals.cases import Case, read_cases
from evals.gold import GoldFinder, LocatedGold, Place, page_numbers
from evals.measures import (
    Cited,
    GoldSeen,
    JudgedCitation,
    JudgedClaim,
    Measure,
    Outcome,
    distinct_gold,
    measures,
)
from ingest.access import Reader
from ingest.errors import UsageError
from retrieval.model import STAGES, Hit, Stage

ASKER: Final = "eval"  # the name under which cases are asked; it belongs to no group by itself
CANDIDATE_DEPTH: Final = 100  # chunks of each first stage among which gold is looked for

Progress = Callable[[str, str, int, int], None]  # case id, stage, done, total


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


@dataclass(frozen=True, slots=True)
class AnswersRun:
    id: str
    cases_sha256: str
    settings: Mapping[str, str]
    cases: tuple[CaseRun, ...]
    measures: Mapping[str, Measure]
    by_type: Mapping[str, Mapping[str, Measure]]
    notes: tuple[str, ...] = field(default=())


def evaluate_answers(
    quoth: Quoth, path: Path, *, reader: Reader, collection: str | None = None, progress: Progress | None = None
) -> AnswersRun:
    """Ask every case of a JSONL file and measure the answers.

    Args:
        reader: who asks the cases that name no groups; the others are asked by a reader with theirs alone.
        collection: what is searched, and where gold is looked for that names no collection.
        progress: called with a case's id, "asking", done, total.

    Raises:
        UsageError: the file cannot be read as cases.
        ServiceError: a service fails; nothing is measured of half a run.
    """
    cases = read_cases(path)
    report = progress or (lambda source, stage, done, total: None)
    finder = GoldFinder(quoth.catalog, collection)
    checker = checker_from(quoth.settings.checker)
    quoth.embedder.embed(["warm"], kind="query")  # loading the model is not a case's latency
    runs = []
    for at, case in enumerate(cases):
        report(case.id, "asking", at, len(cases))
        runs.append(_run(quoth, case, _reader_of(case, reader), collection, finder, checker))
    report("", "asking", len(cases), len(cases))
    outcomes = [run.outcome for run in runs]
    types = sorted({case.type for case in cases if case.type})
    return AnswersRun(
        id=uuid.uuid4().hex[:12],
        cases_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        settings={
            "embedder": quoth.embedder.space,
            "reranker": quoth.settings.reranker,
            "checker": checker.name,
            "models": quoth.settings.models or "quoted",
            "collection": collection or "",
            "asked_by": reader.name,
        },
        cases=tuple(runs),
        measures=measures(outcomes),
        by_type={kind: measures([one for one in outcomes if one.type == kind]) for kind in types},
        notes=tuple(_notes(runs, checker)),
    )


def _reader_of(case: Case, reader: Reader) -> Reader:
    if case.groups is not None:
        return Reader(ASKER, frozenset(case.groups), operator=reader.name)
    # a run's conversations are not to stand among those of whoever works as `local`
    return replace(reader, name=ASKER, operator=reader.name) if reader.reads_all else reader


def _run(
    quoth: Quoth, case: Case, reader: Reader, collection: str | None, finder: GoldFinder, checker: Checker
) -> CaseRun:
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


def _notes(runs: Sequence[CaseRun], checker: Checker) -> list[str]:
    notes = [
        "NAME is over the cases that were answered, NAME_of_answerable over all answerable ones, where an abstention "
        "scores 0.",
        f"citation_* take the support checker ({checker.name}) for the judge, which also decided what was shown: they "
        "say that citations are complete and not idle, not that the checker is right.",
    ]
    if any(run.model == "quoted" and run.outcome.answered for run in runs):
        notes.append("Quoted answers repeat the documents' own sentences: their support is by construction.")
    unscorable = [run.case.id for run in runs if run.problems]
    if unscorable:
        notes.append(f"{len(unscorable)} cases with a problem, see the report: {', '.join(unscorable[:5])} ...")
    return notes
