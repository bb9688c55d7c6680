"""What is measured of answers, each measure a definition: over which cases, and what a case scores.

Denominators are what was submitted: a failure counts as one and is never dropped. Citation measures come twice, over
the answered cases (NAME) and over all answerable ones, where an abstention scores 0 (NAME_of_answerable).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from evals.gold import Place
from evals.intervals import Interval, bootstrap_mean, bootstrap_ratio, wilson
from ingest.model import Span

Status = Literal["answered", "partial", "abstained", "clarifying", "failed"]
OF_ANSWERABLE: Final = "_of_answerable"


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

    @property
    def answered(self) -> bool:
        return self.status in ("answered", "partial")


@dataclass(frozen=True, slots=True)
class Measure:
    """A value over n items with its 95 % interval; all None and 0 where nothing was to be measured."""

    value: float | None
    n: int
    interval: Interval | None
    per_case: Mapping[str, float] = field(default_factory=dict)  # for drill-down and paired tests


# -- a case's scores ------------------------------------------------------------


def citation_recall(outcome: Outcome) -> float:
    """Mean over sentences of phi(all its citations, sentence); 0 without sentences, with no citation or a marker that
    points nowhere. Source: ALCE (Gao et al., EMNLP 2023), eval.py.
    """
    claims = outcome.claims
    return sum(_recalled(claim) for claim in claims) / len(claims) if claims else 0.0


def citation_precision(outcome: Outcome) -> float:
    """Good citations / all citations of the answer's sentences; 0 without any.

    A citation is good when its sentence is recalled and it is not idle: idle is what does not support alone while the
    others do. Other than in ALCE, a sentence with a marker that points nowhere keeps its citations in the denominator.
    """
    total = sum(len(claim.citations) for claim in outcome.claims)
    good = sum(
        citation.supports_alone or not citation.others_support
        for claim in outcome.claims
        if _recalled(claim)
        for citation in claim.citations
    )
    return good / total if total else 0.0


def citation_f1(outcome: Outcome) -> float:
    return harmonic(citation_precision(outcome), citation_recall(outcome))


def gold_precision(outcome: Outcome, *, passage: bool = False) -> float:
    """Distinct citations that overlap a gold quote (or stand in its passage) / distinct citations; 0 without any."""
    cited = distinct(outcome.citations)
    places = [place for gold in outcome.gold for place in gold.places]
    return sum(any(_hits(one, place, passage) for place in places) for one in cited) / len(cited) if cited else 0.0


def gold_recall(outcome: Outcome, *, passage: bool = False) -> float:
    """Gold quotes that a citation overlaps (or whose passage one touches) / gold quotes; one not found counts as
    missed. 0 without any.
    """
    gold = distinct_gold(outcome.gold)
    hit = sum(any(_hits(one, place, passage) for place in each.places for one in outcome.citations) for each in gold)
    return hit / len(gold) if gold else 0.0


def gold_page_recall(outcome: Outcome) -> float:
    """Gold quotes in formats with pages of which a page is cited / such gold quotes; 0 without any."""
    gold = [each for each in distinct_gold(outcome.gold) if any(place.pages for place in each.places)]
    hit = sum(
        any(
            (one.document, one.version) == (place.document, place.version) and one.pages & place.pages
            for place in each.places
            for one in outcome.citations
        )
        for each in gold
    )
    return hit / len(gold) if gold else 0.0


def gold_in_context(outcome: Outcome) -> float:
    """Gold quotes whose words the answerer was given / gold quotes."""
    gold = distinct_gold(outcome.gold)
    return sum(each.in_context for each in gold) / len(gold) if gold else 0.0


def is_unscorable(outcome: Outcome) -> bool:
    """The case failed to run, or is answerable and has no gold, or gold that is not in the store."""
    if outcome.status == "failed":
        return True
    return outcome.answerable and (not outcome.gold or any(not gold.places for gold in outcome.gold))


def harmonic(precision: float, recall: float) -> float:
    """2PR / (P + R); 0 when both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def distinct(citations: Sequence[Cited]) -> list[Cited]:
    """Each cited span once."""
    return list({(one.document, one.version, one.span): one for one in citations}.values())


def distinct_gold(gold: Sequence[GoldSeen]) -> list[GoldSeen]:
    """Each located gold quote once; those not found each count, for nothing says that they are the same."""
    found = {each.places: each for each in gold if each.places}
    return [*found.values(), *(each for each in gold if not each.places)]


def _recalled(claim: JudgedClaim) -> bool:
    return claim.supported and bool(claim.citations) and all(one.resolves for one in claim.citations)


def _hits(cited: Cited, place: Place, passage: bool) -> bool:
    if (cited.document, cited.version) != (place.document, place.version):
        return False
    start, end = place.passage if passage else place.span
    return cited.span[0] < end and cited.span[1] > start


# -- over all cases ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Mean:
    """A mean over cases; a second one over all answerable cases, where what was not answered scores 0."""

    score: Callable[[Outcome], float]
    applies: Callable[[Outcome], bool] = lambda outcome: True


def _has_gold(outcome: Outcome) -> bool:
    return outcome.answerable and bool(outcome.gold)


def _has_paged_gold(outcome: Outcome) -> bool:
    return outcome.answerable and any(place.pages for gold in outcome.gold for place in gold.places)


def _passage_precision(outcome: Outcome) -> float:
    return gold_precision(outcome, passage=True)


def _passage_recall(outcome: Outcome) -> float:
    return gold_recall(outcome, passage=True)


OF_CITATIONS: Final[Mapping[str, _Mean]] = {
    "citation_precision": _Mean(citation_precision),
    "citation_recall": _Mean(citation_recall),
    "citation_f1": _Mean(citation_f1),
    "gold_citation_precision": _Mean(gold_precision, _has_gold),
    "gold_citation_recall": _Mean(gold_recall, _has_gold),
    "gold_citation_f1": _Mean(lambda one: harmonic(gold_precision(one), gold_recall(one)), _has_gold),
    "gold_passage_precision": _Mean(_passage_precision, _has_gold),
    "gold_passage_recall": _Mean(_passage_recall, _has_gold),
    "gold_passage_f1": _Mean(lambda one: harmonic(_passage_precision(one), _passage_recall(one)), _has_gold),
    "gold_page_recall": _Mean(gold_page_recall, _has_paged_gold),
}

OF_SHARES: Final[Mapping[str, tuple[Callable[[Outcome], bool], Callable[[Outcome], bool]]]] = {
    # name: over which cases, which of them count
    "abstention_tpr": (lambda one: not one.answerable, lambda one: one.status == "abstained"),
    "abstention_fpr": (lambda one: one.answerable, lambda one: one.status == "abstained"),
    "answered_share": (lambda one: True, lambda one: one.answered),
    "unscorable": (lambda one: True, is_unscorable),
}

OF_QUOTES: Final[Mapping[str, Callable[[Cited], bool]]] = {
    "quote_match": lambda cited: cited.matches_stored,
    "citation_validity": lambda cited: cited.matches_stored and cited.in_context,
}


def measures(outcomes: Sequence[Outcome]) -> dict[str, Measure]:
    """Every measure by name, in the order they are shown. n counts cases; citations for quote_match and
    citation_validity.
    """
    found: dict[str, Measure] = {}
    for name, mean in OF_CITATIONS.items():
        found[name] = _mean([one for one in outcomes if one.answered and mean.applies(one)], mean.score)
    for name, good in OF_QUOTES.items():
        found[name] = _ratio(outcomes, good)
    for name, (over, counts) in OF_SHARES.items():
        found[name] = _share([one for one in outcomes if over(one)], counts)
    found["gold_in_context"] = _mean([one for one in outcomes if _has_gold(one)], gold_in_context)
    for name, mean in OF_CITATIONS.items():
        over_all = [one for one in outcomes if one.answerable and mean.applies(one)]
        found[name + OF_ANSWERABLE] = _mean(over_all, _zero_unless_answered(mean.score))
    return found


def citations_per_answer(outcomes: Sequence[Outcome]) -> float | None:
    """Mean number of distinct spans that an answered case cites."""
    counts = [len(distinct(one.citations)) for one in outcomes if one.answered]
    return round(sum(counts) / len(counts), 3) if counts else None


def _zero_unless_answered(score: Callable[[Outcome], float]) -> Callable[[Outcome], float]:
    return lambda outcome: score(outcome) if outcome.answered else 0.0


def _mean(over: Sequence[Outcome], score: Callable[[Outcome], float]) -> Measure:
    values = {one.case_id: score(one) for one in over}
    if not values:
        return Measure(None, 0, None)
    mean = sum(values.values()) / len(values)
    return Measure(round(mean, 4), len(values), bootstrap_mean(list(values.values())), values)


def _share(over: Sequence[Outcome], counts: Callable[[Outcome], bool]) -> Measure:
    values = {one.case_id: float(counts(one)) for one in over}
    if not values:
        return Measure(None, 0, None)
    hits = int(sum(values.values()))
    return Measure(round(hits / len(values), 4), len(values), wilson(hits, len(values)), values)


def _ratio(over: Sequence[Outcome], good: Callable[[Cited], bool]) -> Measure:
    with_citations = [one for one in over if one.citations]
    hits = [float(sum(map(good, one.citations))) for one in with_citations]
    totals = [float(len(one.citations)) for one in with_citations]
    if not totals:
        return Measure(None, 0, None)
    per_case = {one.case_id: hit / total for one, hit, total in zip(with_citations, hits, totals, strict=True)}
    return Measure(round(sum(hits) / sum(totals), 4), int(sum(totals)), bootstrap_ratio(hits, totals), per_case)
