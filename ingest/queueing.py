"""The queue: Procrastinate's tables in the same Postgres. A job holds the id of an intake row and nothing else.

A worker holds an advisory lock as long as its process lives. Postgres frees it when the process is gone, however it
ended, so that the dead are known at once and their jobs are taken up again. One that is paused, or that hangs, holds
its lock and sends no heartbeat: after SILENT_S it counts as none; other workers strike it off and take up its jobs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    import procrastinate
    from procrastinate.manager import JobManager

TASK: Final = "ingest.take"
QUEUE: Final = "ingest"
ALIVE: Final = 0x51554F54  # first half of the advisory lock that a living worker holds; the second is its id
SERVES: Final = 0x51554F53  # the same of one that does another kind of work; the second is a hash of the kind
HEARTBEAT_S: Final = 5.0
SILENT_S: Final = 30.0  # without a heartbeat, by the database's clock
SIGN: Final = "quoth worker "  # and where its process is: what the connection of a living worker calls itself

_HELD: Final = """l.locktype = 'advisory' and l.classid = {lock} and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())"""
_BEATS: Final = f"w.last_heartbeat > clock_timestamp() - interval '{SILENT_S} seconds'"
_DEAD_WORKERS: Final = f"""
    not exists (select from pg_locks l where {_HELD.format(lock=ALIVE)} and l.objid = j.worker_id)"""

# A file whose chunks wait for a batch of embeddings has no job meanwhile; see deferred_embedding.
RESTS: Final = "exists (select from embed_wait w where w.intake_id = i.id and w.vectors is null and not w.at_once)"


def new_app(connector: procrastinate.connector.BaseConnector) -> procrastinate.App:
    import procrastinate  # a tenth of a second that only adding and working need

    return procrastinate.App(connector=connector)


def document_lock(collection: str, source: str) -> str:
    """The lock that lets one job at a time touch a document; a hash, because jobs hold no words of a document."""
    return "document " + hashlib.sha256(f"{collection}\0{source}".encode()).hexdigest()[:32]


def enqueue(connection: Connection, jobs: Sequence[tuple[UUID, str, int]]) -> list[int]:
    """Queue one job per (intake id, lock, priority) in the caller's transaction; returns the jobs' ids, in order."""
    return _defer(
        connection, TASK, QUEUE, [({"intake": str(intake)}, lock, priority) for intake, lock, priority in jobs]
    )


def enqueue_other(connection: Connection, kind: str, keys: Sequence[str]) -> list[int]:
    """Queue jobs of another kind (`worker.JobKind`) in the caller's transaction: each holds a key of its own table."""
    return _defer(connection, kind, kind, [({"key": key}, f"{kind} {key}", 0) for key in keys])


def _defer(connection: Connection, task: str, queue: str, jobs: Sequence[tuple[dict[str, str], str, int]]) -> list[int]:
    if not jobs:
        return []
    from procrastinate import PsycopgConnector
    from procrastinate.jobs import Job

    queued = new_app(PsycopgConnector()).job_manager.batch_defer_jobs(
        [
            Job(
                queue=queue, task_name=task, lock=lock, queueing_lock=None, priority=priority,
                task_kwargs=dict(told),
            )
            for told, lock, priority in jobs
        ],
        connection=connection.connection.driver_connection,
    )  # fmt: skip
    return [job.id for job in queued if job.id is not None]


def cancel(connection: Connection, jobs: Sequence[int]) -> None:
    """Take waiting jobs out of the queue; running ones see the state of their intake row."""
    connection.execute(
        text("select procrastinate_cancel_job_v1(job, false, true) from unnest(cast(:jobs as bigint[])) job"),
        {"jobs": list(jobs)},
    )


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that holds the lock of a worker.

    Attributes:
        machine: empty where the login may not see it; so is `process`.
        silent_s: since its last heartbeat, by the database's clock; None: so long that others struck it off.
    """

    machine: str
    process: str
    silent_s: float | None

    @property
    def alive(self) -> bool:
        return self.silent_s is not None and self.silent_s < SILENT_S


def this_machine() -> str:
    """What connections of workers say of where they are; Postgres keeps 63 bytes of the whole."""
    return socket.gethostname()[:40]


def workers(connection: Connection) -> list[Worker]:
    """Every process that works on the queue of this database, or would if it were not paused or hung."""
    role = connection.scalar(text("select current_user"))
    connection.execute(text("set local role none"))  # the login may see what its own connections call themselves
    found = connection.execute(
        text(
            "select coalesce(a.application_name, '') as name, l.objid::bigint as id,"
            " extract(epoch from clock_timestamp() - w.last_heartbeat) as silent_s"
            " from pg_locks l left join procrastinate_workers w on w.id = l.objid::bigint"
            f" left join pg_stat_activity a on a.pid = l.pid where {_HELD.format(lock=ALIVE)} order by l.objid"
        )
    ).all()
    connection.execute(text("select set_config('role', :role, true)"), {"role": role})
    told: dict[str, Worker] = {}  # a process has one lock for each kind of its work, and one loop for all of them
    for row in found:
        machine, _, process = row.name.removeprefix(SIGN).rpartition(" ") if row.name.startswith(SIGN) else ("", "", "")
        told[row.name if process else str(row.id)] = Worker(
            machine, process, None if row.silent_s is None else max(0.0, float(row.silent_s))
        )
    return list(told.values())


def worker_alive(connection: Connection) -> bool:
    """Whether some process works on the queue of this database now; one that is paused or hangs does not."""
    query = (
        f"select exists (select from pg_locks l join procrastinate_workers w on w.id = l.objid::bigint"
        f" where {_HELD.format(lock=ALIVE)} and {_BEATS})"
    )
    return bool(connection.scalar(text(query)))


def kind_served(connection: Connection, kind: str) -> bool:
    """Whether some living worker takes on jobs of a kind (`worker.JobKind`)."""
    query = (
        "select exists (select from pg_locks l join pg_locks k on k.pid = l.pid"
        f" join procrastinate_workers w on w.id = l.objid::bigint where {_HELD.format(lock=ALIVE)} and {_BEATS}"
        f" and k.locktype = 'advisory' and k.classid = {SERVES} and k.objsubid = 2 and k.database = l.database"
        " and k.objid = ((hashtext(:kind)::bigint + 4294967296) % 4294967296)::oid)"
    )
    return bool(connection.scalar(text(query), {"kind": kind}))


def rescue(connection: Connection) -> int:
    """Put the jobs of dead workers back into the queue; returns how many. One rescuer at a time."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext('quoth.rescue'))"))
    return len(
        connection.execute(
            text(
                "with dead as materialized (select j.id from procrastinate_jobs j where j.status = 'doing' and"
                f" (j.worker_id is null or {_DEAD_WORKERS}))"
                " select procrastinate_retry_job_v2(id, null, null, null, null) from dead"
            )
        ).all()
    )


def requeue(connection: Connection) -> int:
    """Queue again the files that wait or are being read but of which the queue knows nothing; returns how many.

    A row and its job come in one transaction and normally go together. This is for what no rule foresaw: a job that
    used up its tries while the database came and went, a table restored from a backup. And for files that rested until
    their embeddings were made.
    """
    connection.execute(text("select pg_advisory_xact_lock(hashtext('quoth.rescue'))"))
    lost = connection.execute(
        text(
            "select i.id, i.collection, i.source, i.priority from intake i where i.state in ('waiting', 'running')"
            " and not exists (select from procrastinate_jobs j where j.id = i.job_id and j.status in ('todo', 'doing'))"
            f" and not {RESTS}"
            " order by i.number limit 1000 for update of i skip locked"
        )
    ).all()
    jobs = enqueue(connection, [(row.id, document_lock(row.collection, row.source), row.priority) for row in lost])
    for row, job in zip(lost, jobs, strict=True):
        connection.execute(text("update intake set job_id = :job where id = :id"), {"job": job, "id": row.id})
    return len(lost)


def living_manager(
    connector: procrastinate.connector.BaseConnector, kind: str | None = None
) -> tuple[JobManager, Callable[[], Coroutine[None, None, None]]]:
    """A job manager whose workers take their advisory lock before they ask for a first job.

    Args:
        kind: what other kind of work these do; None: files.

    Returns:
        The manager, and what returns once the connection that holds the lock has ended (the server was killed, or
        the network was cut) or the worker was struck off, because it was paused for long: it is to start anew. It uses
        that connection, and is to be cancelled before the worker is.
    """
    import asyncio

    import psycopg
    from procrastinate.manager import JobManager
    from procrastinate.psycopg_connector import PsycopgConnector

    class LivingJobManager(JobManager):
        def __init__(self, connector: procrastinate.connector.BaseConnector) -> None:
            super().__init__(connector)
            self.registered = asyncio.Event()
            self.struck_off = asyncio.Event()

        async def register_worker(self) -> int:
            assert isinstance(connector, PsycopgConnector)
            worker = await super().register_worker()
            self.alive = await connector.pool.getconn()  # kept: the lock lives as long as this connection
            await self.alive.set_autocommit(True)
            name = f"{SIGN}{this_machine()} {os.getpid()}"
            await self.alive.execute("select set_config('application_name', %s, false)", (name,))
            await self.alive.execute("select pg_advisory_lock_shared(%s, %s::bigint::integer)", (ALIVE, worker))
            if kind is not None:
                await self.alive.execute("select pg_advisory_lock_shared(%s, hashtext(%s))", (SERVES, kind))
            self.registered.set()
            return worker

        async def update_heartbeat(self, worker_id: int) -> None:
            await super().update_heartbeat(worker_id)
            known = await connector.execute_query_one_async(
                "select exists (select from procrastinate_workers where id = %(id)s) as known", id=worker_id
            )
            if not known["known"]:
                self.struck_off.set()

        async def lost(self) -> None:
            await self.registered.wait()
            either = [asyncio.create_task(self._connection_ends()), asyncio.create_task(self.struck_off.wait())]
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in either:
                    one.cancel()
                await asyncio.gather(*either, return_exceptions=True)

        async def _connection_ends(self) -> None:
            with contextlib.suppress(psycopg.OperationalError):
                async for _ in self.alive.notifies():  # none comes; the server's end does, at once
                    pass

        async def unregister_worker(self, worker_id: int) -> None:
            assert isinstance(connector, PsycopgConnector)
            if self.struck_off.is_set():
                await self.alive.close()
            elif not self.alive.broken:
                await super().unregister_worker(worker_id)
                await self.alive.execute("select pg_advisory_unlock_all()")
                await self.alive.set_autocommit(False)
            await connector.pool.putconn(self.alive)

    manager = LivingJobManager(connector)
    return manager, manager.lost
