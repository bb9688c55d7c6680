"""What the doors of all processes on one store share, so that it does not matter which of them is asked.

How often each caller asks (a token bucket), which of Slack's events were seen, and which conversation a thread of Slack
goes on with. Ids and counts alone, but for an event of Slack's that is not answered yet: its question is kept until it
is, so that another process answers it where one dies between hearing and answering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import (
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    delete,
    func,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from assistant.model import ConversationId
from ingest import schema
from ingest.database import Database

EVENTS_KEPT: Final = timedelta(days=1)  # Slack gives up sending again after an hour
EVENT_LEASE: Final = timedelta(seconds=90)  # of who answers it, from when they last said that they do
EVENT_TRIES: Final = 3
ANSWERED_WITHIN: Final = timedelta(hours=1)  # later nobody waits for it
THREADS_KEPT: Final = timedelta(days=90)  # after the last answer in them
NOW: Final = text("clock_timestamp()")

request_bucket = Table(
    "request_bucket",
    schema.metadata,
    Column("who", Text, primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    prefixes=["UNLOGGED"],
)
slack_event = Table(
    "slack_event",
    schema.metadata,
    Column("id", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("sent", JSONB),  # what is needed to answer it; nothing once that is done
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("taken_at", DateTime(timezone=True)),
    Column("done_at", DateTime(timezone=True)),
    Index("slack_event_open", "at", postgresql_where=text("done_at is null and sent is not null")),
)
slack_thread = Table(
    "slack_thread",
    schema.metadata,
    Column("channel", Text, primary_key=True),
    Column("thread", Text, primary_key=True),
    Column("principal", Text, primary_key=True),  # each who asks in a thread has a conversation of their own
    Column("conversation_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=NOW),
)

_FILLED: Final = """least(cast(:most as float8),
    b.tokens + extract(epoch from clock_timestamp() - b.at) * cast(:most as float8) / 60)"""
_TAKE: Final = text(f"""
    insert into request_bucket as b (who, tokens, at) values (:who, cast(:most as float8) - 1, clock_timestamp())
    on conflict (who) do update set tokens = {_FILLED} - 1, at = clock_timestamp() where {_FILLED} >= 1
    returning b.tokens""")
_HELD: Final = text(f"select {_FILLED} from request_bucket b where b.who = :who")


@dataclass(frozen=True, slots=True)
class Taken:
    """An event that is somebody's to answer, as long as nobody has taken it up since."""

    id: str
    tries: int  # from 1
    sent: Mapping[str, Any]


class SharedDoors:
    """Kept in one store; every process of it sees the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, who: str, per_minute: float) -> float:
        """Take one of the requests that somebody may make; returns 0, or the seconds until there is one again."""
        with self._database.working() as connection:
            if connection.scalar(_TAKE, {"who": who, "most": per_minute}) is not None:
                return 0.0
            held = connection.scalar(_HELD, {"who": who, "most": per_minute}) or 0.0
        return max(0.0, 1 - held) * 60 / per_minute or 60 / per_minute

    def keep_event(self, event: str, sent: Mapping[str, Any]) -> Taken | None:
        """Keep one of Slack's events, which is then the caller's to answer; None: some process has seen it before."""
        new = insert(slack_event).values(id=event, sent=dict(sent), tries=1, taken_at=NOW)
        with self._database.working() as connection:
            kept = connection.scalar(new.on_conflict_do_nothing().returning(slack_event.c.id))
        return None if kept is None else Taken(event, 1, sent)

    def hold(self, events: Mapping[str, int]) -> set[str]:
        """Say that the caller still answers these (tries by id); returns those that are still theirs to answer."""
        e = slack_event.c
        with self._database.working() as connection:
            return {
                event
                for event, tries in sorted(events.items())
                if connection.scalar(
                    update(slack_event)
                    .where(e.id == event, e.tries == tries, e.done_at.is_(None))
                    .values(taken_at=NOW)
                    .returning(e.id)
                )
            }

    def left_events(self, *, most: int) -> list[Taken]:
        """Take up events that somebody had begun to answer and was not heard of since, the oldest first."""
        e = slack_event.c
        now = func.clock_timestamp()
        left = (
            select(e.id)
            .where(e.done_at.is_(None), e.sent.is_not(None), e.tries < EVENT_TRIES)
            .where(e.taken_at < now - EVENT_LEASE, e.at > now - ANSWERED_WITHIN)
            .order_by(e.at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        change = update(slack_event).where(e.id.in_(left.scalar_subquery())).values(tries=e.tries + 1, taken_at=NOW)
        with self._database.working() as connection:
            return [Taken(row.id, row.tries, row.sent) for row in connection.execute(change.returning(slack_event))]

    def event_done(self, event: str) -> None:
        """It was answered; its words are not kept longer."""
        with self._database.working() as connection:
            connection.execute(update(slack_event).where(slack_event.c.id == event).values(sent=null(), done_at=NOW))

    def talk(self, channel: str, thread: str, who: str) -> ConversationId | None:
        """The conversation that somebody's questions in a thread go on with."""
        t = slack_thread.c
        query = select(t.conversation_id).where(t.channel == channel, t.thread == thread, t.principal == who)
        with self._database.working() as connection:
            found = connection.scalar(query)
        return None if found is None else ConversationId(found)

    def keep_talk(self, channel: str, thread: str, who: str, talk: ConversationId) -> None:
        row = insert(slack_thread).values(channel=channel, thread=thread, principal=who, conversation_id=talk)
        with self._database.working() as connection:
            connection.execute(
                row.on_conflict_do_update(
                    index_elements=["channel", "thread", "principal"],
                    set_={"conversation_id": talk, "at": func.clock_timestamp()},
                )
            )

    def tidy(self) -> None:
        """Forget buckets that are full again, events that Slack sends no more, threads that are over."""
        with self._database.working() as connection:
            given_up = slack_event.c.at < func.clock_timestamp() - ANSWERED_WITHIN
            connection.execute(update(slack_event).where(given_up, slack_event.c.sent.is_not(None)).values(sent=null()))
            for table, kept in (
                (request_bucket, timedelta(minutes=10)), (slack_event, EVENTS_KEPT), (slack_thread, THREADS_KEPT),
            ):  # fmt: skip
                connection.execute(delete(table).where(table.c.at < func.clock_timestamp() - kept))
