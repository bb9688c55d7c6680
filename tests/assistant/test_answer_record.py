"""Records of answers: whole for who asked, without words of what they may not read now, of nobody else's answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.answer_record import record_json
from assistant.answering import AnsweringSettings
from assistant.bootstrap import Quoth
from assistant.model import Answer, AnswerId
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
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


def test_what_a_model_looked_up_is_shown_in_places_and_under_the_rights_of_now(
    environ: dict[str, str], folder_of: Callable[..., Path]
) -> None:
    with LoopbackModel() as double:
        wanted = {
            **environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url,
            "QUOTH_MODELS": "gpt-6.1-terra,gpt-6-luna", "QUOTH_EASY_MODEL": "gpt-6-luna",
        }  # fmt: skip
        double.script = [[("search_documents", {"query": "zucchini pergola"}), ("open_document", {"place": "P99"})]]
        with Quoth(Settings.from_env(wanted), wanted, lambda said: None) as store:
            files = {
                "sabbatical.txt": "A sabbatical lasts half a year.\n",
                "garden.txt": "The zucchini pergola is new.\n",
            }
            list(store.pipeline.add([folder_of(files)], readers=("hr",)))
            store.answering._settings = AnsweringSettings(hits=1)  # so that something is left to be looked up
            answer = list(store.ask("How long does a sabbatical last?", ANN))[-1]
            assert isinstance(answer, Answer) and answer.status == "answered"
            record = store.answer_records.get(ANN, answer.id)
            assert [(one.tool, one.failed) for one in record.looked_up] == [
                ("search_documents", False), ("open_document", True),
            ]  # fmt: skip
            shown = repr(sections_of(record))
            assert "What the model looked up itself" in shown and "searching" in shown and "pergola is new" in shown
            assert "zucchini pergola is new" in json.dumps(record_json(record)["looked_up"])
            routed = record.made["routed"]
            assert f"{routed['first']}: {routed['why']}" in shown  # which model was asked first, and why
            for one in store.catalog.documents(LOCAL):
                store.sharing.change(document=one.id, add=["legal"], remove=["hr"])
            closed = store.answer_records.get(ANN, answer.id)
            assert "pergola" not in repr(sections_of(closed)) + json.dumps(record_json(closed), default=str)
            assert OUT_OF_REACH in repr([one for one in sections_of(closed) if "looked up itself" in one.title])
