"""Ingestion's main path: hand files over, wait for their receipts; the worker does the rest (see taking)."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final, cast
from uuid import UUID

from sqlalchemy import func, select, text

from ingest import queueing, schema, storing
from ingest.access import LOCAL, Reader
from ingest.canonical import PARSER_PROFILE
from ingest.database import Database
from ingest.discovery import Input, discover
from ingest.document_list import taken_from
from ingest.errors import DocumentError, NoRoom, ServiceError, is_full
from ingest.indexing import index_document, index_profile
from ingest.intake import Intake
from ingest.intake_rows import BULK, FEW, Handed, Item
from ingest.model import DocumentId, ParsedDocument, Receipt
from ingest.originals import Originals, snapshot
from ingest.reuse import stored_vectors
from ingest.segments import merge_segments
from ingest.spaces import Spaces
from ingest.storing import Identity, NewVersion, anothers
from ingest.worker import Worker

Progress = Callable[[str, str, int, int], None]  # source, stage, done, total

HANDED_AT_ONCE: Final = 32  # files per transaction
AHEAD: Final = 1000  # files handed over beyond the last receipt given
A_FEW: Final = 20  # files that somebody waits for go before a bulk load
POLL_S: Final = (0.05, 0.4)  # between two looks at what is done: at first, and at most
REBUILT_AT_ONCE: Final = 500  # documents queued for rebuilding, until these are done
REBUILD_AGAIN_AFTER: Final = timedelta(days=1)
SWEEP_AFTER_S: Final = 3600  # originals younger than this may belong to a transaction under way


class Pipeline:
    """Takes files in. One instance per process; many processes may add to the same store."""

    def __init__(
        self, database: Database, originals: Originals, spaces: Spaces, waiting: Intake, worker: Worker, scratch: Path
    ) -> None:
        self._database = database
        self._originals = originals
        self._spaces = spaces
        self._intake = waiting
        self._worker = worker  # of this process, started where none is alive
        self._scratch = scratch  # a private folder for snapshots
        self._profile = index_profile()

    def add(
        self,
        paths: Sequence[Path],
        *,
        collection: str = "default",
        readers: Sequence[str] | None = None,
        owner: str | None = None,
        progress: Progress | None = None,
        by: Reader = LOCAL,
        priority: int | None = None,
    ) -> Generator[Receipt]:
        """Add files and folders; yield one receipt per file, in order, as each is done.

        A file that fails is named with its reason and changes nothing; the rest goes on.

        Args:
            by: who adds them, and will see how far they are.
            priority: as in `intake`; None lets a few files go before many.

        Raises:
            UsageError: a path does not exist or holds no file.
            ServiceError: the database or a remote embedder is unavailable; what was acknowledged stays.
        """
        given = None if readers is None else tuple(readers)
        inputs = [replace(one, readers=given, owner=owner) for one in discover(paths, collection)]
        yield from self.add_inputs(inputs, progress=progress, by=by, priority=priority)

    def add_inputs(
        self,
        inputs: Sequence[Input],
        *,
        progress: Progress | None = None,
        by: Reader = LOCAL,
        priority: int | None = None,
    ) -> Generator[Receipt]:
        """As `add`, for inputs that each say who may read them."""
        batch = uuid.uuid4()
        rank = _rank(inputs) if priority is None else priority
        yield from self._finished(
            batch,
            (
                self._hand_over(inputs[at : at + HANDED_AT_ONCE], batch, by, rank)
                for at in range(0, len(inputs), HANDED_AT_ONCE)
            ),
            progress or (lambda *_: None),
            by,
        )

    def reindex(
        self,
        documents: Sequence[DocumentId],
        *,
        progress: Progress | None = None,
        by: Reader = LOCAL,
        priority: int = FEW,
    ) -> Generator[Receipt]:
        """Parse and index stored originals again, every chunk anew; yield one receipt per document.

        Raises:
            UsageError: a document does not exist.
            ServiceError: as `add`.
        """
        batch = uuid.uuid4()
        tickets: list[Receipt | UUID] = []
        tickets.extend(self._intake.submit_documents(documents, "reindex", batch=batch, by=by, priority=priority))
        yield from self._finished(batch, iter([tickets]), progress or (lambda *_: None), by)

    def hand_over(
        self,
        inputs: Sequence[Input],
        *,
        by: Reader,
        priority: int | None = None,
        batch: UUID | None = None,
        work_here: bool = True,
    ) -> tuple[UUID, list[Receipt]]:
        """Queue files and return at once: their batch, and the receipts of those that need no work.

        Args:
            priority: as `add`.
            batch: the one they will be; None makes one.
            work_here: whether this process begins to work where no worker lives.
        """
        batch = batch or uuid.uuid4()
        rank = _rank(inputs) if priority is None else priority
        done: list[Receipt] = []
        for at in range(0, len(inputs), HANDED_AT_ONCE):
            tickets = self._hand_over(inputs[at : at + HANDED_AT_ONCE], batch, by, rank)
            done.extend(ticket for ticket in tickets if isinstance(ticket, Receipt))
        if work_here:
            self.ensure_worker()
        return batch, done

    def _hand_over(self, inputs: Sequence[Input], batch: UUID, by: Reader, priority: int) -> list[Receipt | UUID]:
        """For each input its receipt, where nothing needs to be done, or its id in the queue."""
        tickets: list[Receipt | UUID | None] = []
        handed: list[Handed] = []
        others = taken_from(self._database, by, [item.identity for item in inputs])
        try:
            for item in inputs:
                taken = _refused(item.identity) if item.identity in others else self._look_at(item)
                tickets.append(taken if isinstance(taken, Receipt) else None)
                if isinstance(taken, Handed):
                    handed.append(taken)
            ids = iter(self._intake.submit(handed, batch=batch, by=by, priority=priority) if handed else [])
            return [next(ids) if ticket is None else ticket for ticket in tickets]
        finally:
            for one in handed:
                one.file.unlink(missing_ok=True)

    def _look_at(self, item: Input) -> Receipt | Handed:
        """A snapshot of one file to queue; or its receipt, when it is refused or unchanged."""
        started = time.monotonic()
        try:
            if item.refused:
                raise item.refused
            file, sha256, byte_count = self._snapshot(item)
        except DocumentError as error:
            return self._failed(item, error, started)
        try:
            if self._unchanged(item, sha256):
                file.unlink(missing_ok=True)
                return self._kept(item, started)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        return Handed(file, sha256, byte_count, item.identity, item.readers, item.owner, item.origin)

    def _snapshot(self, item: Input) -> tuple[Path, bytes, int]:
        try:
            return snapshot(item.path, self._scratch)
        except OSError as error:
            if is_full(error):
                raise NoRoom(f"The disk of {str(self._scratch)!r} is full. Make room there, and add again.") from error
            raise DocumentError(
                "unreadable",
                f"{item.identity.source!r} cannot be read ({error.strerror}). Check that the file is there and that "
                "you may open it.",
            ) from error

    def _unchanged(self, item: Input, sha256: bytes) -> bool:
        """Whether the bytes are the current version's, read and indexed as now, and none waits to replace them."""
        t = schema.intake
        with self._database.working() as connection:
            before = storing.current(connection, item.identity)
            if before is None or (before.sha256, before.parser_profile, before.index_profile) != (
                sha256,
                PARSER_PROFILE,
                self._profile,
            ):
                return False
            waits = select(t.c.id).where(
                t.c.collection == item.identity.collection,
                t.c.source == item.identity.source,
                t.c.state.in_(("waiting", "running")),
                t.c.kind == "add",
            )
            return not connection.scalar(select(waits.exists()))

    def _kept(self, item: Input, started: float) -> Receipt:
        with self._database.working() as connection:
            storing.lock_identity(connection, item.identity)
            before = storing.current(connection, item.identity)
            if before is not None:
                storing.set_properties(connection, before.document, item.readers, item.owner, item.origin)
        if before is None:
            removed = DocumentError("unreadable", f"{item.identity.source!r} was removed meanwhile. Add it again.")
            return self._failed(item, removed, started)
        return Receipt(
            item.identity.source, item.identity.collection, "unchanged", before.document, before.version,
            before.pages, before.chunks, 0, seconds=round(time.monotonic() - started, 3),
        )  # fmt: skip

    def _failed(self, item: Input, error: DocumentError, started: float) -> Receipt:
        with self._database.working() as connection:
            before = storing.current(connection, item.identity)
        return Receipt(
            item.identity.source, item.identity.collection, "failed",
            before.document if before else None,  # the former version goes on answering
            before.version if before else None, None, 0, 0, round(time.monotonic() - started, 3),
            error.reason, error.detail,
        )  # fmt: skip

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _finished(
        self, batch: UUID, groups: Iterator[list[Receipt | UUID]], report: Progress, by: Reader
    ) -> Generator[Receipt]:
        """Receipts in the order of the tickets, each followed by those of what came attached to it.

        Whoever stops listening cancels what is left of the batch.
        """
        tickets: deque[Receipt | UUID] = deque()
        more = True
        pause_s = POLL_S[0]
        complete = False
        taken = 0
        try:
            while more or tickets:
                while more and len(tickets) < AHEAD:
                    group = next(groups, None)
                    more = group is not None
                    tickets.extend(group or ())
                    if any(isinstance(ticket, UUID) for ticket in group or ()):
                        self.ensure_worker()
                    if tickets and isinstance(tickets[0], Receipt):
                        break
                moved = False
                while tickets and isinstance(tickets[0], Receipt):
                    yield tickets.popleft()  # type: ignore[misc]
                    moved = True
                waiting = [ticket for ticket in list(tickets)[:HANDED_AT_ONCE] if isinstance(ticket, UUID)]
                if waiting:
                    items = self._intake.items(waiting)
                    looked_at = set(waiting)
                    while tickets and tickets[0] in looked_at:
                        item = items.get(cast(UUID, tickets[0]))
                        if item is not None and item.state in ("waiting", "running"):
                            break
                        tickets.popleft()
                        moved = True
                        taken += 1
                        if item is None:
                            continue  # its document was removed, and the row with it
                        yield self._receipt_of(item)
                        if item.attachments:
                            tickets.extendleft(child.id for child in reversed(self._intake.children(item)))
                            break
                    for item in items.values():
                        if item.stage != "waiting":  # being read, or put back because a service failed
                            report(item.identity.source, item.stage, item.done, item.total)
                pause_s = POLL_S[0] if moved else min(pause_s * 1.5, POLL_S[1])
                if tickets and not moved:
                    self.ensure_worker()
                    time.sleep(pause_s)
            if taken >= A_FEW:
                self.merge()
            complete = True
        finally:
            if not complete:
                with suppress(ServiceError):  # the database is away: what waits is taken in when it is back
                    self._intake.cancel(by=by, batch=batch)

    def _receipt_of(self, item: Item) -> Receipt:
        receipt = item.receipt
        if item.state == "cancelled" or receipt is None:
            raise ServiceError(f"{item.identity.source!r} was cancelled. Add it again if it is still wanted.")
        if receipt.status == "failed" and receipt.reason is None:
            raise ServiceError(receipt.detail or f"{item.identity.source!r} could not be taken in. Try again.")
        return receipt

    def ensure_worker(self) -> None:
        """Work in this process when no process does."""
        if not self._worker.running and not self.worker_lives():
            self._worker.start()

    def worker_lives(self) -> bool:
        """Whether any process takes files from the queue."""
        with self._database.working() as connection:
            return queueing.worker_alive(connection)

    def merge(self) -> int:
        """Merge small segments of postings at once, where no worker may live to do it; returns how many went."""
        return merge_segments(self._database, settled=timedelta(0))

    # -- without the queue -------------------------------------------------------------------------------------------

    def add_parsed(
        self,
        identity: Identity,
        original: bytes,
        parsed: ParsedDocument,
        *,
        profile: str,
        readers: Sequence[str],
        owner: str | None = None,
        progress: Progress | None = None,
    ) -> Receipt:
        """Index and store a document that needs no parser, such as a record of a test collection, at once.

        Args:
            original: the bytes it was made from, kept as any original is.
            profile: stands for what made `parsed` of the bytes, in the place of the parser's own profile.
        """
        started = time.monotonic()
        report = progress or (lambda *_: None)
        sha256 = hashlib.sha256(original).digest()
        space = self._spaces.active
        with self._database.working() as connection:
            before = storing.current(connection, identity)
            known = storing.known_vectors(connection, before.document, space.id) if before else {}
        indexed = index_document(
            parsed,
            parsed.title,
            space.embedder,
            known,
            lambda *stage: report(identity.source, *stage),
            stored_vectors(self._database, space.id, LOCAL),
        )
        new = NewVersion(identity, parsed.title, sha256, len(original), profile, self._profile, parsed, indexed)
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="add-") as file:
            file.write(original)
            file.flush()
            with self._database.working() as connection:
                storing.lock_identity(connection, identity)
                before = storing.current(connection, identity)
                document, number = storing.store(
                    connection, new, self._originals, Path(file.name), space=space.id, readers=readers, owner=owner
                )
        return Receipt(
            identity.source, identity.collection, "updated" if before else "added", document, number,
            parsed.page_count, len(indexed.chunks), indexed.embedded, round(time.monotonic() - started, 3),
        )  # fmt: skip

    def up_to_date(self, collection: str, profile: str) -> dict[str, bytes]:
        """SHA-256 by source of a collection's documents that were parsed under `profile` and indexed as now."""
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            rows = connection.execute(
                select(d.c.source, v.c.sha256)
                .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                .where(d.c.collection == collection)
                .where(v.c.parser_profile == profile, d.c.index_profile == self._profile)
            ).all()
        return {row.source: row.sha256 for row in rows}

    # -- upkeep --------------------------------------------------------------------------------------------------

    def sweep(self) -> int:
        """Delete originals that nothing names, and files of work that a kill ended. Returns how many originals."""
        with self._database.working() as connection:
            named = storing.referenced_originals(connection)
        stray = self._originals.unreferenced(named, older_than_s=SWEEP_AFTER_S)
        for sha256 in stray:
            storing.delete_if_unreferenced(self._database, self._originals, sha256)
        for left in (*self._scratch.glob("add-*"), *self._scratch.glob("sync-*")):
            with suppress(OSError):  # gone meanwhile
                if time.time() - left.stat().st_mtime <= SWEEP_AFTER_S:
                    continue
                if left.is_dir():  # holds what came attached to a mail, or was fetched
                    shutil.rmtree(left)
                else:
                    left.unlink()
        return len(stray)

    def stale(self) -> list[DocumentId]:
        """The documents that were parsed or indexed otherwise than they would be now."""
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            return [
                DocumentId(one)
                for one in connection.scalars(
                    select(d.c.id)
                    .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                    .where((v.c.parser_profile != PARSER_PROFILE) | (d.c.index_profile != self._profile))
                    .where(d.c.collection.not_like("eval-%"))
                    .order_by(d.c.updated_at)
                )
            ]

    def rebuild(self) -> int:
        """Queue, behind everything else, what is to be made anew beside what answers now. Returns how much."""
        t = schema.intake
        with self._database.working() as connection:
            queued = connection.scalar(
                text(
                    "select count(*) from intake i where i.state in ('waiting', 'running')"
                    f" and i.kind in ('reindex', 'space') and not {queueing.RESTS}"
                )
            )
            resting = set(
                connection.scalars(
                    select(t.c.document_id).where(t.c.kind == "reindex", t.c.state.in_(("waiting", "running")))
                )
            )
            failed = set(  # as they are they cannot be read again; the former index goes on answering
                connection.scalars(
                    select(t.c.document_id)
                    .where(t.c.kind == "reindex", t.c.state == "failed")
                    .where(t.c.finished_at > func.now() - REBUILD_AGAIN_AFTER)
                )
            )
        if queued:
            return 0
        self._spaces.switch_if_complete()
        stale = [one for one in self.stale() if one not in failed | resting][:REBUILT_AT_ONCE]
        lacking = self._spaces.lacking(REBUILT_AT_ONCE)
        for documents, kind in ((stale, "reindex"), (lacking, "space")):
            if documents:
                self._intake.submit_documents(documents, kind, batch=uuid.uuid4())  # type: ignore[arg-type]
        return len(stale) + len(lacking)


def _rank(inputs: Sequence[Input]) -> int:
    return FEW if len(inputs) <= A_FEW else BULK


def _refused(name: Identity) -> Receipt:
    error = anothers(name)
    return Receipt(
        name.source, name.collection, "failed", None, None, None, 0, 0, 0.0, error.reason, error.detail
    )  # fmt: skip
