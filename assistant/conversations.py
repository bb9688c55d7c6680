"""A reader's conversations: found again, named, deleted, shared by a link, exported, and dropped when their time is up.

A link opens what was answered until it was made. What its reader sees is read again under their own access: what
they may not read is shown as out of reach, with the sentences that were drawn from it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    ForeignKey,
    LargeBinary,
    Select,
    Table,
    Text,
    Uuid,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from assistant.model import Answer, ConversationId
from assistant.records import answer, conversation, loaded
from ingest import schema
from ingest.access import Reader
from ingest.audit import record
from ingest.database import Database
from ingest.errors import UsageError

TITLE_CHARS: Final = 80
SHARE_DAYS: Final = 30
MOST_SHARE_DAYS: Final = 365
MOST_PRUNED: Final = 500  # conversations in one transaction

conversation_share = Table(
    "conversation_share",
    schema.metadata,
    Column("token_sha256", LargeBinary, primary_key=True),  # the token itself is kept nowhere
    Column("conversation_id", Uuid, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("principal", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation as a list shows it."""

    id: ConversationId
    title: str  # as renamed, else the first question, shortened
    answers: int
    latest_at: datetime
    shared_until: datetime | None  # of the link that holds longest


@dataclass(frozen=True, slots=True)
class Shared:
    """A conversation as a link opens it."""

    id: ConversationId
    title: str
    by: str
    shared_at: datetime
    answers: tuple[Answer, ...]  # oldest first, as the link's reader may see them


class Conversations:
    """The conversations of one store. A reader finds only their own, and those whose link they have."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(self, reader: Reader, *, words: str = "", limit: int = 50, offset: int = 0) -> list[Talk]:
        """The reader's conversations, latest first.

        Args:
            words: only those whose title or one of whose questions holds all of these, case aside.
        """
        query = _talks().where(conversation.c.principal == reader.name)
        for word in words.split():
            like = f"%{_unlike(word)}%"
            asked = answer.alias()
            in_question = (
                select(asked.c.id).where(asked.c.conversation_id == conversation.c.id, asked.c.question.ilike(like))
            ).exists()
            query = query.where(or_(conversation.c.title.ilike(like), in_question))
        query = query.order_by(func.max(answer.c.asked_at).desc(), conversation.c.id).limit(limit).offset(offset)
        with self._database.reading(reader) as connection:
            return [_talk(row) for row in connection.execute(query)]

    def find(self, reader: Reader, wanted: ConversationId) -> Talk:
        """One of the reader's conversations.

        Raises:
            UsageError: they have no such conversation.
        """
        query = _talks().where(conversation.c.id == wanted, conversation.c.principal == reader.name)
        with self._database.reading(reader) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _none_such(wanted)
        return _talk(row)

    def rename(self, reader: Reader, wanted: ConversationId, title: str) -> str:
        """Give a conversation a title; an empty one leaves it to the first question. Returns what it is called then."""
        kept = shortened(title) or None
        with self._database.recording(reader) as connection:
            done = connection.execute(
                update(conversation)
                .where(conversation.c.id == wanted, conversation.c.principal == reader.name)
                .values(title=kept)
            )
            if not done.rowcount:
                raise _none_such(wanted)
        return self.find(reader, wanted).title

    def delete(self, reader: Reader, wanted: ConversationId) -> int:
        """Delete a conversation with its questions, answers, links and feedback; the audit keeps hashes of them.

        Returns:
            The number of answers that went.
        """
        with self._database.recording(reader) as connection:
            count = _count(connection, wanted)
            done = connection.execute(
                delete(conversation).where(conversation.c.id == wanted, conversation.c.principal == reader.name)
            )
            if not done.rowcount:
                raise _none_such(wanted)
            record(connection, reader, "conversation.deleted", wanted, {"answers": count})
        return count

    def share(self, reader: Reader, wanted: ConversationId, *, days: int = SHARE_DAYS) -> str:
        """Make a link's token for what has been answered so far. It is shown this once and kept as a hash.

        Raises:
            UsageError: not the reader's conversation, or `days` is not from 1 to 365.
        """
        if not 1 <= days <= MOST_SHARE_DAYS:
            raise UsageError(f"A link cannot hold {days} days. Use 1 to {MOST_SHARE_DAYS}.")
        token = secrets.token_urlsafe(24)
        with self._database.recording(reader) as connection:
            if not _owned(connection, reader, wanted):
                raise _none_such(wanted)
            connection.execute(
                insert(conversation_share).values(
                    token_sha256=_hash(token),
                    conversation_id=wanted,
                    principal=reader.name,
                    expires_at=func.now() + timedelta(days=days),
                )
            )
            record(connection, reader, "conversation.shared", wanted, {"days": days})
        return token

    def unshare(self, reader: Reader, wanted: ConversationId) -> int:
        """Make every link to a conversation void; returns how many there were."""
        with self._database.recording(reader) as connection:
            if not _owned(connection, reader, wanted):
                raise _none_such(wanted)
            gone = connection.execute(
                delete(conversation_share).where(
                    conversation_share.c.conversation_id == wanted, conversation_share.c.principal == reader.name
                )
            ).rowcount
            if gone:
                record(connection, reader, "conversation.unshared", wanted, {"links": gone})
        return int(gone)

    def shared(self, reader: Reader, token: str, *, opening: bool = True) -> Shared:
        """What a link opens, as `reader` may see it.

        Args:
            opening: the audit is told; False where the same page is only drawn again.

        Raises:
            UsageError: there is no such link, or it holds no longer.
        """
        with self._database.recording(reader) as connection:
            connection.execute(
                text("select set_config('quoth.share', :hash, true)"), {"hash": _hash(token).hex()}
            )  # with it the policies let this transaction see that one conversation
            s = conversation_share
            found = connection.execute(
                select(s, conversation.c.title)
                .join(conversation, conversation.c.id == s.c.conversation_id)
                .where(s.c.token_sha256 == _hash(token), s.c.expires_at > func.now())
            ).one_or_none()
            if found is None:
                raise UsageError("This link opens nothing: it was withdrawn or its time is up. Ask for a new one.")
            rows = connection.execute(
                select(answer)
                .where(answer.c.conversation_id == found.conversation_id, answer.c.asked_at <= found.created_at)
                .order_by(answer.c.asked_at)
            ).all()
            answers = tuple(_as_shown(loaded(connection, reader, row)) for row in rows)
            if opening:
                told = {"by_link_of": found.principal}
                record(connection, reader, "conversation.opened", found.conversation_id, told)
        title = found.title or shortened(answers[0].question if answers else "")
        return Shared(ConversationId(found.conversation_id), title, found.principal, found.created_at, answers)

    def prune(self, keep_days: int, *, still: Callable[[], bool] = lambda: True) -> int:
        """Delete conversations that nobody went on with for `keep_days` days; 0 keeps all. Returns how many went."""
        if not keep_days:
            return 0
        gone = 0
        later = answer.alias()
        recent = (
            select(later.c.id)
            .where(later.c.conversation_id == conversation.c.id)
            .where(later.c.asked_at >= func.now() - timedelta(days=keep_days))
            .exists()
        )
        old = (
            select(conversation.c.id, conversation.c.principal)
            .where(conversation.c.started_at < func.now() - timedelta(days=keep_days), ~recent)
            .limit(MOST_PRUNED)
            .with_for_update(skip_locked=True)
        )
        while still():
            with self._database.working() as connection:
                rows = connection.execute(old).all()
                for row in rows:
                    by = Reader(row.principal, frozenset())
                    record(connection, by, "conversation.expired", row.id, {"answers": _count(connection, row.id)})
                connection.execute(delete(conversation).where(conversation.c.id.in_([row.id for row in rows])))
            gone += len(rows)
            if len(rows) < MOST_PRUNED:
                break
        return gone


def shortened(words: str, limit: int = TITLE_CHARS) -> str:
    """On one line, at most `limit` characters, cut between words where that is possible."""
    line = " ".join(words.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > limit // 2 else cut).rstrip(" ,;:.") + "…"


def _as_shown(one: Answer) -> Answer:
    """Without what only its asker and an audit should see."""
    return replace(one, rejected=(), usage=type(one.usage)(), timings_ms={}, degraded=None)


def _talks() -> Select:
    first = (
        select(answer.c.question)
        .where(answer.c.conversation_id == conversation.c.id)
        .order_by(answer.c.asked_at)
        .limit(1)
        .correlate(conversation)
        .scalar_subquery()
    )
    s = conversation_share
    until = (
        select(func.max(s.c.expires_at))
        .where(s.c.conversation_id == conversation.c.id, s.c.expires_at > func.now())
        .correlate(conversation)
        .scalar_subquery()
    )
    return (
        select(
            conversation.c.id,
            conversation.c.title,
            first.label("first"),
            func.count(answer.c.id).label("answers"),
            func.max(answer.c.asked_at).label("latest_at"),
            until.label("shared_until"),
        )
        .join(answer, answer.c.conversation_id == conversation.c.id)
        .group_by(conversation.c.id)
    )


def _talk(row: object) -> Talk:
    return Talk(
        id=ConversationId(row.id),  # type: ignore[attr-defined]
        title=row.title or shortened(row.first),  # type: ignore[attr-defined]
        answers=row.answers,  # type: ignore[attr-defined]
        latest_at=row.latest_at,  # type: ignore[attr-defined]
        shared_until=row.shared_until,  # type: ignore[attr-defined]
    )


def _owned(connection: Connection, reader: Reader, wanted: ConversationId) -> bool:
    own = select(conversation.c.id).where(conversation.c.id == wanted, conversation.c.principal == reader.name)
    return connection.scalar(own) is not None


def _count(connection: Connection, wanted: object) -> int:
    return int(connection.scalar(select(func.count()).where(answer.c.conversation_id == wanted)) or 0)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _unlike(word: str) -> str:
    """A word for LIKE, its wildcards taken literally."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _none_such(wanted: ConversationId) -> UsageError:
    return UsageError(f"You have no conversation {str(wanted)!r}. It may have been deleted.")
