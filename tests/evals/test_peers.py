"""The comparison with peers, as far as it goes without them: turns, documents, and what is said when a rival lacks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from evals.beir import read_beir
from evals.bench.peer_process import RIVAL_PACKAGES
from evals.bench.peers import Peer, in_turn, main, source_of, write_records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "Where does the ferry land?"}) + "\n")
    lines = [{"_id": f"d{n}", "title": f"Quay {n}", "text": f"The ferry lands at quay {n}."} for n in range(40)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return tmp_path


def test_a_rival_that_cannot_be_loaded_is_named_with_what_it_needs(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUOTH_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")  # nothing gets that far
    assert main([str(folder), "--rival-python", sys.executable, "--skip", "langchain", "langchain-tuned"]) == 2
    said = capsys.readouterr().err
    assert "haystack" in said and RIVAL_PACKAGES[1] in said and "--rival-python" in said


def test_every_question_is_asked_of_all_and_the_order_changes() -> None:
    names = ("one", "two", "three")
    ways = {name: object.__new__(Peer) for name in names}
    for name, peer in ways.items():
        peer.way = name
    turns = [(peer.way, question) for peer, _, question in in_turn(ways, {str(n): f"question {n}" for n in range(3)})]
    assert sorted(turns) == sorted((name, f"question {n}") for name in names for n in range(3))
    assert [turns[at][0] for at in (0, 3, 6)] == list(names)


def test_the_narrow_reader_may_read_a_few_and_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    tests = read_beir(folder)
    write_records(tests, tmp_path, seed=3)
    first = (tmp_path / "records.jsonl").read_text()
    write_records(tests, tmp_path, seed=3)
    assert (tmp_path / "records.jsonl").read_text() == first
    groups = [json.loads(line)["group"] for line in first.splitlines()]
    assert groups.count("few") == 10 and groups.count("many") == 30


def test_a_passage_names_its_document() -> None:
    assert source_of("a@b@120") == "a@b"
