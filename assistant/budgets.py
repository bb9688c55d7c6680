"""Limits kept exactly: what a call may use at most is reserved before it and settled with what it did use after it.

One row per counter and period, updated with a condition, so that many processes together never go over a limit. A
reservation is also a row of its own with an expiry; whoever finds no room first gives back what the dead had reserved.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Table,
    Text,
    Uuid,
    delete,
    insert,
    select,
    text,
)

from assistant import model_calls
from assistant.errors import LimitReached, ModelMisconfigured
from assistant.limits import NANO, ORGANISATION, Counter, Limit, Unit, counters_of, end_of, period_of, reached
from assistant.model import AnswerId, Usage
from ingest import schema
from ingest.access import Reader
from ingest.database import Database

MARGIN_S: Final = 60.0  # beyond its deadline, until a call's reservation expires: no call that lives settles later
KEPT_DAYS: Final = 40  # counters of periods that are over

budget = Table(
    "budget",
    schema.metadata,
    Column("scope", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("used", BigInteger, nullable=False, server_default="0"),  # requests, tokens, or billionths of a dollar
    Column("reserved", BigInteger, nullable=False, server_default="0"),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("used >= 0 and reserved >= 0", name="budget_not_negative"),
)

budget_hold = Table(
    "budget_hold",  # what one call under way has reserved of one counter
    schema.metadata,
    Column("call_id", Uuid, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["scope", "unit", "period"], ["budget.scope", "budget.unit", "budget.period"]),
    Index("budget_hold_of", "scope", "unit", "period", "expires_at"),
)

RESERVE: Final = text("""
    insert into budget as b (scope, unit, period, reserved, ends_at)
    values (:scope, :unit, :period, :amount, :ends_at)
    on conflict (scope, unit, period) do update set reserved = b.reserved + excluded.reserved
    where b.used + b.reserved + excluded.reserved <= :cap
    returning 1""")
# A hold that another transaction has locked is being settled or given back there.
GIVE_BACK: Final = text("""
    with gone as (
        delete from budget_hold where (call_id, scope, unit, period) in (
            select call_id, scope, unit, period from budget_hold
            where scope = :scope and unit = :unit and period = :period and expires_at < :now
            for update skip locked)
        returning amount)
    update budget set reserved = reserved - (select sum(amount) from gone)
    where scope = :scope and unit = :unit and period = :period and exists (select from gone)""")
SETTLE: Final = text("""
    update budget set used = used + :used, reserved = reserved - :held
    where scope = :scope and unit = :unit and period = :period""")


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one call holds until it is settled."""

    call: UUID
    reader: Reader
    counters: tuple[Counter, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one user, team or the organisation is within a limit."""

    scope: str
    limit: Limit
    used: float  # in the limit's unit
    reserved: float  # by calls under way

    @property
    def share(self) -> float:
        return (self.used + self.reserved) / self.limit.amount if self.limit.amount else 1.0


class Budgets:
    """The limits and the record of calls of one store; threads and processes share them.

    Args:
        now: the time of day, with a zone; None: by the database's clock, whatever this machine believes.
    """

    def __init__(
        self, database: Database, limits: Sequence[Limit], *, now: Callable[[], datetime] | None = None
    ) -> None:
        self._database = database
        self._limits = limits
        self._now = now or database.now

    def reserve(
        self, reader: Reader, purpose: str, model: str, answer: AnswerId | None, *, tokens: int,
        cost_usd: float | None, within_s: float, bulk: bool = False, call: UUID | None = None,
    ) -> Reservation:  # fmt: skip
        """Reserve what a call may use at most, in all limits that hold for the reader or in none, and record it.

        Args:
            tokens, cost_usd: at most; None: the price is not known.
            within_s: until the call has ended for certain.
            bulk: whether it is work of the queue, for which the limits of users and teams do not hold.
            call: its id, if it has one: what holds that already is not reserved again.

        Raises:
            LimitReached: a limit leaves too little; it says which and until when.
            ModelMisconfigured: the price is not known, and a limit on money holds.
            ServiceError: the database does not answer.
        """
        now = self._now()
        wanted = [one for one in counters_of(self._limits, reader, now) if not bulk or one[0].scope == ORGANISATION]
        if cost_usd is None and any(counter.unit == "USD" for counter, _ in wanted):
            raise ModelMisconfigured(
                "The model's price is not known, so that its use cannot be limited in USD. The operator can give it in "
                "QUOTH_PRICES."
            )
        amounts = _amounts(tokens, cost_usd or 0.0)
        expires_at = now + timedelta(seconds=within_s + MARGIN_S)
        reservation = Reservation(call or uuid.uuid4(), reader, tuple(counter for counter, _ in wanted))
        with self._database.counting(reader) as connection:
            if call is not None and model_calls.begun(connection, call):
                query = select(budget_hold).where(budget_hold.c.call_id == call)
                held = [Counter(row.scope, row.unit, row.period) for row in connection.execute(query)]
                return Reservation(call, reader, tuple(held))
            for counter, limit in wanted:
                self._take(connection, counter, limit, amounts[counter.unit], now)
            if wanted:
                connection.execute(
                    insert(budget_hold),
                    [
                        {
                            "call_id": reservation.call,
                            **_key(counter),
                            "amount": amounts[counter.unit],
                            "expires_at": expires_at,
                        }
                        for counter, _ in wanted
                    ],
                )
            model_calls.begin(connection, reservation.call, reader, purpose, model, answer, now, expires_at)
        return reservation

    def settle(self, reservation: Reservation, status: str, usage: Usage, ms: float) -> None:
        """Book what a call did use in place of what it had reserved, also if the reservation had expired.

        A call that was settled already is left as it is.
        """
        used = _amounts(usage.input_tokens + usage.output_tokens, usage.cost_usd)
        with self._database.counting(reservation.reader) as connection:
            if not model_calls.end(connection, reservation.call, status, usage, ms):
                return
            held = {
                Counter(row.scope, row.unit, row.period): row.amount
                for row in connection.execute(
                    delete(budget_hold).where(budget_hold.c.call_id == reservation.call).returning(budget_hold)
                )
            }
            for counter in reservation.counters:
                amount = held.get(counter, 0)
                connection.execute(SETTLE, {**_key(counter), "used": used[counter.unit], "held": amount})

    def standing(self, *, most: int = 200) -> list[Standing]:
        """What is used of each limit in the periods that run now, the fullest first."""
        now = self._now()
        query = select(budget).where(budget.c.ends_at > now)
        with self._database.working() as connection:
            rows = connection.execute(query).all()
        found = []
        for row in rows:
            kind = row.scope.partition(":")[0]
            fitting = [
                limit
                for limit in self._limits
                if limit.unit == row.unit
                and period_of(limit.period, now) == row.period
                and limit.who in (row.scope, kind)
            ]
            for limit in sorted(fitting, key=lambda one: one.who != row.scope)[:1]:
                scale = NANO if row.unit == "USD" else 1
                found.append(Standing(row.scope, limit, row.used / scale, row.reserved / scale))
        return sorted(found, key=lambda one: -one.share)[:most]

    def forget(self) -> None:
        """Drop the counters of periods that are long over, and with them what the dead had reserved of them."""
        now = self._now()
        values = {"now": now, "days": now - timedelta(days=KEPT_DAYS), "minutes": now - timedelta(days=1)}
        over = (
            "select scope, unit, period from budget where ends_at < :days"
            " or (period like '%T%' and ends_at < :minutes)"  # there is one for each user and minute
        )
        with self._database.working() as connection:
            connection.execute(
                text(f"delete from budget_hold where (scope, unit, period) in ({over}) and expires_at < :now"), values
            )
            connection.execute(
                text(
                    f"delete from budget b where (scope, unit, period) in ({over}) and not exists (select from"
                    " budget_hold h where h.scope = b.scope and h.unit = b.unit and h.period = b.period)"
                ),
                values,
            )

    def _take(self, connection: Connection, counter: Counter, limit: Limit, amount: int, now: datetime) -> None:
        values = {
            **_key(counter),
            "amount": amount,
            "cap": limit.cap,
            "ends_at": end_of(limit.period, now),
            "now": now,
        }
        if amount <= limit.cap:
            if connection.execute(RESERVE, values).first() is not None:
                return
            connection.execute(GIVE_BACK, values)
            if connection.execute(RESERVE, values).first() is not None:
                return
        raise LimitReached(reached(limit, counter.scope, now))


def _key(counter: Counter) -> dict[str, str]:
    return {"scope": counter.scope, "unit": counter.unit, "period": counter.period}


def _amounts(tokens: int, cost_usd: float) -> Mapping[Unit, int]:
    """As they are counted; money is rounded up, so that many small calls are not free."""
    return {"requests": 1, "tokens": tokens, "USD": math.ceil(round(cost_usd * NANO, 3))}
