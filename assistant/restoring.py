"""The database of a restore: old or new, never between, whatever ends it and when.

Emptying the store and filling it is one transaction of psql, which reads the dump as pg_restore writes it out; the word
to commit is sent when all of it was read and sent whole. The same transaction leaves the restore's number in the
database, and a journal of it lies in QUOTH_HOME from before until after, with the keys that belong to what is restored.
Whoever opens the store next, this process or one after a kill, finds the journal, sees by the number which of the two
states there is, and completes the restore or says that it was not done.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL

from ingest.database import PROVISION
from ingest.errors import NoRoom, ServiceError
from ingest.postgres_account import package_binaries

JOURNAL: Final = "restoring"  # a folder of QUOTH_HOME
NOTE: Final = "restore.json"
MARK: Final = "Quoth restored "  # and the restore's number: what is said of the schema in the database
BLOCK: Final = 1 << 20
TIMEOUT_S: Final = 6 * 3600
LOCK: Final = 0x51554F52  # the advisory lock of a restore under way


@dataclass(frozen=True, slots=True)
class Journal:
    """A restore that was begun; kept until nothing of it is left to do."""

    number: str
    file: str
    made_at: str  # ISO 8601, when the backup was made
    documents: int
    removed: tuple[str, ...]  # ids of documents that were removed since, and are to be removed again


def begin(home: Path, journal: Journal, keys: Mapping[str, bytes]) -> None:
    """Write the journal and lay the keys ready; it is there whole or not at all."""
    half = home / f"{JOURNAL}.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    for name, data in {NOTE: json.dumps(asdict(journal)).encode(), **keys}.items():
        with os.fdopen(os.open(half / name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    half.rename(home / JOURNAL)


def begun(home: Path) -> Journal | None:
    """The restore that is not done with; None: there is none."""
    try:
        values = json.loads((home / JOURNAL / NOTE).read_bytes())
    except FileNotFoundError:
        return None
    return Journal(**{**values, "removed": tuple(values["removed"])})


def new_number() -> str:
    return uuid.uuid4().hex


def fill(url: URL, dump: Path, number: str) -> None:
    """Put what a dump holds in the place of all that is in the database, in one transaction.

    Raises:
        NoRoom: a disk is full.
        ServiceError: the dump cannot be read, or the database does not answer; `is_restored` says what there is.
    """
    mark = f"comment on schema public is '{MARK}{number}'"
    before = (
        f"select pg_advisory_xact_lock({LOCK})",
        "drop schema public cascade",  # all tables are Quoth's own: one shared with others would not get this far
        "create schema public",
        *PROVISION,
    )
    with tempfile.TemporaryFile() as complaints:
        psql = subprocess.Popen(
            [*_program("psql", url), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--output={os.devnull}"],
            env=_environ(url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints,
        )  # fmt: skip
        reading = subprocess.Popen(
            [str(package_binaries() / "pg_restore"), "--exit-on-error", "--schema=public", "--file=-", str(dump)],
            env={"LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints,
        )  # fmt: skip
        assert psql.stdin is not None and psql.stdout is not None and reading.stdout is not None
        watch = threading.Timer(TIMEOUT_S, psql.kill)
        watch.daemon = True
        watch.start()
        whole = False
        try:
            with suppress(BrokenPipeError):
                psql.stdin.write(";\n".join(("begin", *before)).encode() + b";\n\\echo begun\n")
                psql.stdin.flush()
                if psql.stdout.readline() == b"begun\n":  # it holds the lock: whoever looks from now on waits for it
                    _pumped(reading.stdout, psql.stdin)
                    whole = reading.wait() == 0
                if whole:
                    psql.stdin.write(f"\n{mark};\ncommit;\n".encode())
        finally:
            reading.kill()
            reading.wait()
            with suppress(BrokenPipeError):
                psql.stdin.close()  # without `commit` nothing has happened
            ended = psql.wait()
            watch.cancel()
            for pipe in (reading.stdout, psql.stdout):
                pipe.close()
        complaints.seek(0)
        words = complaints.read().decode("utf-8", "replace").strip()[-800:]
    if "No space left on device" in words:
        raise NoRoom(f"A disk is full: {words} Make room, and restore again.")
    if ended or not whole:
        raise ServiceError(f"The backup's database could not be restored: {words}")


def is_restored(url: URL, number: str) -> bool:
    """Whether the database holds what this restore brought; waits for one that still ends.

    Raises:
        ServiceError: the database does not answer.
    """
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(address, connect_timeout=10) as connection:
            connection.execute(f"select pg_advisory_xact_lock({LOCK})")
            row = connection.execute(
                "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = 'public'"
            ).fetchone()
    except psycopg.Error as error:
        raise ServiceError(f"The database does not answer: {error}") from error
    return row == (MARK + number,)


def settle(home: Path, url: URL) -> bool | None:
    """After a restore, however it ended: put its keys in place, or let go of it.

    Returns:
        Whether it was done; then its journal is still there, until `done`. None: there was none.

    Raises:
        ServiceError: the database does not answer; the journal is kept.
    """
    shutil.rmtree(home / f"{JOURNAL}.half", ignore_errors=True)
    journal = begun(home)
    if journal is None:
        return None
    if not is_restored(url, journal.number):
        done(home)
        return False
    for key in (home / JOURNAL).iterdir():
        if key.name != NOTE:  # a copy: should this be ended too, the next start does it again
            half = home / f"{key.name}.restored"
            shutil.copyfile(key, half)
            half.chmod(0o600)
            half.rename(home / key.name)
    return True


def done(home: Path) -> None:
    """Nothing of it is left to do."""
    gone = home / f"{JOURNAL}.half"
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(FileNotFoundError):
        (home / JOURNAL).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _pumped(source: IO[bytes], sink: IO[bytes]) -> None:
    while block := source.read(BLOCK):
        sink.write(block)
    sink.flush()


def _program(name: str, url: URL) -> list[str]:
    given = conninfo_to_dict(url.set(drivername="postgresql").render_as_string(hide_password=False))
    given.pop("password", None)
    return [str(package_binaries() / name), f"--dbname={make_conninfo(**{k: str(v) for k, v in given.items()})}"]


def _environ(url: URL) -> dict[str, str]:
    """The password in its environment, where no list of processes shows it."""
    return {"LC_ALL": "C", "PGCLIENTENCODING": "UTF8", **({"PGPASSWORD": str(url.password)} if url.password else {})}
