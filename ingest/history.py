"""The versions of a document: what is stored of each, going back to one, and letting old ones go."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, delete, func, select, text

from ingest import schema, storing
from ingest.access import Reader
from ingest.audit import record
from ingest.catalog import readable
from ingest.database import Database
from ingest.errors import ServiceError, UsageError
from ingest.intake import Intake
from ingest.intake_rows import OPEN, UPLOAD, Handed, Item
from ingest.model import DocumentId, Receipt
from ingest.originals import Originals
from ingest.storing import Identity

POLL_S: Final = 0.1
PRUNED_AT_ONCE: Final = 500  # versions per transaction


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version, as its owner sees it."""

    document: DocumentId
    number: int  # from 1
    title: str
    sha256: str  # of the original's bytes, hexadecimal
    bytes: int
    stored_at: datetime
    replaced_at: datetime | None  # None while it is the current one
    current: bool
    characters: int  # of the canonical text
    chunks: int  # searched now: none of a replaced version
    parser_profile: str
    media_type: str
    pages: int | None
    findings: int


VersionEraser = Callable[[Connection, DocumentId, int], None]  # blanks what was quoted from a version


class History:
    def __init__(
        self,
        database: Database,
        originals: Originals,
        waiting: Intake,
        ensure_worker: Callable[[], None],
        erasers: Sequence[VersionEraser] = (),
    ) -> None:
        self._database = database
        self._originals = originals
        self._intake = waiting
        self._erasers = erasers
        self._ensure_worker = ensure_worker  # begins to work in this process where none does

    def versions(self, reader: Reader, document: DocumentId) -> list[StoredVersion]:
        """Every stored version, the latest first.

        Raises:
            UsageError: the reader may read no such document.
        """
        d, v = schema.document, schema.version
        query = (
            select(
                v.c.number, v.c.title, v.c.sha256, v.c.byte_count, v.c.added_at, v.c.replaced_at, v.c.parser_profile,
                v.c.media_type, v.c.page_count, func.char_length(v.c.canonical_text).label("characters"),
                func.jsonb_array_length(v.c.findings).label("findings"), d.c.current_version, d.c.chunks,
            )
            .join(d, d.c.id == v.c.document_id)
            .where(readable(reader), d.c.id == document)
            .order_by(v.c.number.desc())
        )  # fmt: skip
        with self._database.reading(reader) as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise UsageError(f"There is no document {str(document)!r} that you may read.")
        return [
            StoredVersion(
                document=document,
                number=row.number,
                title=row.title,
                sha256=row.sha256.hex(),
                bytes=row.byte_count,
                stored_at=row.added_at,
                replaced_at=None if row.number == row.current_version else row.replaced_at,
                current=row.number == row.current_version,
                characters=row.characters,
                chunks=row.chunks if row.number == row.current_version else 0,
                parser_profile=row.parser_profile,
                media_type=row.media_type,
                pages=row.page_count,
                findings=row.findings,
            )
            for row in rows
        ]

    def restore(self, document: DocumentId, number: int, *, by: Reader) -> Receipt:
        """Make an old version the current one, as a new version; wait until it answers.

        The stored original is read again by today's parser, through the queue like any file; so text, passages and
        vectors are of one making, and the former version stays in the history. Properties stay as they are.

        Raises:
            UsageError: there is no such version that `by` may read, or its file is the current one already.
            ServiceError: the work was cancelled, or a service failed.

        Returns:
            The receipt; with the status "failed" when the parser refuses the file, and nothing has changed then.
        """
        stored = {version.number: version for version in self.versions(by, document)}
        if number not in stored:
            kept = ", ".join(str(one) for one in sorted(stored))
            raise UsageError(f"There is no version {number} of this document. Stored are: {kept}.")
        wanted = stored[number]
        current = next(version for version in stored.values() if version.current)
        if wanted.sha256 == current.sha256:
            raise UsageError(
                f"Version {number} is the same file as the current version {current.number}. "
                "`quoth reindex` reads it again."
            )
        identity = self._identity(document)
        sha256 = bytes.fromhex(wanted.sha256)
        batch = uuid.uuid4()
        with self._originals.local_file(sha256) as file:
            handed = Handed(file, sha256, wanted.bytes, identity)
            (ticket,) = self._intake.submit([handed], batch=batch, by=by, priority=UPLOAD)
        with self._database.working() as connection:
            record(connection, by, "document.restored", document, {"version": number, "over": current.number})
        item = self._finished(ticket, batch, by)
        if item is None or item.receipt is None or item.state == "cancelled":
            raise ServiceError(f"Going back to version {number} was cancelled. Nothing has changed; try again.")
        if item.receipt.status == "failed" and item.receipt.reason is None:
            raise ServiceError(item.receipt.detail or "The version could not be taken in. Try again.")
        return item.receipt

    def _identity(self, document: DocumentId) -> Identity:
        d = schema.document
        with self._database.working() as connection:
            row = connection.execute(select(d.c.collection, d.c.source).where(d.c.id == document)).one_or_none()
        if row is None:
            raise UsageError("The document was removed meanwhile.")
        return Identity(row.collection, row.source)

    def _finished(self, ticket: uuid.UUID, batch: uuid.UUID, by: Reader) -> Item | None:
        complete = False
        try:
            while True:
                item = self._intake.items([ticket]).get(ticket)
                if item is None or item.state not in OPEN:
                    complete = True
                    return item
                self._ensure_worker()
                time.sleep(POLL_S)
        finally:
            if not complete:
                self._intake.cancel(by=by, batch=batch)

    def prune(self, keep_days: int) -> int:
        """Delete versions that were replaced more than `keep_days` days ago; 0 keeps all. Returns how many went.

        With a version go its text, its original unless something else names it, and the quotations of answers, which
        are read from it; the answers keep the place.
        """
        if keep_days <= 0:
            return 0
        gone = 0
        while True:
            pruned = self._prune_some(timedelta(days=keep_days))
            gone += pruned
            if pruned < PRUNED_AT_ONCE:
                return gone

    def _prune_some(self, age: timedelta) -> int:
        d, v = schema.document, schema.version
        old = (
            select(v.c.document_id, v.c.number, v.c.sha256)
            .join(d, d.c.id == v.c.document_id)
            .where(and_(v.c.number != d.c.current_version, v.c.replaced_at < func.now() - age))
            .order_by(v.c.document_id, v.c.number)
            .limit(PRUNED_AT_ONCE)
        )
        with self._database.working() as connection:
            connection.execute(text("set local statement_timeout = '600s'"))
            storing.lock(connection, "prune")  # one at a time; rows of distributed tables cannot be skipped when locked
            rows = connection.execute(old).all()
            for row in rows:
                for erase in self._erasers:
                    erase(connection, DocumentId(row.document_id), row.number)
                connection.execute(delete(v).where(v.c.document_id == row.document_id, v.c.number == row.number))
        for sha256 in {row.sha256 for row in rows}:
            storing.delete_if_unreferenced(self._database, self._originals, sha256)
        return len(rows)
