"""What tells whether sentences answer a question: what agrees, and what is absent."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from assistant.answerability import kind_absent, kind_asked, signals
from assistant.answerability_weights import FITTED
from ingest.model import ChunkId, DocumentId
from retrieval.model import Hit, SearchResult

TEXT = "A bicycle earns €0.22 per kilometre. Cars are paid by the same table."


def hit(text: str = TEXT) -> Hit:
    first = text.index(". ") + 1 if ". " in text else len(text)
    return Hit(
        1, 0.9, "travel.txt", "default", "Travel policy", DocumentId(uuid.uuid4()), 1, ChunkId(uuid.uuid4()), None, 0,
        len(text), ("Distances",), text, "2025-01-01", {"reranked": 1}, {"dense": 0.5, "lexical": 2.0},
        ((0, first), (first + 1, len(text))),
    )  # fmt: skip


def found(question: str, idf: dict[str, float], text: str = TEXT) -> dict[str, float]:
    search = SearchResult(question, "reranked", (hit(text),), {}, np.ones(1, np.float32), idf)
    return signals(search, search.hits[0], 0, cosine=0.6, best_cosine=0.6, own_coverage=0.5, margin=0.2)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many days may I carry over?", "number"),
        ("What does a parking permit cost?", "number"),
        ("When is version 1 switched off?", "time"),
        ("Who approves a purchase?", "person"),
        ("Where do we meet?", "place"),
        ("May I take my dog?", "other"),
    ],
)
def test_the_kind_of_thing_asked_for(question: str, kind: str) -> None:
    assert kind_asked(question) == kind


def test_a_kind_is_absent_where_the_text_says_nothing_of_it_but_the_questions_own() -> None:
    assert kind_absent("number", "How many dogs?", "Dogs are welcome.")
    assert not kind_absent("number", "How many dogs?", "Up to two dogs are welcome.")
    assert kind_absent("person", "Who leads Quarrel House?", "Quarrel House is led by a committee.")
    assert not kind_absent("person", "Who leads Quarrel House?", "Ada Quint leads Quarrel House.")
    assert kind_absent("time", "When in 2024 did it end?", "It ended in 2024.")
    assert not kind_absent("other", "Why?", "Because.")


def test_the_one_word_that_is_absent_is_told_beside_all_that_agree() -> None:
    there = found("What is paid per kilometre for a bicycle?", {"paid": 2.0, "kilometr": 3.0, "bicycl": 5.0})
    missing = found("What is paid per kilometre for a motorcycle?", {"paid": 2.0, "kilometr": 3.0, "motorcycl": 5.0})
    assert there["passage_coverage"] == 1.0 and there["rarest_absent"] == 0.0
    assert missing["passage_coverage"] == missing["rarest_absent"] == 0.5
    assert missing["covered_but_rarest"] == 0.25


def test_names_and_numbers_of_the_question_are_looked_for_around_the_sentence() -> None:
    assert found("What is paid in Saltwick?", {"saltwick": 5.0})["names_absent"] > 0
    assert found("What does the Travel policy say?", {"polici": 1.0})["names_absent"] == 0
    assert found("What did 1998 cost?", {"1998": 5.0})["number_absent"] == 1
    assert found("What is 0.22?", {"0.22": 5.0})["number_absent"] == 0


def test_the_weights_are_of_these_signals_and_say_a_probability() -> None:
    given = found("What is paid per kilometre for a bicycle?", {"paid": 2.0, "kilometr": 3.0, "bicycl": 5.0})
    assert set(FITTED.weights) == set(FITTED.scales) == set(given)
    assert 0 < FITTED.probability(given) < 1


def test_nothing_known_of_the_question_breaks_nothing() -> None:
    assert set(found("?", {})) == set(FITTED.weights)
