"""The documents as people handle them: list, show, locate, decide who reads, remove.

Reading goes through `Database.reading(reader)`; what that reader may not see does not exist here. The owners' acts
(`set_readers`, `remove`) go through the worker's role; the doors decide who may call them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    cast,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from ingest import queueing, schema, segments, storing
from ingest.access import EVERYONE, LOCAL, PERSON, Reader
from ingest.audit import record
from ingest.database import Database
from ingest.errors import UsageError
from ingest.groups import user_name
from ingest.locating import locate, unpack_boxes
from ingest.model import Document, DocumentId, Element, Locator, PageMap
from ingest.originals import Originals
from ingest.parser import Parser
from ingest.tombstones import tombstone

Eraser = Callable[[Connection, DocumentId], None]  # blanks what other folders' tables quoted from a document


def readable(reader: Reader) -> ColumnElement[bool]:
    """The explicit wall: this predicate on `document` stands in every query of a door."""
    own = select(func.principals_of(cast(list(reader.principals), ARRAY(Text)))).scalar_subquery()
    return func.array_append(schema.document.c.readers, "*").op("&&")(own)


def has_page_images(media_type: str) -> bool:
    """Whether the pages of a document of this kind can be drawn, with a citation's boxes on them."""
    return media_type == "application/pdf" or media_type.startswith("image/")


def in_scope(collection: str | None) -> ColumnElement[bool]:
    """The collection asked for; None is all but the scratch collections of evaluations."""
    return func.quoth_in_scope(schema.document.c.collection, collection)


def in_force() -> ColumnElement[bool]:
    """Whether a document answers today: it has taken effect and has not expired."""
    d = schema.document
    return func.quoth_in_force(d.c.effective_from, d.c.expires_on)


class Catalog:
    def __init__(
        self, database: Database, originals: Originals, parser: Parser, erasers: Sequence[Eraser] = ()
    ) -> None:
        self._database = database
        self._originals = originals
        self._parser = parser
        self._erasers = erasers

    # -- reading -------------------------------------------------------------------------------------------------

    def documents(self, reader: Reader, collection: str | None = None) -> list[Document]:
        """All documents the reader may read, by collection and source."""
        d = schema.document
        query = self._documents().where(readable(reader), in_scope(collection)).order_by(d.c.collection, d.c.source)
        with self._database.reading(reader) as connection:
            return [document_from(row) for row in connection.execute(query)]

    def find(self, reader: Reader, reference: str, collection: str | None = None) -> tuple[Document, int]:
        """The document and version that 'DOCUMENT[@VERSION]' names: an id, the start of one, or a source.

        Raises:
            UsageError: nothing readable has that name, or several have.
        """
        name, number = _split_version(reference)
        found = self._named(reader, name, collection)
        if not found and number is not None:  # a source may hold an @
            found, name, number = self._named(reader, reference, collection), reference, None
        if not found:
            raise UsageError(f"There is no document {name!r}. `quoth documents` lists those you may read.")
        if len(found) > 1:
            names = ", ".join(f"{one.collection}/{one.source}" for one in found[:5])
            raise UsageError(f"{name!r} names several documents: {names}. Use the id, or COLLECTION/SOURCE.")
        if number is not None:
            self._version(reader, found[0].id, number)
        return found[0], number or found[0].version

    def _named(self, reader: Reader, name: str, collection: str | None) -> list[Document]:
        d = schema.document
        matches: list[ColumnElement[bool]] = [d.c.source == name, (d.c.collection + "/" + d.c.source) == name]
        if len(name) >= 8 and all(c in "0123456789abcdef-" for c in name.lower()):
            matches.append(cast(d.c.id, Text).like(name.lower() + "%"))
        query = self._documents().where(readable(reader), in_scope(collection), or_(*matches)).limit(6)
        with self._database.reading(reader) as connection:
            return [document_from(row) for row in connection.execute(query)]

    def text(self, reader: Reader, document: DocumentId, version: int) -> str:
        """The canonical text, exactly.

        Raises:
            UsageError: nothing readable has that id and version.
        """
        return str(self._version(reader, document, version).canonical_text)

    def elements(self, reader: Reader, document: DocumentId, version: int) -> list[Element]:
        with self._database.reading(reader) as connection:
            return _elements(connection, reader, document, version, None)

    def locate(self, reader: Reader, document: DocumentId, version: int, start: int, end: int) -> Locator:
        """Where a span of a readable version can be shown; an empty locator when it is not readable."""
        with self._database.reading(reader) as connection:
            return locate_span(connection, reader, document, version, start, end)

    def stored_span(
        self, reader: Reader, document: DocumentId, version: int, start: int, end: int
    ) -> tuple[str, Locator]:
        """canonical_text[start:end] as the store holds it, and where it can be shown; '' when it is not readable."""
        d, v = schema.document, schema.version
        with self._database.reading(reader) as connection:
            stored = connection.scalar(
                select(func.substring(v.c.canonical_text, start + 1, end - start))
                .join(d, d.c.id == v.c.document_id)
                .where(readable(reader), v.c.document_id == document, v.c.number == version)
            )
            return stored or "", locate_span(connection, reader, document, version, start, end)

    def original(self, reader: Reader, document: DocumentId, version: int) -> tuple[bytes, str]:
        """The stored bytes and their media type."""
        row = self._version(reader, document, version)
        return self._originals.read(row.sha256), row.media_type

    def page_image(self, reader: Reader, document: DocumentId, version: int, page: int, *, scale: float = 1.6) -> bytes:
        """One page of a PDF or of a picture file as PNG, as displayed, rendered by the parser's process.

        Args:
            page: from 1.
            scale: pixels per point.
        """
        row = self._version(reader, document, version)
        if not has_page_images(row.media_type) or not 1 <= page <= (row.page_count or 0):
            raise UsageError(f"{row.title!r} has no page {page} to show.")
        with self._originals.local_file(row.sha256) as file:
            return self._parser.render_page(file, page, scale=scale)

    def exists(self, document: DocumentId) -> bool:
        """Whether a document is there, for whoever; no door asks this."""
        with self._database.working() as connection:
            return connection.scalar(select(schema.document.c.id).where(schema.document.c.id == document)) is not None

    # -- the owners' acts ------------------------------------------------------------------------------------------

    def set_readers(self, document: DocumentId, readers: Sequence[str], *, by: Reader = LOCAL) -> None:
        """Decide who may read a document. Holds at every door when this returns."""
        with self._database.working() as connection:
            storing.set_properties(connection, document, list(readers), None)
            record(connection, by, "document.readers", document, {"readers": list(readers)})

    def remove(self, document: DocumentId, *, by: Reader = LOCAL) -> list[str]:
        """Remove a document: every version, chunk, vector, posting, quotation in answers, and its originals.

        What was attached to it goes first, and what waits in the queue under its name goes too. Documents that it
        superseded forget it. The audit keeps a tombstone of hashes, against which `ingest.removal` proves that nothing
        is left.

        Returns:
            The sources of the attachments that went with it.
        """
        attached = []
        for child, source in self._attached(document):
            attached += [source, *self.remove(child, by=by)]
        self._remove_one(document, by)
        return attached

    def _attached(self, document: DocumentId) -> list[tuple[DocumentId, str]]:
        d = schema.document
        query = select(d.c.id, d.c.source).where(d.c.parent_id == document).order_by(d.c.source)
        with self._database.working() as connection:
            return [(DocumentId(row.id), row.source) for row in connection.execute(query)]

    def _remove_one(self, document: DocumentId, by: Reader) -> None:
        d, n, t = schema.document, schema.document_name, schema.intake
        v, entry = schema.version, schema.source_entry
        with self._database.working() as connection:
            named = connection.execute(select(d.c.collection, d.c.source).where(d.c.id == document)).one_or_none()
            if named is not None:
                storing.lock_identity(connection, storing.Identity(named.collection, named.source))
            mark = tombstone(connection, document)
            hashes = set(connection.scalars(select(v.c.sha256).where(v.c.document_id == document)))
            for erase in self._erasers:
                erase(connection, document)
            queued = (t.c.document_id == document) | (t.c.parent_id == document)
            if named is not None:
                queued |= (t.c.collection == named.collection) & (t.c.source == named.source)
                by_name = (entry.c.collection == named.collection) & (entry.c.source == named.source)
                connection.execute(delete(entry).where(by_name | (entry.c.document_id == document)))
            rows = connection.execute(delete(t).where(queued).returning(t.c.job_id, t.c.sha256)).all()
            queueing.cancel(connection, [row.job_id for row in rows if row.job_id is not None])
            hashes.update(row.sha256 for row in rows if row.sha256)
            segments.take_out(connection, document)
            storing.note_change(connection, document)
            connection.execute(delete(n).where(n.c.document_id == document))
            for column in (d.c.superseded_by, d.c.parent_id):
                connection.execute(update(d).where(column == document).values({column: None}))
            connection.execute(delete(d).where(d.c.id == document))
            record(connection, by, "document.removed", document, mark)
        self._originals.note_removal(document)
        for sha256 in hashes:
            storing.delete_if_unreferenced(self._database, self._originals, sha256)

    def forget_changes(self) -> None:
        """Drop the notes of changes that every search has taken in."""
        with self._database.working() as connection:
            storing.forget_changes(connection)

    def reader_for(self, user: str, *, operator: str | None = None) -> Reader:
        """The reader a local user is; the user's groups are found when they are needed.

        Raises:
            UsageError: for a name that is no user's, such as `local`.
        """
        return Reader(user_name(user), frozenset(), operator=operator)

    def audit_impersonation(self, reader: Reader) -> None:
        """Keep that an operator acts in a reader's name, and all that the reader is at this moment."""
        with self._database.recording(reader) as connection:
            own = connection.scalar(text("select quoth_principals()")) or []
            groups = [name for name in own if name != EVERYONE and not name.startswith(PERSON)]
            record(connection, reader, "impersonation", None, {"groups": groups})

    # -- queries -----------------------------------------------------------------------------------------------------

    def _documents(self) -> Select:
        d, v = schema.document, schema.version
        return select(
            d,
            v.c.media_type,
            v.c.page_count,
            v.c.byte_count,
            func.jsonb_array_length(v.c.findings).label("findings"),
            func.cardinality(v.c.warnings).label("warnings"),
        ).join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))

    def _version(self, reader: Reader, document: DocumentId, version: int) -> Row:
        d, v = schema.document, schema.version
        with self._database.reading(reader) as connection:
            row = connection.execute(
                select(v)
                .join(d, d.c.id == v.c.document_id)
                .where(readable(reader), v.c.document_id == document, v.c.number == version)
            ).one_or_none()
        if row is None:
            raise UsageError(f"There is no document {str(document)!r} in version {version} that you may read.")
        return row


def locate_span(
    connection: Connection, reader: Reader, document: DocumentId, version: int, start: int, end: int
) -> Locator:
    p, d = schema.page, schema.document
    rows = connection.execute(
        select(p)
        .join(d, d.c.id == p.c.document_id)
        .where(readable(reader), p.c.document_id == document, p.c.version == version)
        .where(p.c.start_offset < end, p.c.end_offset > start)
        .order_by(p.c.page)
    )
    pages = [
        PageMap(
            row.page, row.start_offset, row.end_offset, row.width, row.height, unpack_boxes(row.boxes), row.recognition
        )
        for row in rows
    ]
    return locate(start, end, pages, _elements(connection, reader, document, version, (start, end)))


def _elements(
    connection: Connection, reader: Reader, document: DocumentId, version: int, span: tuple[int, int] | None
) -> list[Element]:
    e, d = schema.element, schema.document
    query = (
        select(e)
        .join(d, d.c.id == e.c.document_id)
        .where(readable(reader), e.c.document_id == document, e.c.version == version)
        .order_by(e.c.ordinal)
    )
    if span is not None:
        query = query.where(e.c.start_offset < span[1], e.c.end_offset > span[0])
    return [
        Element(r.ordinal, r.category, r.depth, r.start_offset, r.end_offset, r.page, r.place)
        for r in connection.execute(query)
    ]


def document_from(row: Row) -> Document:
    """A document from a row of its table joined with its current version."""
    return Document(
        id=DocumentId(row.id),
        collection=row.collection,
        source=row.source,
        title=row.title,
        owner=row.owner,
        readers=tuple(row.readers),
        version=row.current_version,
        media_type=row.media_type,
        pages=row.page_count,
        chunks=row.chunks,
        bytes=row.byte_count,
        updated_at=row.updated_at,
        review_by=row.review_by,
        effective_from=row.effective_from,
        expires_on=row.expires_on,
        superseded_by=None if row.superseded_by is None else DocumentId(row.superseded_by),
        parent=None if row.parent_id is None else DocumentId(row.parent_id),
        findings=row.findings,
        warnings=row.warnings,
    )


def _split_version(reference: str) -> tuple[str, int | None]:
    name, at, number = reference.rpartition("@")
    if at and number.isdigit():
        return name, int(number)
    return reference, None
