"""What was asked in vain, grouped, and shown to the owners of what came nearest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from assistant.bootstrap import Quoth
from assistant.gaps import gaps
from assistant.model import Answer
from ingest.access import LOCAL, Reader

pytestmark = pytest.mark.integration
ADA, BO = Reader("ada", frozenset()), Reader("bo", frozenset({"harbour"}))
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


@pytest.fixture(scope="module")
def asked(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("pier")
    (folder / "pier.txt").write_text("The pier opens at dawn. Boats moor at the eastern side of the pier.\n")
    (folder / "board.txt").write_text("The board meets in the tower on the first Monday of the month.\n")
    list(quoth.pipeline.add([folder / "pier.txt"], owner="harbour"))
    list(quoth.pipeline.add([folder / "board.txt"], owner="bo", readers=["board"]))
    for question in ("Who designed the lighthouse lamps?", "Who paints the lighthouse lamps?"):
        *_, answer = quoth.ask(question, ADA)
        assert isinstance(answer, Answer) and answer.status == "abstained"
    *_, answer = quoth.ask("When does the pier open?", ADA)
    assert isinstance(answer, Answer) and answer.status == "answered"
    quoth.feedback.give(ADA, answer.id, helpful=False, reason="wrong")
    *_, answer = quoth.ask("Where do boats moor?", ADA)
    assert isinstance(answer, Answer)
    quoth.feedback.give(ADA, answer.id, helpful=True)
    return quoth


def test_questions_of_one_subject_stand_together_most_asked_first(asked: Quoth) -> None:
    first, second = gaps(asked.database, LOCAL, since=LONG_AGO, without=["eval"])
    assert gaps(asked.database, LOCAL, since=LONG_AGO, without=["ada"]) == []
    assert (first.times, first.abstained, first.unhelpful, len(first.questions)) == (2, 2, 0, 2)
    assert (first.source, first.owner) == ("default/pier.txt", "harbour")
    assert (second.questions, second.abstained, second.unhelpful) == (("When does the pier open?",), 0, 1)


def test_owners_see_them_around_their_documents_and_nobody_else_does(asked: Quoth) -> None:
    assert len(gaps(asked.database, BO, since=LONG_AGO)) == 2
    assert gaps(asked.database, ADA, since=LONG_AGO) == []
    assert gaps(asked.database, Reader("bo", frozenset()), since=LONG_AGO) == []
    assert gaps(asked.database, LOCAL, since=datetime.now(UTC) + timedelta(hours=1)) == []
