"""Deciding who reads many documents at once. Only readers change: no chunk, no vector and no posting is written again.

What takes readers away is one transaction: it holds for all the documents or, where it fails, for none. What only
gives goes in batches, says how far it is, and passes over what was given already, so that it can be interrupted and
run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Text, and_, cast, func, insert, not_, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from ingest import schema
from ingest.access import LOCAL, Reader
from ingest.audit import record
from ingest.database import Database
from ingest.errors import UsageError
from ingest.model import DocumentId

BATCH: Final = 500  # documents of one transaction that only gives
CHANGE: Final = text(  # those that stay keep their order, and those that come follow
    "update document set readers = (select array_agg(name order by first) from"
    " (select name, min(at) as first from unnest(readers || cast(:add as text[])) with ordinality as n(name, at)"
    " where name <> all(cast(:remove as text[])) group by name) as kept) where id = any(:ids)"
)

Told = Callable[[int, int], None]  # documents done, of how many


@dataclass(frozen=True, slots=True)
class Shared:
    """What became of an act on many documents."""

    documents: int  # that it was about
    changed: int


class Sharing:
    """Adds and takes away readers of many documents. The doors decide who may."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(
        self,
        *,
        collection: str | None = None,
        document: DocumentId | None = None,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        by: Reader = LOCAL,
        progress: Told | None = None,
        batch: int = BATCH,
    ) -> Shared:
        """Give readers to a document and its attachments, or to a collection, or take readers from them.

        Args:
            collection, document: one of the two.
            progress: told after each transaction; an exception that it raises leaves what was done until then.

        Raises:
            UsageError: there is no such collection or document, or one would have no readers left; nothing changed.
        """
        if (collection is None) == (document is None):
            raise UsageError("Name a document or a collection, one of the two.")
        if not add and not remove:
            raise UsageError("Say whom to add or to remove.")
        if both := sorted(set(add) & set(remove)):
            raise UsageError(f"{both[0]!r} cannot be added and removed at once. Decide for one.")
        chosen = _chosen(collection, document)
        detail = {"collection": collection, "added": list(add), "removed": list(remove)}
        with self._database.working() as connection:
            count = connection.scalar(select(func.count()).select_from(schema.document).where(chosen)) or 0
        if not count:
            raise UsageError(f"There is no document in {collection!r}. `quoth documents` lists collections.")
        changed = 0
        while True:
            with self._database.working() as connection:
                if remove:
                    _refuse_nobody(connection, chosen, add, remove)
                ids = _changed(connection, chosen, add, remove, limit=None if remove else batch)
                if ids:
                    record(connection, by, "documents.readers", document, {**detail, "documents": len(ids)})
            changed += len(ids)
            whole = bool(remove) or len(ids) < batch
            if progress is not None:
                progress(count if whole else min(changed, count), count)
            if whole:
                return Shared(count, changed)


def _chosen(collection: str | None, document: DocumentId | None) -> ColumnElement[bool]:
    d = schema.document
    if document is None:
        return d.c.collection == collection
    tree = select(d.c.id).where(d.c.id == document).cte("tree", recursive=True)
    tree = tree.union(select(d.c.id).join(tree, d.c.parent_id == tree.c.id))
    return d.c.id.in_(select(tree.c.id))


def _changed(
    connection: Connection, chosen: ColumnElement[bool], add: Sequence[str], remove: Sequence[str], limit: int | None
) -> list[DocumentId]:
    """Change those of the chosen that are not yet as they are to be, at most `limit`; their ids."""
    d = schema.document
    pending = not_(d.c.readers.contains(_names(add)))
    if remove:
        pending = pending | d.c.readers.overlap(_names(remove))
    some = select(d.c.id).where(and_(chosen, pending)).order_by(d.c.id).limit(limit).with_for_update()
    ids = [DocumentId(one) for one in connection.scalars(some)]
    if ids:
        connection.execute(CHANGE, {"add": list(add), "remove": list(remove), "ids": ids})
        connection.execute(insert(schema.document_change), [{"document_id": one} for one in ids])
    return ids


def _refuse_nobody(
    connection: Connection, chosen: ColumnElement[bool], add: Sequence[str], remove: Sequence[str]
) -> None:
    d = schema.document
    if add:
        return
    left = and_(chosen, d.c.readers.contained_by(_names(remove)))
    sources = list(connection.scalars(select(d.c.source).where(left).order_by(d.c.source).limit(3)))
    if sources:
        raise UsageError(
            f"{', '.join(repr(one) for one in sources)} would have no reader left. Add one in the same command, for "
            "example --add hr."
        )


def _names(names: Sequence[str]) -> ColumnElement[Any]:
    return cast(list(names), ARRAY(Text))
