"""Tables are brought up to date while the former version answers: what migrations may do, and what they may not."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from assistant.bootstrap import ALL_MIGRATIONS, Quoth, open_quoth
from ingest.access import LOCAL
from ingest.database import LOCK_WAIT_S, MIGRATIONS, PROVISION, Database
from ingest.errors import ConfigurationError
from ingest.originals import Originals
from ingest.parser import Parser

pytestmark = pytest.mark.integration

# Migrations that took something away from the code before them. Nothing may be added here: what a version no longer
# uses is taken away by a later one (the runbook: Upgrade). These came before the first release.
CONTRACTS = {"ingest_0004", "ingest_0005"}
FUTURE = """
from alembic import op

revision, down_revision, branch_labels, depends_on = "ingest_9001", "{head}", None, None


def upgrade() -> None:
    op.execute("alter table document add column mood text not null default 'calm'")
    op.execute("alter table chunk add column weight real")
    op.execute("alter table version add column seal bytea")
    op.execute("create table mood (name text primary key)")
"""


def revisions() -> list[str]:
    return [file.stem for folder in ALL_MIGRATIONS for file in sorted(folder.glob("[a-z]*_[0-9]*.py"))]


@pytest.fixture
def empty(server_url: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {name} with (force)"))


def step(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(folder) for folder in ALL_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def shape(connection: Connection) -> dict[tuple[str, ...], tuple[object, ...]]:
    """What code may lean on: each column with its type, each function's form, what each role may do."""
    found: dict[tuple[str, ...], tuple[object, ...]] = {}
    ours = "not like 'procrastinate%'"
    for row in connection.execute(
        text(
            "select table_name, column_name, udt_name, is_nullable = 'NO' and column_default is null and is_identity ="
            f" 'NO' and is_generated = 'NEVER' from information_schema.columns where table_schema = 'public' and table_name {ours}"
        )
    ):
        found["column", row[0], row[1]] = (row[2], row[3])
    for row in connection.execute(
        text(
            "select p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid) from pg_proc p"
            " join pg_namespace n on n.oid = p.pronamespace left join pg_depend d on d.objid = p.oid and d.deptype = 'e'"
            f" where n.nspname = 'public' and d.objid is null and p.proname {ours}"
        )
    ):
        found["function", row[0], row[1]] = (row[2],)
    for row in connection.execute(
        text(
            "select grantee, table_name, privilege_type from information_schema.table_privileges"
            f" where grantee like 'quoth%' and table_schema = 'public' and table_name {ours}"
        )
    ):
        found["grant", *row] = ()
    return found


def taken_away(
    before: dict[tuple[str, ...], tuple[object, ...]], after: dict[tuple[str, ...], tuple[object, ...]]
) -> list[str]:
    """What the code before can no longer do."""
    tables = {name[1] for name in before if name[0] == "column"}
    gone = [f"{' '.join(name)} is gone" for name in before if name not in after]
    for name, (kind, *rest) in ((n, v) for n, v in after.items() if n[0] == "column"):
        if name in before:
            if before[name][0] != kind:
                gone.append(f"{' '.join(name)} has another type")
            if rest[0] and not before[name][1]:
                gone.append(f"{' '.join(name)} must be given now")
        elif name[1] in tables and rest[0]:
            gone.append(f"{' '.join(name)} must be given by code that does not know it")
    gone += [
        f"{' '.join(n)} returns something else"
        for n in before
        if n[0] == "function" and n in after and before[n] != after[n]
    ]
    return gone


class Reader:
    """What code of the former revision does all the time: read every column that it knows."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.known: dict[str, list[str]] = {}
        self.errors: list[str] = []
        self.reads = 0
        self._thread.start()

    def _read(self) -> None:
        while not self._over.is_set():
            for table, columns in list(self.known.items()):
                try:
                    with self._engine.begin() as connection:
                        names = ", ".join(f'"{one}"' for one in columns)
                        connection.execute(text(f'select {names} from "{table}" limit 1')).all()
                        self.reads += 1
                except Exception as error:
                    self.errors.append(f"{table}: {str(error).splitlines()[0]}")
            time.sleep(0.01)

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)


def test_migrations_only_add_and_a_reader_of_before_never_fails(empty: str) -> None:
    engine = create_engine(make_url(empty).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        for statement in PROVISION:
            connection.execute(text(statement))
    broken: dict[str, list[str]] = {}
    before: dict[tuple[str, ...], tuple[object, ...]] = {}
    reader = Reader(empty)
    try:
        for revision in revisions():
            seen = len(reader.errors)
            with engine.begin() as connection:
                connection.execute(text("set local role quoth_owner"))
                step(connection, revision)
            with engine.begin() as connection:
                after = shape(connection)
            come(reader)
            lost = taken_away(before, after) + reader.errors[seen:][:3]
            if lost:
                broken[revision] = lost
            before = after
            reader.known = columns_of(after)
            come(reader)  # what it had begun with former names is over
    finally:
        reader.stop()
    assert reader.reads > len(reader.known) > 20
    assert {name: lost for name, lost in broken.items() if name not in CONTRACTS} == {}
    assert set(broken) == CONTRACTS, "what is listed takes something away, or the list is too long"


def come(reader: Reader) -> None:
    """Once through all that it knows."""
    wanted, deadline = reader.reads + len(reader.errors) + 2 * len(reader.known), time.monotonic() + 60
    while reader.known and reader.reads + len(reader.errors) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def columns_of(found: dict[tuple[str, ...], tuple[object, ...]]) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for name in found:
        if name[0] == "column":
            columns.setdefault(name[1], []).append(name[2])
    return columns


@pytest.fixture
def own(empty: str, environ: dict[str, str], shared_parser: Parser, tmp_path: Path) -> Iterator[Quoth]:
    settings = {"QUOTH_HOME": str(tmp_path / "home"), "QUOTH_DATABASE_URL": empty, "QUOTH_RERANKER": "none"}
    with open_quoth({**environ, **settings}, parser=shared_parser) as quoth:
        yield quoth


@pytest.fixture
def later(tmp_path: Path) -> tuple[Path, ...]:
    """The migrations of a version to come."""
    folder = tmp_path / "ingest" / "migrations" / "versions"
    folder.mkdir(parents=True)
    for file in MIGRATIONS.glob("[a-z]*_[0-9]*.py"):
        (folder / file.name).write_bytes(file.read_bytes())
    head = max(file.stem for file in MIGRATIONS.glob("[a-z]*_[0-9]*.py"))
    (folder / "ingest_9001.py").write_text(FUTURE.format(head=head))
    return (folder, *ALL_MIGRATIONS[1:])


def test_this_version_goes_on_beside_the_next_ones_tables(
    own: Quoth, later: tuple[Path, ...], folder_of: Callable[..., Path]
) -> None:
    """It searches, answers and takes in while they are made and after; started anew, it says that it is too old."""
    assert [one.status for one in own.pipeline.add([folder_of({"weir.md": "The weir has nine gates."})])] == ["added"]
    over, failed, done = threading.Event(), [], []

    def search() -> None:
        while not over.is_set():
            try:
                done.append(own.search("How many gates has the weir?", LOCAL, stage="fused").hits[0].source)
            except Exception as error:
                failed.append(repr(error))

    thread = threading.Thread(target=search, daemon=True)
    thread.start()
    try:
        next_one = Database(own.database.conninfo)
        assert next_one.migrate(later)
        next_one.close()
        seen = len(done)
        assert [one.status for one in own.pipeline.add([folder_of({"sluice.md": "The sluice is red."})])] == ["added"]
        *_, answer = own.ask("How many gates has the weir?", LOCAL)
        assert answer.status == "answered"  # type: ignore[union-attr]
        while len(done) < seen + 3 and not failed:
            time.sleep(0.01)
    finally:
        over.set()
        thread.join(60)
    assert failed == [] and set(done) == {"weir.md"}
    with pytest.raises(ConfigurationError, match=r"later version.*ingest_9001.*Start that version"):
        Database(own.database.conninfo).migrate(ALL_MIGRATIONS)


def test_a_migration_that_must_wait_lets_readers_by(own: Quoth, later: tuple[Path, ...]) -> None:
    """Somebody reads a table for long: the others' reading goes on, and the tables are brought up to date after."""
    migrated = threading.Event()

    def migrate() -> None:
        database = Database(own.database.conninfo)
        database.migrate(later)
        database.close()
        migrated.set()

    with own.database.working() as connection:
        connection.execute(text("select count(*) from document"))  # and holds it, as a long load does
        thread = threading.Thread(target=migrate, daemon=True)
        thread.start()
        until = time.monotonic() + 3 * LOCK_WAIT_S
        while time.monotonic() < until:
            assert own.catalog.documents(LOCAL) == []
        assert not migrated.is_set()
    assert migrated.wait(60)
    thread.join(10)


def test_originals_of_before_are_found(tmp_path: Path) -> None:
    """Where bytes lie by their hash is a promise between versions, too."""
    store = Originals(str(tmp_path / "originals"))
    sha256 = bytes.fromhex("ab" * 32)
    place = tmp_path / "originals" / "ab" / ("ab" * 32)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"as before")
    assert store.read(sha256) == b"as before"
