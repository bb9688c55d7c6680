"""Whole answers over a real store: quoted, from scripted models, and what is kept of them."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from assistant.answering import Answering, AnsweringSettings
from assistant.bootstrap import Quoth
from assistant.errors import ModelOutputBroken, ModelUnavailable
from assistant.grounding import LocalChecker
from assistant.model import (
    Answer,
    Answerer,
    AnswerEvent,
    ClaimShown,
    Context,
    ConversationId,
    DraftClaim,
    DraftEnd,
    Evidence,
)
from assistant.quoting import QuotedAnswerer
from assistant.wire import answer_json
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from retrieval.model import SearchResult

pytestmark = pytest.mark.integration

LEAVE = (
    "Parental leave lasts twenty weeks for every parent. It is paid in full from the first day. "
    "The request goes to the people office eight weeks before the leave begins.\n"
)
SALARY = "The director's bonus was 41,500 crowns in the last financial year.\n"


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "leave.txt").write_text(LEAVE)
    (folder / "parking.txt").write_text(
        "Cars may be parked behind the north building. A permit costs 12 crowns a month.\n"
    )
    (folder / "salary.txt").write_text(SALARY)
    list(quoth.pipeline.add([folder / "leave.txt", folder / "parking.txt"]))
    list(quoth.pipeline.add([folder / "salary.txt"], readers=["board"]))
    return quoth


@dataclass(frozen=True)
class Scripted:
    """An answerer that drafts what it is told, then fails if told to."""

    claims: Sequence[DraftClaim]
    error: Exception | None = None
    name: str = "scripted"
    prompt_version: str = "scripted-1"

    def draft(self, question: str, context: Context, search: SearchResult) -> Iterator[DraftClaim | DraftEnd]:
        passage = {p.source: p.id for p in context.passages}
        for claim in self.claims:
            yield DraftClaim(
                claim.text,
                tuple(Evidence(passage.get(one.passage_id, one.passage_id), one.quote) for one in claim.evidence),
            )
        if self.error is not None:
            raise self.error
        yield DraftEnd(model=self.name, raw_output="raw")


def asked(quoth: Quoth, answerers: Sequence[Answerer], question: str, reader: Reader = LOCAL) -> list[AnswerEvent]:
    answering = Answering(
        quoth.searching,
        quoth.surroundings,
        quoth.catalog,
        quoth.answers,
        answerers,
        LocalChecker(),
        quoth.embedder.count_tokens,
        AnsweringSettings(),
    )
    return list(answering.ask(question, reader))


def last(events: Sequence[AnswerEvent]) -> Answer:
    assert isinstance(events[-1], Answer)
    return events[-1]


def claim(text: str, quote: str, source: str = "leave.txt") -> DraftClaim:
    return DraftClaim(text, (Evidence(source, quote),))


GOOD = claim("Parental leave lasts twenty weeks.", "Parental leave lasts twenty weeks for every parent.")


def test_a_quoted_answer_cites_exactly_what_the_store_holds(filled: Quoth) -> None:
    answer = last(list(filled.ask("How many weeks does parental leave last?", LOCAL)))
    assert (answer.status, answer.model, answer.degraded) == ("answered", "quoted", None)
    first = answer.citations[0]
    assert first.source == "leave.txt" and "twenty weeks" in first.quote
    for citation in answer.citations:
        stored = filled.catalog.text(LOCAL, citation.document, citation.version)
        assert stored[citation.start : citation.end] == citation.quote
    assert 1 <= len(answer.citations) <= 3
    assert "[1]" in answer.text


def test_what_the_documents_do_not_say_is_an_abstention_with_the_nearest_passages(filled: Quoth) -> None:
    answer = last(list(filled.ask("Which submarine engine did the fleet of Atlantis prefer?", LOCAL)))
    assert (answer.status, answer.claims, answer.citations) == ("abstained", (), ())
    assert answer.passages and len(answer.passages) <= 3
    assert answer.missing is not None and answer.missing.startswith("Searched ")
    assert "for “Which submarine engine did the fleet of Atlantis prefer?”" in answer.missing


def test_a_reader_without_the_group_gets_neither_answer_nor_nearest_passage(filled: Quoth) -> None:
    question = "How high was the director's bonus?"
    member, eve = Reader("bo", frozenset({"board"})), Reader("eve", frozenset())
    assert "41,500" in last(list(filled.ask(question, member))).text
    answer = last(list(filled.ask(question, eve)))
    assert "41,500" not in str(answer_json(answer))
    assert all(passage.source != "salary.txt" for passage in answer.passages)


def test_a_verified_claim_is_shown_with_its_citation(filled: Quoth) -> None:
    events = asked(filled, [Scripted([GOOD])], "How long is parental leave?")
    shown = [event for event in events if isinstance(event, ClaimShown)]
    assert [event.claim.text for event in shown] == ["Parental leave lasts twenty weeks."]
    assert shown[0].new_citations[0].marker == 1
    assert last(events).text == "Parental leave lasts twenty weeks [1]."


def test_one_span_cited_twice_has_one_marker(filled: Quoth) -> None:
    quote = "Parental leave lasts twenty weeks for every parent."
    answer = last(asked(filled, [Scripted([GOOD, claim("Every parent has parental leave.", quote)])], "Leave?"))
    assert [one.citations for one in answer.claims] == [(1,), (1,)]
    assert len(answer.citations) == 1


@pytest.mark.parametrize(
    "bad",
    [
        claim("Parental leave lasts thirty weeks.", "Parental leave lasts thirty weeks for every parent."),  # invented
        claim("Parental leave lasts 30 weeks.", "Parental leave lasts twenty weeks for every parent."),  # other number
        claim(
            "Cars may be parked anywhere.", "Cars may be parked behind the north building.", "P99"
        ),  # no such passage
        DraftClaim("Parental leave lasts twenty weeks.", ()),  # no quote at all
        claim("The canteen serves fish on Fridays.", "It is paid in full from the first day."),  # unrelated
    ],
    ids=["invented", "number", "unknown passage", "no quote", "unrelated"],
)
def test_an_unsupported_claim_is_never_shown(filled: Quoth, bad: DraftClaim) -> None:
    answer = last(asked(filled, [Scripted([GOOD, bad])], "How long is parental leave?"))
    assert [one.text for one in answer.claims] == [GOOD.text]
    assert [one.text for one in answer.rejected] == [bad.text]
    assert answer.rejected[0].reason


def test_a_failing_model_hands_over_to_the_next_and_then_to_quotations(filled: Quoth) -> None:
    down, broken = Scripted([], ModelUnavailable("too busy")), Scripted([], ModelOutputBroken("cut short"))
    answer = last(asked(filled, [down, broken, QuotedAnswerer()], "How many weeks does parental leave last?"))
    assert (answer.status, answer.model) == ("answered", "quoted")
    assert answer.degraded and "too busy" in answer.degraded and "cut short" in answer.degraded


def test_what_was_verified_before_a_failure_stays(filled: Quoth) -> None:
    answer = last(asked(filled, [Scripted([GOOD], ModelOutputBroken("cut short")), QuotedAnswerer()], "Leave?"))
    assert (answer.status, [one.text for one in answer.claims]) == ("partial", [GOOD.text])
    assert answer.missing and answer.degraded


def test_a_model_that_only_invents_is_replaced_by_quotations(filled: Quoth) -> None:
    bad = claim("Leave lasts a year.", "Leave lasts a year.")
    answer = last(asked(filled, [Scripted([bad]), QuotedAnswerer()], "How many weeks does parental leave last?"))
    assert (answer.status, answer.model) == ("answered", "quoted")
    assert answer.degraded and "could be verified" in answer.degraded


def test_an_answer_is_kept_and_read_again_by_its_asker_only(filled: Quoth) -> None:
    eve, bo = Reader("eve", frozenset()), Reader("bo", frozenset())
    answer = last(list(filled.ask("How many weeks does parental leave last?", eve)))
    again = filled.answers.get(eve, answer.id)
    assert answer_json(again)["claims"] == answer_json(answer)["claims"]
    assert answer_json(again)["citations"] == answer_json(answer)["citations"]
    assert [one.id for one in filled.answers.conversation(eve, answer.conversation)] == [answer.id]
    with pytest.raises(UsageError):
        filled.answers.get(bo, answer.id)
    assert filled.answers.conversation(bo, answer.conversation) == []


def test_a_kept_answer_loses_what_its_asker_may_no_longer_read(filled: Quoth) -> None:
    bo = Reader("bo", frozenset({"board"}))
    answer = last(list(filled.ask("How high was the director's bonus?", bo)))
    assert "41,500" in answer.text
    demoted = Reader("bo", frozenset())
    assert "41,500" not in str(answer_json(filled.answers.get(demoted, answer.id)))


def test_a_strangers_conversation_cannot_be_continued(filled: Quoth) -> None:
    answer = last(list(filled.ask("How many weeks does parental leave last?", Reader("bo", frozenset()))))
    for wanted in (answer.conversation, ConversationId(uuid.uuid4())):
        with pytest.raises(UsageError, match="no conversation"):
            list(filled.ask("And then?", Reader("eve", frozenset()), conversation=wanted))


ASKING = """
import os, sys
from assistant.bootstrap import open_quoth
from ingest.access import LOCAL
with open_quoth(os.environ) as quoth:
    print(len(list(quoth.ask("Where may cars be parked?", LOCAL))[-1].claims), "unstructured" in sys.modules)
"""


def test_no_serving_process_loads_the_parser(filled: Quoth, environ: dict[str, str]) -> None:
    asked_in = subprocess.run([sys.executable, "-c", ASKING], env=environ, capture_output=True, text=True, timeout=120)
    assert asked_in.stdout.split() == ["1", "False"], asked_in.stderr
