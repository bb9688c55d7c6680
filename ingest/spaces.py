"""Embedding spaces: the one that questions are compared in, and the one being built beside it.

Changing QUOTH_EMBEDDER makes a new space. Until every chunk has its vector there, the old one answers, with its own
embedder; then one transaction switches, and every process notices at its next question.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select, text, update

from ingest import schema, storing
from ingest.database import Database
from ingest.errors import ConfigurationError
from ingest.model import DocumentId, Embedder

LOOK_EVERY_S: Final = 2.0  # for a switch made by another process
KEPT_AFTER_SWITCH_S: Final = 60.0  # the former vectors: a process may not have noticed yet


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding space of the store, and what embeds into it."""

    id: int
    dimensions: int
    embedder: Embedder


class Spaces:
    """The spaces of one store, as this process uses them. May be shared by threads."""

    def __init__(
        self, database: Database, open_embedder: Callable[[str], Embedder], wanted: str, say: Callable[[str], None]
    ) -> None:
        """Make the wanted space if it is new; it is the active one at once where no other holds vectors.

        Raises:
            ConfigurationError: the setting names no embedder.
            ServiceError: the database does not answer.
        """
        self._database = database
        self._open_embedder = open_embedder
        self._lock = threading.Lock()
        embedder = open_embedder(wanted)
        with database.owning() as connection:
            number = storing.ensure_space(connection, embedder.space, embedder.dimensions, wanted)
        self.wanted = Space(number, embedder.dimensions, embedder)
        self._active = self.wanted
        self._looked = time.monotonic()
        self._switched: float | None = None
        try:
            self._look()
        except ConfigurationError as error:
            say(f"{error} Dense search waits until every document is embedded anew.")

    @property
    def active(self) -> Space:
        """The space to embed questions and new documents in."""
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._looked = time.monotonic()
            self._look()
        return self._active

    @property
    def building(self) -> Space | None:
        """The wanted space while it is not the active one yet."""
        return None if self.active.id == self.wanted.id else self.wanted

    def _look(self) -> None:
        t = schema.embedding_space
        with self._lock:
            with self._database.working() as connection:
                row = connection.execute(select(t).where(t.c.active)).one()
            if row.id == self._active.id:
                return
            if row.id == self.wanted.id:
                self._active = self.wanted
                return
            embedder = self._open_embedder(row.setting or "local")
            if embedder.space != row.name:
                raise ConfigurationError(
                    f"The documents are embedded in {row.name!r}, which {row.setting!r} no longer opens."
                )
            self._active = Space(row.id, row.dimensions, embedder)

    # -- building --------------------------------------------------------------------------------------------------

    def lacking(self, limit: int) -> list[DocumentId]:
        """Documents with chunks that have no vector in the space being built, and that are not queued for one."""
        building = self.building
        if building is None:
            return []
        with self._database.working() as connection:
            return [
                DocumentId(one)
                for one in connection.scalars(
                    text(
                        f"select distinct document_id from ({_LACKING}) lacking where not exists (select from intake i"
                        " where i.document_id = lacking.document_id and i.kind = 'space'"
                        " and i.state in ('waiting', 'running')) limit :n"
                    ),
                    {"space": building.id, "n": limit},
                )
            ]

    def progress(self) -> tuple[int, int] | None:
        """Chunks that have a vector in the space being built, of how many; None when none is built."""
        building = self.building
        if building is None:
            return None
        c, v = schema.chunk, schema.chunk_vector
        with self._database.working() as connection:
            total = connection.scalar(select(func.count()).select_from(c)) or 0
            done = connection.scalar(select(func.count()).select_from(v).where(v.c.space == building.id)) or 0
        return done, total

    def switch_if_complete(self) -> bool:
        """Make the wanted space the active one when nothing lacks in it; says whether it did."""
        building = self.building
        if building is None:
            return False
        t = schema.embedding_space
        with self._database.working() as connection:
            storing.lock(connection, storing.SPACE_LOCK)  # no document is being stored now
            if connection.scalar(text(f"select exists ({_LACKING})"), {"space": building.id}):
                return False
            connection.execute(update(t).where(t.c.active).values(active=False))
            connection.execute(update(t).where(t.c.id == building.id).values(active=True))
        self._look()
        self._switched = time.monotonic()
        return True

    def drop_former(self) -> None:
        """Delete the vectors and indexes of spaces that no longer answer, some time after the switch."""
        if self.building is not None or (
            self._switched is not None and time.monotonic() - self._switched < KEPT_AFTER_SWITCH_S
        ):
            return
        with self._database.working() as connection:
            former = _former(connection)
        for space in former:
            with self._database.working() as connection:
                connection.execute(text("delete from chunk_vector where space = :space"), {"space": space})
            with self._database.owning() as connection:
                connection.execute(text(f"drop index if exists chunk_vector_hnsw_{int(space)}"))
                connection.execute(text("delete from embedding_space where id = :space"), {"space": space})


_LACKING: Final = """
    select c.document_id from chunk c where not exists (
        select from chunk_vector v
        where v.document_id = c.document_id and v.chunk_id = c.id and v.space = :space)"""


def _former(connection: Connection) -> list[int]:
    t = schema.embedding_space
    return list(connection.scalars(select(t.c.id).where(~t.c.active)))
