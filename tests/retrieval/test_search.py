"""Search over a real store: exact BM25 under the reader's mask, the dense routes, every stage, no leak."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from assistant.bootstrap import Quoth
from ingest.access import LOCAL, Reader
from ingest.analysis import Analyzer
from ingest.errors import UsageError
from ingest.indexing import chunk_text
from retrieval import dense
from retrieval.model import STAGES

pytestmark = pytest.mark.integration

WORDS = [
    "harbour",
    "ledger",
    "valve",
    "turbine",
    "invoice",
    "lantern",
    "orchard",
    "copper",
    "saddle",
    "velvet",
    "meadow",
    "quarry",
    "anchor",
    "bishop",
]
GROUPS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    """40 small documents; each may be read by one or two of three groups, some by everyone."""
    rng = random.Random(7)
    folder = tmp_path_factory.mktemp("words")
    for number in range(40):
        sentences = [  # with words that tell the language; as stop words they have no weight
            "This is what was said about the "
            + " and the ".join(rng.choices(WORDS, k=rng.randint(4, 9)))
            + " in the house."
            for _ in range(rng.randint(2, 6))
        ]
        (folder / f"d{number:02}.txt").write_text(" ".join(sentences) + "\n")
    for number in range(40):
        readers = ["everyone"] if number % 5 == 0 else rng.sample(GROUPS, rng.randint(1, 2))
        (receipt,) = quoth.pipeline.add([folder / f"d{number:02}.txt"], readers=readers)
        assert receipt.status == "added"
    return quoth


READERS = [LOCAL, Reader("eve", frozenset()), *(Reader(g, frozenset({g})) for g in GROUPS)]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_lexical_scores_are_rank_bm25s_over_the_readable_corpus(filled: Quoth, reader: Reader) -> None:
    analyzer = Analyzer("en")
    everything = filled.search("valve", reader, k=1)  # warms nothing; shows the reader has a store
    assert everything.stage == "reranked"
    documents = filled.catalog.documents(reader)
    texts, names = [], []
    for document in documents:
        texts.append(analyzer.terms(chunk_text(document.title, (), filled.catalog.text(reader, document.id, 1))))
        names.append(document.source)
    reference = BM25Okapi(texts, k1=1.2, b=0.75)
    rng = random.Random(11)
    for _ in range(20):
        question = " ".join(rng.sample(WORDS, 3))
        terms = list(dict.fromkeys(analyzer.terms(question)))
        frequency = {term: sum(term in text for text in texts) for term in terms}
        reference.idf = {t: math.log1p((len(texts) - n + 0.5) / (n + 0.5)) for t, n in frequency.items()}
        expected = {name: score for name, score in zip(names, reference.get_scores(terms), strict=True) if score > 0}
        found = filled.search(question, reader, k=100, stage="lexical").hits
        assert {hit.source: hit.score for hit in found} == pytest.approx(expected)
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_both_dense_routes_find_the_exact_neighbours(
    filled: Quoth, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "Where is the copper lantern of the harbour?"
    vector = filled.embedder.embed([question], kind="query")[0]
    exact = filled.search(question, reader, k=8, stage="dense").hits
    documents = filled.catalog.documents(reader)
    rows = filled.embedder.embed(
        [chunk_text(d.title, (), filled.catalog.text(reader, d.id, 1).strip()) for d in documents], kind="document"
    )
    order = np.argsort(-(rows @ vector))[:8]
    assert [hit.source for hit in exact] == [documents[at].source for at in order]
    monkeypatch.setattr(dense, "EXACT_UP_TO", -1)
    indexed = filled.search(question, reader, k=8, stage="dense").hits
    assert [hit.source for hit in indexed] == [hit.source for hit in exact]


def test_every_stage_ranks_without_gaps_and_knows_the_others(filled: Quoth) -> None:
    for stage in STAGES:
        result = filled.search("copper lantern", LOCAL, k=10, stage=stage)
        assert [hit.rank for hit in result.hits] == list(range(1, len(result.hits) + 1))
        assert all(hit.ranks[stage] == hit.rank for hit in result.hits)
        assert {"embed", "lexical", "dense", "fuse", "rerank", "total"} <= set(result.timings_ms)


def test_a_reader_finds_only_what_they_may_read_at_every_stage(filled: Quoth) -> None:
    rng = random.Random(3)
    for _ in range(60):
        groups = frozenset(rng.sample(GROUPS, rng.randint(0, 2)))
        reader = Reader("someone", groups)
        allowed = {document.source for document in filled.catalog.documents(reader)}
        stage = rng.choice(STAGES)
        hits = filled.search(" ".join(rng.sample(WORDS, 2)), reader, k=50, stage=stage).hits
        assert hits and {hit.source for hit in hits} <= allowed


def test_what_a_reader_may_not_see_changes_no_score(filled: Quoth, tmp_path: Path) -> None:
    eve = Reader("eve", frozenset())
    before = filled.search("copper valve", eve, k=50).hits
    (tmp_path / "hidden.txt").write_text(
        "This is what was said about the copper valve and the copper valve of the copper valve.\n"
    )
    (receipt,) = filled.pipeline.add([tmp_path / "hidden.txt"], readers=["red"])
    after = filled.search("copper valve", eve, k=50).hits
    assert [(hit.chunk, hit.score, hit.scores) for hit in after] == [
        (hit.chunk, hit.score, hit.scores) for hit in before
    ]
    assert receipt.document is not None
    filled.catalog.remove(receipt.document)


@pytest.mark.parametrize("question", ["", "   ", "\x00"])
def test_an_empty_question_is_a_usage_error(filled: Quoth, question: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        filled.search(question, LOCAL)


@pytest.mark.parametrize(
    "question",
    ["?!…", "the of and", "' or 1=1; drop table document; --", "\\x \\ %s {} :name $1", "🙂🙂", "ねこ", "a" * 5000],
)
def test_odd_questions_are_answered_with_a_list(filled: Quoth, question: str) -> None:
    result = filled.search(question, LOCAL, k=5)
    assert len(result.hits) <= 5
    assert bool(result.notes) == (len(question) > 4000)
