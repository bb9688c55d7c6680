"""What waits to be taken in: one row per file, from the moment it is handed over until its receipt.

The row, the job and the stored original come with one transaction; from then on nothing of it can be lost. The
worker's stages, their progress and the receipt are written into the row, so that any process can tell how far it is.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, text, update

from ingest import queueing, schema, storing
from ingest.access import LOCAL, Reader
from ingest.database import Database
from ingest.errors import DocumentError, UsageError
from ingest.model import DocumentId, Receipt
from ingest.originals import Originals
from ingest.storing import Identity

Kind = Literal["add", "reindex", "space"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]
Report = Callable[[str, int, int], None]  # stage, done, total; raises Stopped when the work is to end

OPEN: Final = ("waiting", "running")
UPLOAD, FEW, BULK, REBUILD = 10, 5, 0, -10  # priorities: a person who waits goes before a bulk load
MOST_STARTS: Final = 5  # a file whose work ended with the worker's process so often is given up
REPORT_EVERY_S: Final = 0.4
KEPT_FOR: Final = timedelta(days=30)  # finished rows
FAILED_KEPT_FOR: Final = timedelta(days=7)  # originals of files that a service failed on, for another try


class Stopped(Exception):
    """The work on a file is to end: it was cancelled, or the worker is stopping."""


@dataclass(frozen=True, slots=True)
class Handing:
    """Who hands a file over, and what was said of them then: a reader without their session, which ends before."""

    name: str
    principals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One file's way through the queue."""

    id: UUID
    number: int
    batch: UUID
    kind: Kind
    identity: Identity
    document: DocumentId | None
    parent: str | None
    parent_id: DocumentId | None
    sha256: bytes | None
    byte_count: int
    readers: tuple[str, ...] | None
    owner: str | None
    origin: str | None
    principal: str
    priority: int
    state: State
    stage: str
    done: int
    total: int
    starts: int
    receipt: Receipt | None
    attachments: int  # files that came with it, queued when it was done
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    principals: tuple[str, ...] = ()

    @property
    def by(self) -> Handing:
        return Handing(self.principal, self.principals)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch, or all of the queue, is."""

    waiting: int
    running: int
    done: int
    failed: int
    cancelled: int
    eta_s: float | None  # None while nothing has been finished to judge by


@dataclass(frozen=True, slots=True)
class Handed:
    """A file to queue, with its bytes in a file of this machine that is moved away."""

    file: Path
    sha256: bytes
    byte_count: int
    identity: Identity
    readers: tuple[str, ...] | None = None
    owner: str | None = None
    origin: str | None = None
    parent: str | None = None
    parent_id: DocumentId | None = None


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
                    **_new_row(
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
            return _insert(connection, rows)

    # -- what became of it -------------------------------------------------------------------------------------------

    def items(self, ids: Sequence[UUID]) -> dict[UUID, Item]:
        t = schema.intake
        with self._database.working() as connection:
            return {row.id: _item(row) for row in connection.execute(select(t).where(t.c.id.in_(ids)))}

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
            return [_item(row) for row in connection.execute(query)]

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
            return [_item(row) for row in connection.execute(query.order_by(*order).limit(limit))]

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
            _note_jobs(connection, [row.id for row in rows], queueing.enqueue(connection, jobs))
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
            item = _item(row)
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


def queue_files(
    connection: Connection,
    originals: Originals,
    files: Sequence[Handed],
    *,
    batch: UUID,
    by: Handing,
    priority: int,
) -> list[UUID]:
    """As `Intake.submit`, in the caller's transaction."""
    storing.lock(connection, *{storing.original_lock(one.sha256) for one in files})
    waiting = _waiting(connection, files, by)
    ids: list[UUID] = []
    rows = []
    for one in files:
        known = waiting.get(_key(one))
        if known is None:
            originals.put(one.file, one.sha256)
            row = {
                **_new_row(batch, "add", one.identity, by),
                "parent": one.parent,
                "parent_id": one.parent_id,
                "sha256": one.sha256,
                "byte_count": one.byte_count,
                "readers": None if one.readers is None else list(one.readers),
                "owner": one.owner,
                "origin": one.origin,
                "priority": priority,
            }
            rows.append(row)
            known = waiting[_key(one)] = row["id"]
        ids.append(known)
    _insert(connection, rows)
    return ids


def waits_again(connection: Connection, item: Item, stage: str) -> bool:
    """As `Intake.put_back`, in the caller's transaction; False: it was cancelled meanwhile."""
    t = schema.intake
    changed = connection.execute(
        update(t)
        .where(t.c.id == item.id, t.c.state == "running")
        .values(state="waiting", stage=stage[:500], starts=t.c.starts - 1)
    )
    return bool(changed.rowcount)


def finish(connection: Connection, item: Item, receipt: Receipt, attachments: int = 0) -> None:
    """Write the receipt in the transaction that makes it true.

    Raises:
        Stopped: the row was cancelled meanwhile; the caller's transaction is to be rolled back.
    """
    t = schema.intake
    changed = connection.execute(
        update(t)
        .where(t.c.id == item.id, t.c.state == "running")
        .values(
            state="done", stage="done", receipt={**asdict_json(receipt), "attachments": attachments},
            document_id=receipt.document,
            finished_at=func.clock_timestamp(),
        )
    )  # fmt: skip
    if not changed.rowcount:
        raise Stopped


def asdict_json(receipt: Receipt) -> dict[str, Any]:
    values = asdict(receipt)
    values["document"] = None if receipt.document is None else str(receipt.document)
    return values


def receipt_from(values: Mapping[str, Any]) -> Receipt:
    known = {field.name for field in fields(Receipt)}
    given = {name: value for name, value in values.items() if name in known}
    given["document"] = None if given["document"] is None else DocumentId(UUID(given["document"]))
    return Receipt(**given)


def _own(by: Reader) -> ColumnElement[bool]:
    t = schema.intake
    return t.c.id.is_not(None) if by.reads_all else t.c.principal == by.name


def _key(one: Handed) -> tuple[object, ...]:
    return (one.identity, one.sha256, one.readers, one.owner, one.origin, one.parent_id)


def _waiting(connection: Connection, files: Sequence[Handed], by: Handing) -> dict[tuple[object, ...], UUID]:
    """Their own files of these names that wait with the same bytes and properties and are the latest of their name."""
    t = schema.intake
    names = {(one.identity.collection, one.identity.source) for one in files}
    rows = connection.execute(
        select(t)
        .where(t.c.source.in_({source for _, source in names}), t.c.state.in_(OPEN), t.c.kind == "add")
        .where(or_(*(t.c.collection == collection for collection in {collection for collection, _ in names})))
        .order_by(t.c.number)
    )
    latest = {(row.collection, row.source): _item(row) for row in rows}
    return {
        (item.identity, item.sha256, item.readers, item.owner, item.origin, item.parent_id): item.id
        for item in latest.values()
        if (item.principal, item.principals) == (by.name, by.principals)
    }


def _new_row(batch: UUID, kind: Kind, identity: Identity, by: Handing) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "batch": batch,
        "kind": kind,
        "collection": identity.collection,
        "source": identity.source,
        "principal": by.name,
        "principals": list(by.principals),
        "state": "waiting",
        "stage": "waiting",
        "done": 0,
        "total": 1,
        "starts": 0,
    }


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[UUID]:
    if not rows:
        return []
    connection.execute(insert(schema.intake), rows)
    ids = [row["id"] for row in rows]
    jobs = [(row["id"], queueing.document_lock(row["collection"], row["source"]), row["priority"]) for row in rows]
    _note_jobs(connection, ids, queueing.enqueue(connection, jobs))
    return ids


def _note_jobs(connection: Connection, ids: Sequence[UUID], jobs: Sequence[int]) -> None:
    connection.execute(
        text(
            "update intake set job_id = n.job from unnest(cast(:ids as uuid[]), cast(:jobs as bigint[])) n(id, job)"
            " where intake.id = n.id"
        ),
        {"ids": list(ids), "jobs": list(jobs)},
    )


def _elapsed_s(item: Item, now: datetime) -> float:
    if item.started_at is None:
        return 0.0
    return max(0.0, round((now - item.started_at).total_seconds(), 3))


def _item(row: Row) -> Item:
    return Item(
        id=row.id,
        number=row.number,
        batch=row.batch,
        kind=row.kind,
        identity=Identity(row.collection, row.source),
        document=None if row.document_id is None else DocumentId(row.document_id),
        parent=row.parent,
        parent_id=None if row.parent_id is None else DocumentId(row.parent_id),
        sha256=row.sha256,
        byte_count=row.byte_count or 0,
        readers=None if row.readers is None else tuple(row.readers),
        owner=row.owner,
        origin=row.origin,
        principal=row.principal,
        priority=row.priority,
        state=row.state,
        stage=row.stage,
        done=row.done,
        total=row.total,
        starts=row.starts,
        receipt=None if row.receipt is None else receipt_from(row.receipt),
        attachments=0 if row.receipt is None else row.receipt.get("attachments", 0),
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        principals=tuple(row.principals or _named(row.principal)),
    )


def _named(principal: str) -> tuple[str, ...]:
    """What can be said of somebody of whom only the name was kept."""
    return LOCAL.principals if principal == LOCAL.name else Reader(principal, frozenset()).principals
