"""Long conversations: older turns shortened, kept, and never with words that their reader may read no longer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.conversation_summaries import (
    AT_ONCE,
    SUMMARY_CHARS,
    ConversationSummaries,
    Summarising,
    Told,
)
from assistant.earlier_turns import MOST_CHARS
from assistant.gateway import Call
from assistant.model import Answer, ConversationId
from assistant.model_client import client_from
from assistant.model_forms import by_first_model
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
from ingest.access import LOCAL, Reader
from ingest.redaction import redactor_from

pytestmark = pytest.mark.integration

MIA = Reader("mia", frozenset({"hr"}))
BO = Reader("bo", frozenset({"hr"}))
LEAVE = "How many weeks does parental leave last?"
TRAVEL = "In which class is rail travel booked?"


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        yield server


@pytest.fixture(scope="module")
def store(environ: dict[str, str], double: LoopbackModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quoth]:
    wanted = {
        **environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url, "QUOTH_MODELS": "gpt-6-luna",
        "QUOTH_MODEL_TOOLS": "0",
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "leave.txt").write_text("Parental leave lasts twenty weeks for every parent.\n")
    (folder / "travel.txt").write_text("Rail travel is booked in second class by every employee.\n")
    with Quoth(Settings.from_env(wanted), wanted, lambda said: None) as opened:
        list(opened.pipeline.add([folder], readers=("hr",)))
        yield opened


@pytest.fixture
def restored(store: Quoth) -> Iterator[None]:
    yield
    for one in store.catalog.documents(LOCAL):
        store.sharing.change(document=one.id, add=["hr"], remove=["legal"])


def asked(store: Quoth, question: str, conversation: ConversationId | None = None) -> Answer:
    answer = list(store.ask(question, MIA, conversation=conversation))[-1]
    assert isinstance(answer, Answer) and answer.status == "answered"
    return answer


COPY: str = (
    "insert into answer select (jsonb_populate_record(a, jsonb_build_object('id', cast(:new as text), 'question',"
    " a.question || ' Once more.', 'asked_at', (select max(asked_at) from answer) + interval '1 millisecond'))).*"
    " from answer a where a.id = :id"
)


def repeated(store: Quoth, conversation: ConversationId, times: int) -> None:
    """The conversation's first two turns so many times more, as if they had been asked again."""
    with store.database.owning() as connection:
        query = text("select id from answer where conversation_id = :c order by asked_at limit 2")
        first = list(connection.scalars(query, {"c": conversation}))
        for id in first * times:
            values = {"id": id, "new": str(uuid.uuid4())}
            connection.execute(text(COPY), values)
            for table in ("answer_claim", "answer_span"):
                connection.execute(
                    text(
                        f"insert into {table} select (jsonb_populate_record(t, jsonb_build_object('answer_id',"
                        f" cast(:new as text)))).* from {table} t where t.answer_id = :id"
                    ),
                    values,
                )


@pytest.fixture
def talk(store: Quoth, double: LoopbackModel) -> ConversationId:
    """A conversation of 22 turns over both documents."""
    first = asked(store, LEAVE)
    asked(store, TRAVEL, first.conversation)
    repeated(store, first.conversation, 10)
    double.requests.clear()
    return first.conversation


def told(store: Quoth, talk: ConversationId, reader: Reader = MIA) -> Told:
    deadline = time.monotonic() + 30
    return store.answering._summaries.told(  # type: ignore[union-attr]
        reader, talk, Call(reader, "summarise", None, deadline, deadline)
    )


def asks_for_a_summary(request: dict[str, object]) -> bool:
    return "summary" in str(request["text"]) and "TURN 1" in str(request["input"])


def kept(store: Quoth, talk: ConversationId) -> list[tuple[int, str]]:
    with store.database.working() as connection:
        found = connection.execute(
            text("select turns, summary from conversation_summary where conversation_id = :c"), {"c": talk}
        )
        return [(row[0], row[1]) for row in found]


def test_a_short_conversation_is_told_as_it_was_and_no_model_is_asked(store: Quoth, double: LoopbackModel) -> None:
    first = asked(store, LEAVE)
    double.requests.clear()
    made = told(store, first.conversation)
    assert (made.turns, made.shortened, made.by) == (1, 0, None) and "twenty weeks" in made.text
    assert double.requests == [] and told(store, ConversationId(uuid.uuid4())) == Told("")


def test_older_turns_are_shortened_once_and_then_a_few_at_a_time(
    store: Quoth, double: LoopbackModel, talk: ConversationId
) -> None:
    made = told(store, talk)
    assert made.turns == 22 and made.by == "gpt-6-luna" and 10 < made.shortened < 22
    assert len(made.text) <= MOST_CHARS and made.text.count("Asked: ") == 22 - made.shortened
    assert len(double.requests) == 1 and asks_for_a_summary(double.requests[0])
    ((turns, summary),) = kept(store, talk)
    assert turns == made.shortened and made.text.startswith(summary) and len(summary) <= SUMMARY_CHARS
    assert told(store, talk).text == made.text and len(double.requests) == 1  # kept, not made again
    repeated(store, talk, 1)
    again = told(store, talk)
    assert again.turns == 24 and "Asked before: " in again.text and len(double.requests) == 1
    assert len(again.text) <= MOST_CHARS
    repeated(store, talk, 1)
    repeated(store, talk, 1)
    third = told(store, talk)
    assert third.shortened >= turns + AT_ONCE and len(double.requests) == 2
    assert "<<SUMMARY " in str(double.requests[1]["input"])  # what was shortened before is not read again
    assert kept(store, talk)[0][0] == third.shortened


def test_an_answer_is_told_of_it_and_its_record_says_so(
    store: Quoth, double: LoopbackModel, talk: ConversationId
) -> None:
    answer = asked(store, "How many weeks does parental leave last for a parent?", talk)
    *_, drafted = double.requests
    assert sum(map(asks_for_a_summary, double.requests)) == 1 and kept(store, talk)[0][1][:40] in str(drafted["input"])
    record = store.answer_records.get(MIA, answer.id)
    assert record.made["context"]["earlier"] == {"turns": 22, "shortened": kept(store, talk)[0][0], "by": "gpt-6-luna"}
    purposes = {call.purpose: call.input_tokens for call in record.calls}
    assert purposes["summarise"] > 0
    assert answer.usage.input_tokens == sum(call.input_tokens for call in record.calls)


def test_a_summary_never_has_words_of_a_document_that_its_reader_may_read_no_longer(
    store: Quoth, double: LoopbackModel, talk: ConversationId, restored: None
) -> None:
    assert "twenty weeks" in told(store, talk).text + kept(store, talk)[0][1]
    leave, _ = store.catalog.find(LOCAL, "leave.txt")
    store.sharing.change(document=leave.id, add=["legal"], remove=["hr"])
    double.requests.clear()
    made = told(store, talk)
    assert "twenty weeks" not in made.text and "second class" in made.text
    assert "twenty weeks" not in str(double.requests) and len(double.requests) == 1
    assert "twenty weeks" not in kept(store, talk)[0][1]
    store.sharing.change(document=leave.id, add=["hr"], remove=["legal"])
    assert "twenty weeks" in told(store, talk).text  # made anew of what may be read again


def test_it_is_nobody_elses(store: Quoth, talk: ConversationId) -> None:
    told(store, talk)
    assert told(store, talk, BO) == Told("")
    with store.database.reading(BO) as connection:
        assert connection.execute(text("select count(*) from conversation_summary")).scalar() == 0


def test_a_model_that_fails_leaves_it_to_the_rule(store: Quoth, double: LoopbackModel, talk: ConversationId) -> None:
    environ = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url}
    deadline = time.monotonic() + 30
    for mode in ("double-failed", "double-invented", "double-quota"):
        summarising = by_first_model(Summarising, mode, lambda: client_from(environ), redactor=redactor_from("yes"))
        assert isinstance(summarising, Summarising)
        made = ConversationSummaries(store.database, summarising).told(
            MIA, talk, Call(MIA, "summarise", None, deadline, deadline)
        )
        assert made.by == "rule" and made.note and "by a rule" in made.note and kept(store, talk) == []
        assert "answered from: Leave" in made.text and len(made.text) <= MOST_CHARS
    by_rule = ConversationSummaries(store.database, None).told(
        MIA, talk, Call(MIA, "summarise", None, deadline, deadline)
    )
    assert by_rule.by == "rule" and by_rule.note is None and by_rule.text == made.text


def test_it_goes_with_its_conversation_and_with_a_document_that_it_was_drawn_from(
    store: Quoth, talk: ConversationId, folder_of: Callable[..., Path]
) -> None:
    told(store, talk)
    assert kept(store, talk)
    store.conversations.delete(MIA, talk)
    assert kept(store, talk) == []
    (receipt,) = store.pipeline.add(
        [folder_of({"pets.txt": "Dogs may come to the office on Fridays.\n"})], readers=("hr",)
    )
    first = asked(store, "On which days may dogs come to the office?")
    asked(store, TRAVEL, first.conversation)
    repeated(store, first.conversation, 10)
    told(store, first.conversation)
    assert "Fridays" in kept(store, first.conversation)[0][1]
    assert receipt.document is not None
    store.catalog.remove(receipt.document)
    assert kept(store, first.conversation) == []
    assert "Fridays" not in told(store, first.conversation).text
