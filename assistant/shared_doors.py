"""What the doors of all processes on one store share, so that it does not matter which of them is asked.

How often each caller asks (a token bucket), which of Slack's events were seen, and which conversation a thread of Slack
goes on with. Ids and counts alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import Column, DateTime, Float, Table, Text, Uuid, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from assistant.model import ConversationId
from ingest import schema
from ingest.database import Database

EVENTS_KEPT: Final = timedelta(days=1)  # Slack gives up sending again after an hour
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

    def is_new(self, event: str) -> bool:
        """Whether one of Slack's events was not seen before by any process; it is from now on."""
        new = insert(slack_event).values(id=event).on_conflict_do_nothing().returning(slack_event.c.id)
        with self._database.working() as connection:
            return connection.scalar(new) is not None

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
            for table, kept in (
                (request_bucket, timedelta(minutes=10)), (slack_event, EVENTS_KEPT), (slack_thread, THREADS_KEPT),
            ):  # fmt: skip
                connection.execute(delete(table).where(table.c.at < func.clock_timestamp() - kept))
