"""What the benchmarks' documents must be for their counts to mean anything."""

from __future__ import annotations

import pytest

from evals.bench.fact_wordings import SETS
from evals.bench.invented_facts import Corpus, invented

SETS_OF_WORDINGS = sorted(SETS)


@pytest.fixture(params=SETS_OF_WORDINGS)
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return invented(200, wordings=request.param, seed=3)


def test_the_same_seed_gives_the_same_documents_and_another_gives_others() -> None:
    assert invented(40, seed=3) == invented(40, seed=3)
    assert invented(40, seed=3).texts != invented(40, seed=4).texts


def test_each_sentence_stands_in_its_document_and_no_claim_does(corpus: Corpus) -> None:
    assert len(corpus.facts) == 200
    for fact in corpus.facts:
        assert fact.sentence in corpus.texts[fact.document]
        assert fact.claim not in corpus.texts[fact.document]


def test_questions_are_all_different_and_wrong_claims_differ_from_the_true_one(corpus: Corpus) -> None:
    assert len({fact.question for fact in corpus.facts}) == 200
    assert all(wrong.text != fact.claim for fact in corpus.facts for wrong in fact.wrong)
    assert {wrong.kind for fact in corpus.facts for wrong in fact.wrong} == {
        "number", "date", "name", "unit", "negation",
    }  # fmt: skip


def test_the_two_sets_share_no_wording() -> None:
    one, other = (
        {said for wording in SETS[name].wordings for said in (wording.question, *wording.said, *wording.claims)}
        for name in SETS_OF_WORDINGS
    )
    assert not one & other
