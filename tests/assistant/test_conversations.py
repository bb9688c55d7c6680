"""Conversations over a real store: listed, named, deleted, shared, exported, dropped when old; stopped answers stay."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.conversations import shortened
from assistant.model import Answer, Begun, ClaimShown, ConversationId
from assistant.records import OUT_OF_REACH, STOPPED
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError

pytestmark = pytest.mark.integration
ADA = Reader("ada", frozenset({"board"}))
BO = Reader("bo", frozenset())

LEAVE = "Parental leave lasts twenty weeks for every parent. It is paid in full from the first day.\n"
SALARY = "The director's bonus was 41,500 crowns in the last financial year.\n"


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "leave.txt").write_text(LEAVE)
    (folder / "salary.txt").write_text(SALARY)
    list(quoth.pipeline.add([folder / "leave.txt"]))
    list(quoth.pipeline.add([folder / "salary.txt"], readers=["board"]))
    return quoth


def asked(quoth: Quoth, question: str, reader: Reader, conversation: ConversationId | None = None) -> Answer:
    *_, answer = quoth.ask(question, reader, conversation=conversation)
    assert isinstance(answer, Answer)
    return answer


@pytest.fixture
def talk(filled: Quoth) -> Iterator[ConversationId]:
    """Two answers of ada's, one from a document that only the board reads."""
    first = asked(filled, "How long does parental leave last?", ADA)
    asked(filled, "What was the director's bonus in crowns?", ADA, first.conversation)
    yield first.conversation


def test_the_list_is_the_readers_own_latest_first(filled: Quoth, talk: ConversationId) -> None:
    other = asked(filled, "Is leave paid in full?", ADA).conversation
    mine = filled.conversations.listed(ADA)
    assert [one.id for one in mine][:2] == [other, talk]
    assert mine[1].title == "How long does parental leave last?" and mine[1].answers == 2
    assert talk not in {one.id for one in filled.conversations.listed(BO)}
    assert talk not in {one.id for one in filled.conversations.listed(LOCAL)}


def test_words_are_searched_for_in_titles_and_questions(filled: Quoth, talk: ConversationId) -> None:
    def found(words: str) -> set[ConversationId]:
        return {one.id for one in filled.conversations.listed(ADA, words=words)}

    assert talk in found("BONUS leave")
    assert talk not in found("bonus parking")
    assert talk not in found("b%nus") and talk not in found("b_nus")


def test_renaming_and_back(filled: Quoth, talk: ConversationId) -> None:
    assert filled.conversations.rename(ADA, talk, "  My\n leave ") == "My leave"
    assert talk in {one.id for one in filled.conversations.listed(ADA, words="my leave")}
    assert filled.conversations.rename(ADA, talk, "") == "How long does parental leave last?"


def test_another_reader_can_do_nothing_to_it(filled: Quoth, talk: ConversationId) -> None:
    c = filled.conversations
    for attempt in (
        lambda: c.find(BO, talk), lambda: c.rename(BO, talk, "x"), lambda: c.delete(BO, talk),
        lambda: c.share(BO, talk), lambda: c.unshare(BO, talk),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="no conversation"):
            attempt()
    assert len(filled.answers.conversation(ADA, talk)) == 2


def test_deleting_takes_the_words_and_leaves_hashes_in_the_audit(filled: Quoth, talk: ConversationId) -> None:
    filled.conversations.share(ADA, talk)
    ids = [one.id for one in filled.answers.conversation(ADA, talk)]
    assert filled.conversations.delete(ADA, talk) == 2
    with filled.database.owning() as connection:
        left = [
            connection.scalar(text(f"select count(*) from {table} where {column} = any(:ids)"), {"ids": named})
            for table, column, named in (
                ("conversation", "id", [talk]), ("conversation_share", "conversation_id", [talk]),
                ("answer", "id", ids), ("answer_claim", "answer_id", ids), ("answer_span", "answer_id", ids),
            )
        ]  # fmt: skip
        told = connection.execute(
            text("select detail from audit_event where action = 'answer' and subject = any(:ids) order by number"),
            {"ids": ids},
        ).scalars().all()  # fmt: skip
        assert filled.database.trail.verify(connection).whole
    assert left == [0, 0, 0, 0, 0]
    assert told[0]["question"] == filled.database.trail.digest("How long does parental leave last?")
    assert "parental" not in str(told).casefold()


def test_a_link_shows_only_what_its_reader_may_read(filled: Quoth, talk: ConversationId) -> None:
    token = filled.conversations.share(ADA, talk)
    seen = filled.conversations.shared(BO, token)
    assert (seen.by, seen.title) == ("ada", "How long does parental leave last?")
    leave, salary = seen.answers
    assert "twenty weeks" in leave.text and leave.citations[0].quote
    assert {claim.text for claim in salary.claims} == {OUT_OF_REACH}
    assert all("41,500" not in str(one) for one in (salary, leave))
    whole = filled.conversations.shared(ADA, token)
    assert "41,500" in whole.answers[1].text


def test_a_link_opens_what_was_answered_until_it_was_made_and_nothing_else(filled: Quoth, talk: ConversationId) -> None:
    token = filled.conversations.share(ADA, talk)
    asked(filled, "Is leave paid in full?", ADA, talk)
    assert len(filled.conversations.shared(BO, token).answers) == 2
    assert filled.answers.conversation(BO, talk) == []
    assert talk not in {one.id for one in filled.conversations.listed(BO)}
    with pytest.raises(UsageError):
        filled.conversations.delete(BO, talk)


def test_withdrawn_expired_and_invented_links_open_nothing(filled: Quoth, talk: ConversationId) -> None:
    token, other = filled.conversations.share(ADA, talk), filled.conversations.share(ADA, talk, days=1)
    with filled.database.owning() as connection:
        connection.execute(
            text(
                "update conversation_share set expires_at = now() - interval '1 s' where expires_at < now() + '2 days'"
            )
        )
    for void in (other, "", "invented", "\ud800"):
        with pytest.raises(UsageError, match="opens nothing"):
            filled.conversations.shared(BO, void)
    assert filled.conversations.shared(BO, token).answers
    assert filled.conversations.unshare(ADA, talk) == 2
    with pytest.raises(UsageError, match="opens nothing"):
        filled.conversations.shared(BO, token)


def test_an_answer_that_is_stopped_keeps_what_was_verified(filled: Quoth) -> None:
    events = filled.ask("How long does parental leave last, and is it paid?", ADA)
    shown: list[ClaimShown] = []
    begun: Begun | None = None
    for event in events:
        if isinstance(event, Begun):
            begun = event
        if isinstance(event, ClaimShown):
            shown.append(event)
            break
    events.close()  # type: ignore[attr-defined]
    assert begun is not None and shown
    (kept,) = filled.answers.conversation(ADA, begun.conversation)
    assert (kept.id, kept.status, kept.missing) == (begun.answer, "partial", STOPPED)
    assert [claim.text for claim in kept.claims] == [shown[0].claim.text]
    assert kept.citations[0].quote == shown[0].new_citations[0].quote
    again = asked(filled, "And is it paid?", ADA, begun.conversation)
    assert again.conversation == begun.conversation


def test_old_conversations_are_dropped(filled: Quoth, talk: ConversationId) -> None:
    old = asked(filled, "How long does parental leave last?", BO).conversation
    with filled.database.owning() as connection:
        connection.execute(text("update answer set asked_at = now() - interval '40 days' where conversation_id = :c"),
                           {"c": old})  # fmt: skip
        for one in (old, talk):  # begun long ago, but one of them went on
            connection.execute(text("update conversation set started_at = now() - interval '40 days' where id = :c"),
                               {"c": one})  # fmt: skip
    assert filled.conversations.prune(0) == 0
    assert filled.conversations.prune(50) == 0
    assert filled.conversations.prune(30) == 1
    assert filled.answers.conversation(BO, old) == []
    assert len(filled.answers.conversation(ADA, talk)) == 2


def test_an_invented_conversation_is_nobodys(filled: Quoth) -> None:
    with pytest.raises(UsageError):
        filled.conversations.find(ADA, ConversationId(uuid.uuid4()))


def test_titles_are_cut_between_words() -> None:
    assert shortened("one two three", 9) == "one two…"
    assert shortened("a" * 20, 9) == "a" * 8 + "…"
    assert shortened(" one\n two ") == "one two"
