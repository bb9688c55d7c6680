"""Connections to the store: one per role, each transaction opened for a purpose.

`reading(reader)` is what every door uses: the role with row-level security, one snapshot, read only, the principal
set for the transaction. `working()` is for ingestion. `owning()` is for migrations and embedding spaces.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection, IsolationLevel
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection, QueuePool

from ingest.access import Reader
from ingest.audit import PENDING, Trail
from ingest.errors import ConfigurationError, NoRoom, ServiceError
from ingest.store_clock import StoreClock
from ingest.unanswered import Unanswered

Role = Literal["owner", "worker", "reader"]
MIGRATIONS: Final = Path(__file__).parent / "migrations" / "versions"
STATEMENT_TIMEOUT_MS: Final[Mapping[Role, int]] = {"owner": 3_600_000, "worker": 600_000, "reader": 60_000}
CONNECT_TIMEOUT_S: Final = 10
PING_AFTER_S: Final = 1.0  # of rest
LOCK_WAIT_S: Final = 2.0  # for a table that is to be changed
TABLES_FREE_WITHIN_S: Final = 120.0
DISK_FULL: Final = "53100"  # states of SQL
LOCK_NOT_AVAILABLE: Final = "55P03"
TOO_MANY_CONNECTIONS: Final = "53300"
NO_SLOT: Final = ("too many clients", "too many connections", "remaining connection slots")

PROVISION: Final = (
    "create extension if not exists vector",
    """do $$
    declare name text;
    begin
        foreach name in array array['quoth_owner', 'quoth_worker', 'quoth_reader'] loop
            -- roles are the whole server's: another database of it may be prepared at the same moment
            begin
                if not exists (select from pg_roles where rolname = name) then
                    execute format('create role %I nologin noinherit', name);
                end if;
            exception when duplicate_object or unique_violation then null;
            end;
            begin
                if not pg_has_role(current_user, name, 'set') then
                    execute format('grant %I to current_user', name);
                end if;
            exception when unique_violation then null;
            end;
        end loop;
        if not exists (select from pg_roles where rolname = 'quoth_backup') then
            begin
                create role quoth_backup nologin;
            exception when duplicate_object or unique_violation then null;
            end;
            begin
                alter role quoth_backup bypassrls;
            exception when insufficient_privilege then
                raise notice 'quoth_backup needs BYPASSRLS from a superuser';
            end;
        end if;
    end $$""",
    "grant usage, create on schema public to quoth_owner",
    "grant usage on schema public to quoth_worker, quoth_reader, quoth_backup",
)


class Database:
    """The store of one database URL. Opening connects to nothing; each method says which role it acts as."""

    def __init__(self, url: str, trail: Trail | None = None) -> None:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            shown = parsed.render_as_string(hide_password=True)
            raise ConfigurationError(f"{shown!r} is not a Postgres address. Use postgresql://user:password@host/name.")
        self.url = parsed.set(drivername="postgresql+psycopg")
        self._engines: dict[Role, Engine] = {}
        self._stuck = Unanswered(self.conninfo)
        self._trail = trail
        self.now = StoreClock(self._clock)  # the time of day that all processes of the store agree on

    @property
    def trail(self) -> Trail:
        """The audit's chain.

        Raises:
            ConfigurationError: this store was opened without its key.
        """
        if self._trail is None:
            raise ConfigurationError("This store was opened without the audit's key. Open it with open_quoth.")
        return self._trail

    def engine(self, role: Role) -> Engine:
        if role not in self._engines:
            options = f"-c role=quoth_{role} -c statement_timeout={STATEMENT_TIMEOUT_MS[role]} -c hnsw.ef_search=100"
            self._engines[role] = create_engine(
                self.url,
                connect_args={"options": options, "connect_timeout": CONNECT_TIMEOUT_S, "application_name": "quoth"},
                hide_parameters=True,  # in error messages: they hold text of documents
                pool_size=5,
                max_overflow=20,
                isolation_level="REPEATABLE READ" if role == "reader" else "READ COMMITTED",
            )
            self._stuck.watch(self._engines[role])  # before the ping, which may be what gets stuck
            _ping_the_idle(self._engines[role])
        return self._engines[role]

    def connections(self) -> dict[tuple[str, str], int]:
        """How many connections this process holds, by role and by what they do: busy or idle."""
        held: dict[tuple[str, str], int] = {}
        for role, engine in list(self._engines.items()):
            if isinstance(engine.pool, QueuePool):
                held[(role, "busy")], held[(role, "idle")] = engine.pool.checkedout(), engine.pool.checkedin()
        return held

    @property
    def conninfo(self) -> str:
        """The address as psycopg takes it, password and all."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def queue_options(self) -> dict[str, object]:
        """How the queue's own connections are opened: as the worker."""
        return {
            "options": f"-c role=quoth_worker -c statement_timeout={STATEMENT_TIMEOUT_MS['worker']}",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "quoth worker",
        }

    @contextmanager
    def reading(self, reader: Reader) -> Iterator[Connection]:
        """One read-only snapshot in which only what `reader` may read exists."""
        with self._begin("reader") as connection:
            _set_principal(connection, reader)
            connection.execute(text("set transaction read only"))
            yield connection

    @contextmanager
    def recording(self, reader: Reader) -> Iterator[Connection]:
        """A transaction of the doors' role that may write the reader's own records (answers, audit)."""
        with self._begin("reader") as connection:
            # before any query: who ends the audit's chain must see what others committed meanwhile
            connection.execute(text("set transaction isolation level read committed"))
            _set_principal(connection, reader)
            yield connection

    @contextmanager
    def counting(self, reader: Reader) -> Iterator[Connection]:
        """As `recording`, for counters that many change at a time: each statement sees what others have committed."""
        with self._begin("reader", isolation_level="READ COMMITTED") as connection:
            _set_principal(connection, reader)
            yield connection

    @contextmanager
    def working(self) -> Iterator[Connection]:
        """A transaction of the worker, which sees every row; ingestion and the owners' acts only."""
        with self._begin("worker") as connection:
            yield connection

    @contextmanager
    def owning(self) -> Iterator[Connection]:
        """A transaction of the role that owns the tables."""
        with self._begin("owner") as connection:
            yield connection

    @contextmanager
    def _begin(self, role: Role, *, isolation_level: IsolationLevel | None = None) -> Iterator[Connection]:
        engine = self.engine(role)
        if isolation_level is not None:
            engine = engine.execution_options(isolation_level=isolation_level)  # the same pool
        try:
            with engine.begin() as connection:
                connection.info.pop(PENDING, None)  # of a transaction that was rolled back
                yield connection
                sealed = self.trail.seal(connection) if connection.info.get(PENDING) else None
            if sealed is not None:
                self.trail.witness(sealed)
        except OperationalError as error:
            raise _unavailable(error) from error
        except PoolTimeout as error:
            raise ServiceError("The database is too busy: no connection came free. Try again in a moment.") from error

    def _clock(self) -> datetime:
        with self.working() as connection:
            at: datetime = connection.execute(text("select clock_timestamp()")).scalar_one()
            return at

    def migrate(self, locations: Sequence[Path] = (MIGRATIONS,)) -> bool:
        """Bring roles and tables up to date; returns whether anything had to be done.

        Raises:
            ConfigurationError: when the login may not create roles or the vector extension, or when a later version of
                Quoth prepared the database.
            ServiceError: when the database does not answer.
        """
        heads = {max(file.stem for file in folder.glob("[a-z]*_[0-9]*.py")) for folder in locations}
        deadline = time.monotonic() + TABLES_FREE_WITHIN_S
        while True:
            try:
                return self._migrate(locations, heads)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                    raise _unavailable(error) from error
                if time.monotonic() > deadline:
                    raise ServiceError(
                        "The tables cannot be brought up to date: something has been using them all the time. Try "
                        "again when no long load runs."
                    ) from error
                time.sleep(LOCK_WAIT_S / 2)  # whoever waited behind us goes first
            except ProgrammingError as error:
                raise ConfigurationError(
                    f"The database could not be prepared: {_first_line(error)} The login of QUOTH_DATABASE_URL must be "
                    "able to create roles and the extension 'vector'."
                ) from error

    def _migrate(self, locations: Sequence[Path], heads: set[str]) -> bool:
        """One try. Readers of a table that is waited for wait behind us: so the wait is short, and tried again."""
        engine = create_engine(self.url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_TIMEOUT_S})
        with engine.begin() as connection:
            if _applied(connection) == heads:
                return False
            connection.execute(text("select pg_advisory_xact_lock(hashtext('quoth.migrate'))"))
            applied = _applied(connection)
            if applied == heads:
                return False
            later = applied - {file.stem for folder in locations for file in folder.glob("[a-z]*_[0-9]*.py")}
            if later:
                raise ConfigurationError(
                    f"A later version of Quoth has prepared this database ({', '.join(sorted(later))}). Start that "
                    "version, or restore a backup of before with `quoth restore`."
                )
            connection.execute(text(f"set local lock_timeout = '{LOCK_WAIT_S:g}s'"))
            for statement in PROVISION:
                connection.execute(text(statement))
            connection.execute(text("set local role quoth_owner"))
            _upgrade(connection, locations)
            return True

    def close(self) -> None:
        self._stuck.close()
        for engine in self._engines.values():
            engine.dispose()


def _ping_the_idle(engine: Engine) -> None:
    """Ask a pooled connection whether it still lives before it is used, unless it was in use a moment ago."""

    def note(_: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        if time.monotonic() - record.info.get("used_at", 0.0) < PING_AFTER_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:  # whatever it is, another connection is the answer
            raise InvalidatePoolError from error

    event.listen(engine, "connect", note)
    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)


def _upgrade(connection: Connection, locations: Sequence[Path]) -> None:
    from alembic import command  # takes 0.2 s to import, and most starts have nothing to migrate
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(folder) for folder in locations))
    config.attributes["connection"] = connection
    for folder in locations:  # in the order of the pipeline, each folder a branch of its own
        command.upgrade(config, f"{folder.parent.parent.name}@head")


def _applied(connection: Connection) -> set[str]:
    if connection.execute(text("select to_regclass('alembic_version')")).scalar() is None:
        return set()
    return set(connection.execute(text("select version_num from alembic_version")).scalars())


def _set_principal(connection: Connection, reader: Reader) -> None:
    set_for = connection.execute(
        text(
            "select set_config('quoth.principals', principals_of(:names)::text, true),"
            " set_config('quoth.principal', :name, true), extract(epoch from clock_timestamp())"
        ),
        {"names": list(reader.principals), "name": reader.name},
    ).one()
    reader.must_hold(float(set_for[2]))


def _unavailable(error: OperationalError) -> ServiceError:
    """What an error of the server or of the way to it means to whoever waits, and who mends it."""
    words, state = _first_line(error), getattr(error.orig, "sqlstate", None)
    if state == DISK_FULL or "No space left on device" in words:
        return NoRoom(f"The disk of the database is full: {words} Make room there; what waits goes on by itself.")
    if state == TOO_MANY_CONNECTIONS or any(sign in words for sign in NO_SLOT):  # without a state while connecting
        return ServiceError(
            "The database takes no more connections. Try again in a moment; if it stays so, raise its max_connections "
            "or run fewer processes of Quoth."
        )
    return ServiceError(
        f"The database does not answer: {words} Try again in a moment; if it stays so, ask `quoth doctor`."
    )


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n")[0].rstrip(".") + "."
