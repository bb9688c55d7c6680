"""Proof that a removed document is gone: every column of every table, every stored original, every private folder.

What is looked for: the document's id, the hashes of its bytes and of its words, as the audit's tombstone keeps them.
The places come from the database's own catalogue, so that a table made tomorrow is looked at too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select, text

from ingest import schema
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId
from ingest.originals import Originals
from ingest.tombstones import name_hash, recognised, shingles

# The places where the id stays on purpose: who did what, and where an answer once quoted. None holds words.
KEPT: Final = frozenset(
    {
        ("document_change", "document_id"),
        ("audit_event", "subject"),
        ("audit_event", "detail"),
        ("answer_span", "document_id"),
        ("answer", "hits"),
        ("eval_case", "record"),
        ("eval_file_case", "gold"),
    }
)
WORDED: Final = ("text", "character varying", "jsonb", "json", "ARRAY")
BATCH: Final = 500
HASH_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Leftover:
    """A place that still holds something of a removed document."""

    place: str  # "table.column", "originals" or a file's path
    what: str  # "id", "original" or "words"
    count: int  # rows or files


@dataclass(frozen=True, slots=True)
class RemovalProof:
    """What was looked at, and what was found. Nothing left: `leftovers` is empty."""

    document: DocumentId
    removed_at: str  # ISO 8601
    versions: int
    columns: int  # of all tables, looked at
    files: int  # in private folders, looked at
    leftovers: tuple[Leftover, ...]
    kept: tuple[Leftover, ...]  # the id alone, where an audit needs the place
    notes: tuple[str, ...]  # what no look at the tables can see

    @property
    def clean(self) -> bool:
        return not self.leftovers


NOTES: Final = (
    "Words are recognised by runs of eight; shorter quotations than that are not, nor what another document says too.",
    "Dead rows stay in the database's files until vacuum, and in its write-ahead log until that is recycled.",
    "Backups made before the removal hold the document until they expire.",
)


def proof(database: Database, originals: Originals, reference: str, folders: Sequence[Path] = ()) -> RemovalProof:
    """Look everywhere for what is left of a removed document.

    Args:
        reference: its id, or the name it had: source or collection/source; the latest removed of that name.
        folders: private folders whose files are compared with its originals, byte by byte.

    Raises:
        UsageError: no document of that id or name was removed.
    """
    with database.owning() as connection:
        connection.execute(text("set transaction isolation level repeatable read read only"))
        document, at, mark = _tombstone(connection, reference)
        hashes = [bytes.fromhex(one) for one in mark.get("originals", ())]
        words = set(mark.get("shingles", ()))
        found: list[Leftover] = []
        columns = _columns(connection)
        for table, column, kind in columns:
            for what, count in _left_in(connection, table, column, kind, document, hashes, words):
                found.append(Leftover(f"{table}.{column}", what, count))
        if any(one.what == "words" for one in found):  # which a document that is there may hold as well
            own = words - _held_elsewhere(connection, words)
            found = [one for one in found if one.what != "words"]
            for table, column, kind in columns:
                if count := _with_words(connection, table, column, kind, own):
                    found.append(Leftover(f"{table}.{column}", "words", count))
        v, t = schema.version, schema.intake
        shared = set(connection.scalars(select(v.c.sha256).where(v.c.sha256.in_(hashes))))
        shared |= set(connection.scalars(select(t.c.sha256).where(t.c.sha256.in_(hashes))))
    stored = sum(originals.holds(sha256) for sha256 in hashes if sha256 not in shared)
    if stored:
        found.append(Leftover("originals", "original", stored))
    looked_at = 0
    for file in _files(folders):
        looked_at += 1
        if _hash(file) in hashes:
            found.append(Leftover(str(file), "original", 1))
    return RemovalProof(
        document=document,
        removed_at=at,
        versions=int(mark.get("versions", 0)),
        columns=len(columns),
        files=looked_at,
        leftovers=tuple(one for one in found if not _is_kept(one)),
        kept=tuple(one for one in found if _is_kept(one)),
        notes=NOTES if words else (*NOTES, "The document was removed before its words were hashed, or had too few."),
    )


def _is_kept(one: Leftover) -> bool:
    return one.what == "id" and tuple(one.place.split(".", 1)) in KEPT


def _tombstone(connection: Connection, reference: str) -> tuple[DocumentId, str, Mapping[str, Any]]:
    a, d = schema.audit_event, schema.document
    query = select(a.c.subject, a.c.at, a.c.detail).where(a.c.action == "document.removed").order_by(a.c.id.desc())
    try:
        wanted = UUID(reference)
    except ValueError:
        query = query.where(a.c.detail["names"].contains([name_hash(reference)]))
    else:
        query = query.where(a.c.subject == wanted)
    # an act on what was gone already leaves an event that knows nothing of it
    row = next(iter(sorted(connection.execute(query), key=lambda one: -int(one.detail.get("versions", 0) > 0))), None)
    if row is None:
        raise UsageError(
            f"No document {reference!r} was removed here. Give the whole id, or the name that `quoth documents` showed."
        )
    if connection.scalar(select(d.c.id).where(d.c.id == row.subject)) is not None:
        raise UsageError(f"The document {reference!r} is there. `quoth remove` removes it.")
    return DocumentId(row.subject), row.at.isoformat(), row.detail


def _columns(connection: Connection) -> list[tuple[str, str, str]]:
    """(table, column, type) of every table of the store, from the database's own catalogue."""
    rows = connection.execute(
        text(
            "select c.table_name, c.column_name, c.data_type from information_schema.columns c"
            " join information_schema.tables t using (table_schema, table_name)"
            " where c.table_schema = current_schema() and t.table_type = 'BASE TABLE' order by 1, 2"
        )
    )
    return [(row.table_name, row.column_name, row.data_type) for row in rows]


def _left_in(
    connection: Connection,
    table: str,
    column: str,
    kind: str,
    document: DocumentId,
    hashes: Sequence[bytes],
    words: set[str],
) -> Iterator[tuple[str, int]]:
    name, place = _quoted(connection, column), _quoted(connection, table)

    def count(condition: str, **values: object) -> int:
        statement = text(f"select count(*) from {place} where {condition}")
        return int(connection.scalar(statement, values) or 0)

    beside = _beside(table, column)
    if kind == "uuid":
        if found := count(f"{name} = :id", id=document):
            yield "id", found
    elif kind == "bytea":
        # other documents may be of the same bytes: only rows that are nobody's are left over
        alone = " and document_id is null" if table == "intake" else ""
        if table != "version" and hashes and (found := count(f"{name} = any(:hashes){alone}", hashes=list(hashes))):
            yield "original", found
    elif kind in WORDED:
        if found := count(f"{name}::text like :id{beside}", id=f"%{document}%"):
            yield "id", found
        for sha256 in hashes:
            if found := count(f"{name}::text like :sha256{beside}", sha256=f"%{sha256.hex()}%"):
                yield "original", found
        if found := _with_words(connection, table, column, kind, words):
            yield "words", found


def _with_words(connection: Connection, table: str, column: str, kind: str, words: set[str]) -> int:
    """How many rows hold one of the word sequences."""
    if not words or kind not in WORDED or (table, column) in OWN_WORDS:
        return 0
    name, place = _quoted(connection, column), _quoted(connection, table)
    rows = connection.execute(
        text(f"select {name}::text from {place} where length({name}::text) > 20{_beside(table, column)}")
    ).yield_per(BATCH)
    return sum(recognised(value, words) for (value,) in rows)


def _held_elsewhere(connection: Connection, words: set[str]) -> set[str]:
    """Those of the word sequences that documents hold that are there: an answer may quote them from these."""
    texts = connection.execute(select(schema.version.c.canonical_text)).yield_per(10)
    return {one for (held,) in texts for one in shingles(held) if one in words}


def _beside(table: str, column: str) -> str:
    """The tombstone itself holds what is looked for."""
    return " and action <> 'document.removed'" if (table, column) == ("audit_event", "detail") else ""


# Words of a document that is there: two documents may hold the same sentence. Rows of a removed one show by its id, and
# those of a file that waits go with its row of the queue.
OWN_WORDS: Final = frozenset(
    {
        ("version", "canonical_text"), ("version", "title"), ("version", "findings"), ("document", "title"),
        ("chunk", "text"), ("chunk", "heading"), ("embed_wait", "texts"),
    }
)  # fmt: skip


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink())


def _hash(file: Path) -> bytes:
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while block := source.read(HASH_BLOCK):
            digest.update(block)
    return digest.digest()
