"""What waits to be taken in: one row per file, from the moment it is handed over until its receipt.

The row, the job and the stored original come with one transaction; from then on nothing of it can be lost. The
worker's stages, their progress and the receipt are written into the row, so that any process can tell how far it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from ingest import queueing, schema, storing
from ingest.access import LOCAL, Reader
from ingest.database import Database
from ingest.errors import DocumentError, UsageError
from ingest.intake_rows import (
    BULK,
    OPEN,
    REBUILD,
    UPLOAD,
    Handed,
    Handing,
    Item,
    Kind,
    Stopped,
    asdict_json,
    finish,
    insert_rows,
    item_of,
    new_row,
    note_jobs,
    queue_files,
    waits_again,
)
from ingest.model import DocumentId, Receipt
from ingest.originals import Originals
from ingest.storing import Identity

Report = Callable[[str, int, int], None]  # stage, done, total; raises Stopped when the work is to end

MOST_STARTS: Final = 5  # a file whose work ended with the worker's process so often is given up
REPORT_EVERY_S: Final = 0.4
KEPT_FOR: Final = timedelta(days=30)  # finished rows
FAILED_KEPT_FOR: Final = timedelta(days=7)  # originals of files that a service failed on, for another try


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch, or all of the queue, is."""

    waiting: int
    running: int
    done: int
    failed: int
    cancelled: int
    eta_s: float | None  # None while nothing has been finished to judge by


class Intake:
    def __init__(self, database: Database, originals: Originals) -> None:
        self._database = database
        self._originals = originals

    # -- handing over ------------------------------------------------------------------------------------------------

    def submit(self, files: Sequence[Handed], *, batch: UUID, by: Reader = LOCAL, priority: int = BULK) -> list[UUID]:
        """Store the originals and queue the files, all in one transaction. Returns their ids, in order.

        A file that waits already with the same bytes and properties is not queued twice.
        """
        with self._database.working() as connection:
            return queue_files(
                connection, self._originals, files, batch=batch, by=Handing(by.name, by.principals), priority=priority
            )

    def submit_documents(
        self, documents: Sequence[DocumentId], kind: Kind, *, batch: UUID, by: Reader = LOCAL, priority: int = REBUILD
    ) -> list[UUID]:
        """Queue stored documents to be read and indexed again, or to get their vectors in the space being built.

        Raises:
            UsageError: a document does not exist.
        """
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            found = {
                row.id: row
                for row in connection.execute(
                    select(d.c.id, d.c.collection, d.c.source, v.c.byte_count)
                    .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                    .where(d.c.id.in_(documents))
                )
            }
            missing = next((document for document in documents if document not in found), None)
            if missing is not None:
                raise UsageError(f"There is no document {str(missing)!r}. `quoth documents` lists them.")
            rows = [
                {
                    **new_row(
                        batch,
                        kind,
                        Identity(found[document].collection, found[document].source),
                        Handing(by.name, by.principals),
                    ),
                    "document_id": document,
                    "byte_count": found[document].byte_count,
                    "priority": priority,
                }
                for document in documents
            ]
            return insert_rows(connection, rows)

    # -- what became of it -------------------------------------------------------------------------------------------

    def items(self, ids: Sequence[UUID]) -> dict[UUID, Item]:
        t = schema.intake
        with self._database.working() as connection:
            return {row.id: item_of(row) for row in connection.execute(select(t).where(t.c.id.in_(ids)))}

    def children(self, item: Item) -> list[Item]:
        """The attachments that came with a mail, in order."""
        t = schema.intake
        query = (
            select(t)
            .where(t.c.batch == item.batch, t.c.parent == item.identity.source)
            .where(t.c.collection == item.identity.collection, t.c.number > item.number)
            .order_by(t.c.number)
        )
        with self._database.working() as connection:
            return [item_of(row) for row in connection.execute(query)]

    def recent(
        self, *, by: Reader = LOCAL, batch: UUID | None = None, limit: int = 100, hidden: bool = False
    ) -> list[Item]:
        """The reader's own files: those under way first, then the latest that ended.

        Args:
            hidden: with the rebuilding that Quoth does by itself.
        """
        t = schema.intake
        query = select(t).where(_own(by))
        if batch is not None:
            query = query.where(t.c.batch == batch)
        if not hidden:
            query = query.where(t.c.kind != "space")
        order = (t.c.state.in_(OPEN).desc(), (t.c.state == "running").desc(), t.c.number.desc())
        with self._database.working() as connection:
            return [item_of(row) for row in connection.execute(query.order_by(*order).limit(limit))]

    def progress(self, *, by: Reader = LOCAL, batch: UUID | None = None) -> Progress:
        """Counts by state, and the time left judged by the bytes finished in the last ten minutes."""
        t = schema.intake
        size = func.coalesce(t.c.byte_count, 0) + 2000  # a small file costs something too
        recent = t.c.state.in_(("done", "failed")) & (t.c.finished_at > func.now() - timedelta(minutes=10))
        query = select(
            *(func.count().filter(t.c.state == state).label(state) for state in ("waiting", "running", "done")),
            func.count().filter(t.c.state == "failed").label("failed"),
            func.count().filter(t.c.state == "cancelled").label("cancelled"),
            func.sum(size).filter(t.c.state.in_(OPEN)).label("left"),
            func.sum(size).filter(recent).label("finished"),
            func.extract(
                "epoch", func.max(t.c.finished_at).filter(recent) - func.min(t.c.started_at).filter(recent)
            ).label("took_s"),
        ).where(_own(by))
        if batch is not None:
            query = query.where(t.c.batch == batch)
        with self._database.working() as connection:
            row = connection.execute(query).one()
        eta_s = None
        if row.finished and row.took_s and row.left:
            eta_s = float(row.left) / (float(row.finished) / max(float(row.took_s), 0.1))
        return Progress(row.waiting, row.running, row.done, row.failed, row.cancelled, eta_s if row.left else 0.0)

    # -- the owners' acts --------------------------------------------------------------------------------------------

    def cancel(self, *, by: Reader = LOCAL, ids: Sequence[UUID] | None = None, batch: UUID | None = None) -> int:
        """Cancel files that wait or are being read; what they would have replaced goes on answering."""
        t = schema.intake
        change = update(t).where(t.c.state.in_(OPEN), _own(by))
        if ids is not None:
            change = change.where(t.c.id.in_(ids))
        if batch is not None:
            change = change.where(t.c.batch == batch)
        with self._database.working() as connection:
            rows = connection.execute(
                change.values(state="cancelled", finished_at=func.now()).returning(t.c.job_id, t.c.sha256)
            ).all()
            queueing.cancel(connection, [row.job_id for row in rows if row.job_id is not None])
        self._drop_originals({row.sha256 for row in rows if row.sha256})
        return len(rows)

    def retry(self, ids: Sequence[UUID], *, by: Reader = LOCAL) -> int:
        """Queue again files that a service failed on; their bytes are still stored. Returns how many."""
        t = schema.intake
        with self._database.working() as connection:
            rows = connection.execute(
                update(t)
                .where(t.c.id.in_(ids), t.c.state == "failed", t.c.sha256.is_not(None), _own(by))
                .values(state="waiting", receipt=None, starts=0, stage="waiting", finished_at=None, priority=UPLOAD)
                .returning(t.c.id, t.c.collection, t.c.source)
            ).all()
            jobs = [(row.id, queueing.document_lock(row.collection, row.source), UPLOAD) for row in rows]
            note_jobs(connection, [row.id for row in rows], queueing.enqueue(connection, jobs))
        return len(rows)

    # -- the worker's side -------------------------------------------------------------------------------------------

    def begin(self, intake: UUID) -> Item | None:
        """Take a row up; None when there is nothing to do: done, cancelled, removed, or given up now."""
        t = schema.intake
        with self._database.working() as connection:
            row = connection.execute(
                update(t)
                .where(t.c.id == intake, t.c.state.in_(OPEN))
                .values(state="running", starts=t.c.starts + 1, started_at=func.clock_timestamp(), stage="starting")
                .returning(t)
            ).one_or_none()
            if row is None:
                return None
            item = item_of(row)
            before = storing.current(connection, item.identity) if item.kind == "add" else None
            # what overtook it may be another's document: then it is refused where it would replace it
            is_mine = before is None or storing.may_replace(connection, item.principals, before)
            if item.kind == "add" and is_mine and self._overtaken(connection, item):
                finish(
                    connection,
                    item,
                    Receipt(
                        item.identity.source, item.identity.collection, "unchanged",
                        before.document if before else None, before.version if before else None, None, 0, 0, 0.0,
                        detail="A later copy of this file was taken in first.", parent=item.parent,
                    ),
                )  # fmt: skip
                return None
        if item.starts > MOST_STARTS:
            self.fail(
                item,
                DocumentError(
                    "unsafe",
                    f"{item.identity.source!r} ended Quoth's worker {MOST_STARTS} times, as hostile files do. It is "
                    "not tried again; save it anew, or split it.",
                ),
            )
            return None
        return item

    def _overtaken(self, connection: Connection, item: Item) -> bool:
        t = schema.intake
        later = (t.c.number > item.number) & (t.c.state == "done") & (t.c.kind == "add")
        same = (t.c.collection == item.identity.collection) & (t.c.source == item.identity.source)
        return bool(connection.scalar(select(select(t.c.id).where(same, later).exists())))

    def reporter(self, item: Item, stopping: Callable[[], bool]) -> Report:
        """Write stages into the row now and then, and look whether the work is still wanted."""
        last = time.monotonic()

        def report(stage: str, done: int, total: int) -> None:
            nonlocal last
            if stopping():
                raise Stopped
            if time.monotonic() - last < REPORT_EVERY_S:
                return
            last = time.monotonic()
            t = schema.intake
            with self._database.working() as connection:
                mine = update(t).where(t.c.id == item.id, t.c.state == "running")
                changed = connection.execute(mine.values(stage=stage, done=done, total=total))
                if not changed.rowcount:
                    raise Stopped

        return report

    def fail(self, item: Item, error: DocumentError) -> None:
        """Keep why a file could not be taken in; what it would have replaced goes on answering."""
        now = self._database.now()
        with self._database.working() as connection:
            before = storing.current(connection, item.identity)
            if before is not None and not storing.may_replace(connection, item.principals, before):
                before = None  # another's: of it nothing is said
            receipt = Receipt(
                item.identity.source, item.identity.collection, "failed",
                before.document if before else None, before.version if before else None, None, 0, 0,
                _elapsed_s(item, now), error.reason, error.detail, item.parent,
            )  # fmt: skip
            t = schema.intake
            connection.execute(
                update(t)
                .where(t.c.id == item.id, t.c.state == "running")
                .values(
                    state="failed", stage="failed", receipt=asdict_json(receipt), finished_at=func.now(), sha256=None,
                    document_id=before.document if before else None,
                )
            )  # fmt: skip
        if item.sha256:
            self._drop_originals({item.sha256})

    def fail_for_now(self, item: Item, words: str) -> None:
        """A service failed too often: keep the bytes, so that it can be tried again."""
        receipt = Receipt(
            item.identity.source, item.identity.collection, "failed", item.document, None, None, 0, 0,
            _elapsed_s(item, self._database.now()), None, words, item.parent,
        )  # fmt: skip
        t = schema.intake
        with self._database.working() as connection:
            connection.execute(
                update(t)
                .where(t.c.id == item.id, t.c.state == "running")
                .values(state="failed", stage="failed", receipt=asdict_json(receipt), finished_at=func.now())
            )

    def put_back(self, item: Item, stage: str = "waiting") -> None:
        """An orderly end before the work was done: it waits again, and this start does not count."""
        with self._database.working() as connection:
            waits_again(connection, item, stage)

    def tidy(self) -> None:
        """Forget rows that ended long ago, and bytes kept for a second try that never came."""
        t = schema.intake
        ended = t.c.state.not_in(OPEN)
        with self._database.working() as connection:
            connection.execute(  # the sweep collects their originals
                update(t)
                .where(t.c.sha256.is_not(None), t.c.state == "failed")
                .where(t.c.finished_at < func.now() - FAILED_KEPT_FOR)
                .values(sha256=None)
            )
            connection.execute(delete(t).where(ended, t.c.finished_at < func.now() - KEPT_FOR))

    def _drop_originals(self, hashes: set[bytes]) -> None:
        for sha256 in hashes:
            storing.delete_if_unreferenced(self._database, self._originals, sha256)


def _own(by: Reader) -> ColumnElement[bool]:
    t = schema.intake
    return t.c.id.is_not(None) if by.reads_all else t.c.principal == by.name


def _elapsed_s(item: Item, now: datetime) -> float:
    if item.started_at is None:
        return 0.0
    return max(0.0, round((now - item.started_at).total_seconds(), 3))
