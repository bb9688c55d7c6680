"""One file's way from the queue into the store: parse, cut, embed, one transaction. Runs in a worker."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import UUID

from pgvector import HalfVector
from sqlalchemy import Connection, select

from ingest import intake_rows, schema, storing
from ingest.access import LOCAL, Reader
from ingest.canonical import PARSER_PROFILE
from ingest.database import Database
from ingest.deferred_embedding import WAITS, Deferred, deferring, forget_waits, wait_for
from ingest.errors import ConfigurationError, DocumentError, NoRoom, ServiceError, is_full, trace_of
from ingest.indexing import StoredVectors, ToldBefore, chunk_text, index_document, index_profile
from ingest.intake import Intake, Report
from ingest.intake_rows import Handed, Item, Stopped
from ingest.metering import Caller, in_name_of
from ingest.model import Attachment, DocumentId, Embedder, Receipt
from ingest.originals import Originals
from ingest.parser import Parser
from ingest.reuse import adder, stored_vectors
from ingest.spaces import Space, Spaces
from ingest.storing import Identity, NewVersion, anothers
from ingest.vectors import pack_vectors

LOG: Final = logging.getLogger("quoth.ingest")
BIG_BYTES: Final = 8_000_000  # one document beyond this size at a time: what it unfolds to in memory adds up
DEEPEST: Final = 5  # mails in mails
VECTOR_BATCH: Final = 64

Remove = Callable[[DocumentId], object]


class Taking:
    """Does the queue's work, one item per call; may be called from several threads at once."""

    def __init__(
        self,
        database: Database,
        originals: Originals,
        parser: Parser,
        spaces: Spaces,
        waiting: Intake,
        scratch: Path,
        remove: Remove,
        batch_from: int | None = None,
    ) -> None:
        """
        Args:
            batch_from: chunks from which embeddings are made by the Batch API, where the model has one; None: never.
        """
        self._database = database
        self._originals = originals
        self._parser = parser
        self._spaces = spaces
        self._intake = waiting
        self._scratch = scratch  # a private folder
        self._remove = remove
        self._batch_from = batch_from
        self._big = threading.Lock()

    def take(self, wanted: UUID, *, stopping: Callable[[], bool], last_try: bool) -> None:
        """Do what one row of the queue asks for, and write what became of it into the row.

        Args:
            stopping: whether the worker is to end; the row then waits for another.
            last_try: whether a service that fails now has failed too often.

        Raises:
            ServiceError: a service failed; the row waits, and the job is to be tried again later.
        """
        item = self._intake.begin(wanted)
        if item is None:
            return
        report = self._intake.reporter(item, stopping)
        try:
            with self._big if item.byte_count > BIG_BYTES else nullcontext():
                self._work(item, report)
        except Stopped:
            self._intake.put_back(item)  # does nothing to a row that was cancelled
        except Deferred as deferred:
            with self._database.working() as connection:
                if intake_rows.waits_again(connection, item, WAITS):
                    wait_for(connection, item, deferred)
        except DocumentError as error:
            if stopping():  # the parser was stopped beneath it: that says nothing about the document
                self._intake.put_back(item)
            else:
                self._intake.fail(item, error)
        except ServiceError as error:
            if last_try and not isinstance(error, NoRoom):  # a full disk is waited for as long as it takes
                self._intake.fail_for_now(item, str(error))
                return
            self._intake.put_back(item, f"waits: {error}")
            raise
        except ConfigurationError as error:
            LOG.error("taking in %s: %s", item.id, error)
            self._intake.fail_for_now(item, str(error))
        except OSError as error:
            if not is_full(error):
                self._fault(item, error)
                return
            full = NoRoom(f"The disk of {str(self._scratch)!r} is full. Make room there; the file goes on by itself.")
            self._intake.put_back(item, f"waits: {full}")
            raise full from error
        except Exception as error:
            self._fault(item, error)

    def _fault(self, item: Item, error: Exception) -> None:
        LOG.error("taking in %s failed:\n%s", item.id, trace_of(error))
        self._intake.fail(
            item,
            DocumentError(
                "unreadable",
                f"{item.identity.source!r} could not be taken in because of a fault in Quoth "
                f"({type(error).__name__}). The log has the rest; please report it.",
            ),
        )

    def _work(self, item: Item, report: Report) -> None:
        if item.kind == "space":
            self._vectors_in_new_space(item, report)
            return
        started = time.monotonic()
        sha256 = item.sha256 if item.kind == "add" else self._stored_bytes(item)
        if sha256 is None:
            return
        space = self._spaces.active
        report("parsing", 0, 1)
        with self._originals.local_file(sha256) as file:
            parsed = self._parser.parse(file, name=item.identity.source, progress=_reading(report))
        title = parsed.title or title_from(item.identity.source)
        with self._database.working() as connection:
            before = storing.current(connection, item.identity)
            reuse = before is not None and item.kind == "add"
            known = storing.known_vectors(connection, before.document, space.id) if before and reuse else {}
        stored = stored_vectors(self._database, space.id, adder(item.principal)) if item.kind == "add" else None
        indexed = index_document(parsed, title, self._embedder(space, item), known, report, stored)
        report("storing", 0, 1)
        new = NewVersion(
            item.identity, title, sha256, item.byte_count, PARSER_PROFILE, index_profile(), parsed, indexed
        )
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="add-") as folder:
            attached = self._written(item, parsed.attachments, Path(folder))
            with self._database.working() as connection:
                storing.lock_identity(connection, item.identity)
                before = storing.current(connection, item.identity)
                if item.kind == "reindex" and (before is None or before.sha256 != sha256):
                    raise Stopped  # replaced or removed meanwhile: what is there now was indexed as now
                if item.kind == "add" and before and not storing.may_replace(connection, item.principals, before):
                    raise anothers(item.identity)  # the name was free when it was handed over
                document, number = storing.store(
                    connection, new, self._originals, None, space=space.id, readers=item.readers, owner=item.owner,
                    origin=item.origin, parent=item.parent_id,
                )  # fmt: skip
                receipt = Receipt(
                    item.identity.source, item.identity.collection, "updated" if before else "added", document, number,
                    parsed.page_count, len(indexed.chunks), indexed.embedded, round(time.monotonic() - started, 3),
                    parent=item.parent,
                )  # fmt: skip
                gone = self._attach(connection, item, document, attached)
                forget_waits(connection, item.id)
                intake_rows.finish(connection, item, receipt, len(attached))
        for child in gone:
            self._remove(child)

    def _stored_bytes(self, item: Item) -> bytes | None:
        """The hash of a stored document's current bytes; None, with the row ended, when it is gone."""
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            sha256 = connection.scalar(
                select(v.c.sha256)
                .join(d, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                .where(d.c.id == item.document)
            )
            if sha256 is None:
                intake_rows.finish(connection, item, self._nothing(item, "It was removed meanwhile."))
        return sha256

    def _nothing(self, item: Item, detail: str | None) -> Receipt:
        return Receipt(
            item.identity.source, item.identity.collection, "unchanged", item.document, None, None, 0, 0, 0.0,
            detail=detail,
        )  # fmt: skip

    # -- attachments -------------------------------------------------------------------------------------------------

    def _written(self, item: Item, attachments: Sequence[Attachment], folder: Path) -> list[tuple[str, Path, bytes]]:
        """(source, file, SHA-256) of each attachment that becomes a document."""
        if item.identity.source.count(".eml/") + item.identity.source.count(".msg/") >= DEEPEST:
            return []
        found = []
        for number, one in enumerate(attachments):
            file = folder / str(number)
            file.write_bytes(one.content)
            found.append((f"{item.identity.source}/{one.name}", file, hashlib.sha256(one.content).digest()))
        return found

    def _attach(
        self,
        connection: Connection,
        item: Item,
        document: DocumentId,
        attached: Sequence[tuple[str, Path, bytes]],
    ) -> list[DocumentId]:
        """Queue what came with a document, under its readers; returns the documents that came with it no longer."""
        d = schema.document
        collection = item.identity.collection
        children = {
            row.source: DocumentId(row.id)
            for row in connection.execute(select(d.c.id, d.c.source).where(d.c.parent_id == document))
        }
        if attached:
            row = connection.execute(select(d.c.readers, d.c.owner).where(d.c.id == document)).one()
            intake_rows.queue_files(
                connection,
                self._originals,
                [
                    Handed(
                        file, sha256, file.stat().st_size, Identity(collection, source), tuple(row.readers), row.owner,
                        None, item.identity.source, document,
                    )
                    for source, file, sha256 in attached
                ],
                batch=item.batch,
                by=item.by,
                priority=item.priority,
            )  # fmt: skip
        return [child for source, child in children.items() if source not in {source for source, _, _ in attached}]

    # -- another embedding space -------------------------------------------------------------------------------------

    def _vectors_in_new_space(self, item: Item, report: Report) -> None:
        """Give a document's chunks their vectors in the space being built."""
        building = self._spaces.building
        embedder = None if building is None else self._embedder(building, item)
        # what is made in a batch is asked for whole: each batch may take a day
        most = None if isinstance(embedder, ToldBefore) else VECTOR_BATCH
        c, v, d = schema.chunk, schema.chunk_vector, schema.document
        while building is not None and embedder is not None:
            with self._database.working() as connection:
                lacking = (
                    ~select(v)
                    .where(v.c.document_id == c.c.document_id, v.c.chunk_id == c.c.id, v.c.space == building.id)
                    .exists()
                )
                rows = connection.execute(
                    select(c, d.c.title)
                    .join(d, d.c.id == c.c.document_id)
                    .where(c.c.document_id == item.document, lacking)
                    .order_by(c.c.ordinal)
                    .limit(most)
                ).all()
            if not rows:
                break
            report("embedding", rows[0].ordinal, rows[0].ordinal + len(rows))
            # nobody reads a receipt of this: what any document's chunk has already is taken over
            vectors = dict(stored_vectors(self._database, building.id, LOCAL)([row.text_hash for row in rows]))
            new = list({row.text_hash: row for row in rows if row.text_hash not in vectors}.values())
            texts = [chunk_text(row.title, tuple(row.heading), row.text) for row in new]
            spans = []
            for row, text in zip(new, texts, strict=True):
                shift = len(text) - len(row.text) - row.start_offset
                borders = [offset + shift for offset in row.sentences]
                spans.append(list(zip(borders[::2], borders[1::2], strict=True)))
            if isinstance(embedder, ToldBefore):
                embedder.prepare(texts, spans)
            made, of_sentences = embedder.embed_passages(texts, spans) if new else ((), ())
            for row, vector, sentences in zip(new, made, of_sentences, strict=True):
                vectors[row.text_hash] = StoredVectors(HalfVector(vector), pack_vectors(sentences))
            with self._database.working() as connection:
                storing.lock_identity(connection, item.identity)
                storing.add_vectors(
                    connection,
                    building.id,
                    [(row.document_id, row.id, vectors[row.text_hash]) for row in rows],
                )
        with self._database.working() as connection:
            forget_waits(connection, item.id)
            intake_rows.finish(connection, item, self._nothing(item, None))

    def _embedder(self, space: Space, item: Item) -> Embedder:
        """What embeds for an item, in the name of whoever handed it over."""
        own = in_name_of(space.embedder, Caller(Reader(item.principal, frozenset()), bulk=True))
        return deferring(self._database, own, space.id, item, least=self._batch_from)


def _reading(report: Report) -> Callable[[int, int], None]:
    """The parser's progress as a stage; being asked, too, is how a file that is cancelled meanwhile is let go."""

    def told(done: int, total: int) -> None:
        if total:
            report("reading pages", done, total)
        else:
            report("parsing", 0, 1)

    return told


def title_from(source: str) -> str:
    """A readable title from a file's name: 'hr/travel_policy-2024.pdf' -> 'Travel policy 2024'."""
    stem = PurePosixPath(source).stem.replace("_", " ").replace("-", " ").strip()
    return (stem[:1].upper() + stem[1:]) or source
