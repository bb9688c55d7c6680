"""Runs that the worker does: handed over by the evaluators' page, watched, cancelled, and taken up again after a kill.

A job names a kept file of cases and who asks; the run itself is one as any other, kept case by case. The worker is
handed `RunJobs.kind` by whoever starts it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from evals.answers_run import Asking, FactsChanged, GivenCases, Progress, RunOptions, evaluate_cases
from evals.case_import import beyond, principals_of
from evals.case_run import ASKER
from evals.estimating import Estimate, estimated
from evals.kept_cases import KeptCases, as_cases
from evals.run_store import KeptRun, RunFacts, RunIsHeld, Runs
from evals.systems import QuothSystem
from ingest import audit, queueing, schema
from ingest.access import LOCAL, PERSON, Reader
from ingest.errors import QuothError, ServiceError, UsageError, trace_of
from ingest.intake_rows import Stopped
from ingest.worker import JobKind

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

LOG: Final = logging.getLogger("quoth.evals")
KIND: Final = "eval.run"
MOST_STARTS: Final = 5  # a job whose worker's process ended so often is given up
MOST_DETAIL_CHARS: Final = 500
SHOWN: Final = 20

State = Literal["waiting", "running", "done", "failed", "cancelled"]
OPEN: Final = ("waiting", "running")

eval_job = Table(
    "eval_job",
    schema.metadata,
    Column("id", Text, primary_key=True),
    Column("file", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("collection", Text),
    Column("asked_by", Text, nullable=False),
    Column("groups", JSONB, nullable=False),  # that a claim named
    Column("reads_all", Boolean, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("most_usd", Double),
    Column("state", Text, nullable=False),
    Column("run_id", Text, ForeignKey("eval_run.id", ondelete="SET NULL")),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("left_s", Double),
    Column("cost_usd", Double, nullable=False),
    Column("detail", Text, nullable=False),
    Column("starts", Integer, nullable=False),
    Column("job_id", BigInteger),
    Column("queued_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class RunJob:
    """A run that was handed to the worker."""

    id: str
    file: str
    version: int
    collection: str | None
    asked_by: Reader
    workers: int
    most_usd: float | None  # no case is begun once so much was spent
    state: State
    run: str | None  # the run's id, once it began
    done: int
    total: int
    left_s: float | None  # None: not known
    cost_usd: float
    detail: str  # what went wrong, or what it waits for
    starts: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def open(self) -> bool:
        return self.state in OPEN


class _Ended(Exception):
    """The run is to end here, for good: it was cancelled, or has spent what it may."""


class RunJobs:
    """The runs handed to the workers of one store. Callers see to it that whoever hands them over is an evaluator."""

    def __init__(self, quoth: Quoth) -> None:
        self._quoth = quoth
        self._database = quoth.database

    @property
    def kind(self) -> JobKind:
        """What a worker needs to take these on."""
        return JobKind(KIND, self.take, requeue)

    # -- for the page ------------------------------------------------------------------------------------------------

    def expected(self, file: str, version: int | None, by: Reader) -> Estimate:
        """What a run of a file would take, from the latest one like it.

        Raises:
            UsageError: there is no such file or version.
        """
        given = self._given(file, version, by)
        facts = RunFacts(given.name, given.sha256, 0, "", "", 0, dict(QuothSystem(self._quoth).facts))
        return estimated(Runs(self._database), facts, given.cases)

    def submit(
        self, file: str, version: int | None, *, by: Reader, collection: str | None = None, workers: int = 1,
        most_usd: float | None = None,
    ) -> RunJob:  # fmt: skip
        """Hand a run to the worker.

        Args:
            version: None: the latest.
            by: who asks the cases that name no groups, with their own rights and nobody's history.

        Raises:
            UsageError: there is no such file or version, none of its cases can be read, one is asked by a group that
                `by` is not in, or a number is out of range.
        """
        if not 1 <= workers <= 16:
            raise UsageError(f"{workers} cases at a time are out of range. Use 1 to 16.")
        if most_usd is not None and not most_usd > 0:
            raise UsageError(f"A run may spend more than {most_usd} USD, or leave the limit out.")
        kept = KeptCases(self._database)
        wanted = version if version is not None else next((one.version for one in kept.history(file)), 0)
        given = self._given(file, wanted, by)
        if not given.cases:
            raise UsageError(
                f"{file!r} holds no case that you can run: their quotations are gone, or not yours to read."
            )
        may = principals_of(self._quoth, by)
        for case in given.cases:
            if flaw := beyond(case, may):
                raise UsageError(f"Case {case.id!r}: {flaw}.")
        new = uuid.uuid4().hex[:12]
        with self._database.working() as connection:
            (queued,) = queueing.enqueue_other(connection, KIND, [new])
            row = connection.execute(
                insert(eval_job)
                .values(
                    id=new, file=file, version=wanted, collection=collection, asked_by=by.name,
                    groups=sorted(by.groups), reads_all=by.reads_all, workers=workers, most_usd=most_usd,
                    state="waiting", done=0, total=len(given.cases), cost_usd=0.0, detail="", starts=0, job_id=queued,
                )
                .returning(eval_job)
            ).one()  # fmt: skip
            told = {"job": new, "file": file, "version": wanted, "cases": len(given.cases)}
            audit.record(connection, by, "eval.run.queued", None, told)
        return _job(row)

    def list(self, *, limit: int = SHOWN) -> list[RunJob]:
        """Those under way first, then the latest."""
        query = (
            select(eval_job)
            .order_by(eval_job.c.state.in_(OPEN).desc(), eval_job.c.queued_at.desc(), eval_job.c.id)
            .limit(limit)
        )
        with self._database.reading(LOCAL) as connection:
            return [_job(row) for row in connection.execute(query)]

    def find(self, reference: str) -> RunJob:
        """The job of an id or of the start of one.

        Raises:
            UsageError: there is none, or there are several.
        """
        with self._database.reading(LOCAL) as connection:
            rows = connection.execute(
                select(eval_job).where(eval_job.c.id.startswith(reference, autoescape=True)).limit(2)
            ).all()
        if len(rows) != 1 or not reference:
            raise UsageError(
                f"{reference!r} names {'several jobs' if len(rows) > 1 else 'no job'}. See `quoth eval jobs`."
            )
        return _job(rows[0])

    def cancel(self, job: str, *, by: Reader) -> bool:
        """End a run when the case under way is done; what is done is kept. False where it had ended before."""
        with self._database.working() as connection:
            row = connection.execute(
                update(eval_job)
                .where(eval_job.c.id == job, eval_job.c.state.in_(OPEN))
                .values(state="cancelled", left_s=None, detail="", finished_at=func.clock_timestamp())
                .returning(eval_job.c.job_id)
            ).one_or_none()
            if row is None:
                return False
            if row.job_id is not None:
                queueing.cancel(connection, [row.job_id])
            audit.record(connection, by, "eval.run.cancelled", None, {"job": job})
        return True

    def worker_alive(self) -> bool:
        """Whether some worker that does runs lives now; that of an adding command does none."""
        with self._database.working() as connection:
            return queueing.kind_served(connection, KIND)

    # -- for the worker ----------------------------------------------------------------------------------------------

    def take(self, wanted: str, stopping: Callable[[], bool], last_try: bool) -> None:
        """Do a job, from where it was left.

        Raises:
            Stopped: the worker is to end; the job waits for another.
            ServiceError: a service failed; it is to be tried again.
        """
        job = self._begin(wanted)
        if job is None:
            return
        try:
            self._run(job, stopping)
        except _Ended:
            return
        except Stopped:
            self._put_back(job, "")
            raise
        except ServiceError as error:
            if last_try:
                self._fail(job, str(error))
                return
            self._put_back(job, f"waits: {error}")
            raise
        except QuothError as error:
            self._fail(job, str(error))
        except Exception as error:
            LOG.error("run job %s failed:\n%s", job.id, trace_of(error))
            self._fail(job, f"A fault in Quoth ({type(error).__name__}). The log has the rest; please report it.")
        else:
            self._set(job, state="done", left_s=None, detail="", finished_at=func.clock_timestamp())

    def _begin(self, wanted: str) -> RunJob | None:
        with self._database.working() as connection:
            row = connection.execute(
                update(eval_job)
                .where(eval_job.c.id == wanted, eval_job.c.state.in_(OPEN))
                .values(
                    state="running", starts=eval_job.c.starts + 1, detail="",
                    started_at=func.coalesce(eval_job.c.started_at, func.clock_timestamp()),
                )
                .returning(eval_job)
            ).one_or_none()  # fmt: skip
        if row is None:
            return None
        job = _job(row)
        if job.starts > MOST_STARTS:
            self._fail(job, f"The worker's process ended {MOST_STARTS} times while it worked on this run.")
            return None
        return job

    def _run(self, job: RunJob, stopping: Callable[[], bool]) -> None:
        given = self._given(job.file, job.version, job.asked_by)
        may = principals_of(self._quoth, job.asked_by)
        if any(beyond(case, may) for case in given.cases):
            raise UsageError("A case is asked by a group that whoever began this run is in no more.")
        asking = Asking(asker_for(job.asked_by), job.collection)

        def announce(estimate: Estimate, kept: KeptRun) -> None:
            left_s = None if estimate.case_s is None else estimate.case_s * estimate.cases
            self._set(job, run_id=kept.id, done=kept.done, total=len(given.cases), left_s=left_s)

        def progress(now: Progress) -> None:
            values = {"done": now.done, "left_s": now.left_s, "cost_usd": now.cost_usd}
            if not self._set(job, **values):  # it is not ours any more: somebody cancelled it
                raise _Ended
            if job.most_usd is not None and now.cost_usd >= job.most_usd and now.done < now.total:
                said = f"It has spent its {job.most_usd:.2f} USD. Start it again with more to go on."
                self._fail(job, said)
                raise _Ended
            if stopping():
                raise Stopped

        def run(resume: str | None) -> None:
            options = RunOptions(job.workers, resume, announce=announce, progress=progress)
            evaluate_cases(self._quoth, given, asking, options)

        try:
            if job.run is not None and Runs(self._database).find(job.run).finished_at is not None:
                return  # only the job's own last word was missing
            run(job.run)
        except RunIsHeld as error:
            raise ServiceError("Another process works on the same run.") from error
        except FactsChanged as error:
            LOG.warning("run job %s begins anew: %s", job.id, error)
            self._set(job, detail="Documents, settings or the program changed meanwhile: it began anew.")
            run(None)

    def _given(self, file: str, version: int | None, by: Reader) -> GivenCases:
        kept = KeptCases(self._database)
        wanted = version if version is not None else next((one.version for one in kept.history(file)), 0)
        cases = as_cases(kept.cases(file, by, version=wanted))
        told = [
            [one.id, one.question, one.answerable, one.groups, one.turns, [g.quote for g in one.gold]] for one in cases
        ]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        return GivenCases(f"{file}@{wanted}", digest, cases)

    def _set(self, job: RunJob, **values: object) -> bool:
        with self._database.working() as connection:
            changed = connection.execute(
                update(eval_job).where(eval_job.c.id == job.id, eval_job.c.state == "running").values(values)
            )
        return bool(changed.rowcount)

    def _put_back(self, job: RunJob, detail: str) -> None:
        # a worker that ended in good order did not die of this run
        self._set(job, state="waiting", left_s=None, detail=detail[:MOST_DETAIL_CHARS], starts=max(0, job.starts - 1))

    def _fail(self, job: RunJob, detail: str) -> None:
        self._set(
            job, state="failed", left_s=None, detail=detail[:MOST_DETAIL_CHARS], finished_at=func.clock_timestamp()
        )


def asker_for(reader: Reader) -> Reader:
    """Somebody with a reader's rights and a history of their own: a thousand questions of a run are not to stand
    among those that the reader asked.
    """
    if reader.reads_all:
        return reader  # `case_run.asker_of` does the same for it
    return Reader(ASKER, reader.groups | {PERSON + reader.name}, operator=reader.name)


def requeue(connection: Connection) -> int:
    """Queue again the runs that are open but of which the queue knows nothing; returns how many."""
    lost = connection.execute(
        text(
            "select e.id from eval_job e where e.state in ('waiting', 'running') and not exists (select from"
            " procrastinate_jobs j where j.id = e.job_id and j.status in ('todo', 'doing'))"
            " order by e.queued_at limit 100 for update of e skip locked"
        )
    ).all()
    jobs = queueing.enqueue_other(connection, KIND, [row.id for row in lost])
    for row, job in zip(lost, jobs, strict=True):
        connection.execute(update(eval_job).where(eval_job.c.id == row.id).values(job_id=job))
    return len(lost)


def _job(row: Row) -> RunJob:
    asked_by = Reader(row.asked_by, frozenset(row.groups), row.reads_all)
    return RunJob(
        row.id, row.file, row.version, row.collection, asked_by, row.workers, row.most_usd, row.state, row.run_id,
        row.done, row.total, row.left_s, row.cost_usd, row.detail, row.starts, row.queued_at, row.started_at,
        row.finished_at,
    )  # fmt: skip
