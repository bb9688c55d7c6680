"""A backup in one file, and a restore from it: the database, the originals, and the keys that the audit needs.

The file is a tar: `manifest.json` with what is in it, `database.dump` as pg_dump writes it (one snapshot), `keys/`, and
`originals/SHA256`. A restore fills an empty store, or one that it was told to replace; it looks at every hash before it
changes anything, and removes again what was removed after the backup was made, as far as the originals' store or the
database that is replaced remember it. The database is replaced in one transaction (see restoring).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, text

from assistant import restoring
from ingest import audit, storing
from ingest.access import LOCAL
from ingest.database import Database
from ingest.errors import NoRoom, ServiceError, UsageError, is_full
from ingest.originals import Originals
from ingest.postgres_account import package_binaries

FORMAT: Final = 1
MANIFEST, DUMP = "manifest.json", "database.dump"
KEYS: Final = ("audit.key", "keys.pepper", "cookies.key")  # files of QUOTH_HOME, where no setting stands for them
BLOCK: Final = 1 << 20
TIMEOUT_S: Final = 6 * 3600

OTHERS: Final = """
    select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    format: int
    made_at: str  # ISO 8601
    revisions: tuple[str, ...]  # of the tables
    documents: int
    answers: int
    audit_events: int
    dump_sha256: str
    originals: int
    missing: tuple[str, ...]  # originals that the tables name and the store lacked
    keys: Mapping[str, str] = field(default_factory=dict)  # their SHA-256, by name; absent in the oldest backups


def backup(
    database: Database, originals: Originals, home: Path, file: Path, *, say: Say = lambda text: None
) -> Manifest:
    """Write everything into one file, which is there whole or not at all. Questions are answered meanwhile.

    Raises:
        UsageError: the file exists, or cannot be written there.
        NoRoom: its disk is full.
        ServiceError: the database does not answer, or pg_dump fails.
    """
    if file.exists():
        raise UsageError(f"{str(file)!r} exists. Name a new file; backups are never overwritten.")
    half = file.with_name(f"{file.name}.part")
    try:
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise UsageError(f"{str(half)!r} cannot be written ({error.strerror}). Choose another place.") from error
    try:
        with os.fdopen(descriptor, "wb") as out, tempfile.TemporaryDirectory(dir=file.resolve().parent) as scratch:
            dump = Path(scratch) / DUMP
            made_at = database.now().isoformat()  # what was removed later is told by the same clock
            say("Dumping the database")
            _run("pg_dump", database.url, "--format=custom", "--role=quoth_backup", f"--file={dump}")
            with database.working() as connection:
                named = sorted(storing.referenced_originals(connection))
            held = [sha256 for sha256 in named if originals.holds(sha256)]
            documents, answers, events = _counts(database)
            lacking = sorted(set(named) - set(held))
            keys = {name: (home / name).read_bytes() for name in KEYS if (home / name).exists()}
            manifest = Manifest(
                FORMAT, made_at, _revisions(database), documents, answers, events, _hash_of(dump), len(held),
                tuple(one.hex() for one in lacking),
                {name: hashlib.sha256(data).hexdigest() for name, data in keys.items()},
            )  # fmt: skip
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                _add_bytes(tar, MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
                tar.add(dump, DUMP, filter=_anonymous)
                for name, data in keys.items():
                    _add_bytes(tar, f"keys/{name}", data)
                for number, sha256 in enumerate(held, 1):
                    with originals.local_file(sha256) as original:
                        tar.add(original, f"originals/{sha256.hex()}", filter=_anonymous)
                    if number % 500 == 0:
                        say(f"{number:,} of {len(held):,} originals")
            out.flush()
            os.fsync(out.fileno())
        half.rename(file)
        with database.owning() as connection:
            told = {"documents": documents, "originals": len(held), "missing": len(lacking)}
            audit.record(connection, LOCAL, "store.backup", None, told)
    except OSError as error:
        if is_full(error):
            raise NoRoom(
                f"The disk of {str(file)!r} is full; nothing was left there. Make room, or choose another."
            ) from error
        raise UsageError(f"{str(file)!r} could not be written ({error.strerror}). Choose another place.") from error
    finally:
        half.unlink(missing_ok=True)
    return manifest


def looked_at(file: Path) -> Manifest:
    """Read a backup through and compare every hash.

    Raises:
        UsageError: it is no backup, it is damaged, or a later Quoth made it.
    """
    try:
        with tarfile.open(file, "r:") as tar:
            manifest, found, there = None, set[str](), set[str]()
            for member, content in _members(tar):
                if member == MANIFEST:
                    manifest = _manifest(content.read())
                elif manifest is None:
                    raise UsageError(f"{str(file)!r} is not a backup of Quoth.")
                elif member == DUMP:
                    there.add(member)
                    if _digest(content) != manifest.dump_sha256:
                        raise UsageError(f"{str(file)!r} is damaged: the database in it is not the one that was saved.")
                elif member.startswith("keys/"):
                    there.add(member)
                    wanted = manifest.keys.get(member.removeprefix("keys/"))
                    if manifest.keys and _digest(content) != wanted:
                        raise UsageError(f"{str(file)!r} is damaged at {member!r}.")
                elif member.startswith("originals/"):
                    found.add(member)
                    if _digest(content) != member.removeprefix("originals/"):
                        raise UsageError(f"{str(file)!r} is damaged at {member!r}.")
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{str(file)!r} cannot be read as a backup ({error}).") from error
    wanted_all = {DUMP, *(f"keys/{name}" for name in manifest.keys)} if manifest else set()
    # an archive that was cut between two members reads as one that ends there
    if manifest is None or len(found) != manifest.originals or not wanted_all <= there:
        raise UsageError(f"{str(file)!r} is damaged: it ends early.")
    return manifest


def restore(
    url: URL, originals: Originals, home: Path, file: Path, *, replace: bool, say: Say = lambda text: None
) -> Manifest:
    """Fill the database of `url` and the originals from a backup. No process may use the store meanwhile.

    Whoever opens the store next completes it: puts its keys in place, and removes again what was removed since.

    Raises:
        UsageError: the backup is damaged, or the store is not empty and `replace` is not set.
        ServiceError: the database does not answer, or its dump cannot be read; the store is as it was before, or, where
            this cannot be seen for the database is away, as the next start says.
    """
    say("Looking at the backup")
    manifest = looked_at(file)
    removed = originals.noted_removals()
    number = restoring.new_number()
    with _connected(url) as connection:
        (others,) = connection.execute(OTHERS).fetchone() or (0,)
        if others:
            raise UsageError(f"{others} connections use this database. Stop Quoth, and its workers, and try again.")
        filled = connection.execute("select to_regclass('public.document')").fetchone() != (None,)
        if filled:
            (documents,) = connection.execute("select count(*) from document").fetchone() or (0,)
            if documents and not replace:
                raise UsageError(
                    f"The store holds {documents:,} documents. Restore into an empty place, or say --replace to lose "
                    "what came after the backup."
                )
            rows = connection.execute(
                "select subject from audit_event where action = 'document.removed' and at > %s", (manifest.made_at,)
            )
            removed |= {subject for (subject,) in rows if subject is not None}
    try:
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            dump = Path(scratch) / DUMP
            keys = _unpacked(file, originals, dump, Path(scratch) / "original")
            told = tuple(sorted(str(one) for one in removed))
            restoring.begin(
                home, restoring.Journal(number, str(file), manifest.made_at, manifest.documents, told), keys
            )
            say("Restoring the database")
            try:
                restoring.fill(url, dump, number)
            except ServiceError as error:
                if not restoring.settle(home, url):
                    raise type(error)(f"{error} The store is as it was before.") from error
    except OSError as error:
        if is_full(error):
            raise NoRoom(f"The disk of {str(home)!r} is full. Make room, and restore again.") from error
        raise UsageError(f"The backup could not be unpacked below {str(home)!r} ({error.strerror}).") from error
    return manifest


def _unpacked(file: Path, originals: Originals, dump: Path, scratch: Path) -> dict[str, bytes]:
    """Put a backup's originals into their store and its database into a file; returns its keys by name."""
    keys: dict[str, bytes] = {}
    with tarfile.open(file, "r:") as tar:
        for member, content in _members(tar):
            if member == DUMP:
                _written(content, dump)
            elif member.startswith("keys/") and (name := member.removeprefix("keys/")) in KEYS:
                keys[name] = content.read()
            elif member.startswith("originals/"):
                _written(content, scratch)
                originals.put(scratch, bytes.fromhex(member.removeprefix("originals/")))
    return keys


def _run(program: str, url: URL, *arguments: str) -> None:
    """One of Postgres' programs, the password in its environment, where no list of processes shows it."""
    given = conninfo_to_dict(url.set(drivername="postgresql").render_as_string(hide_password=False))
    password = given.pop("password", None)
    command = [
        str(package_binaries() / program),
        f"--dbname={make_conninfo(**{k: str(v) for k, v in given.items()})}",
        *arguments,
    ]
    environ = {"LC_ALL": "C", **({"PGPASSWORD": str(password)} if password else {})}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"{program} could not be run: {error}") from error
    if done.returncode and "No space left on device" in done.stderr:
        raise NoRoom(f"{program} found a disk full: {done.stderr.strip()[-400:]} Make room, and run it again.")
    if done.returncode:
        raise ServiceError(f"{program} failed: {done.stderr.strip()[-800:]}")


def _connected(url: URL) -> psycopg.Connection:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise ServiceError(f"The database does not answer: {error}") from error


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in tar:
        content = tar.extractfile(member) if member.isfile() else None
        if content is not None:
            yield member.name, content


def _manifest(data: bytes) -> Manifest:
    try:
        values: dict[str, Any] = json.loads(data)
        if values["format"] > FORMAT:
            raise UsageError("A later version of Quoth made this backup. Restore it with that one.")
        for name in ("revisions", "missing"):
            values[name] = tuple(values[name])
        return Manifest(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("The backup's manifest cannot be read.") from error


def _revisions(database: Database) -> tuple[str, ...]:
    with database.owning() as connection:
        return tuple(sorted(connection.scalars(text("select version_num from alembic_version"))))


def _counts(database: Database) -> tuple[int, int, int]:
    with database.owning() as connection:
        row = connection.execute(
            text("select (select count(*) from document), (select count(*) from answer),"
                 " (select count(*) from audit_event)")
        ).one()  # fmt: skip
        return row[0], row[1], row[2]


def _hash_of(file: Path) -> str:
    with file.open("rb") as content:
        return _digest(content)


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _written(content: IO[bytes], target: Path) -> None:
    with target.open("wb") as out:
        while block := content.read(BLOCK):
            out.write(block)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
