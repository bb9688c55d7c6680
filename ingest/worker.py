"""The worker: takes files from the queue, several at a time, and does what must be done now and then.

It runs in a thread of the process that owns it: `quoth up`, `quoth worker`, or a command that finds no worker alive.
What it holds in memory is given back when nothing has come for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from ingest import queueing
from ingest.database import Database
from ingest.errors import NoRoom, ServiceError, trace_of
from ingest.intake_rows import Stopped
from ingest.taking import Taking

if TYPE_CHECKING:
    import procrastinate
    from procrastinate.connector import BaseConnector
    from sqlalchemy import Connection

LOG: Final = logging.getLogger("quoth.worker")
TRIES: Final = 8  # of a file on which a service fails
FULL_WAIT_S: Final = 5  # between the tries of a file for which a disk has no room
WAIT_S: Final = 3  # before the second, 6 before the third ...
RESCUE_EVERY_S: Final = 3.0
REQUEUE_EVERY_S: Final = 30.0
LOOK_EVERY_S: Final = 0.5  # for jobs that were put back; new ones are announced
IDLE_S: Final = 30.0
STOP_TIMEOUT_S: Final = 20.0
LONGEST_PAUSE_S: Final = 10.0  # between starts that come to nothing
LOST_S: Final = 0.3  # between looks whether a database that was lost answers again, at first
LONGEST_LOOK_S: Final = 2.0  # between them, if it stays away
POOL_TIMEOUT_S: Final = 5.0  # the database is known to answer when the pool is opened


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done now and then while a worker lives."""

    name: str
    every_s: float
    run: Callable[[], object]
    at_start: bool = True


@dataclass(frozen=True, slots=True)
class JobKind:
    """Long work of a folder to the right, which whoever wires hands to the worker: one job of it at a time.

    It has a queue of its own, beside that of files, so that a run of an hour keeps no file waiting, and a worker that
    was not handed the kind leaves its jobs alone.
    """

    name: str  # of the task and of its queue
    take: Callable[[str, Callable[[], bool], bool], None]  # a key of `enqueue_other`, whether to end now, the last try
    requeue: Callable[[Connection], int]  # queues again what the queue lost sight of; returns how many


class Worker:
    """One worker of this process; start it once."""

    def __init__(
        self,
        database: Database,
        taking: Taking,
        chores: Sequence[Chore],
        *,
        concurrency: int,
        idle: Callable[[], None] = lambda: None,
        revive: Callable[[], object] = lambda: None,
        tries: int = TRIES,
    ) -> None:
        self._database = database
        self._taking = taking
        self._chores = chores
        self._concurrency = concurrency
        self._idle = idle  # called once whenever the queue has been empty for a while
        self._revive = revive  # called now and then while the database does not answer
        self._tries = tries
        self._kinds: list[JobKind] = []
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None
        self._busy = 0
        self._worked_at: float | None = None
        self._count = threading.Lock()

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def take_on(self, kind: JobKind) -> None:
        """Do another kind of work too, from the next start on."""
        self._kinds.append(kind)

    def start(self) -> None:
        """Begin to work in a thread; returns when it has been registered, or after a moment."""
        if self.running:
            return
        self._stopping.clear()
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def stop(self) -> None:
        """End; what is being read goes back to the queue."""
        self._stopping.set()
        with contextlib.suppress(RuntimeError):
            if self._loop is not None and self._serving is not None:
                self._loop.call_soon_threadsafe(self._serving.cancel)
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        pause_s = LOST_S
        while self._database_answers():
            self._ready.clear()
            try:
                with asyncio.Runner() as runner:
                    runner.run(self._main())
            except asyncio.CancelledError:
                break
            except Exception as error:  # the database went away; it will come back
                LOG.warning("the worker lost the database and starts anew: %s", type(error).__name__)
            pause_s = LOST_S if self._ready.is_set() else min(pause_s * 2, LONGEST_PAUSE_S)
            self._stopping.wait(pause_s)

    def _database_answers(self) -> bool:
        """Wait until it does; False when the worker is to end.

        A single connection shows it at once. The queue's pool would try again ever more seldom, and fail those who
        wait for it one time limit after the other.
        """
        pause_s = LOST_S
        while not self._stopping.is_set():
            try:
                with self._database.working():
                    return True
            except ServiceError:
                self._quietly("revive", self._revive)
                self._stopping.wait(pause_s)
                pause_s = min(pause_s * 1.2, LONGEST_LOOK_S)
        return False

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.current_task()
        if self._stopping.is_set():
            return
        import procrastinate
        from psycopg_pool import AsyncConnectionPool

        connector = procrastinate.PsycopgConnector()
        app, lock_is_lost = _living_app(connector)
        self._register(app)
        kinds = [(kind, *_living_app(connector, kind.name)) for kind in self._kinds]
        async with (
            AsyncConnectionPool(
                self._database.conninfo, kwargs=self._database.queue_options, min_size=1,
                max_size=6 + 3 * len(kinds), open=False,
                timeout=POOL_TIMEOUT_S, reconnect_timeout=POOL_TIMEOUT_S, check=AsyncConnectionPool.check_connection,
            ) as pool,
            app.open_async(pool),
        ):  # fmt: skip
            chores = asyncio.create_task(self._do_chores())
            lost = [asyncio.create_task(lock_is_lost())]
            serving = [asyncio.create_task(_serve(app, queueing.QUEUE, self._concurrency))]
            for kind, other, others_lock_is_lost in kinds:
                self._register_other(other, kind)
                lost.append(asyncio.create_task(others_lock_is_lost()))
                serving.append(asyncio.create_task(_serve(other, kind.name, 1)))
            try:
                await asyncio.wait((*serving, *lost), return_when=asyncio.FIRST_COMPLETED)
                if not any(task.done() for task in serving):
                    await pool.close()  # nobody waits for a connection now; what runs ends by itself
            finally:
                for task in (*lost, *serving, chores):  # in this order: the first hold the connections of the locks
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await task
            for task in serving:
                if not task.cancelled():
                    task.result()  # raises what ended it
            raise ServiceError("This worker cannot be seen to live any more.")

    def _register(self, app: procrastinate.App) -> None:

        @app.task(name=queueing.TASK, queue=queueing.QUEUE, pass_context=True, retry=self._retry())
        def take(context: procrastinate.JobContext, intake: str) -> None:
            with self._working():
                self._taking.take(UUID(intake), stopping=self._stopping.is_set, last_try=self._is_last(context))
            if self._stopping.is_set():
                raise Stopped  # or the job would count as done and go, whether or not the file waits again

    def _register_other(self, app: procrastinate.App, kind: JobKind) -> None:

        @app.task(name=kind.name, queue=kind.name, pass_context=True, retry=self._retry())
        def take(context: procrastinate.JobContext, key: str) -> None:
            with self._working():
                kind.take(key, self._stopping.is_set, self._is_last(context))

    def _retry(self) -> procrastinate.BaseRetryStrategy:
        import procrastinate

        now, tries = self._database.now, self._tries

        class Patient(procrastinate.BaseRetryStrategy):
            """The database's clock decides when a job is due, and so tells when; the queue's own is this machine's."""

            def get_retry_decision(
                self, *, exception: BaseException, job: procrastinate.jobs.Job
            ) -> procrastinate.RetryDecision | None:
                if isinstance(exception, NoRoom):  # somebody must make room first, and then nothing more is to be done
                    wait_s = FULL_WAIT_S
                elif isinstance(exception, (ServiceError, Stopped)) and job.attempts < tries:
                    wait_s = WAIT_S * job.attempts
                else:
                    return None
                try:
                    return procrastinate.RetryDecision(retry_at=now() + timedelta(seconds=wait_s))
                except ServiceError:  # a database that never answered
                    return procrastinate.RetryDecision(retry_in={"seconds": wait_s})

        return Patient()

    def _is_last(self, context: procrastinate.JobContext) -> bool:
        return context.job.attempts >= self._tries - 1

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        with self._count:
            self._busy += 1
        try:
            yield
        finally:
            with self._count:
                self._busy -= 1
                self._worked_at = time.monotonic()

    async def _do_chores(self) -> None:
        due = {chore.name: time.monotonic() + (0 if chore.at_start else chore.every_s) for chore in self._chores}
        rescue_at = requeue_at = 0.0
        while True:
            now = time.monotonic()
            if now >= rescue_at:
                rescue_at = now + RESCUE_EVERY_S
                await asyncio.to_thread(self._quietly, "rescue", self._rescue)
            if now >= requeue_at:
                requeue_at = now + REQUEUE_EVERY_S
                await asyncio.to_thread(self._quietly, "requeue", self._requeue)
            self._ready.set()
            for chore in self._chores:
                if now >= due[chore.name]:
                    due[chore.name] = time.monotonic() + chore.every_s
                    await asyncio.to_thread(self._quietly, chore.name, chore.run)
            if not self._busy and self._worked_at is not None and now - self._worked_at > IDLE_S:
                self._worked_at = None
                await asyncio.to_thread(self._quietly, "idle", self._idle)
            await asyncio.sleep(0.5)

    def _rescue(self) -> None:
        with self._database.working() as connection:
            count = queueing.rescue(connection)
        if count:
            LOG.warning("%d jobs of a worker that died are taken up again", count)

    def _requeue(self) -> None:
        with self._database.working() as connection:
            count = queueing.requeue(connection) + sum(kind.requeue(connection) for kind in self._kinds)
        if count:
            LOG.warning("%d jobs that the queue had lost sight of are queued again", count)

    def _quietly(self, name: str, run: Callable[[], Any]) -> None:
        try:
            run()
        except ServiceError:
            pass  # the database is away; next time
        except Exception as error:
            LOG.error("the chore %r failed:\n%s", name, trace_of(error))


def _living_app(
    connector: BaseConnector, kind: str | None = None
) -> tuple[procrastinate.App, Callable[[], Coroutine[None, None, None]]]:
    """An app whose worker shows that it lives, and what returns once that cannot be seen any more."""
    app = queueing.new_app(connector)
    app.job_manager, lost = queueing.living_manager(connector, kind)
    return app, lost


async def _serve(app: procrastinate.App, queue: str, concurrency: int) -> None:
    await app.run_worker_async(
        queues=[queue],
        concurrency=concurrency,
        install_signal_handlers=False,
        fetch_job_polling_interval=LOOK_EVERY_S,
        delete_jobs="successful",
        update_heartbeat_interval=queueing.HEARTBEAT_S,
        stalled_worker_timeout=queueing.SILENT_S,
    )
