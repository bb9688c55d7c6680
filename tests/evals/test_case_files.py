"""Cases in other forms than our own mean the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.case_files import read_case_file
from evals.cases import Case, Gold
from ingest.errors import UsageError

CONTEXT = "The mill was built in 1871. It burnt down twice, in 1880 and 1902. Nobody was hurt."


def squad(*asked: dict[str, object], version: str = "v2.0") -> str:
    return json.dumps({"version": version, "data": [{"title": "Old_Mill", "paragraphs": [{"context": CONTEXT, "qas": asked}]}]})  # fmt: skip


def test_squad_questions_have_the_sentence_of_their_answer_for_gold(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text(
        squad(
            {"id": "1", "question": " When did it burn down? ", "is_impossible": False,
             "answers": [{"text": "1880", "answer_start": CONTEXT.index("1880")}]},
            {"id": "2", "question": "Who built it?", "is_impossible": True, "answers": [],
             "plausible_answers": [{"text": "Nobody", "answer_start": CONTEXT.index("Nobody")}]},
        )
    )  # fmt: skip
    first, second = read_case_file(file)
    assert first == Case(
        "1", "When did it burn down?", True,
        (Gold("Old_Mill", "It burnt down twice, in 1880 and 1902.", by_title=True),), "1880", "answerable",
    )  # fmt: skip
    assert second == Case("2", "Who built it?", False, type="impossible")


def test_squad_1_has_no_mark_for_the_impossible_and_an_answer_may_span_sentences(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    answer = {"text": "1902. Nobody", "answer_start": CONTEXT.index("1902")}
    file.write_text(squad({"id": 5, "question": "And?", "answers": [answer]}, version="1.1"))
    (case,) = read_case_file(file)
    assert case.answerable and case.id == "5"
    assert case.gold[0].quote == "It burnt down twice, in 1880 and 1902. Nobody was hurt."


def test_what_is_not_squad_is_refused(tmp_path: Path) -> None:
    for content in ("[]", "{}", '{"data": [{"paragraphs": [{}]}]}', "{"):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(UsageError, match=r"not SQuAD's JSON|\*\.jsonl"):
            read_case_file(tmp_path / "bad.json")


def test_csv_with_everything(tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    file.write_bytes(
        b"\xef\xbb\xbfid,question,answerable,source,quote,collection,answer,type,tags,turns,groups,note\r\n"
        b'a,"How long, then?",,hr/leave.md,"20 weeks, paid",hr,20 weeks,number,old;hard,Who may?;And fathers?,hr;legal,x\r\n'
        b'a,"How long, then?",,b.md,other,,,,,,,\r\n'
        b"b,Who?,no,,,,,,,,-,\r\n"
    )
    first, second = read_case_file(file)
    assert first == Case(
        "a", "How long, then?", True, (Gold("hr/leave.md", "20 weeks, paid", "hr"), Gold("b.md", "other")),
        "20 weeks", "number", ("Who may?", "And fathers?"), ("hr", "legal"), ("old", "hard"),
    )  # fmt: skip
    assert second == Case("b", "Who?", False, groups=())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("question\nx\n", "no column 'id'"),
        ("id,question\n", "holds no case"),
        ("id,question\na,\n", "line 2: 'question'"),
        ("id,question,answerable\na,x,maybe\n", "true or false, not 'maybe'"),
        ("id,question\na,x\na,y\n", "line 3: the id 'a' was used before"),
        ("id,question\na,x,y\n", "more cells than columns"),
        ("id,question,source\na,x,s\n", "'quote' must be a text"),
    ],
)
def test_csv_that_cannot_be_meant(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "cases.csv").write_text(content)
    with pytest.raises(UsageError, match=complaint):
        read_case_file(tmp_path / "cases.csv")


def test_a_beir_folder_has_its_relevant_documents_for_gold(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    documents = [{"_id": "d1", "title": "T", "text": "Ships sail."}, {"_id": "d2", "title": "Only a title", "text": ""}]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    queries = [{"_id": "q1", "text": "sailing?"}, {"_id": "q2", "text": "nothing?"}]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\td1\t0\n")
    (case,) = read_case_file(tmp_path)  # q2 has nothing relevant
    assert (case.id, case.question) == ("q1", "sailing?")
    assert [(one.source, one.quote) for one in case.gold] == [("d1", "Ships sail."), ("d2", "Only a title")]
    assert case.gold[0].collection is not None and case.gold[0].collection.startswith("eval-")
