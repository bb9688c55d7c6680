"""Makes batches of the embeddings that wait, sees them through and brings them home: chores of a worker.

A batch is a row before anything of it is sent, and the row goes from state to state:

    making   its texts are set apart, its price is reserved, the file is on its way
    sent     the service works on it, for up to a day
    ended    its vectors are kept, and what came back without one waits for the next batch, or is embedded as usual
    settled  it is paid in the ledger, and the service was told to delete the files

kill -9 between any two of these loses nothing and pays nothing twice: whoever is next finds the row, and by its mark
the batch at the service. One process at a time does this, under an advisory lock.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on

from ingest import queueing
from ingest.database import Database
from ingest.deferred_embedding import KEPT_AS, embed_batch, embed_wait
from ingest.errors import CallFailed, ConfigurationError, QuothError, ServiceError, trace_of
from ingest.metering import OPERATOR, Ledger
from ingest.openai_batches import EmbeddingBatches, Request, Returns, Seen

LOG: Final = logging.getLogger("quoth.batches")
SHARE: Final = 0.5  # of the usual price
MOST_INPUTS: Final = 20_000  # texts of a batch: the service takes 50,000, whose vectors are a file of gigabytes
MOST_BYTES: Final = 90_000_000  # of its file: the service takes 200 MB, and JSON escapes what is not ASCII
MOST_UNDER_WAY: Final = 4
MOST_TRIES: Final = 2  # batches that a chunk may come back from without a vector
GATHER_S: Final = 900.0  # for which a batch that is not full waits for files that are still being read
GIVEN_UP: Final = timedelta(hours=48)  # since a batch was sent, of which the service tells nothing any more
STUCK: Final = timedelta(hours=26)  # the service promises 24
KEPT_FOR: Final = timedelta(days=30)
FILES_TRIED_FOR: Final = timedelta(days=7)
WRITTEN_AT_ONCE: Final = 200
BYTES_PER_TOKEN: Final = 4  # for an estimate
LOOK_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Stuck:
    """A batch that should be over, or that nobody gets any further."""

    id: UUID
    state: str
    age: timedelta
    detail: str


class BatchEmbedding:
    """Tends the batches of one store; any number of processes may."""

    def __init__(
        self, database: Database, batches: EmbeddingBatches, ledger: Ledger, *, least: int | None,
        look_every_s: float = LOOK_EVERY_S, gather_s: float = GATHER_S, most_inputs: int = MOST_INPUTS,
    ) -> None:  # fmt: skip
        """
        Args:
            least: chunks for which a batch is made; None: none is, and those under way are brought home.
        """
        self._database = database
        self._batches = batches
        self._ledger = ledger
        self._least = least
        self._look_every_s = look_every_s
        self._gather_s = gather_s
        self._most_inputs = most_inputs
        self._thread: threading.Thread | None = None

    def tend(self) -> None:
        """Do what is to be done in a thread of its own, where there is anything: files take minutes to come and go."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._database.working() as connection:
            wanted = connection.scalar(
                text(
                    "select exists (select from embed_wait)"
                    " or exists (select from embed_batch where state <> 'settled')"
                )
            )
        if wanted:
            self._thread = threading.Thread(target=self._quietly, name="batches", daemon=True)
            self._thread.start()

    def _quietly(self) -> None:
        try:
            self.step()
        except ServiceError:
            pass  # the database is away; next time
        except Exception as error:
            LOG.error("tending batches of embeddings failed:\n%s", trace_of(error))

    def step(self) -> None:
        """Take every batch as far as it goes now, and make new ones.

        Raises:
            ServiceError: the database does not answer.
        """
        with self._database.working() as guard:
            if not guard.scalar(text("select pg_try_advisory_xact_lock(hashtext('quoth.batches'))")):
                return  # another process does it
            self._forget()
            for batch in self._in("making"):
                self._make(batch, resumed=True)
            for batch in self._in("sent"):
                self._look(batch)
            for batch in self._in("ended"):
                self._settle(batch)
            self._gather()
            with self._database.working() as connection:
                queueing.requeue(connection)

    def _in(self, state: str) -> Sequence[Row[Any]]:
        query = select(embed_batch).where(embed_batch.c.state == state).order_by(embed_batch.c.made_at)
        with self._database.working() as connection:
            return connection.execute(query).all()

    def _forget(self) -> None:
        """What nobody waits for any more, and what was over long ago."""
        b = embed_batch
        with self._database.working() as connection:
            connection.execute(
                text(
                    "delete from embed_wait w using intake i where i.id = w.intake_id"
                    " and i.state not in ('waiting', 'running')"
                )
            )
            connection.execute(delete(b).where(b.c.state == "settled", b.c.ended_at < func.now() - KEPT_FOR))

    # -- gathering ---------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Make batches of what waits; what is too little for one is embedded as usual."""
        w = embed_wait
        open_ = (w.c.vectors.is_(None), w.c.batch.is_(None), ~w.c.at_once)
        kinds = (w.c.space, w.c.model, w.c.dimensions, w.c.asked_dimensions)
        query = select(
            *kinds,
            func.count(w.c.key.distinct()).label("chunks"),
            func.sum(func.cardinality(w.c.texts)).label("inputs"),
            func.extract("epoch", func.now() - func.min(w.c.added_at)).label("age_s"),
        )
        with self._database.working() as connection:
            groups = connection.execute(query.where(*open_).group_by(*kinds)).all()
            under_way = connection.scalar(select(func.count()).where(embed_batch.c.state.in_(("making", "sent"))))
            coming = connection.scalar(
                text(
                    "select exists (select from intake i where i.state in ('waiting', 'running')"
                    f" and not {queueing.RESTS})"
                )
            )
        for group in groups:
            full = group.inputs >= self._most_inputs
            if coming and not full and float(group.age_s) < self._gather_s:
                continue  # more is being read
            if self._least is None or group.chunks < self._least:
                with self._database.working() as connection:
                    connection.execute(update(w).where(*open_, w.c.space == group.space).values(at_once=True))
                continue
            while (under_way or 0) < MOST_UNDER_WAY:
                made = self._set_apart(group)
                if made is None:
                    break
                under_way = (under_way or 0) + 1
                self._make(made, resumed=False)

    def _set_apart(self, group: Row[Any]) -> Row[Any] | None:
        """A batch of what waits, or None if nothing does."""
        w, b = embed_wait, embed_batch
        same = (w.c.space == group.space, w.c.model == group.model, w.c.dimensions == group.dimensions,
                w.c.asked_dimensions.is_not_distinct_from(group.asked_dimensions), w.c.vectors.is_(None),
                w.c.batch.is_(None), ~w.c.at_once)  # fmt: skip
        with self._database.working() as connection:
            keys: list[bytes] = []
            inputs = sent_bytes = 0
            query = select(w.c.key, w.c.texts).ext(distinct_on(w.c.key)).where(*same).order_by(w.c.key)
            for row in connection.execute(query.execution_options(yield_per=500)):
                inputs += len(row.texts)
                sent_bytes += sum(len(one.encode()) for one in row.texts)
                if keys and (inputs > self._most_inputs or sent_bytes > MOST_BYTES):
                    break
                keys.append(bytes(row.key))
            if not keys:
                return None
            number = uuid.uuid4()
            connection.execute(
                insert(b).values(
                    id=number, space=group.space, model=group.model, dimensions=group.dimensions,
                    asked_dimensions=group.asked_dimensions, state="making", requests=len(keys), sent_bytes=sent_bytes,
                )
            )  # fmt: skip
            connection.execute(update(w).where(*same, w.c.key.in_(keys)).values(batch=number))
            return connection.execute(select(b).where(b.c.id == number)).one()

    # -- sending -----------------------------------------------------------------------------------------------------

    def _make(self, batch: Row[Any], *, resumed: bool) -> None:
        """Reserve, upload, have it made; each step is written down before the next."""
        mark = str(batch.id)
        file = batch.file_id
        try:
            if batch.held is None:
                held = self._ledger.hold(
                    batch.id, OPERATOR, "embed", batch.model, sent_bytes=batch.sent_bytes,
                    within_s=GIVEN_UP.total_seconds(), share=SHARE,
                )  # fmt: skip
                self._note(batch.id, held=dict(held))
            seen: Seen | None = None
            if file is None:
                file = self._batches.upload(self._requests(batch.id), batch.model, batch.asked_dimensions, mark=mark)
                self._note(batch.id, file_id=file)
            elif resumed:
                seen = self._batches.find(mark=mark)
            seen = seen or self._batches.create(file, mark=mark)
            self._note(batch.id, state="sent", batch_id=seen.id, status=seen.status, detail="", sent_at=func.now())
        except QuothError as error:
            LOG.warning("a batch of embeddings could not be sent: %s", error)
            self._note(batch.id, detail=str(error))
            if isinstance(error, ConfigurationError) or (
                isinstance(error, CallFailed) and error.outcome != "unavailable"
            ):  # nor will it be later, so its texts are embedded as usual, which has words for what is wrong
                self._end(batch.id, "not sent", tokens=0, files=[file] if file else [], at_once=True)

    def _requests(self, batch: UUID) -> list[Request]:
        w = embed_wait
        query = select(w.c.key, w.c.texts).ext(distinct_on(w.c.key)).where(w.c.batch == batch).order_by(w.c.key)
        with self._database.working() as connection:
            return [Request(bytes(row.key).hex(), row.texts) for row in connection.execute(query)]

    # -- waiting and bringing home -----------------------------------------------------------------------------------

    def _look(self, batch: Row[Any]) -> None:
        now = self._database.now()
        if batch.looked_at is not None and (now - batch.looked_at).total_seconds() < self._look_every_s:
            return
        try:
            seen = self._batches.look(batch.batch_id)
            self._note(batch.id, looked_at=func.now(), status=seen.status, detail=seen.detail)
            if seen.standing == "under way":
                return
            told = [self._bring_home(batch, file) for file in seen.result_files]
            tokens = sum(tokens for tokens, _ in told)
            if not tokens and any(kept for _, kept in told):  # a server that speaks the same way need not tell
                tokens = batch.sent_bytes // BYTES_PER_TOKEN
            self._end(batch.id, seen.status, tokens=tokens, files=[seen.input_file, *seen.result_files], at_once=False)
        except (CallFailed, ConfigurationError) as error:  # the latter: a key that is set no more
            self._note(batch.id, detail=str(error))
            if now - batch.sent_at > GIVEN_UP:
                self._end(batch.id, "lost", tokens=0, files=[batch.file_id], at_once=False)

    def _bring_home(self, batch: Row[Any], file: str) -> tuple[int, int]:
        """Keep the vectors of one file; returns the tokens that it tells of, and how many vectors it had."""
        w = embed_wait
        query = select(w.c.key, func.cardinality(w.c.texts).label("size")).where(w.c.batch == batch.id)
        with self._database.working() as connection:
            sizes = {bytes(row.key).hex(): row.size for row in connection.execute(query)}
        tokens = kept = 0
        some: list[Returns] = []
        for one in self._batches.returned(file, batch.dimensions, sizes):
            tokens += one.tokens
            if one.vectors is not None:
                some.append(one)
                kept += 1
            if len(some) == WRITTEN_AT_ONCE:
                self._keep(batch, some)
                some = []
        self._keep(batch, some)
        return tokens, kept

    def _keep(self, batch: Row[Any], some: Sequence[Returns]) -> None:
        if not some:
            return
        with self._database.working() as connection:  # also where the same text waits in another file
            connection.execute(
                text(
                    "update embed_wait set vectors = :vectors where key = :key and space = :space and vectors is null"
                ),
                [
                    {
                        "key": bytes.fromhex(one.id),
                        "space": batch.space,
                        "vectors": one.vectors.astype(KEPT_AS).tobytes(),
                    }
                    for one in some
                    if one.vectors is not None
                ],
            )

    def _end(self, batch: UUID, status: str, *, tokens: int, files: Sequence[str], at_once: bool) -> None:
        """It is over, however it went: what lacks a vector waits for another batch, or for none."""
        w, b = embed_wait, embed_batch
        with self._database.working() as connection:
            lacks = (w.c.batch == batch, w.c.vectors.is_(None))
            connection.execute(
                update(w).where(*lacks).values(
                    batch=None, tries=w.c.tries + 1, at_once=at_once or w.c.tries + 1 >= MOST_TRIES
                )
            )  # fmt: skip
            connection.execute(update(w).where(w.c.batch == batch).values(batch=None))
            connection.execute(
                update(b).where(b.c.id == batch).values(
                    state="ended", status=status, tokens=tokens, files=list(files), ended_at=func.now()
                )
            )  # fmt: skip

    def _settle(self, batch: Row[Any]) -> None:
        try:
            if batch.held is not None:
                done = batch.status in ("completed", "expired", "cancelled")
                ms = (batch.ended_at - batch.made_at).total_seconds() * 1000
                self._ledger.settle_held(
                    batch.held, "done" if done else "unavailable", tokens=batch.tokens, ms=round(ms, 2)
                )
            self._batches.forget(batch.files)
        except (CallFailed, ConfigurationError) as error:
            self._note(batch.id, detail=str(error))
            if self._database.now() - batch.ended_at < FILES_TRIED_FOR:
                return
        self._note(batch.id, state="settled")

    def _note(self, batch: UUID, **values: Any) -> None:
        with self._database.working() as connection:
            connection.execute(update(embed_batch).where(embed_batch.c.id == batch).values(**values))


def stuck(connection: Connection) -> list[Stuck]:
    """Batches for the operator: over a day under way, or failed to be sent, or not settled."""
    b = embed_batch
    rows = connection.execute(
        select(b.c.id, b.c.state, b.c.detail, (func.now() - b.c.made_at).label("age"))
        .where(b.c.state != "settled")
        .where(
            (b.c.made_at < func.now() - STUCK) | ((b.c.detail != "") & (b.c.made_at < func.now() - timedelta(hours=1)))
        )
        .order_by(b.c.made_at)
    )
    return [Stuck(row.id, row.state, row.age, row.detail) for row in rows]
