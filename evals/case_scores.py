"""What one case scores in each measure, as the papers define it. Nothing here looks at a second case.

Denominators are what was submitted. What could not be judged scores as a no, and is counted by `unjudged`.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from evals.gold import Place
from evals.outcome import Cited, GoldSeen, JudgedCitation, JudgedClaim, Outcome
from retrieval.model import Stage

ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
DEPTH: Final = 10  # of nDCG, recall and reciprocal rank


# -- citations against a judge ---------------------------------------------------


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
    """2PR / (P + R) of one answer. Source: LongCite (Zhang et al., 2024), auto_scorer.py."""
    return harmonic(citation_precision(outcome), citation_recall(outcome))


def weighted_precision(outcome: Outcome) -> float:
    """Mean weight of each sentence's first citation, over the sentences that have one; 0 without any.

    The weight is 1 for full support (alone), 0.5 for partial (the sentence is supported, and not without it), else 0.
    Source: TREC 2024 RAG track, support evaluation, which judges a sentence's first citation.
    """
    weights = [_weight(claim, claim.citations[0]) for claim in outcome.claims if claim.citations]
    return sum(weights) / len(weights) if weights else 0.0


def weighted_recall(outcome: Outcome) -> float:
    """The same weights over all sentences: one without a citation weighs 0."""
    weights = [_weight(claim, claim.citations[0]) if claim.citations else 0.0 for claim in outcome.claims]
    return sum(weights) / len(weights) if weights else 0.0


def _weight(claim: JudgedClaim, citation: JudgedCitation) -> float:
    if not citation.resolves:
        return 0.0
    if citation.supports_alone:
        return 1.0
    return 0.5 if claim.supported and not citation.others_support else 0.0


def _recalled(claim: JudgedClaim) -> bool:
    return claim.supported and bool(claim.citations) and all(one.resolves for one in claim.citations)


def uncited(claim: JudgedClaim) -> bool:
    """Whether no marker of a sentence points to a citation."""
    return not any(one.resolves for one in claim.citations)


# -- citations against gold -------------------------------------------------------


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
    hit = sum(any(_same_page(one, place) for place in each.places for one in outcome.citations) for each in gold)
    return hit / len(gold) if gold else 0.0


def gold_page_precision(outcome: Outcome) -> float:
    """Distinct pages cited that hold gold / distinct pages cited; what has no pages is no page of gold. 0 without any.

    Pages are compared by document and version, not as strings: each page that holds a gold quote is as good.
    """
    cited = {(one.document, one.version, page) for one in outcome.citations for page in one.pages}
    right = {
        (place.document, place.version, page) for gold in outcome.gold for place in gold.places for page in place.pages
    }
    return len(cited & right) / len(cited) if cited else 0.0


def all_gold_cited(outcome: Outcome) -> float:
    """1 when every gold quote is cited: where documents disagree, both sides are shown."""
    return float(bool(outcome.gold) and gold_recall(outcome) == 1.0)


def gold_in_context(outcome: Outcome) -> float:
    """Gold quotes whose words the answerer was given / gold quotes."""
    gold = distinct_gold(outcome.gold)
    return sum(each.in_context for each in gold) / len(gold) if gold else 0.0


# -- retrieval -------------------------------------------------------------------


def gold_ranks(outcome: Outcome, stage: Stage) -> list[int]:
    """Ranks at which a stage has the gold quotes, rising, those it lacks left out. Two quotes of one chunk take its
    rank and the next one: a ranking holds one thing at a rank, and no measure goes above 1.
    """
    ranks: list[int] = []
    for rank in sorted(each.ranks[stage] for each in distinct_gold(outcome.gold) if stage in each.ranks):
        ranks.append(max(rank, ranks[-1] + 1) if ranks else rank)
    return ranks


def ndcg(outcome: Outcome, stage: Stage) -> float:
    """nDCG@10 with gain 1 per gold quote and discount log2(rank + 1). Source: Jarvelin and Kekalainen, TOIS 2002."""
    wanted = len(distinct_gold(outcome.gold))
    gained = sum(1 / math.log2(rank + 1) for rank in gold_ranks(outcome, stage) if rank <= DEPTH)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(wanted, DEPTH) + 1))
    return gained / ideal if ideal else 0.0


def recall(outcome: Outcome, stage: Stage) -> float:
    """Gold quotes among the first ten / gold quotes."""
    wanted = len(distinct_gold(outcome.gold))
    return sum(rank <= DEPTH for rank in gold_ranks(outcome, stage)) / wanted if wanted else 0.0


def reciprocal_rank(outcome: Outcome, stage: Stage) -> float:
    """1 / rank of the first gold quote; 0 beyond the tenth."""
    ranks = gold_ranks(outcome, stage)
    return 1 / ranks[0] if ranks and ranks[0] <= DEPTH else 0.0


# -- the answer's words ------------------------------------------------------------


def answer_recall(outcome: Outcome) -> float:
    """Sentences of the reference answer that the answer entails / all of them.

    Source: RAGChecker (Ru et al., NeurIPS 2024), computation.py.
    """
    return _share(bool(one.in_answer) for one in outcome.reference)


def answer_precision(outcome: Outcome) -> float:
    """Sentences of the answer that the reference or the gold entails / all of them; 0 without any. Source: as above."""
    return _share(bool(claim.right) for claim in outcome.claims)


def claim_recall(outcome: Outcome) -> float:
    """Sentences of the reference answer that some passage given entails / all of them. Source: as above."""
    return _share(bool(one.in_context) for one in outcome.reference)


def nugget_vital(outcome: Outcome) -> float:
    """Vital nuggets that the answer holds whole / vital nuggets. Source: nuggetizer (Pradeep et al. 2024), strict."""
    return _share(one.support == 1.0 for one in outcome.nuggets if one.vital)


def nugget_all(outcome: Outcome) -> float:
    """Sum of support (1, 0.5 in part, 0) / all nuggets. Source: as above, `all`."""
    return sum(one.support or 0.0 for one in outcome.nuggets) / len(outcome.nuggets) if outcome.nuggets else 0.0


def token_f1(answer: str, reference: str) -> float:
    """F1 of the multisets of words, lower case, without punctuation and articles; both empty: 1.

    Source: SQuAD 2.0 (Rajpurkar et al., ACL 2018), evaluate-v2.0.py.
    """
    given, wanted = _words(answer), _words(reference)
    if not given or not wanted:
        return float(given == wanted)
    same = sum((Counter(given) & Counter(wanted)).values())
    return harmonic(same / len(given), same / len(wanted))


def _words(text: str) -> list[str]:
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return ARTICLES.sub(" ", bare).split()


# -- the whole case -----------------------------------------------------------------


def is_unscorable(outcome: Outcome) -> bool:
    """The case failed to run, or is answerable and has no gold, or gold that is not in the store."""
    if outcome.status == "failed":
        return True
    return outcome.answerable and (not outcome.gold or any(not gold.places for gold in outcome.gold))


def loss(outcome: Outcome) -> float:
    """What an answer risks: 1 when it should not have been given or cites no gold, else the gold it leaves uncited."""
    return 1.0 - gold_recall(outcome) if outcome.answerable else 1.0


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


def _hits(cited: Cited, place: Place, passage: bool) -> bool:
    if (cited.document, cited.version) != (place.document, place.version):
        return False
    start, end = place.passage if passage else place.span
    return cited.span[0] < end and cited.span[1] > start


def _same_page(cited: Cited, place: Place) -> bool:
    return (cited.document, cited.version) == (place.document, place.version) and bool(cited.pages & place.pages)


def _share(verdicts: Iterable[bool]) -> float:
    given = list(verdicts)
    return sum(given) / len(given) if given else 0.0
