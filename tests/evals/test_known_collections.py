"""Test collections are read in the forms they are handed out in; a sample keeps what is judged."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.beir import TestCollection
from evals.bench.known_collections import (
    cacm_parts,
    collected,
    known_collections,
    read_cacm,
    read_cookbook_code,
    read_cookbook_docs,
    read_miracl,
    read_squad,
    read_vaswani,
    sampled,
)
from ingest.errors import UsageError


def test_abstracts_of_trec_files_are_joined_to_lines(tmp_path: Path) -> None:
    (tmp_path / "doc-text.trec").write_text(
        "<DOC>\n<DOCNO>1</DOCNO>\nvalves in\nsmall boats\n</DOC>\n<DOC>\n<DOCNO>2</DOCNO>\nlamps &amp; oil\n</DOC>\n"
    )
    (tmp_path / "query-text.trec").write_text("<top>\n<num>7</num><title>\nVALVES OF\nBOATS\n</title>\n</top>\n")
    (tmp_path / "qrels").write_text("7 0 1 1\n7 0 2 0\n")
    tests = read_vaswani(tmp_path)
    assert [(one.id, one.text) for one in tests.records] == [("1", "valves in small boats"), ("2", "lamps & oil")]
    assert tests.queries == {"7": "VALVES OF BOATS"} and tests.qrels == {"7": {"1": 1, "2": 0}}


PAGE = """<html>
<pre>


A Note on Tide
Tables

Tables of tides are computed anew.

CACM May, 1960

Brook, A.

CA600501 JB March 22, 1978  8:28 PM

100\t5\t1
1\t6\t1

</pre>
</html>
"""


def test_a_cacm_record_loses_its_stamp_and_its_table(tmp_path: Path) -> None:
    assert cacm_parts(PAGE) == (
        "A Note on Tide Tables",
        "Tables of tides are computed anew.\n\nCACM May, 1960\n\nBrook, A.",
    )
    with tarfile.open(tmp_path / "cacm.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("CACM-0042.html")
        member.size = len(PAGE)
        archive.addfile(member, io.BytesIO(PAGE.encode("latin-1")))
    (tmp_path / "topics.cacm.txt").write_text("<DOC>\n<DOCNO> 1 </DOCNO>\n\n Who computes\n tides?\n</DOC>\n")
    (tmp_path / "qrels.cacm.txt").write_text("1 Q0 CACM-42 1\n")
    tests = read_cacm(tmp_path)
    assert [one.id for one in tests.records] == ["CACM-42"]  # as the judgements write it
    assert tests.queries == {"1": "Who computes tides?"} and tests.scored == ("1",)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_miracl_passages_are_unpacked(tmp_path: Path) -> None:
    lines = [json.dumps({"fields": {"doc_id": f"{at}#0", "title": "Ìlú", "text": f"Ìlú {at}"}}) for at in range(3)]
    subprocess.run(["zstd", "-q", "-o", str(tmp_path / "yo.jsonl.zst")], input="\n".join(lines).encode(), check=True)
    (tmp_path / "topics.dev.tsv").write_text("q\tÌlú wo ni?\n", "utf-8")
    (tmp_path / "qrels.dev.tsv").write_text("q\tQ0\t1#0\t1\n")
    tests = read_miracl(tmp_path)
    assert [one.id for one in tests.records] == ["0#0", "1#0", "2#0"] and tests.qrels == {"q": {"1#0": 1}}


def test_sections_and_pieces_of_code(tmp_path: Path) -> None:
    files = {
        "anthropic_docs.json": [{"chunk_link": "a#1", "chunk_heading": "Keys", "text": "Turn the key."}],
        "docs_evaluation_dataset.json": [{"id": "x", "question": "Which key?", "correct_chunks": ["a#1"]}],
        "codebase_chunks.json": [
            {"original_uuid": "u", "chunks": [{"original_index": at, "content": f"fn f{at}()"} for at in range(2)]}
        ],
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "evaluation_set.jsonl").write_text(json.dumps({"query": "f1?", "golden_chunk_uuids": [["u", 1]]}))
    docs, code = read_cookbook_docs(tmp_path), read_cookbook_code(tmp_path)
    assert docs.records[0].title == "Keys" and docs.qrels == {"x": {"a#1": 1}}
    assert [one.id for one in code.records] == ["u#0", "u#1"] and code.qrels == {"0": {"u#1": 1}}


def squad(path: Path, questions: int) -> Path:
    paragraphs = [
        {
            "context": f"Pier {at} is {at} metres long.",
            "qas": [
                {"id": f"q{at}", "question": f"How long is pier {at}?", "is_impossible": False},
                {"id": f"n{at}", "question": f"How old is pier {at}?", "is_impossible": True},
            ],
        }
        for at in range(questions)
    ]
    path.write_text(json.dumps({"data": [{"title": "Piers", "paragraphs": paragraphs}]}))
    return path


def test_only_answerable_questions_are_asked_and_the_draw_repeats(tmp_path: Path) -> None:
    path = squad(tmp_path / "squad.json", 30)
    tests = read_squad(path, "squad", questions=12)
    assert len(tests.records) == 30 and len(tests.queries) == 12
    assert all(tests.qrels[query] == {"p" + query[1:]: 1} for query in tests.queries)
    assert read_squad(path, "squad", questions=12) == tests


def made(documents: int, judged: list[int]) -> TestCollection:
    texts = [(f"d{at}", "", f"Text {at}") for at in range(documents)]
    queries = {f"q{at}": f"Which text is {at}?" for at in judged}
    return collected("made", texts, queries, {f"q{at}": {f"d{at}": 1} for at in judged})


@given(st.integers(1, 30), st.data())
def test_a_sample_keeps_what_is_judged_and_no_more_than_asked_for(documents: int, data: st.DataObject) -> None:
    judged = data.draw(st.lists(st.integers(0, documents - 1), min_size=1, unique=True))
    passages, queries = data.draw(st.integers(0, 35)), data.draw(st.integers(1, 35))
    tests = made(documents, judged)
    some = sampled(tests, passages, queries)
    assert len(some.queries) == min(queries, len(judged)) and some.qrels.keys() == some.queries.keys()
    kept = {one.id for one in some.records}
    assert all(document in kept for of_query in some.qrels.values() for document in of_query)
    assert len(kept) == min(documents, max(passages, len(judged)))
    assert (some.collection == tests.collection) == (len(kept) == documents)
    assert sampled(tests, passages, queries) == some


def test_what_is_missing_is_named_and_what_is_broken_refused(tmp_path: Path) -> None:
    squad(tmp_path / "squad-file", 2)
    (tmp_path / "squad").mkdir()
    squad(tmp_path / "squad" / "dev-2.0-part-a.json", 2)
    found, missing = known_collections(tmp_path)
    assert list(found) == ["squad"] and "scifact" in missing
    assert len(found["squad"]().records) == 2
    with pytest.raises(UsageError, match="used before"):
        collected("twice", [("a", "", "x"), ("a", "", "y")], {}, {})
    with pytest.raises(UsageError, match="has no text"):
        collected("silent", [("a", "", "x")], {}, {"q": {"a": 1}})
