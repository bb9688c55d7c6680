"""Records of answers: whole for who asked, without words of what they may not read now, of nobody else's answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.answer_record import record_json
from assistant.bootstrap import Quoth
from assistant.model import Answer, AnswerId
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ui.record_sections import OUT_OF_REACH, sections_of

pytestmark = pytest.mark.integration

ANN = Reader("ann", frozenset({"hr"}))
BO = Reader("bo", frozenset({"hr"}))
QUESTION = "How many weeks does parental leave last?"


def test_a_record_is_whole_and_loses_its_words_with_the_right_to_read_them(
    quoth: Quoth, folder_of: Callable[..., Path]
) -> None:
    folder = folder_of(
        {
            "leave.txt": "Parental leave lasts twenty weeks for every parent.\n",
            "cafe.txt": "The parental cafe opens at nine o'clock.\n",
        }
    )
    list(quoth.pipeline.add([folder], readers=("hr",)))
    answer = list(quoth.ask(QUESTION, ANN))[-1]
    assert isinstance(answer, Answer) and answer.status == "answered"
    quoth.feedback.give(ANN, answer.id, helpful=True)

    record = quoth.answer_records.get(ANN, answer.id)
    assert record.answer.claims[0].reason == "the claim is the quotation"
    assert record.searched == QUESTION and record.calls == ()
    assert {hit.source.rpartition("/")[2] for hit in record.hits} == {"leave.txt", "cafe.txt"}
    assert record.hits[0].excerpt.startswith("Parental leave lasts") and record.hits[0].ranks["fused"] >= 1
    assert "twenty weeks" in record.passages[0].text and record.left_out is not None
    assert record.made["chain"] == [{"answerer": "quoted", "outcome": "done"}]
    assert record.made["drafted"] >= 1 and record.made["search"]["route"] == "exact"
    assert record.feedback is not None and record.feedback.helpful
    assert [one.id for one in quoth.answer_records.listed(ANN)] == [answer.id]
    words = json.dumps(record_json(record), default=str)
    assert "twenty weeks" in words and "verdict" in words
    titles = [section.title for section in sections_of(record)]
    assert len(titles) == len(set(titles)) == 9

    for other in (BO, LOCAL):
        assert quoth.answer_records.listed(other) == []
        with pytest.raises(UsageError, match="no answer"):
            quoth.answer_records.get(other, answer.id)
    with pytest.raises(UsageError, match="no answer"):
        quoth.answer_records.get(ANN, AnswerId(uuid.uuid4()))

    for one in quoth.catalog.documents(LOCAL):
        quoth.sharing.change(document=one.id, add=["legal"], remove=["hr"])
    closed = quoth.answer_records.get(ANN, answer.id)
    told = json.dumps(record_json(closed), default=str) + repr(sections_of(closed))
    assert "twenty weeks" not in told and "leave.txt" not in told and "cafe" not in told
    assert OUT_OF_REACH in told and closed.left_out is None
    assert closed.hits[0].ranks == record.hits[0].ranks  # numbers are the asker's own

    for one in quoth.catalog.documents(LOCAL):
        quoth.catalog.remove(one.id)
    with quoth.database.owning() as connection:
        kept = connection.exec_driver_sql(
            "select string_agg(a::text, ' ') || (select string_agg(c::text, ' ') from answer_claim c) from answer a"
        ).scalar()
    assert kept is not None and "twenty weeks" not in kept and "the claim is" not in kept
