"""What the store knows of one origin: the documents kept in step with it, and what its files were when last read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest import schema, storing
from ingest.access import Reader
from ingest.audit import record
from ingest.canonical import PARSER_PROFILE
from ingest.database import Database
from ingest.errors import Reason
from ingest.model import DocumentId
from ingest.storing import Identity

STAYS: Final = frozenset(
    {"unsupported_type", "empty", "encrypted", "corrupt", "unsafe"}
)  # while the bytes are the same
ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds under a name: a document, or why there is none."""

    document: DocumentId | None
    origin: str
    version: int | None
    sha256: bytes | None
    byte_count: int | None
    pages: int | None
    chunks: int
    readers: tuple[str, ...]
    owner: str
    fingerprint: str | None  # set only while it stands for these very bytes, read by this parser
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that is kept in step with the origin."""

    document: DocumentId
    source: str
    version: int
    sha256: bytes
    byte_count: int
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a file was when it was read."""

    source: str
    fingerprint: str | None
    sha256: bytes | None
    document: DocumentId | None
    reason: Reason | None = None
    detail: str | None = None


class Origin:
    """One origin within one collection."""

    def __init__(self, database: Database, origin: str, collection: str) -> None:
        self._database = database
        self.name = origin
        self.collection = collection

    def clock(self) -> datetime:
        """The database's time: what was stored after it is newer than a listing that starts now."""
        with self._database.working() as connection:
            return connection.execute(select(func.clock_timestamp())).scalar_one()

    def known(self, sources: Sequence[str]) -> dict[str, Known]:
        d, v, n, s = schema.document, schema.version, schema.document_name, schema.source_entry
        documents = (
            select(
                n.c.source, d.c.id, d.c.origin, d.c.current_version, d.c.chunks, d.c.readers, d.c.owner,
                v.c.sha256, v.c.byte_count, v.c.page_count, v.c.parser_profile,
                s.c.fingerprint, s.c.sha256.label("sha256_read"), s.c.profile,
            )
            .join(d, d.c.id == n.c.document_id)
            .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
            .outerjoin(s, (s.c.document_id == d.c.id) & (s.c.source == n.c.source) & (s.c.origin == self.name))
            .where(n.c.collection == self.collection, n.c.source.in_(sources))
        )  # fmt: skip
        failures = self._entries().where(s.c.source.in_(sources), s.c.reason.is_not(None))
        with self._database.working() as connection:
            found = {row.source: _known(row) for row in connection.execute(documents)}
            for row in connection.execute(failures):
                if row.profile == PARSER_PROFILE:
                    found[row.source] = _failure(row, found.get(row.source))
        return found

    def kept(self, before: datetime) -> Iterator[Kept]:
        """The documents kept in step with this origin that nobody replaced since `before`; not what came with mail."""
        d, v = schema.document, schema.version
        query = (
            select(d.c.id, d.c.source, d.c.readers, d.c.current_version, v.c.sha256, v.c.byte_count)
            .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
            .where(d.c.origin == self.name, d.c.collection == self.collection)
            .where(d.c.parent_id.is_(None), d.c.updated_at < before)
        )
        with self._database.working() as connection:
            streamed = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
            for row in streamed:
                yield Kept(
                    DocumentId(row.id), row.source, row.current_version, row.sha256, row.byte_count, tuple(row.readers)
                )

    def still(self, kept: Kept, before: datetime) -> bool:
        """Whether a document is as it was: of this origin, under its name, replaced by nobody."""
        d = schema.document
        with self._database.working() as connection:
            return connection.execute(
                select(
                    select(d.c.id)
                    .where(d.c.id == kept.document, d.c.source == kept.source, d.c.origin == self.name)
                    .where(d.c.updated_at < before)
                    .exists()
                )
            ).scalar_one()

    def parts(self, document: DocumentId) -> list[tuple[DocumentId, str]]:
        """The documents that came inside one, and inside those, by id and source."""
        with self._database.working() as connection:
            return _parts(connection, document)

    def rename(self, kept: Kept, source: str, *, by: Reader) -> bool:
        """Give a document and what came inside it another name; everything else of them stays.

        Returns:
            False when it changed meanwhile, or the name is taken; nothing was done.
        """
        with self._database.working() as connection:
            parts = _parts(connection, kept.document)
            names = {kept.document: (kept.source, source)} | {
                part: (name, source + name.removeprefix(kept.source)) for part, name in parts
            }
            for name in sorted({name for pair in names.values() for name in pair}):
                storing.lock_identity(connection, Identity(self.collection, name))
            before = storing.current(connection, Identity(self.collection, kept.source))
            if before is None or (before.document, before.sha256) != (kept.document, kept.sha256):
                return False
            if any(storing.current(connection, Identity(self.collection, new)) for _, new in names.values()):
                return False
            for document, (_, new) in names.items():
                for table, column in ((schema.document, "id"), (schema.document_name, "document_id")):
                    connection.execute(update(table).where(table.c[column] == document).values(source=new))
            record(connection, by, "document.renamed", kept.document, {"from": kept.source, "to": source})
        return True

    def set_properties(
        self, document: DocumentId, readers: Sequence[str] | None, owner: str | None, *, by: Reader
    ) -> None:
        with self._database.working() as connection:
            storing.set_properties(connection, document, readers, owner)
            if readers is not None:
                record(connection, by, "document.readers", document, {"readers": list(readers)})

    def note(self, found: Sequence[Found]) -> None:
        """Remember what files were; only where the document's bytes are those that the fingerprint stands for."""
        d, v, s = schema.document, schema.version, schema.source_entry
        ids = [one.document for one in found if one.document is not None]
        mine = (s.c.origin == self.name, s.c.collection == self.collection)
        with self._database.working() as connection:
            held = {
                row.id: row.sha256
                for row in connection.execute(
                    select(d.c.id, v.c.sha256)
                    .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                    .where(d.c.id.in_(ids))
                    .with_for_update(read=True, key_share=True, of=d)
                )
            }
            connection.execute(delete(s).where(*mine, s.c.source.in_([one.source for one in found])))
            rows = [
                {
                    "origin": self.name,
                    "collection": self.collection,
                    "source": one.source,
                    "fingerprint": one.fingerprint,
                    "profile": PARSER_PROFILE,
                    "sha256": one.sha256,
                    "document_id": one.document if one.document in held else None,
                    "reason": one.reason,
                    "detail": one.detail,
                }
                for one in found
                if one.fingerprint is not None
                and (one.reason in STAYS if one.reason else held.get(one.document) == one.sha256)
            ]
            if rows:
                connection.execute(upsert(s).on_conflict_do_nothing(), rows)

    def remembered(self) -> Iterator[tuple[str, str]]:
        """Name and fingerprint of what was read before and is still held."""
        with self._database.working() as connection:
            streamed = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(self._entries())
            for row in streamed:
                yield row.source, row.fingerprint

    def forget(self, sources: Sequence[str]) -> None:
        s = schema.source_entry
        with self._database.working() as connection:
            connection.execute(
                delete(s).where(s.c.origin == self.name, s.c.collection == self.collection, s.c.source.in_(sources))
            )

    def _entries(self) -> Select:
        s = schema.source_entry
        return select(s).where(s.c.origin == self.name, s.c.collection == self.collection)


def _parts(connection: Connection, document: DocumentId) -> list[tuple[DocumentId, str]]:
    d = schema.document
    found: list[tuple[DocumentId, str]] = []
    waiting = [document]
    while waiting:
        query = select(d.c.id, d.c.source).where(d.c.parent_id.in_(waiting)).order_by(d.c.source)
        inside = [(DocumentId(row.id), str(row.source)) for row in connection.execute(query)]
        found += inside
        waiting = [part for part, _ in inside]
    return found


def _known(row: Row) -> Known:
    fresh = row.sha256_read == row.sha256 and PARSER_PROFILE == row.profile == row.parser_profile
    return Known(
        DocumentId(row.id), row.origin, row.current_version, row.sha256, row.byte_count, row.page_count, row.chunks,
        tuple(row.readers), row.owner, row.fingerprint if fresh else None,
    )  # fmt: skip


def _failure(row: Row, known: Known | None) -> Known:
    """A file that could not be read; the document of before, if there is one, goes on answering."""
    before = known or Known(None, "", None, None, None, None, 0, (), "", None)
    return replace(before, fingerprint=row.fingerprint, reason=row.reason, detail=row.detail)
