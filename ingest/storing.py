"""Writing a version: everything that makes it searchable and citable goes in with one transaction, or nothing does."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from pgvector import HalfVector
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest import schema, segments
from ingest.access import READS_ALL
from ingest.database import Database
from ingest.errors import DocumentError, ServiceError
from ingest.indexing import IndexedDocument, StoredVectors
from ingest.locating import pack_boxes
from ingest.model import DocumentId, ParsedDocument
from ingest.originals import Originals

CHANGES_KEPT: Final = timedelta(hours=6)  # a mask that was not used for so long is made anew


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two files the same document."""

    collection: str
    source: str


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version ready to be stored."""

    identity: Identity
    title: str
    sha256: bytes
    byte_count: int
    parser_profile: str
    index_profile: str
    parsed: ParsedDocument
    indexed: IndexedDocument


@dataclass(frozen=True, slots=True)
class Current:
    """What the store holds under an identity now."""

    document: DocumentId
    version: int
    sha256: bytes
    parser_profile: str
    index_profile: str
    owner: str
    readers: tuple[str, ...]
    chunks: int
    pages: int | None
    text_sha256: bytes


def current(connection: Connection, identity: Identity) -> Current | None:
    d, v, n = schema.document, schema.version, schema.document_name
    row = connection.execute(
        select(d, v.c.number, v.c.sha256, v.c.parser_profile, v.c.page_count, v.c.text_sha256)
        .join(n, n.c.document_id == d.c.id)
        .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
        .where(n.c.collection == identity.collection, n.c.source == identity.source)
    ).one_or_none()
    return None if row is None else _current(row)


def anothers(name: Identity) -> DocumentError:
    """Nobody replaces what they may not read: naming its readers anew would open its former versions to them."""
    return DocumentError(
        "ambiguous_name",
        f"{name.source!r} is another's document in {name.collection!r}. Choose another name or collection.",
    )


def may_replace(connection: Connection, principals: Sequence[str], before: Current) -> bool:
    """Whether somebody may replace a document: who may not read it would open its former versions to others."""
    if READS_ALL in principals:
        return True
    held = connection.scalar(text("select principals_of(:names)"), {"names": list(principals)})
    return not set(held or ()).isdisjoint(before.readers)


def _current(row: Row) -> Current:
    return Current(
        document=DocumentId(row.id),
        version=row.number,
        sha256=row.sha256,
        parser_profile=row.parser_profile,
        index_profile=row.index_profile,
        owner=row.owner,
        readers=tuple(row.readers),
        chunks=row.chunks,
        pages=row.page_count,
        text_sha256=row.text_sha256,
    )


def known_vectors(connection: Connection, document: DocumentId, space: int) -> dict[bytes, StoredVectors]:
    """The vectors of a document's chunks in one embedding space, by the hash of the text they were made from."""
    c, v = schema.chunk, schema.chunk_vector
    rows = connection.execute(
        select(c.c.text_hash, v.c.vector, v.c.sentence_vectors)
        .join(v, (v.c.document_id == c.c.document_id) & (v.c.chunk_id == c.c.id))
        .where(c.c.document_id == document, v.c.space == space)
    )
    return {row.text_hash: StoredVectors(HalfVector(row.vector), row.sentence_vectors) for row in rows}


def lock(connection: Connection, *names: str) -> None:
    """Hold the named things until the transaction ends; in one order, so that two never wait for each other."""
    for name in sorted(names):
        connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"quoth.{name}"})


def lock_identity(connection: Connection, identity: Identity) -> None:
    lock(connection, f"document {identity.collection}\n{identity.source}")


def original_lock(sha256: bytes) -> str:
    """Whoever puts or deletes an original holds this: a file goes only when nothing names it."""
    return f"original {sha256.hex()}"


SPACE_LOCK: Final = "space"  # shared by whoever stores vectors; the switch to another space holds it alone


def lock_space(connection: Connection, space: int) -> None:
    """Keep the active embedding space from being switched until the transaction ends.

    Raises:
        ServiceError: another space became the active one since the vectors were made.
    """
    t = schema.embedding_space
    connection.execute(
        text("select pg_advisory_xact_lock_shared(hashtextextended(:name, 0))"), {"name": f"quoth.{SPACE_LOCK}"}
    )
    if not connection.scalar(select(t.c.active).where(t.c.id == space)):
        raise ServiceError("The embedding space was switched meanwhile. It is tried again in the new one.")


def store(
    connection: Connection,
    new: NewVersion,
    originals: Originals,
    file: Path | None,
    *,
    space: int,
    readers: Sequence[str] | None,
    owner: str | None,
    origin: str | None = None,
    parent: DocumentId | None = None,
) -> tuple[DocumentId, int]:
    """Write a version and make it the current one. The caller holds the identity's lock and commits.

    Args:
        file: the bytes to keep as the original; None when they are stored already.
        readers, owner, origin, parent: None keeps what an existing document has.

    Raises:
        ServiceError: the embedding space of the vectors is no longer the active one.

    Returns:
        The document's id and the number of the version that answers after the commit.
    """
    lock_space(connection, space)
    before = current(connection, new.identity)
    text_sha256 = hashlib.sha256(new.parsed.text.encode()).digest()
    if file is not None:
        lock(connection, original_lock(new.sha256))
        originals.put(file, new.sha256)
    same_version = (
        before is not None
        and (before.sha256, before.parser_profile) == (new.sha256, new.parser_profile)
        and before.text_sha256 == text_sha256
    )
    document = before.document if before else DocumentId(uuid.uuid4())
    number = before.version if before and same_version else _next_number(connection, document)
    properties = {"readers": readers, "owner": owner, "origin": origin, "parent_id": parent}
    _write_document(connection, new, document, number, before, properties)
    if not same_version:
        _write_version(connection, new, document, number, text_sha256)
    _write_chunks(connection, new, document, number, space)
    note_change(connection, document)
    return document, number


def _next_number(connection: Connection, document: DocumentId) -> int:
    v = schema.version
    return (connection.scalar(select(func.max(v.c.number)).where(v.c.document_id == document)) or 0) + 1


def _write_document(
    connection: Connection,
    new: NewVersion,
    document: DocumentId,
    number: int,
    before: Current | None,
    properties: Mapping[str, object],
) -> None:
    d = schema.document
    values: dict[str, object] = {
        "title": new.title,
        "current_version": number,
        "chunks": len(new.indexed.chunks),
        "index_profile": new.index_profile,
        "updated_at": func.now(),
        **_given(properties),
    }
    if before is None:
        collection, source = new.identity.collection, new.identity.source
        defaults = {"id": document, "collection": collection, "source": source, "readers": ["everyone"], "owner": ""}
        connection.execute(insert(d).values(defaults | values))
        connection.execute(
            insert(schema.document_name).values(collection=collection, source=source, document_id=document)
        )
    else:
        connection.execute(update(d).where(d.c.id == document).values(values))
        if number != before.version:
            v = schema.version
            connection.execute(
                update(v)
                .where(v.c.document_id == document, v.c.number == before.version)
                .values(replaced_at=func.now())
            )


def _write_version(
    connection: Connection, new: NewVersion, document: DocumentId, number: int, text_sha256: bytes
) -> None:
    parsed = new.parsed
    connection.execute(
        insert(schema.version).values(
            document_id=document,
            number=number,
            sha256=new.sha256,
            parser_profile=new.parser_profile,
            title=new.title,
            media_type=parsed.media_type,
            language=parsed.language,
            byte_count=new.byte_count,
            page_count=parsed.page_count,
            canonical_text=parsed.text,
            text_sha256=text_sha256,
            warnings=list(parsed.warnings),
            findings=[asdict(finding) for finding in parsed.findings],
        )
    )
    if parsed.elements:
        connection.execute(
            insert(schema.element),
            [
                {
                    "document_id": document,
                    "version": number,
                    "ordinal": element.ordinal,
                    "category": element.category,
                    "depth": element.depth,
                    "start_offset": element.start,
                    "end_offset": element.end,
                    "page": element.page,
                    "place": dict(element.place),
                }
                for element in parsed.elements
            ],
        )
    _insert(
        connection,
        "page (document_id, version, page, start_offset, end_offset, width, height, boxes, recognition)",
        (
            (
                document,
                number,
                page.page,
                page.start,
                page.end,
                page.width,
                page.height,
                pack_boxes(page),
                page.recognition,
            )
            for page in parsed.pages
        ),
    )


def _write_chunks(connection: Connection, new: NewVersion, document: DocumentId, number: int, space: int) -> None:
    c = schema.chunk
    connection.execute(delete(c).where(c.c.document_id == document))
    segments.take_out(connection, document)
    chunks = new.indexed.chunks
    first = connection.scalar(text("select take_positions(:n)"), {"n": len(chunks)}) or 0
    ids = _chunk_ids(document, [chunk.text_hash for chunk in chunks])
    _insert(
        connection,
        "chunk (document_id, id, version, ordinal, position, start_offset, end_offset, heading, page, text,"
        " text_hash, tokens, sentences)",
        (
            (
                document, chunk_id, number, ordinal, first + ordinal, chunk.span.start, chunk.span.end,
                list(chunk.span.heading), chunk.span.page, new.parsed.text[chunk.span.start : chunk.span.end],
                chunk.text_hash, chunk.span.tokens,
                [offset for span in chunk.span.sentences for offset in span],
            )
            for ordinal, (chunk_id, chunk) in enumerate(zip(ids, chunks, strict=True))
        ),
    )  # fmt: skip
    _insert(
        connection,
        "chunk_vector (document_id, chunk_id, space, vector, sentence_vectors)",
        (
            (document, chunk_id, space, chunk.vectors.vector.to_text(), chunk.vectors.sentence_vectors)
            for chunk_id, chunk in zip(ids, chunks, strict=True)
        ),
    )
    segments.put_in(connection, document, [chunk.terms for chunk in chunks], first, new.indexed.analyzer)


def note_change(connection: Connection, document: uuid.UUID) -> None:
    """Tell the masks that searches keep in memory: who may read the document, or what of it, is another now.

    Belongs to every transaction that changes its readers, collection, dates or postings, or removes it.
    """
    connection.execute(insert(schema.document_change).values(document_id=document))


def forget_changes(connection: Connection) -> None:
    """Drop what every mask in memory has taken note of."""
    t = schema.document_change
    connection.execute(delete(t).where(t.c.at < func.now() - CHANGES_KEPT))


def add_vectors(connection: Connection, space: int, rows: Iterable[tuple[uuid.UUID, uuid.UUID, StoredVectors]]) -> None:
    """Add vectors of a further space to (document, chunk); those of chunks that are gone meanwhile are dropped."""
    statement = text(
        "insert into chunk_vector (document_id, chunk_id, space, vector, sentence_vectors)"
        " select document_id, id, :space, cast(:vector as halfvec), :sentences from chunk"
        " where document_id = :document and id = :chunk on conflict do nothing"
    )
    connection.execute(
        statement,
        [
            {
                "space": space, "vector": vectors.vector.to_text(), "sentences": vectors.sentence_vectors,
                "document": document, "chunk": chunk,
            }
            for document, chunk, vectors in rows
        ],
    )  # fmt: skip


def _chunk_ids(document: DocumentId, hashes: Sequence[bytes]) -> list[uuid.UUID]:
    """Stable names: a chunk whose text did not change keeps its id through a replacement."""
    seen: dict[bytes, int] = {}
    ids = []
    for text_hash in hashes:
        seen[text_hash] = seen.get(text_hash, 0) + 1
        ids.append(uuid.uuid5(document, f"{text_hash.hex()} {seen[text_hash]}"))
    return ids


def _insert(connection: Connection, target: str, rows: Iterable[tuple]) -> None:
    """Insert many rows, pipelined. COPY would be the usual way, but Postgres refuses it where row security applies."""
    values = "%s, " * target.count(",") + "%s"
    raw = connection.connection.driver_connection
    assert raw is not None
    with raw.cursor() as cursor:
        cursor.executemany(f"insert into {target} values ({values})", rows)


def ensure_space(connection: Connection, name: str, dimensions: int, setting: str) -> int:
    """The id of an embedding space, made with its HNSW index when it is new. Acts as the tables' owner.

    The first space is the active one; a later one becomes it when every chunk has its vector there.

    Args:
        setting: what opens its embedder, for processes that are to use this space while another one is wanted.
    """
    table = schema.embedding_space
    first = ~select(table.c.id).where(table.c.active).exists()
    known = connection.execute(select(table).where(table.c.name == name)).one_or_none()
    if known is not None:
        if known.setting != setting:
            connection.execute(update(table).where(table.c.id == known.id).values(setting=setting))
        if not known.active:
            connection.execute(update(table).where(table.c.id == known.id, first).values(active=True))
        return int(known.id)
    lock(connection, SPACE_LOCK)
    made = connection.scalar(
        upsert(table)
        .values(name=name, dimensions=dimensions, active=select(first).scalar_subquery(), setting=setting)
        .on_conflict_do_nothing()
        .returning(table.c.id)
    )
    if made is None:
        return connection.execute(select(table.c.id).where(table.c.name == name)).scalar_one()
    connection.execute(
        text(
            f"create index chunk_vector_hnsw_{made} on chunk_vector using hnsw"
            f" ((vector::halfvec({int(dimensions)})) halfvec_cosine_ops) with (m = 16, ef_construction = 64)"
            f" where space = {made}"
        )
    )
    return made


def set_properties(
    connection: Connection,
    document: DocumentId,
    readers: Sequence[str] | None,
    owner: str | None,
    origin: str | None = None,
) -> None:
    """Change who may read a document, who owns it, or where it comes from; None leaves it as it is.

    Holds at the commit, for every door. Attachments of a mail follow its readers.
    """
    d = schema.document
    values = _given({"readers": readers, "owner": owner, "origin": origin})
    if values:
        connection.execute(update(d).where(d.c.id == document).values(values))
    if readers is not None:
        note_change(connection, document)
        for child in connection.scalars(select(d.c.id).where(d.c.parent_id == document)).all():
            set_properties(connection, DocumentId(child), readers, None)


def _given(properties: Mapping[str, object]) -> dict[str, object]:
    given = {name: value for name, value in properties.items() if value is not None}
    if "readers" in given:
        given["readers"] = list(given["readers"])  # type: ignore[call-overload]
    return given


def delete_if_unreferenced(database: Database, originals: Originals, sha256: bytes) -> None:
    """Delete an original unless something still names it, under the lock that whoever writes it takes."""
    v, i = schema.version, schema.intake
    with database.working() as connection:
        lock(connection, original_lock(sha256))
        by_version = select(v).where(v.c.sha256 == sha256).exists()
        by_waiting = select(i).where(_keeps_bytes(), i.c.sha256 == sha256).exists()
        if not connection.scalar(select(by_version | by_waiting)):
            originals.delete(sha256)


def referenced_originals(connection: Connection) -> set[bytes]:
    """The hashes that a version, or a file waiting to be taken in, still names."""
    v, i = schema.version, schema.intake
    return {
        *connection.scalars(select(v.c.sha256).distinct()),
        *connection.scalars(select(i.c.sha256).distinct().where(_keeps_bytes())),
    }


def _keeps_bytes() -> ColumnElement[bool]:
    i = schema.intake
    return i.c.sha256.is_not(None) & i.c.state.in_(("waiting", "running", "failed"))
