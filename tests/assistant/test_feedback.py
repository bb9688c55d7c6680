"""Feedback over a real store: kept with the answer, its asker's alone to give, everybody's for evaluators to read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.model import Answer
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError

pytestmark = pytest.mark.integration
ADA, BO = Reader("ada", frozenset()), Reader("bo", frozenset())


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "leave.txt").write_text("Parental leave lasts twenty weeks for every parent.\n")
    (folder / "parking.txt").write_text("A parking permit costs 12 crowns a month.\n")
    list(quoth.pipeline.add([folder]))
    return quoth


@pytest.fixture
def answer(filled: Quoth) -> Iterator[Answer]:
    *_, kept = filled.ask("How long does parental leave last?", ADA)
    assert isinstance(kept, Answer)
    yield kept
    filled.feedback.withdraw(ADA, kept.id)


def test_what_is_said_again_replaces_what_was_said(filled: Quoth, answer: Answer) -> None:
    filled.feedback.give(ADA, answer.id, helpful=True)
    filled.feedback.give(ADA, answer.id, helpful=False, reason="outdated", correction=" It is 24 weeks.\x00 ")
    given = filled.feedback.of(ADA, [answer.id])[answer.id]
    assert (given.helpful, given.reason, given.correction) == (False, "outdated", "It is 24 weeks.")
    filled.feedback.give(ADA, answer.id, helpful=True, reason="outdated")
    assert filled.feedback.of(ADA, [answer.id])[answer.id].reason is None
    assert filled.feedback.withdraw(ADA, answer.id) and not filled.feedback.withdraw(ADA, answer.id)
    assert filled.feedback.of(ADA, [answer.id]) == {}


def test_only_the_asker_gives_it(filled: Quoth, answer: Answer) -> None:
    for reader in (BO, LOCAL):
        with pytest.raises(UsageError, match="no answer"):
            filled.feedback.give(reader, answer.id, helpful=True)


def test_evaluators_read_everybodys_with_question_and_sources_others_their_own(filled: Quoth, answer: Answer) -> None:
    filled.feedback.give(ADA, answer.id, helpful=False, reason="wrong")
    (judged,) = filled.feedback.listed(LOCAL, helpful=False)
    assert (judged.given.principal, judged.question) == ("ada", "How long does parental leave last?")
    assert judged.sources == tuple({citation.document for citation in answer.citations})
    assert judged.given in {one.given for one in filled.feedback.listed(ADA)}
    assert filled.feedback.listed(BO) == []
    assert filled.feedback.listed(LOCAL, helpful=True) == []
    assert filled.feedback.listed(LOCAL, since=datetime.now(UTC) + timedelta(hours=1)) == []


def test_wrong_reasons_and_endless_corrections_are_refused(filled: Quoth, answer: Answer) -> None:
    with pytest.raises(UsageError, match="no reason"):
        filled.feedback.give(ADA, answer.id, helpful=False, reason="bad")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="too long"):
        filled.feedback.give(ADA, answer.id, helpful=False, correction="x" * 5000)


def test_removing_a_document_takes_corrections_along_and_leaves_the_verdict(filled: Quoth) -> None:
    *_, kept = filled.ask("What does a parking permit cost?", ADA)
    assert isinstance(kept, Answer) and kept.citations
    filled.feedback.give(ADA, kept.id, helpful=False, reason="wrong", correction="A permit costs 12 crowns a month.")
    filled.catalog.remove(kept.citations[0].document)
    given = filled.feedback.of(ADA, [kept.id])[kept.id]
    assert (given.helpful, given.reason, given.correction) == (False, "wrong", None)


def test_the_audit_keeps_a_hash_of_the_correction(filled: Quoth, answer: Answer) -> None:
    filled.feedback.give(ADA, answer.id, helpful=False, correction="It is 24 weeks.")
    with filled.database.owning() as connection:
        told = connection.scalar(
            text("select detail from audit_event where action = 'feedback' and subject = :one order by number desc"),
            {"one": answer.id},
        )
    assert told["correction"] == filled.database.trail.digest("It is 24 weeks.")
