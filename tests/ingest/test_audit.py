"""The audit's chain: whatever is done to it in the database is found."""

from __future__ import annotations

import stat
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from assistant.bootstrap import ALL_MIGRATIONS, Quoth
from ingest.access import LOCAL, Reader
from ingest.audit import KEY_FILE, Trail, begin, record
from ingest.database import Database
from ingest.errors import ConfigurationError
from ui.command import main

pytestmark = pytest.mark.integration
ADA = Reader("ada", frozenset(), operator="root")
EVENTS = 9


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Trail:
    return Trail.opened(tmp_path_factory.mktemp("home"), None, "here")


@pytest.fixture(scope="module")
def database(database_url: str, trail: Trail) -> Iterator[Database]:
    opened = Database(database_url, trail)
    opened.migrate(ALL_MIGRATIONS)
    for number in range(EVENTS):
        with opened.recording(ADA) as connection:
            record(connection, ADA, "answer", uuid.uuid4(), {"n": number, "share": 1e20, "words": "ä\u2028"})
    yield opened
    opened.close()


def verified(database: Database, trail: Trail) -> tuple[int, int | None]:
    with database.owning() as connection:
        found = trail.verify(connection)
    return found.events, found.broken


def test_an_untouched_chain_is_whole(database: Database, trail: Trail) -> None:
    assert verified(database, trail) == (EVENTS, None)


ROWS = st.integers(1, EVENTS)
CHANGES = {
    "id": "id + 1000",
    "at": "at + interval '1 microsecond'",
    "principal": "principal || 'x'",
    "operator": "null",
    "action": "'document.added'",
    "subject": "gen_random_uuid()",
    "detail": "detail || '{\"n\": 77}'",
    "key_id": "'abc'",
    "mac": "'\\x00'::bytea",
    "number": "number + 1000",
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.tuples(st.just("change"), ROWS, st.sampled_from(sorted(CHANGES))),
        st.tuples(st.just("delete"), ROWS, ROWS),
        st.tuples(st.just("swap"), ROWS, ROWS).filter(lambda one: one[1] != one[2]),
        st.tuples(st.just("insert"), ROWS, st.booleans()),
    )
)
def test_whatever_is_done_to_any_row_is_found(database: Database, trail: Trail, touched: tuple) -> None:
    kind, row, other = touched
    with database.engine("owner").connect() as connection:
        assert trail.verify(connection).whole
        first = done(connection, kind, row, other)
        found = trail.verify(connection)
        assert not found.whole
        assert first is None or found.broken == first
        connection.rollback()


def done(connection: Connection, kind: str, row: int, other: object) -> int | None:
    """Touch the chain; returns the event at which it must be found broken, None where that is not fixed."""
    if kind == "change":
        connection.execute(
            text(f"update audit_event set {other} = {CHANGES[str(other)]} where number = :n"), {"n": row}
        )
        return row
    if kind == "delete":
        low, high = sorted((row, int(other)))  # type: ignore[call-overload]
        connection.execute(
            text("delete from audit_event where number between :low and :high"), {"low": low, "high": high}
        )
        return low
    if kind == "swap":
        pair = {"a": row, "b": other}
        connection.execute(text("update audit_event set number = -number where number in (:a, :b)"), pair)
        connection.execute(
            text("update audit_event set number = case when number = -:a then :b else :a end where number < 0"), pair
        )
        return min(row, int(other))  # type: ignore[call-overload]
    if other:  # a copy between two events, all later ones moved by one
        connection.execute(text("update audit_event set number = -number - 1 where number >= :n"), {"n": row})
        connection.execute(text("update audit_event set number = -number where number < 0"))
        copied = ":n"
    else:
        copied = "null"
    connection.execute(
        text(
            "insert into audit_event (at, principal, operator, action, subject, detail, number, key_id, mac)"
            f" select at, principal, operator, action, subject, detail, {copied}, key_id, mac"
            " from audit_event order by number nulls last limit 1"
        ),
        {"n": row} if other else {},
    )
    return row if other and row > 1 else None


def test_writers_at_the_same_time_keep_one_chain(database: Database, trail: Trail) -> None:
    before, _ = verified(database, trail)

    def write(number: int) -> None:
        purpose = database.recording(ADA) if number % 2 else database.working()
        with purpose as connection:
            record(connection, ADA, "one", None, {"n": number})
            record(connection, ADA, "two", None, {"n": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert verified(database, trail) == (before + 80, None)
    assert trail.head() is not None and trail.head().number == before + 80


def test_an_open_transaction_that_recorded_holds_up_nobody(database: Database, trail: Trail) -> None:
    before, _ = verified(database, trail)
    with database.recording(ADA) as slow:
        record(slow, ADA, "slow", None, {})
        with database.recording(LOCAL) as quick:
            record(quick, LOCAL, "quick", None, {})
    with database.owning() as connection:
        order = connection.execute(
            text("select action from audit_event where number > :n order by number"), {"n": before}
        )
        assert list(order.scalars()) == ["quick", "slow"]
    assert verified(database, trail) == (before + 2, None)


def test_what_is_rolled_back_leaves_no_event(database: Database, trail: Trail) -> None:
    before = verified(database, trail)
    with pytest.raises(ZeroDivisionError), database.recording(ADA) as connection:
        record(connection, ADA, "lost", None, {})
        raise ZeroDivisionError
    with database.recording(ADA):
        pass
    assert verified(database, trail) == before


def test_newest_events_taken_away_stay_noticed_when_more_are_written(database_url: str, tmp_path: Path) -> None:
    trail = Trail.opened(tmp_path, None, "there")
    database = Database(database_url, trail)
    database.migrate(ALL_MIGRATIONS)
    with database.owning() as connection:
        connection.execute(text("delete from audit_event"))
    for number in range(4):
        with database.working() as connection:
            record(connection, LOCAL, "one", None, {"n": number})
    with database.owning() as connection:
        connection.execute(text("delete from audit_event where number > 2"))
    assert verified(database, trail) == (2, 3)
    for number in range(5):
        with database.working() as connection:
            record(connection, LOCAL, "later", None, {"n": number})
    assert verified(database, trail) == (2, 3)
    from ingest.audit import accept

    with database.owning() as connection:
        accept(connection, LOCAL, 3)
    assert verified(database, trail) == (9, None)
    with database.owning() as connection:
        connection.execute(text("delete from audit_event where number = 9"))
    assert verified(database, trail)[1] is not None
    database.close()


def test_events_from_before_the_chain_are_counted_and_hashed(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, Trail.opened(tmp_path, None, "older"))
    database.migrate(ALL_MIGRATIONS)
    with database.owning() as connection:
        connection.execute(text("delete from audit_event"))
        for name in ("a", "b"):
            connection.execute(
                text("insert into audit_event (principal, action, detail) values (:n, 'x', '{}')"), {"n": name}
            )
    with database.owning() as connection:
        begin(connection)
    assert verified(database, database.trail) == (1, None)
    with database.owning() as connection:
        connection.execute(text("update audit_event set principal = 'c' where principal = 'a'"))
    assert verified(database, database.trail)[1] is not None
    with database.owning() as connection:
        connection.execute(text("delete from audit_event"))
    database.close()


def test_another_key_verifies_nothing_and_a_former_one_what_it_signed(database_url: str, tmp_path: Path) -> None:
    old, new = "o" * 32, "n" * 32
    first = Database(database_url, Trail.opened(tmp_path, old, "keys"))
    first.migrate(ALL_MIGRATIONS)
    with first.owning() as connection:
        connection.execute(text("delete from audit_event"))
    with first.working() as connection:
        record(connection, LOCAL, "one", None, {})
    second = Database(database_url, Trail.opened(tmp_path, f"{new},{old}", "keys"))
    with second.working() as connection:
        record(connection, LOCAL, "two", None, {})
    assert verified(second, second.trail) == (2, None)
    assert verified(first, first.trail) == (1, 2)
    assert verified(first, Trail.opened(tmp_path, new, "elsewhere")) == (0, 1)
    for one in (first, second):
        one.close()


def test_the_key_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        trails = list(pool.map(lambda _: Trail.opened(tmp_path, None, "x"), range(16)))
    assert len({one.digest("words") for one in trails}) == 1
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="at least 32"):
        Trail.opened(tmp_path, "short", "x")


def test_the_command_says_whether_the_chain_is_whole(
    quoth: Quoth, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with quoth.database.owning() as connection:
        connection.execute(text("delete from audit_event"))
    quoth.groups.set_of_user("ada", ["hr"])
    quoth.groups.set_of_user("ada", ["it"])
    assert main(["audit", "verify"]) == 0
    assert "whole: 2 events" in capsys.readouterr().out
    with quoth.database.owning() as connection:
        connection.execute(text("update audit_event set detail = '{}' where number = 2"))
    assert main(["audit", "verify"]) == 1
    assert "broken at event 2" in capsys.readouterr().out
