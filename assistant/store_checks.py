"""What `quoth doctor` looks at in the store: the database server, the index, the queue, the originals, the audit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import psycopg
from sqlalchemy import make_url, text

from assistant.machine_checks import Check
from assistant.sign_in import SignIn
from ingest import audit, batch_embedding, queueing, storing
from ingest.database import PROVISION

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth
    from ingest.database import Database
    from ingest.originals import Originals

OLDEST_SERVER: Final = 150_000  # as server_version_num; null treatment and security_invoker views came with it
OLDEST_VECTOR: Final = (0, 8)  # iterative scans
SKEW_S: Final = 5.0  # what processes share goes by the database's clock, their logs by their own
OLD_BACKUP: Final = timedelta(days=7)
WAITED_S: Final = 60.0
SAMPLED_ORIGINALS: Final = 200
WHOLE_CHAIN: Final = 200_000  # events that are read in a few seconds
CONNECTIONS: Final = 60  # of the app, one worker and one command at work
BACKUP_MADE: Final = "store.backup"


def unreachable(url: str | None, error: Exception) -> Check:
    """Why the store did not open, found by connecting alone; the error's own words where that succeeds."""
    again = "Mend what the message names, then run `quoth doctor` again."
    if url is None:
        return Check("store", False, str(error), again)
    parsed = make_url(url).set(drivername="postgresql")
    shown = parsed.render_as_string(hide_password=True)
    try:
        with psycopg.connect(parsed.render_as_string(hide_password=False), connect_timeout=10) as connection:
            cure = _not_prepared(connection)
    except psycopg.OperationalError as failed:
        return Check("store", False, f"{shown}: {_first_line(failed)}", _connection_cure(str(failed)))
    except psycopg.Error as failed:
        return Check("store", False, f"{shown}: {_first_line(failed)}", again)
    return Check("store", False, str(error), cure or again)


def _connection_cure(words: str) -> str:
    lowered = words.lower()
    for sign, cure in (
        ("password authentication failed", "User or password of QUOTH_DATABASE_URL is wrong. Characters such as @ : / "
         "in a password are written %40 %3A %2F."),
        ("no password supplied", "QUOTH_DATABASE_URL needs a password: postgresql://user:password@host/name."),
        ("pg_hba", "The server does not let this login in from here. Add a line for it to pg_hba.conf."),
        ("does not exist", "Database or login is missing on the server. Make it: createdb, createuser."),
        ("too many clients", "All connections are taken. Raise max_connections, or end what holds them."),
        ("remaining connection slots", "All connections are taken. Raise max_connections, or end what holds them."),
        ("ssl", "Server and client do not agree on TLS. Add ?sslmode=require, or ?sslmode=disable on loopback."),
        ("starting up", "The server is still recovering. Wait, then run `quoth doctor` again."),
        ("resolve", "No such host. Check the name in QUOTH_DATABASE_URL."),
        ("name or service", "No such host. Check the name in QUOTH_DATABASE_URL."),
    ):  # fmt: skip
        if sign in lowered:
            return cure
    return "Nothing answers there. Start the server, and check host and port in QUOTH_DATABASE_URL and the firewall."


def _not_prepared(connection: psycopg.Connection) -> str:
    """The cure where a server that answers could not be prepared; empty: nothing is found."""
    number = connection.info.server_version
    if number < OLDEST_SERVER:
        return f"PostgreSQL {number // 10_000} is too old. Use {OLDEST_SERVER // 10_000} or newer."
    row = connection.execute("select current_setting('default_transaction_read_only')::bool or pg_is_in_recovery()")
    if row.fetchone() == (True,):
        return "This server takes no writes: it is a standby, or set read-only. Name the primary in QUOTH_DATABASE_URL."
    offered = connection.execute("select 1 from pg_available_extensions where name = 'vector'").fetchone()
    if offered is None:
        return "The server lacks pgvector. Install it there (Debian: postgresql-18-pgvector), then start Quoth again."
    roles = connection.execute("select rolcreaterole or rolsuper from pg_roles where rolname = current_user").fetchone()
    missing = connection.execute("select to_regrole('quoth_reader') is null").fetchone()
    if roles == (False,) and missing == (True,):
        return (
            "The login may not create roles. Let a superuser run `alter role LOGIN createrole`, or these once: "
            + "; ".join(" ".join(one.split()) for one in PROVISION[:1])
            + "; create role quoth_owner, quoth_worker, quoth_reader, quoth_backup and grant them to the login."
        )
    return ""


def store_checks(quoth: Quoth, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Check]:
    """Everything below, on an open store."""
    database = quoth.database
    yield from server(database)
    yield clocks(database, now)
    yield vector_index(database, quoth.spaces.active.id, quoth.spaces.active.dimensions)
    yield from queue(database)
    yield embedding_batches(database)
    yield originals_kept(database, quoth.originals)
    yield whole_audit(quoth)
    yield backup_age(database, now())
    yield from roles_held(quoth.sign_in, {*quoth.groups.all()})


def server(database: Database) -> Iterator[Check]:
    """Settings of the database server that lose data or make everything slow."""
    with database.owning() as connection:
        number = int(connection.scalar(text("show server_version_num")) or 0)
        version = connection.scalar(text("select extversion from pg_extension where extname = 'vector'")) or "0"
        encoding = connection.scalar(text("select getdatabaseencoding()"))
        row = connection.execute(
            text(
                "select pg_size_bytes(current_setting('shared_buffers')) as buffers,"
                " pg_size_bytes(current_setting('work_mem')) as work,"
                " pg_size_bytes(current_setting('maintenance_work_mem')) as upkeep,"
                " current_setting('max_connections')::int as most,"
                " (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,"
                " current_setting('fsync')::bool and current_setting('full_page_writes')::bool as safe,"
                " current_setting('autovacuum')::bool as vacuumed"
            )
        ).one()
    yield Check(
        "server versions",
        number >= OLDEST_SERVER and _parts_of(version) >= OLDEST_VECTOR,
        f"PostgreSQL {number // 10_000}, pgvector {version}",
        f"Use PostgreSQL {OLDEST_SERVER // 10_000} or newer; pgvector {'.'.join(map(str, OLDEST_VECTOR))} or newer: "
        "install it, then `alter extension vector update`.",
    )
    yield Check("encoding", encoding == "UTF8", str(encoding),
                "Back up, then make the database anew with encoding UTF8 and restore into it.")  # fmt: skip
    yield Check(
        "durability",
        row.safe,
        "every commit is on disk" if row.safe else "fsync or full_page_writes is off",
        "A crash of the machine would destroy the database. Set fsync = on and full_page_writes = on.",
    )
    yield Check(
        "connections",
        row.most >= CONNECTIONS and row.used < 0.9 * row.most,
        f"{row.used} of {row.most} in use",
        f"Set max_connections to {CONNECTIONS} or more, and 25 more for each further `quoth worker` or `quoth api`.",
    )
    mega = 1 << 20
    slow = [
        f"{name} is {size // mega} MB, better {better} MB or more"
        for name, size, better in (
            ("shared_buffers", row.buffers, 128),
            ("work_mem", row.work, 4),
            ("maintenance_work_mem", row.upkeep, 64),
        )
        if size < better * mega
    ] + ([] if row.vacuumed else ["autovacuum is off, so that removed text stays in the files"])
    yield Check("server settings", not slow, "; ".join(slow) or "nothing stands out",
                "Set them with `alter system set NAME = ...`, then restart the server.", "advice")  # fmt: skip


def clocks(database: Database, now: Callable[[], datetime]) -> Check:
    """How far the clocks of this machine and of the database are apart; half the way there and back is allowed for."""
    before = now()
    with database.owning() as connection:
        there = connection.execute(text("select clock_timestamp()")).scalar_one()
    after = now()
    apart_s = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    return Check(
        "clocks",
        apart_s <= SKEW_S,
        f"{apart_s:.1f} s apart" if apart_s else "this machine and the database agree",
        "Let both machines keep time (chrony, systemd-timesyncd): what they share goes by the database's clock, so "
        "that one first; logs and traces by this machine's.",
    )


def vector_index(database: Database, space: int, dimensions: int) -> Check:
    """Whether the index of the space that questions are compared in is there and usable; else every vector is read."""
    name = f"chunk_vector_hnsw_{space}"
    with database.owning() as connection:
        valid = connection.scalar(
            text("select indisvalid and indisready from pg_index where indexrelid = to_regclass(:name)"), {"name": name}
        )
    if valid is None:
        return Check(
            "vector index", False, f"{name} is missing: searches read every vector",
            f"As a role in quoth_owner, run: create index {name} on chunk_vector using hnsw "
            f"((vector::halfvec({dimensions})) halfvec_cosine_ops) with (m = 16, ef_construction = 64) "
            f"where space = {space};",
        )  # fmt: skip
    return Check("vector index", valid, name if valid else f"{name} is not valid", f"Run: reindex index {name};")


def queue(database: Database) -> Iterator[Check]:
    """Files that wait for nobody, workers that do not work, and files that failed for no fault of theirs."""
    with database.working() as connection:
        seen = queueing.workers(connection)
        waiting, oldest_s, failed = connection.execute(
            text(
                "select count(*) filter (where state in ('waiting', 'running')),"
                " extract(epoch from now() - min(queued_at) filter (where state in ('waiting', 'running'))),"
                " count(*) filter (where state = 'failed' and receipt->>'reason' is null) from intake"
            )
        ).one()
    alive, silent = [one for one in seen if one.alive], [one for one in seen if not one.alive]
    stuck = waiting and not alive and float(oldest_s) > WAITED_S
    yield Check(
        "worker",
        not stuck and not silent,
        f"{'alive' if alive else 'none alive'}, {waiting} files wait" + "".join(f"; {told(one)}" for one in silent),
        cure_of(silent) if silent else "Nobody takes these files in. Start `quoth up` or `quoth worker`.",
    )
    yield Check(
        "failed files",
        not failed,
        f"{failed} failed because a service did not answer" if failed else "none failed for want of a service",
        "See why with `quoth jobs`, mend that service, then `quoth jobs --retry JOB`.",
    )


def told(worker: queueing.Worker) -> str:
    """One that is silent, so that its operator finds it."""
    where = f"process {worker.process} on {worker.machine}" if worker.process else "one that this login may not see"
    silent = f"for {worker.silent_s:.0f} s" if worker.silent_s is not None else "so long that it was struck off"
    return f"{where} holds the place of a worker and has been silent {silent}"


def cure_of(silent: list[queueing.Worker]) -> str:
    """What to do about workers that are silent."""
    numbers = " ".join(one.process for one in silent if one.process)
    return (
        f"It is paused or hangs. Let it go on (kill -CONT {numbers or 'PROCESS'}, or wake its machine), or end it "
        f"(kill -9 {numbers or 'PROCESS'}): nothing is lost, what it had begun goes on elsewhere. Then start "
        "`quoth worker`, where no worker is alive."
    )


def embedding_batches(database: Database) -> Check:
    """Batches of embeddings that should be over, or that get no further; files of a load wait for them."""
    with database.working() as connection:
        found = batch_embedding.stuck(connection)
        waiting = connection.scalar(text("select count(*) from embed_wait where vectors is null")) or 0
    first = found[0] if found else None
    return Check(
        "embedding batches",
        not found,
        f"{len(found)} stuck; the oldest is {first.state!r} for {first.age.total_seconds() / 3600:.0f} hours"
        + (f": {first.detail}" if first.detail else "")
        if first
        else f"{waiting} chunks wait for one",
        "See whether a worker lives, and OpenAI's page of batches. QUOTH_EMBED_BATCH=off has what is not on its way "
        "yet embedded at once; what is, after two days.",
    )


def originals_kept(database: Database, originals: Originals) -> Check:
    """Whether a sample of the files that versions were read from is still where QUOTH_ORIGINALS says."""
    with database.working() as connection:
        named = sorted(storing.referenced_originals(connection))
    sample = named if len(named) <= SAMPLED_ORIGINALS else random.sample(named, SAMPLED_ORIGINALS)
    missing = [one for one in sample if not originals.holds(one)]
    return Check(
        "originals",
        not missing,
        f"{len(missing)} of {len(sample)} looked at are missing, first {missing[0].hex()[:12]}"
        if missing
        else f"{len(sample)} of {len(named)} looked at, all there",
        "QUOTH_ORIGINALS points to another place, or files were deleted. Point it back, or restore them from a backup; "
        "answers still work, pictures of pages and rebuilding do not.",
    )


def whole_audit(quoth: Quoth) -> Check:
    """Whether the audit's chain is whole; a very long one is left to `quoth audit verify`."""
    with quoth.database.owning() as connection:
        newest = audit.latest(connection, limit=1)
    if newest and newest[0].number > WHOLE_CHAIN:
        return Check("audit", True, f"{newest[0].number:,} events, too many to read here: run `quoth audit verify`")
    found = quoth.verify_audit()
    return Check(
        "audit",
        found.whole,
        f"{found.events:,} events in order" if found.whole else f"event {found.broken}: {found.reason}",
        "Find out who had access to the database. If the audit's key was lost or a restore was meant, see "
        "`quoth audit verify --help`.",
    )


def backup_age(database: Database, now: datetime) -> Check:
    """How old the newest backup is that this store knows of; one of another program is not known."""
    with database.owning() as connection:
        made = audit.latest(connection, action=BACKUP_MADE, limit=1)
        documents = connection.scalar(text("select count(*) from document"))
    cure = "Make one regularly: `quoth backup FILE`, to another machine; try it with `quoth restore --check FILE`."
    if not made:
        return Check("backup", not documents, f"none was ever made of {documents:,} documents", cure, "advice")
    age = now - made[0].at
    return Check(
        "backup", age <= OLD_BACKUP, f"the newest is {age.total_seconds() / 86_400:.1f} days old", cure, "advice"
    )


def roles_held(sign_in: SignIn | None, local_groups: set[str]) -> Iterator[Check]:
    """Roles that nobody can have. What groups the identity provider will name is not known, so this is advice."""
    if sign_in is None:
        return
    if not sign_in.roles.get("admin"):
        yield Check("roles", False, "no group has the role admin",
                    "Name one in QUOTH_ROLES, for example: admin=quoth-admins.", "advice")  # fmt: skip
    unknown = {role: sorted(groups - local_groups) for role, groups in sign_in.roles.items() if groups - local_groups}
    told = "; ".join(f"{role}={'|'.join(groups)}" for role, groups in sorted(unknown.items()))
    yield Check(
        "role groups",
        not unknown,
        f"no local group: {told}" if unknown else "each has a group with members here",
        f"Fine if the identity provider puts them into the claim {sign_in.groups_claim!r}. Else mend QUOTH_ROLES, or "
        "give them members: `quoth groups --help`.",
        "advice",
    )


def _parts_of(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
