"""One row for each file that waits to be taken in: what it holds, and how it is written in whose transaction it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, or_, select, text, update

from ingest import queueing, schema, storing
from ingest.access import LOCAL, Reader
from ingest.model import DocumentId, Receipt
from ingest.originals import Originals
from ingest.storing import Identity

Kind = Literal["add", "reindex", "space"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]

OPEN: Final = ("waiting", "running")
UPLOAD, FEW, BULK, REBUILD = 10, 5, 0, -10  # priorities: a person who waits goes before a bulk load


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
                **new_row(batch, "add", one.identity, by),
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
    insert_rows(connection, rows)
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
    latest = {(row.collection, row.source): item_of(row) for row in rows}
    return {
        (item.identity, item.sha256, item.readers, item.owner, item.origin, item.parent_id): item.id
        for item in latest.values()
        if (item.principal, item.principals) == (by.name, by.principals)
    }


def new_row(batch: UUID, kind: Kind, identity: Identity, by: Handing) -> dict[str, Any]:
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


def insert_rows(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[UUID]:
    if not rows:
        return []
    connection.execute(insert(schema.intake), rows)
    ids = [row["id"] for row in rows]
    jobs = [(row["id"], queueing.document_lock(row["collection"], row["source"]), row["priority"]) for row in rows]
    note_jobs(connection, ids, queueing.enqueue(connection, jobs))
    return ids


def note_jobs(connection: Connection, ids: Sequence[UUID], jobs: Sequence[int]) -> None:
    connection.execute(
        text(
            "update intake set job_id = n.job from unnest(cast(:ids as uuid[]), cast(:jobs as bigint[])) n(id, job)"
            " where intake.id = n.id"
        ),
        {"ids": list(ids), "jobs": list(jobs)},
    )


def item_of(row: Row) -> Item:
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
