"""Limits under many threads, several stores' connections, and processes that die."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from assistant.bootstrap import ALL_MIGRATIONS
from assistant.budgets import Budgets, Reservation
from assistant.errors import LimitReached, ModelMisconfigured
from assistant.limits import NANO, limits_from
from assistant.model import AnswerId, Usage
from assistant.model_calls import ModelCalls, Used
from ingest.access import LOCAL, Reader
from ingest.database import Database

pytestmark = pytest.mark.integration

ANN = Reader("ann", frozenset({"hr"}))
BO = Reader("bo", frozenset({"hr", "legal"}))


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 21, 12, 30, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def migrated(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.migrate(ALL_MIGRATIONS)
    yield database
    database.close()


@pytest.fixture
def store(migrated: Database) -> Database:
    with migrated.working() as connection:
        for table in ("budget_hold", "budget", "model_call"):
            connection.execute(text(f"delete from {table}"))
    return migrated


def take(
    budgets: Budgets, reader: Reader = ANN, *, tokens: int = 100, cost_usd: float | None = 0.01, within_s: float = 60.0
) -> Reservation:
    return budgets.reserve(
        reader, "answer", "gpt-6-luna", AnswerId(uuid.uuid4()), tokens=tokens, cost_usd=cost_usd, within_s=within_s
    )


def rows(store: Database) -> dict[tuple[str, str], tuple[int, int]]:
    """(used, reserved) of each scope and unit."""
    with store.working() as connection:
        return {(one.scope, one.unit): (one.used, one.reserved) for one in connection.execute(text("table budget"))}


def test_a_limit_refuses_in_words_and_is_renewed_with_the_period(store: Database) -> None:
    clock = Clock()
    budgets = Budgets(store, limits_from("user 2 requests/minute"), now=clock)
    take(budgets)
    take(budgets)
    with pytest.raises(LimitReached, match=r"2 requests a minute for you.*12:31 UTC"):
        take(budgets)
    take(budgets, BO)
    clock.now += timedelta(minutes=1)
    take(budgets)


def test_a_reservation_is_settled_with_what_was_used(store: Database) -> None:
    budgets = Budgets(store, limits_from("user 1000 tokens/day, organisation 1 USD/month"), now=Clock())
    held = take(budgets, tokens=900, cost_usd=0.4)
    assert rows(store) == {("user:ann", "tokens"): (0, 900), ("organisation", "USD"): (0, 400_000_000)}
    with pytest.raises(LimitReached, match="1,000 tokens a day"):
        take(budgets, tokens=101)
    budgets.settle(held, "done", Usage(300, 100, 50, 0.0123456789), 12.0)
    assert rows(store) == {("user:ann", "tokens"): (350, 0), ("organisation", "USD"): (12_345_679, 0)}
    take(budgets, tokens=650)


def test_all_limits_or_none(store: Database) -> None:
    budgets = Budgets(store, limits_from("team:hr 5 requests/day, user 1 requests/day"), now=Clock())
    take(budgets)
    with pytest.raises(LimitReached, match="for you"):
        take(budgets)
    assert rows(store)[("team:hr", "requests")] == (0, 1)
    take(budgets, BO)
    assert rows(store)[("team:hr", "requests")] == (0, 2)


def test_a_call_larger_than_its_limit_never_begins(store: Database) -> None:
    with pytest.raises(LimitReached):
        take(Budgets(store, limits_from("user 99 tokens/day"), now=Clock()))
    assert rows(store) == {}


def test_what_the_dead_had_reserved_is_given_back_when_it_is_needed(store: Database) -> None:
    clock = Clock()
    budgets = Budgets(store, limits_from("user 100 tokens/day"), now=clock)
    take(budgets, within_s=30.0)
    clock.now += timedelta(seconds=89)
    with pytest.raises(LimitReached):
        take(budgets)
    clock.now += timedelta(seconds=2)
    take(budgets)
    assert rows(store)[("user:ann", "tokens")] == (0, 100)


def test_a_late_settlement_books_what_was_used_once(store: Database) -> None:
    clock = Clock()
    budgets = Budgets(store, limits_from("user 100 tokens/day"), now=clock)
    late = take(budgets, within_s=30.0)
    clock.now += timedelta(seconds=120)
    take(budgets, tokens=60)
    budgets.settle(late, "done", Usage(20, 0, 10, 0.0), 1.0)
    assert rows(store)[("user:ann", "tokens")] == (30, 60)


def test_an_unknown_price_cannot_pass_a_limit_on_money(store: Database) -> None:
    with pytest.raises(ModelMisconfigured, match="QUOTH_PRICES"):
        take(Budgets(store, limits_from("", 5.0), now=Clock()), cost_usd=None)
    take(Budgets(store, limits_from("user 5 requests/day"), now=Clock()), cost_usd=None)


def test_32_threads_never_exceed_a_limit_and_lose_nothing(store: Database, database_url: str) -> None:
    """Amounts drawn at random, some calls die; a watcher looks at every limit all the while."""
    limits = limits_from("user 4000 tokens/day, team 7000 tokens/day, organisation 0.6 USD/month, user 55 requests/day")
    caps = {
        (scope, limit.unit): limit.cap
        for limit in limits
        for scope in ("user:ann", "user:bo", "team:hr", "team:legal", "organisation")
        if scope.startswith(limit.who)
    }
    booked: list[tuple[Reader, Usage]] = []
    held: list[Reservation] = []
    refused: list[str] = []
    problems: list[str] = []
    over = threading.Event()
    second = Database(database_url)  # as another process has it
    both = [Budgets(one, limits, now=Clock()) for one in (store, second)]

    def watch() -> None:
        while not over.wait(0.05):
            problems.extend(f"{key}: {row}" for key, row in rows(store).items() if sum(row) > caps[key] or min(row) < 0)

    def work(number: int) -> None:
        draw, budgets = random.Random(number), both[number % 2]
        reader = draw.choice((ANN, BO))
        for _ in range(4):
            tokens = draw.randrange(50, 400)
            try:
                reservation = take(budgets, reader, tokens=tokens, cost_usd=tokens / 10_000)
            except LimitReached as error:
                refused.append(str(error))
                continue
            if draw.random() < 0.15:
                held.append(reservation)
                continue
            used = Usage(draw.randrange(tokens), 0, 0, draw.randrange(tokens) / 10_000)
            budgets.settle(reservation, "done", used, 1.0)
            booked.append((reader, used))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(32)))
    over.set()
    watcher.join()
    second.close()
    assert problems == []
    assert refused and booked and held
    for reader, scope in ((ANN, "user:ann"), (BO, "user:bo")):
        mine = [used for who, used in booked if who is reader]
        assert rows(store)[(scope, "tokens")][0] == sum(used.input_tokens for used in mine)
        assert rows(store)[(scope, "requests")][0] == len(mine)
    assert rows(store)[("team:hr", "tokens")][0] == sum(used.input_tokens for _, used in booked)
    assert rows(store)[("organisation", "USD")][0] == sum(round(used.cost_usd * NANO) for _, used in booked)
    for reservation in held:
        both[0].settle(reservation, "done", Usage(), 1.0)
    assert {row[1] for row in rows(store).values()} == {0}
    assert ModelCalls(store).used("day")[-1].calls == len(booked) + len(held)


def test_threads_that_find_the_dead_give_their_share_back_once(store: Database) -> None:
    clock = Clock()
    budgets = Budgets(store, limits_from("user 32 requests/day, organisation 32 requests/day"), now=clock)
    for _ in range(32):
        take(budgets, within_s=1.0)
    clock.now += timedelta(minutes=5)
    together = threading.Barrier(16)
    got: list[Reservation] = []

    def work() -> None:
        together.wait()
        for _ in range(3):
            try:
                got.append(take(budgets))
            except LimitReached:
                return

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: work(), range(16)))
    assert len(got) == 32
    assert set(rows(store).values()) == {(0, 32)}


DYING = """
import os, signal, sys, uuid
from assistant.budgets import Budgets
from assistant.limits import limits_from
from ingest.access import LOCAL
from ingest.database import Database
budgets = Budgets(Database(sys.argv[1]), limits_from("user 10 tokens/month"))
budgets.reserve(LOCAL, "answer", "m", None, tokens=10, cost_usd=None, within_s=-59.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_no_reservation_for_ever(store: Database, database_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, database_url], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert rows(store)[("user:local", "tokens")] == (0, 10)
    later = Budgets(store, limits_from("user 10 tokens/month"), now=lambda: datetime.now(UTC) + timedelta(seconds=2))
    take(later, LOCAL, tokens=10)
    assert rows(store)[("user:local", "tokens")] == (0, 10)


def test_counters_of_long_ago_are_dropped_and_others_kept(store: Database) -> None:
    clock = Clock()
    budgets = Budgets(store, limits_from("user 9 requests/minute, user 99 tokens/day"), now=clock)
    budgets.settle(take(budgets, tokens=9), "done", Usage(), 1.0)
    take(budgets, tokens=9, within_s=1.0)  # died
    budgets.forget()
    assert set(rows(store)) == {("user:ann", "requests"), ("user:ann", "tokens")}
    clock.now += timedelta(days=2)
    budgets.forget()
    assert set(rows(store)) == {("user:ann", "tokens")}
    clock.now += timedelta(days=40)
    take(budgets, BO, tokens=9)
    budgets.forget()
    assert set(rows(store)) == {("user:bo", "requests"), ("user:bo", "tokens")}


def test_calls_are_counted_by_user_model_and_day(store: Database) -> None:
    clock = Clock()
    budgets = Budgets(store, (), now=clock)
    budgets.settle(take(budgets, ANN), "done", Usage(100, 40, 10, 0.002), 5.0)
    budgets.settle(take(budgets, ANN), "unavailable", Usage(), 5.0)
    clock.now += timedelta(days=1)
    budgets.settle(take(budgets, BO), "done", Usage(50, 0, 5, 0.01), 5.0)
    calls = ModelCalls(store)
    total = Used("", 3, 1, 150, 40, 15, 0.012)
    assert calls.used("user") == [Used("bo", 1, 0, 50, 0, 5, 0.01), Used("ann", 2, 1, 100, 40, 10, 0.002), total]
    assert [one.name for one in calls.used("day")] == ["2026-11-21", "2026-11-22", ""]
    assert [one.name for one in calls.used("model")] == ["gpt-6-luna", ""]
    assert calls.used("day", since=clock.now.date()) == [
        Used("2026-11-22", 1, 0, 50, 0, 5, 0.01),
        Used("", 1, 0, 50, 0, 5, 0.01),
    ]


def test_nobody_and_others_find_no_calls(store: Database) -> None:
    budgets = Budgets(store, limits_from("user 9 requests/day"), now=Clock())
    take(budgets, ANN)
    for reader, found in ((ANN, 1), (BO, 0)):
        with store.reading(reader) as connection:
            assert connection.scalar(text("select count(*) from model_call")) == found
    with store.engine("reader").connect() as connection:  # without a principal
        for table in ("model_call", "budget", "budget_hold"):
            assert connection.scalar(text(f"select count(*) from {table}")) == 0


@pytest.mark.integration
def test_what_is_used_of_each_limit_is_told_the_fullest_first(store: Database) -> None:
    now = datetime(2027, 5, 4, 12, 0, 30, tzinfo=UTC)
    limits = limits_from("user 10 requests/day, user:ann 4 requests/day, organisation 100 requests/month")
    budgets = Budgets(store, limits, now=lambda: now)
    for name, calls in (("ann", 2), ("bo", 1)):
        for _ in range(calls):
            held = budgets.reserve(
                Reader(name, frozenset()), "answer", "m", None, tokens=5, cost_usd=0.0, within_s=30.0
            )
            if name == "bo":
                budgets.settle(held, "done", Usage(), 1.0)
    standing = [(one.scope, one.used, one.reserved, one.limit.amount) for one in budgets.standing()]
    assert standing == [("user:ann", 0, 2, 4), ("user:bo", 1, 0, 10), ("organisation", 1, 2, 100)]
    assert Budgets(store, limits, now=lambda: now + timedelta(days=40)).standing() == []
