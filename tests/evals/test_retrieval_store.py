"""Retrieval runs are kept, listed, compared query by query and forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from evals.retrieval_run import RetrievalRun, evaluate_retrieval
from evals.retrieval_store import RetrievalRuns, compare_retrieval, retrieval_table
from ingest.access import Reader
from ingest.errors import UsageError
from ui.command import main

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("beir") / "lights"
    (root / "qrels").mkdir(parents=True)
    places = ("Holm", "Varsund", "Ekeby", "Tallnas")
    corpus = [
        {"_id": f"d{n}", "title": "", "text": f"The lighthouse of {one} is white."} for n, one in enumerate(places)
    ]
    queries = [{"_id": f"q{n}", "text": f"lighthouse of {one}"} for n, one in enumerate(places)]
    for name, records in (("corpus", corpus), ("queries", queries)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    rows = "".join(f"q{n}\td{n}\t1\n" for n in range(len(places)))
    (root / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    return root


@pytest.fixture(scope="module")
def run(quoth: Quoth, folder: Path) -> RetrievalRun:
    return evaluate_retrieval(quoth, folder, k=10)


def test_a_run_is_kept_by_ids_and_numbers_alone(quoth: Quoth, run: RetrievalRun) -> None:
    runs = RetrievalRuns(quoth)
    kept = runs.keep(run)
    again = runs.find(kept.id[:6])
    assert again == kept and again.settings["reranker"] == quoth.settings.reranker
    assert set(again.per_query["reranked nDCG@10"]) == {"q0", "q1", "q2", "q3"}
    assert not any(name.endswith("Recall@100") for name in again.per_query)  # ten were ranked
    assert kept.id in [one.id for one in runs.list()]
    with quoth.database.owning() as connection:
        assert "lighthouse" not in str(connection.scalar(text("select t::text from eval_retrieval t limit 1")))
    with quoth.database.reading(Reader("ada", frozenset({"hr"}))) as connection:
        assert connection.scalar(text("select count(*) from eval_retrieval")) == 0
    runs.delete(kept.id)
    with pytest.raises(UsageError, match="no run of retrieval"):
        runs.find(kept.id)
    assert kept.id in quoth.latest_events(action="eval.run.deleted")[0].detail


def test_two_runs_are_compared_query_by_query(quoth: Quoth, run: RetrievalRun) -> None:
    runs = RetrievalRuns(quoth)
    first, second = runs.keep(run), runs.keep(run)
    same = compare_retrieval(first, second)
    assert same.queries == 4 and not any(one.significant for one in same.differences) and same.changed == ()
    worse = {name: dict.fromkeys(values, 0.0) for name, values in second.per_query.items()}
    found = compare_retrieval(first, replace(second, per_query=worse, code="other"))
    ndcg = next(one for one in found.differences if one.name == "reranked nDCG@10")
    assert ndcg.mean < 0 and ndcg.losses == 4 and found.changed == ("the program",)
    assert "changed: the program" in retrieval_table(found)
    with pytest.raises(UsageError, match="another collection"):
        compare_retrieval(first, replace(second, collection="eval-other"))


def test_the_commands(
    quoth: Quoth, run: RetrievalRun, folder: Path, environ: dict[str, str], capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in environ.items():
        if name.startswith("QUOTH_"):
            monkeypatch.setenv(name, value)
    capfd.readouterr()
    assert main(["eval", "retrieval", str(folder), "--k", "10", "--json"]) == 0
    made = json.loads(capfd.readouterr().out)["run"]
    other = RetrievalRuns(quoth).keep(run).id
    assert main(["eval", "list"]) == 0
    assert f"{made}  " in capfd.readouterr().out
    assert main(["eval", "compare", other, made]) == 0
    assert "4 queries that both have" in capfd.readouterr().out
    assert main(["eval", "show", made]) == 0
    assert json.loads(capfd.readouterr().out)["scored"] == 4
    assert main(["eval", "delete", made, other]) == 0
    assert made not in {one.id for one in RetrievalRuns(quoth).list()}
    assert main(["eval", "show", made]) == 2
