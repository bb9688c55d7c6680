"""One case: asked as its asker, each citation read again from the store, each sentence judged, gold looked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from assistant.bootstrap import Quoth
from assistant.model import Checker, Citation, Passage
from evals.case_record import CaseRecord, HitSeen, SpanSeen
from evals.case_scores import distinct_gold, token_f1
from evals.cases import Case
from evals.claim_judging import judged, passage_with
from evals.gold import LocatedGold, Place, page_numbers
from evals.outcome import Cited, GoldSeen, Outcome
from evals.systems import UNKNOWN_DOCUMENT, Given, System
from ingest.access import Reader
from ingest.errors import UsageError
from retrieval.model import STAGES, Hit, Stage
from retrieval.standalone import standalone

ASKER: Final = "eval"  # the name under which cases are asked; it belongs to no group by itself
HITS_KEPT: Final = 20
CONFLICT: Final = "conflict"  # the type or tag of cases whose documents disagree


def asker_of(case: Case, reader: Reader) -> Reader:
    """Who asks a case: a reader with its groups alone, where it names any; else whoever runs it."""
    if case.groups is not None:
        return Reader(ASKER, frozenset(case.groups), operator=reader.name)
    # a run's conversations are not to stand among those of whoever works as `local`
    return replace(reader, name=ASKER, operator=reader.name) if reader.reads_all else reader


@dataclass(frozen=True, slots=True)
class CaseRunner:
    """Runs cases against one store.

    Args:
        reader: who asks the cases that name no groups.
        judge: what says whether citations support sentences.
        may_read: whether a reader may read all of some documents in scope, by their ids.
    """

    quoth: Quoth
    system: System
    reader: Reader
    judge: Checker
    may_read: Callable[[Reader, AbstractSet[object]], bool]

    def run(self, case: Case, gold: Sequence[LocatedGold]) -> CaseRecord:
        """Ask a case, the earlier turns first, and compare what comes with the store and with the gold."""
        asker = asker_of(case, self.reader)
        problems = [f"gold {number}: {one.flaw}" for number, one in enumerate(gold, 1) if one.flaw]
        started = time.perf_counter()
        try:
            given = self.system.answer(case, asker)
        except UsageError as error:
            failed = Outcome(
                case.id, case.answerable, "failed", case.type, gold=tuple(GoldSeen(one.places) for one in gold)
            )
            return CaseRecord(failed, "failed", case.tags, problems=(*problems, str(error)))
        elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
        # once more, and deeper than answering does: where the gold stands in each stage, and whether a leak shows
        found = self.system.candidates(standalone(case.question, case.turns).text, asker)
        hits = found or ()
        ranks = [best_ranks(hits, one.places) for one in gold]
        outcome = self._outcome(case, asker, given, gold, ranks, found, elapsed_ms)
        problems += [
            f"citation {number} is not what the store holds"
            for number, seen in enumerate(outcome.citations, 1)
            if not seen.matches_stored
        ]
        answer, context = given.answer, given.context or ()
        return CaseRecord(
            outcome=outcome,
            failure_class=failure_class(outcome, retrieved=any(ranks) if outcome.ranked else None),
            tags=case.tags,
            answer=answer.id if given.kept else None,
            principal=asker.name,
            model=answer.model,
            prompt_version=answer.prompt_version,
            degraded=answer.degraded is not None,
            problems=tuple(problems),
            hits=tuple(_hit_seen(hit) for hit in _best(hits)),
            context=tuple(SpanSeen(one.document, one.version, (one.start, one.end)) for one in context),
            claim_scores=tuple(claim.score for claim in answer.claims),
            timings_ms=dict(answer.timings_ms),
            cached_input_tokens=answer.usage.cached_input_tokens,
        )

    def _outcome(
        self,
        case: Case,
        asker: Reader,
        given: Given,
        gold: Sequence[LocatedGold],
        ranks: Sequence[Mapping[Stage, int]],
        found: Sequence[Hit] | None,
        elapsed_ms: float,
    ) -> Outcome:
        answer = given.answer
        context = given.context or ()
        cited = tuple(read_again(self.quoth, asker, one, given.context) for one in answer.citations)
        # words that the store does not hold support nothing, however well they would
        true = [one for one, seen in zip(answer.citations, cited, strict=True) if seen.matches_stored]
        said = judged(replace(answer, citations=tuple(true)), context, case, self.judge)
        shown = {hit.document for hit in found or ()} | {one.document for one in context}
        shown |= {one.document for one in answer.citations}
        shown -= {UNKNOWN_DOCUMENT}
        return Outcome(
            case.id,
            case.answerable,
            answer.status,
            case.type,
            claims=said.claims,
            citations=cited,
            gold=tuple(
                GoldSeen(one.places, any(_shown(place, context) for place in one.places), rank)
                for one, rank in zip(gold, ranks, strict=True)
            ),
            reference=said.reference,
            nuggets=said.nuggets,
            context_known=given.context is not None,
            ranked=found is not None and bool(gold),
            leaked=not self.may_read(asker, shown),
            confidence=answer.confidence,
            token_f1=token_f1(_spoken(answer.text), case.answer) if case.answerable and case.answer else None,
            conflict=case.answerable and CONFLICT in (case.type, *case.tags),
            latency_ms=answer.timings_ms.get("total") or elapsed_ms,
            input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens,
            cost_usd=answer.usage.cost_usd,
        )


def read_again(quoth: Quoth, reader: Reader, citation: Citation, context: Sequence[Passage] | None) -> Cited:
    """A citation as the store holds it now, read as the asker: what they may not read does not match."""
    stored, _ = quoth.catalog.stored_span(reader, citation.document, citation.version, citation.start, citation.end)
    return Cited(
        document=citation.document,
        version=citation.version,
        span=(citation.start, citation.end),
        pages=page_numbers(citation.page, citation.end_page),
        matches_stored=bool(citation.quote) and stored == citation.quote,
        in_context=context is None or passage_with(citation, context) is not None,
    )


def _shown(place: Place, context: Sequence[Passage]) -> bool:
    return any(
        (passage.document, passage.version) == (place.document, place.version)
        and passage.start < place.span[1]
        and passage.end > place.span[0]
        for passage in context
    )


def _spoken(text: str) -> str:
    """An answer's words without its markers."""
    kept = "".join(character if character not in "[]" else " " for character in text)
    return " ".join(word for word in kept.split() if not word.isdigit())


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


def _best(hits: Sequence[Hit]) -> list[Hit]:
    last = STAGES[-1]
    return sorted((hit for hit in hits if last in hit.ranks), key=lambda hit: hit.ranks[last])[:HITS_KEPT]


def _hit_seen(hit: Hit) -> HitSeen:
    scores = {stage: round(score, 5) for stage, score in hit.scores.items()}
    return HitSeen(hit.chunk, hit.document, hit.version, (hit.start, hit.end), dict(hit.ranks), scores)


def failure_class(outcome: Outcome, *, retrieved: bool | None) -> str:
    """What went right or wrong with a case, in the words of the report: the first stage at which its gold was lost.

    Args:
        retrieved: whether any stage brought a chunk that holds gold; None: nobody looked.
    """
    if outcome.status == "failed":
        return "failed"
    if not outcome.answerable:
        return "should have abstained" if outcome.answered else "rightly not answered"
    gold = distinct_gold(outcome.gold)
    if not any(each.places for each in gold):
        return "unscorable"
    if retrieved is False:
        return "not retrieved"
    if outcome.context_known and not any(each.in_context for each in gold):
        return "retrieved, not in context"
    if not outcome.answered:
        return "wrongly abstained"
    cited = {(one.document, one.version, one.span) for one in outcome.citations}
    used = [
        any(
            (document, version) == (place.document, place.version) and start < place.span[1] and end > place.span[0]
            for place in each.places
            for document, version, (start, end) in cited
        )
        for each in gold
    ]
    if not any(used):
        return "in context, not used"
    if any(not claim.supported for claim in outcome.claims) or any(not one.matches_stored for one in outcome.citations):
        return "used, wrong"
    return "used" if all(used) else "used in part"
