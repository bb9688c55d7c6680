"""Every call of a model, recorded: who, what for, which model, how much, what became of it. No text of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Float,
    Index,
    Integer,
    RowMapping,
    Table,
    Text,
    Uuid,
    insert,
    select,
    text,
    update,
)

from assistant.model import AnswerId, Usage
from ingest import schema
from ingest.access import Reader
from ingest.database import Database

Grouping = Literal["user", "model", "day"]
BEGUN: Final = "begun"

model_call = Table(
    "model_call",
    schema.metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("principal", Text, nullable=False),
    Column("operator", Text),
    Column("purpose", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("answer_id", Uuid),  # no foreign key: an answer is kept after its calls were made
    Column("status", Text, nullable=False),  # begun, or how it ended; begun and expired: its process died
    Column("input_tokens", Integer, nullable=False),
    Column("cached_input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("ms", Float),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("model_call_at", "at"),
    Index("model_call_answer", "answer_id", postgresql_where=text("answer_id is not null")),
)


@dataclass(frozen=True, slots=True)
class Used:
    """What the calls of one user, model or day came to."""

    name: str  # of the user or model, or the day as ISO date; "" for the total
    calls: int
    failed: int  # that did not come to their end
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: float


def begin(
    connection: Connection, id: UUID, reader: Reader, purpose: str, model: str, answer: AnswerId | None,
    at: datetime, expires_at: datetime,
) -> None:  # fmt: skip
    """Record that a call is about to be made."""
    connection.execute(
        insert(model_call).values(
            id=id, at=at, principal=reader.name, operator=reader.operator, purpose=purpose, model=model,
            answer_id=answer, status=BEGUN, input_tokens=0, cached_input_tokens=0, output_tokens=0, cost_usd=0.0,
            expires_at=expires_at,
        )
    )  # fmt: skip


def begun(connection: Connection, id: UUID) -> bool:
    """Whether a call is recorded already."""
    return connection.scalar(select(model_call.c.id).where(model_call.c.id == id)) is not None


def end(connection: Connection, id: UUID, status: str, usage: Usage, ms: float) -> bool:
    """Record how it ended and what it used; False: that stands there already."""
    changed = connection.execute(
        update(model_call)
        .where(model_call.c.id == id, model_call.c.status == BEGUN)
        .values(
            status=status,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=usage.cost_usd,
            ms=ms,
        )
    )
    return bool(changed.rowcount)


class ModelCalls:
    """The record of one store, for its operator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def used(self, by: Grouping, *, since: date | None = None, of: str | None = None) -> list[Used]:
        """Calls in groups, the dearest first, days in order; the last one is the total.

        Args:
            since: the first day, in UTC; none: from the beginning.
            of: only what was called in the name of this user.
        """
        name = {
            "user": "principal",
            "model": "model",
            "day": "to_char(at at time zone 'utc', 'YYYY-MM-DD')",
        }[by]
        query = text(f"""
            with c as (
                select {name} as name, * from model_call
                where (cast(:since as date) is null or at >= cast(:since as timestamp) at time zone 'utc')
                  and (cast(:of as text) is null or principal = :of)
            )
            select coalesce(name, '') as name, grouping(name) as whole, count(*) as calls,
                   count(*) filter (where status not in ('done', 'begun') or (status = 'begun' and expires_at < now()))
                       as failed,
                   coalesce(sum(input_tokens), 0) as input_tokens,
                   coalesce(sum(cached_input_tokens), 0) as cached_input_tokens,
                   coalesce(sum(output_tokens), 0) as output_tokens, coalesce(sum(cost_usd), 0) as cost_usd
            from c group by grouping sets ((name), ())
            order by {"2, 1" if by == "day" else "2, 8 desc, 3 desc, 1"}""")
        with self._database.working() as connection:
            rows = connection.execute(query, {"since": since, "of": of}).mappings().all()
        return [_used(row) for row in rows]


def _used(row: RowMapping) -> Used:
    fields = {name: row[name] for name in Used.__dataclass_fields__}
    return Used(**{**fields, "cost_usd": round(float(fields["cost_usd"]), 9)})
