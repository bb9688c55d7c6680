"""The queue: Procrastinate's tables in the same Postgres. A job holds the id of an intake row and nothing else.

A worker holds an advisory lock as long as its process lives. Postgres frees it when the process is gone, however it
ended, so that the dead are known at once and their jobs are taken up again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Coroutine, Sequence
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

_DEAD_WORKERS: Final = f"""
    not exists (
        select from pg_locks l
        where l.locktype = 'advisory' and l.classid = {ALIVE} and l.objsubid = 2
          and l.database = (select oid from pg_database where datname = current_database())
          and l.objid = j.worker_id
    )"""

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


def worker_alive(connection: Connection) -> bool:
    """Whether some process works on the queue of this database now."""
    return bool(
        connection.scalar(
            text(
                f"select exists (select from pg_locks where locktype = 'advisory' and classid = {ALIVE}"
                " and objsubid = 2 and database = (select oid from pg_database where datname = current_database()))"
            )
        )
    )


def kind_served(connection: Connection, kind: str) -> bool:
    """Whether some living worker takes on jobs of a kind (`worker.JobKind`)."""
    query = (
        f"select exists (select from pg_locks where locktype = 'advisory' and classid = {SERVES} and objsubid = 2"
        " and objid = ((hashtext(:kind)::bigint + 4294967296) % 4294967296)::oid"
        " and database = (select oid from pg_database where datname = current_database()))"
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
        The manager, and what returns once the connection that holds the lock has ended: the server was killed, or
        the network was cut. It uses that connection, and is to be cancelled before the worker is.
    """
    import asyncio

    import psycopg
    from procrastinate.manager import JobManager
    from procrastinate.psycopg_connector import PsycopgConnector

    class LivingJobManager(JobManager):
        def __init__(self, connector: procrastinate.connector.BaseConnector) -> None:
            super().__init__(connector)
            self.registered = asyncio.Event()

        async def register_worker(self) -> int:
            assert isinstance(connector, PsycopgConnector)
            worker = await super().register_worker()
            self.alive = await connector.pool.getconn()  # kept: the lock lives as long as this connection
            await self.alive.set_autocommit(True)
            await self.alive.execute("select pg_advisory_lock_shared(%s, %s::bigint::integer)", (ALIVE, worker))
            if kind is not None:
                await self.alive.execute("select pg_advisory_lock_shared(%s, hashtext(%s))", (SERVES, kind))
            self.registered.set()
            return worker

        async def lost(self) -> None:
            await self.registered.wait()
            with contextlib.suppress(psycopg.OperationalError):
                async for _ in self.alive.notifies():  # none comes; the server's end does, at once
                    pass

        async def unregister_worker(self, worker_id: int) -> None:
            assert isinstance(connector, PsycopgConnector)
            if not self.alive.broken:
                await super().unregister_worker(worker_id)
                await self.alive.execute("select pg_advisory_unlock_all()")
                await self.alive.set_autocommit(False)
            await connector.pool.putconn(self.alive)

    manager = LivingJobManager(connector)
    return manager, manager.lost
