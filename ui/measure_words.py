"""What each measure of a run says, in a few words for who has not read the papers."""

from __future__ import annotations

from typing import Final

from evals.measures import OF_ANSWERABLE

_MEANINGS: Final = {
    "citation_precision": "citations that are needed for their statement / all citations",
    "citation_recall": "statements that their citations support / all statements",
    "citation_f1": "both of the above in one number",
    "weighted_citation_precision": "how much of a statement its first citation supports",
    "weighted_citation_recall": "the same over all statements; uncited ones count as 0",
    "gold_citation_precision": "citations that are what a right answer rests on / all citations",
    "gold_citation_recall": "what a right answer rests on and was cited / all of that",
    "gold_citation_f1": "both of the above in one number",
    "gold_passage_precision": "citations in a passage that holds gold / all citations",
    "gold_passage_recall": "gold whose passage is cited / all gold",
    "gold_passage_f1": "both of the above in one number",
    "gold_page_precision": "cited pages that hold gold / all cited pages",
    "gold_page_recall": "gold of which a page is cited / all gold in formats with pages",
    "gold_page_f1": "both of the above in one number",
    "answer_precision": "statements that the reference answer supports / all statements",
    "answer_recall": "statements of the reference answer that the answer makes / all of them",
    "answer_token_f1": "words shared with the reference answer",
    "nugget_vital_strict": "vital facts that the answer has whole / all vital facts",
    "nugget_all": "facts that the answer has, half for a part / all facts",
    "quote_match": "quotations found word for word in the stored version; must be 1",
    "citation_validity": "of these, inside what the answerer was given; must be 1",
    "uncited_claim_rate": "statements that need a citation and have none; lower is better",
    "faithfulness": "statements that some passage given supports / all statements",
    "unjudged": "statements on which the judge failed; lower is better",
    "context_utilization": "facts given to the answerer that are in the answer / facts given",
    "abstention_f1": "how well it tells when to answer, in one number",
    "abstention_tpr": "questions without an answer that it declined",
    "abstention_fpr": "answerable questions that it declined; lower is better",
    "answered_share": "cases that were answered",
    "unscorable": "cases whose gold is not in the documents; lower is better",
    "access_leaks": "answers with words their asker may not read; must be 0",
    "conflict_both_sides": "where documents disagree: answers that cite both sides",
    "aurc": "loss averaged over how much is answered, the surest first; lower is better",
    "gold_in_context": "gold that the answerer was given / all gold",
    "claim_recall": "statements of the reference answer that the passages given support",
    "latency_ms": "time to the whole answer, mean, in milliseconds",
    "latency_p50_ms": "half of the answers took no longer, in milliseconds",
    "latency_p95_ms": "19 of 20 answers took no longer, in milliseconds",
    "input_tokens": "tokens sent to models, per case",
    "output_tokens": "tokens that models wrote, per case",
    "cost_usd": "USD per case",
}
_STAGES: Final = {
    "lexical": "by words", "dense": "by meaning", "fused": "by both", "reranked": "after re-ranking",
}  # fmt: skip
_RANKED: Final = {
    "ndcg": "how high the gold stands among the first ten",
    "recall": "gold among the first ten",
    "rr": "1 / rank of the first gold",
}


def measure_meaning(name: str) -> str:
    """What a measure says; empty for one that is not known here."""
    if name.endswith(OF_ANSWERABLE):
        of = measure_meaning(name.removesuffix(OF_ANSWERABLE))
        return f"{of}; an answer that was not given counts as 0" if of else ""
    stage, _, rest = name.partition("_")
    if stage in _STAGES and rest.removesuffix("_10") in _RANKED:
        return f"{_RANKED[rest.removesuffix('_10')]}, searched {_STAGES[stage]}"
    return _MEANINGS.get(name, "")


def type_words(kind: str | None) -> str:
    """A case's type as it is read: 'no overlap' of 'no_overlap'."""
    return (kind or "").replace("_", " ")
