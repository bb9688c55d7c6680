"""The list of documents as an owner works through it: searched, filtered, sorted, one page at a time.

And the small questions beside it: which names occur, what a document's chunks and findings are, what work reindexing
would be. Everything shown of a document is read as `reader`; how fast the queue was belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, func, or_, select

from ingest import schema
from ingest.access import Reader
from ingest.catalog import document_from, in_scope, readable
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import Document, DocumentId, Finding, Span
from ingest.storing import Identity

State = Literal[
    "all", "attention", "suspicious", "review", "expired", "future", "superseded", "synced", "attachment"
]  # fmt: skip
Order = Literal["name", "updated", "review", "size"]
JUDGED_BY: Final = 500  # finished files by which the time of further ones is judged


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the documents is to be listed."""

    words: str = ""  # each must stand in the title, source or owner
    collection: str | None = None  # None: all but the scratch collections of evaluations
    state: State = "all"
    order: Order = "name"


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of documents, and how many there are in all."""

    documents: tuple[Document, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Names:
    """What occurs among the documents a reader may read."""

    documents: int
    collections: Mapping[str, int]  # documents in each, by name
    readers: tuple[str, ...]  # sorted
    updated_at: datetime | None  # of the latest change; None without documents
    owners: tuple[str, ...] = ()  # sorted


@dataclass(frozen=True, slots=True)
class ChunkShown:
    """A chunk of a current version, for whoever looks how a document was divided."""

    ordinal: int  # from 0
    start: int  # span of the canonical text
    end: int
    heading: tuple[str, ...]
    page: int | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Remarks:
    """What reading a version remarked for its owner."""

    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    recognised: Mapping[int, float]  # pages whose text was recognised in a picture: mean score, 0 to 1


@dataclass(frozen=True, slots=True)
class Work:
    """What reading and indexing documents again would be."""

    documents: int
    chunks: int
    tokens: int
    byte_count: int
    seconds: float | None  # of one file after the other; None where nothing was taken in yet to judge by


def list_documents(
    database: Database, reader: Reader, wanted: Wanted, *, limit: int = 50, offset: int = 0, today: date | None = None
) -> Listing:
    """The documents that the reader may read and that answer to `wanted`, from `offset` on."""
    conditions = _conditions(reader, wanted, today or database.now().date())
    d, v = schema.document, schema.version
    name = func.lower(func.coalesce(func.nullif(d.c.title, ""), d.c.source))
    orders: Mapping[Order, Sequence[ColumnElement[Any]]] = {
        "name": (name,),
        "updated": (d.c.updated_at.desc(),),
        "review": (d.c.review_by.asc().nulls_last(), name),
        "size": (v.c.byte_count.desc(),),
    }
    query = _rows().where(*conditions).order_by(*orders[wanted.order], d.c.id).limit(limit).offset(offset)
    total = select(func.count()).select_from(_joined().where(*conditions).subquery())
    with database.reading(reader) as connection:
        rows = connection.execute(query).all()
        return Listing(tuple(document_from(row) for row in rows), connection.scalar(total) or 0)


def documents_by_id(
    database: Database, reader: Reader, ids: Sequence[DocumentId]
) -> dict[DocumentId, Document]:  # fmt: skip
    """Those of the documents that the reader may read."""
    with database.reading(reader) as connection:
        rows = connection.execute(_rows().where(readable(reader), schema.document.c.id.in_(ids))).all()
    return {DocumentId(row.id): document_from(row) for row in rows}


def attached_to(database: Database, reader: Reader, document: DocumentId) -> list[Document]:
    """The files that came with a mail, each a document of its own."""
    d = schema.document
    with database.reading(reader) as connection:
        rows = connection.execute(_rows().where(readable(reader), d.c.parent_id == document).order_by(d.c.source))
        return [document_from(row) for row in rows]


def names_in_use(database: Database, reader: Reader) -> Names:
    """Collections, readers and the latest change, for choices and the page's first line."""
    d = schema.document
    mine = (readable(reader), in_scope(None))
    with database.reading(reader) as connection:
        rows = connection.execute(
            select(d.c.collection, func.count().label("documents"), func.max(d.c.updated_at).label("updated_at"))
            .where(*mine)
            .group_by(d.c.collection)
            .order_by(d.c.collection)
        ).all()
        readers = connection.scalars(select(func.unnest(d.c.readers)).where(*mine).distinct()).all()
        owners = connection.scalars(select(d.c.owner).where(*mine, d.c.owner.is_not(None)).distinct()).all()
    return Names(
        sum(row.documents for row in rows),
        {row.collection: row.documents for row in rows},
        tuple(sorted(readers)),
        max((row.updated_at for row in rows), default=None),
        tuple(sorted(owners)),
    )


def same_bytes(database: Database, reader: Reader, hashes: Sequence[bytes]) -> dict[bytes, Document]:
    """Readable documents whose current version is, byte for byte, one of these files."""
    v = schema.version
    with database.reading(reader) as connection:
        query = _rows().add_columns(v.c.sha256).where(readable(reader), in_scope(None), v.c.sha256.in_(hashes))
        return {bytes(row.sha256): document_from(row) for row in connection.execute(query)}


def taken_from(database: Database, reader: Reader, names: Sequence[Identity]) -> set[Identity]:
    """Those of the names that belong to documents which the reader may not read, and so may not replace."""
    d = schema.document
    same = [(d.c.collection == one.collection) & (d.c.source == one.source) for one in names]
    if reader.reads_all or not same:
        return set()
    with database.working() as connection:
        rows = connection.execute(select(d.c.collection, d.c.source).where(or_(*same), ~readable(reader)))
        return {Identity(row.collection, row.source) for row in rows}


def chunks_of(database: Database, reader: Reader, document: DocumentId) -> list[ChunkShown]:
    """The chunks of the current version, in order; empty where the reader may not read it."""
    c, d = schema.chunk, schema.document
    query = (
        select(c.c.ordinal, c.c.start_offset, c.c.end_offset, c.c.heading, c.c.page, c.c.tokens)
        .join(d, d.c.id == c.c.document_id)
        .where(readable(reader), c.c.document_id == document, c.c.version == d.c.current_version)
        .order_by(c.c.ordinal)
    )
    with database.reading(reader) as connection:
        return [
            ChunkShown(row.ordinal, row.start_offset, row.end_offset, tuple(row.heading), row.page, row.tokens)
            for row in connection.execute(query)
        ]


def remarks_on(database: Database, reader: Reader, document: DocumentId, version: int) -> Remarks:
    """Findings, warnings and recognised pages of a version.

    Raises:
        UsageError: there is no such version that the reader may read.
    """
    d, v, p = schema.document, schema.version, schema.page
    with database.reading(reader) as connection:
        row = connection.execute(
            select(v.c.findings, v.c.warnings)
            .join(d, d.c.id == v.c.document_id)
            .where(readable(reader), v.c.document_id == document, v.c.number == version)
        ).one_or_none()
        if row is None:
            raise UsageError(f"There is no document {str(document)!r} in version {version} that you may read.")
        pages = connection.execute(
            select(p.c.page, p.c.recognition)
            .join(d, d.c.id == p.c.document_id)
            .where(readable(reader), p.c.document_id == document, p.c.version == version, p.c.recognition.is_not(None))
            .order_by(p.c.page)
        ).all()
    return Remarks(
        tuple(Finding(**one) for one in row.findings),
        tuple(row.warnings),
        {one.page: one.recognition for one in pages},
    )


def touched_chunks(chunks: Sequence[ChunkShown], span: Span) -> list[ChunkShown]:
    """The chunks that share a character with the span."""
    return [one for one in chunks if one.start < span[1] and span[0] < one.end]


def work_of(database: Database, reader: Reader, wanted: Wanted = Wanted()) -> Work:
    """What it would be to read and index these documents again, judged by the files taken in last."""
    d, v, c, t = schema.document, schema.version, schema.chunk, schema.intake
    conditions = _conditions(reader, wanted, database.now().date())
    sizes = _joined().where(*conditions).with_only_columns(d.c.id, d.c.chunks, v.c.byte_count).subquery()
    with database.reading(reader) as connection:
        row = connection.execute(
            select(func.count(), func.coalesce(func.sum(sizes.c.chunks), 0), func.sum(sizes.c.byte_count))
        ).one()
        tokens = connection.scalar(
            select(func.sum(c.c.tokens)).join(sizes, sizes.c.id == c.c.document_id)  # one scan, of a narrow column
        )
    seconds = t.c.receipt["seconds"].as_float()
    done = (
        select(func.coalesce(t.c.byte_count, 0).label("size"), seconds.label("seconds"))
        .where(t.c.state == "done", t.c.kind.in_(("add", "reindex")), t.c.receipt["chunks_embedded"].as_integer() > 0)
        .order_by(t.c.number.desc())
        .limit(JUDGED_BY)
        .subquery()
    )
    with database.working() as connection:
        took = connection.execute(select(func.count(), func.sum(done.c.size), func.sum(done.c.seconds))).one()
    byte_count = int(row[2] or 0)
    estimate_s = None
    if took[0] and took[1] and took[2]:
        by_size = float(took[2]) / float(took[1]) * byte_count
        by_count = float(took[2]) / took[0] * row[0]
        estimate_s = max(by_size, by_count) if row[0] < took[0] else by_size  # small files cost something too
    return Work(row[0], int(row[1]), int(tokens or 0), byte_count, estimate_s)


def _joined() -> Select:
    d, v = schema.document, schema.version
    return select(d.c.id).join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))


def _rows() -> Select:
    v = schema.version
    return _joined().with_only_columns(
        schema.document,
        v.c.media_type,
        v.c.page_count,
        v.c.byte_count,
        func.jsonb_array_length(v.c.findings).label("findings"),
        func.cardinality(v.c.warnings).label("warnings"),
        maintain_column_froms=True,
    )


def _conditions(reader: Reader, wanted: Wanted, today: date) -> list[ColumnElement[bool]]:
    d, v = schema.document, schema.version
    conditions = [readable(reader), in_scope(wanted.collection)]
    for word in wanted.words.replace("\x00", "").split():
        conditions.append(
            or_(*(column.icontains(word, autoescape=True) for column in (d.c.title, d.c.source, d.c.owner)))
        )
    suspicious = func.jsonb_array_length(v.c.findings) > 0
    overdue = d.c.review_by < today
    expired = d.c.expires_on <= today
    states: Mapping[State, ColumnElement[bool]] = {
        "attention": suspicious | (func.cardinality(v.c.warnings) > 0) | overdue | expired,
        "suspicious": suspicious,
        "review": overdue,
        "expired": expired,
        "future": d.c.effective_from > today,
        "superseded": d.c.superseded_by.is_not(None),
        "synced": d.c.origin != "",
        "attachment": d.c.parent_id.is_not(None),
    }
    if wanted.state != "all":
        conditions.append(states[wanted.state])
    return conditions
