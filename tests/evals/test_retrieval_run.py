"""A test collection is read strictly, indexed once, and measured on every stage."""

from __future__ import annotations

import json
import math
import uuid
from itertools import pairwise
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from evals.beir import parsed_record, read_beir
from evals.retrieval_run import documents_ranked, evaluate_retrieval, measured, run_json, run_table
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ingest.model import ChunkId, DocumentId
from retrieval.model import STAGES, Hit, Stage

CORPUS = [
    {"_id": "leave", "title": "Parental leave", "text": "New parents take twenty weeks of paid leave."},
    {"_id": "travel/eu", "title": "Travel", "text": "Book trains, not planes, for journeys under six hours."},
    {"_id": "lunch", "title": "", "text": "The canteen opens at noon.\r\nSoup is free.\x00"},
    {"_id": "bare", "title": "Fire drills happen every March", "text": ""},
    {"_id": "blank", "title": " ", "text": "—"},
]
QUERIES = [
    {"_id": "q1", "text": "How long is paid leave for new parents?"},
    {"_id": "q2", "text": "When does the canteen open?"},
    {"_id": "q3", "text": "What is judged as not relevant?"},
    {"_id": "unjudged", "text": "Nobody judged this."},
    {"_id": "q4", "text": "When are fire drills?"},
]
QRELS = [("q1", "leave", "2"), ("q1", "lunch", "0"), ("q2", "lunch", "1"), ("q3", "leave", "0"), ("q4", "bare", "1")]


def beir(folder: Path, *, corpus: list | None = None, qrels: dict[str, list] | None = None) -> Path:
    (folder / "qrels").mkdir(parents=True)
    for name, records in (("corpus", corpus or CORPUS), ("queries", QUERIES)):
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    for split, judgements in (qrels or {"test": QRELS}).items():
        rows = [("query-id", "corpus-id", "score"), *judgements]
        (folder / "qrels" / f"{split}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def hit(source: str, **ranks: int) -> Hit:
    nobody = uuid.UUID(int=0)
    return Hit(
        rank=0,
        score=0.0,
        source=source,
        collection="c",
        title="",
        document=DocumentId(nobody),
        version=1,
        chunk=ChunkId(nobody),
        page=None,
        start=0,
        end=1,
        heading=(),
        text="x",
        updated="2026-01-01",
        ranks=ranks,  # type: ignore[arg-type]
    )


def test_a_folder_is_read_as_queries_with_judgements(tmp_path: Path) -> None:
    tests = read_beir(beir(tmp_path / "set"))
    assert [record.id for record in tests.records] == ["leave", "travel/eu", "lunch", "bare"]
    assert tests.empty == 1
    assert list(tests.queries) == ["q1", "q2", "q3", "q4"]
    assert tests.scored == ("q1", "q2", "q4")  # q3 has no relevant document
    assert tests.qrels["q1"] == {"leave": 2, "lunch": 0}
    assert tests.collection.startswith("eval-") and len(tests.collection) == 17


def test_records_become_documents_of_one_element_with_plain_text(tmp_path: Path) -> None:
    records = {record.id: record for record in read_beir(beir(tmp_path / "set")).records}
    lunch = parsed_record(records["lunch"])
    assert lunch.text == "The canteen opens at noon.\nSoup is free."
    assert (lunch.title, lunch.elements[0].start, lunch.elements[0].end) == ("", 0, len(lunch.text))
    assert parsed_record(records["bare"]).text == "Fire drills happen every March"


def test_the_test_split_is_preferred_and_several_others_are_refused(tmp_path: Path) -> None:
    train = [("q1", "travel/eu", "1")]
    assert read_beir(beir(tmp_path / "a", qrels={"test": QRELS, "train": train})).qrels["q1"]["leave"] == 2
    assert read_beir(beir(tmp_path / "b", qrels={"mine": train})).qrels == {"q1": {"travel/eu": 1}}
    with pytest.raises(UsageError, match=r"holds one\.tsv, two\.tsv"):
        read_beir(beir(tmp_path / "c", qrels={"one": train, "two": train}))


@pytest.mark.parametrize(
    ("corpus", "judgements", "words"),
    [
        ([{"title": "x", "text": "y"}], QRELS, "line 1: '_id' must be a text"),
        ([CORPUS[0], CORPUS[0]], QRELS, "line 2: the '_id' 'leave' was used before"),
        ([{"_id": "a b", "text": "y"}], QRELS, "holds white space"),
        ([{"_id": "a", "text": 3}], QRELS, "'text' must be a text, not 3"),
        (CORPUS, [("nobody", "leave", "1")], "name the query 'nobody'"),
        (CORPUS, [("q1", "leave", "yes")], "line 2: .* is not a judgement"),
        (CORPUS, [("q1", "leave")], "is not a judgement"),
    ],
)
def test_what_is_malformed_is_named(tmp_path: Path, corpus: list, judgements: list, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_beir(beir(tmp_path / "set", corpus=corpus, qrels={"test": judgements}))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'corpus\.jsonl' is missing"):
        read_beir(tmp_path)


def test_documents_are_ranked_by_their_best_chunk_each_once() -> None:
    hits = [hit("a", dense=3, fused=1), hit("b", dense=1, fused=2), hit("a", dense=2, fused=3), hit("c", lexical=1)]
    assert documents_ranked(hits, "dense", 10) == ["b", "a"]
    assert documents_ranked(hits, "fused", 10) == ["a", "b"]
    assert documents_ranked(hits, "fused", 1) == ["a"]
    assert documents_ranked(hits, "lexical", 10) == ["c"]
    assert documents_ranked(hits, "reranked", 10) == []


def test_measures_agree_with_values_worked_by_hand() -> None:
    qrels = {"q1": {"a": 2, "b": 1, "x": 0}, "q2": {"c": 1}, "q3": {"d": 1}}
    ranking = {"q1": ["x", "b", "a"], "q2": ["x", "y"], "unjudged": ["a"]}  # q3 has no ranking at all
    found = measured(qrels, ranking, ["q1", "q2", "q3"])
    gained = 1 / math.log2(3) + 2 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert found["nDCG@10"] == {"q1": pytest.approx(gained / ideal), "q2": 0, "q3": 0}
    assert found["RR@10"] == {"q1": 0.5, "q2": 0, "q3": 0}
    assert found["Recall@10"] == {"q1": 1, "q2": 0, "q3": 0}
    deep = measured({"q": {"last": 1}}, {"q": [f"d{rank}" for rank in range(10)] + ["last"]}, ["q"])
    assert (deep["Recall@10"]["q"], deep["Recall@100"]["q"], deep["RR@10"]["q"]) == (0, 1, 0)


@pytest.mark.integration
def test_a_collection_is_indexed_once_measured_and_written_as_runs(quoth: Quoth, tmp_path: Path) -> None:
    folder = beir(tmp_path / "set")
    stages: list[tuple[str, int, int]] = []
    run = evaluate_retrieval(
        quoth,
        folder,
        runs=tmp_path / "runs",
        progress=lambda source, stage, done, total: stages.append((stage, done, total)),
    )
    assert (run.documents, run.empty_documents, run.indexed, run.queries, run.scored) == (4, 1, 4, 4, 3)
    for stage in STAGES:
        assert run.stages[stage].means["RR@10"] == 1.0, stage  # each question has the words of its one document
        lines = [line.split() for line in (tmp_path / "runs" / f"{stage}.run").read_text().splitlines()]
        assert {line[0] for line in lines} == (
            {"q1", "q2", "q3", "q4"} if stage != "lexical" else {line[0] for line in lines}
        )
        for query in {line[0] for line in lines}:
            of_query = [line for line in lines if line[0] == query]
            assert [int(line[3]) for line in of_query] == list(range(1, len(of_query) + 1))
            scores = [float(line[4]) for line in of_query]
            assert all(a > b for a, b in pairwise(scores))
            assert len({line[2] for line in of_query}) == len(of_query)
    assert stages[0] == ("indexing", 0, 4) and stages[-1] == ("searching", 4, 4)
    found = json.loads(json.dumps(run_json(run)))
    assert found["stages"]["reranked"]["nDCG@10"] == 1.0
    assert "nDCG@10" in run_table(run) and "1 more have no relevant document" in run_table(run)
    per_query = [json.loads(line) for line in (tmp_path / "runs" / "per_query.jsonl").read_text().splitlines()]
    assert [line["query"] for line in per_query] == ["q1", "q2", "q4"]

    assert evaluate_retrieval(quoth, folder).indexed == 0  # kept between runs
    changed = beir(tmp_path / "other", corpus=[*CORPUS, {"_id": "new", "text": "Another document."}])
    other = evaluate_retrieval(quoth, changed)
    assert (other.collection != run.collection, other.indexed) == (True, 5)


@pytest.mark.integration
def test_an_interrupted_index_goes_on_where_it_stopped(quoth: Quoth, tmp_path: Path) -> None:
    folder = beir(tmp_path / "set", corpus=[{"_id": f"d{n}", "text": f"Rule {n} of the house."} for n in range(6)])

    def stop_at_three(source: str, stage: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_retrieval(quoth, folder, progress=stop_at_three)
    assert evaluate_retrieval(quoth, folder).indexed == 3


@pytest.mark.integration
def test_scratch_documents_answer_nobody_who_does_not_name_them(quoth: Quoth, tmp_path: Path) -> None:
    run = evaluate_retrieval(quoth, beir(tmp_path / "set"))
    question = "How long is paid leave for new parents?"
    assert not quoth.search(question, LOCAL).hits
    assert not quoth.catalog.documents(LOCAL)
    assert quoth.search(question, LOCAL, collection=run.collection).hits
    everybody = Reader("ada", frozenset({"hr", "everyone"}))
    stage: Stage
    for stage in STAGES:
        assert not quoth.search(question, everybody, stage=stage, collection=run.collection).hits
