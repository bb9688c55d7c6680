"""Retrieval's main path: a question and a reader in, ranked hits out, each stage timed and its ranks kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, true

from ingest import schema
from ingest.access import Reader
from ingest.catalog import readable
from ingest.database import Database
from ingest.errors import ConfigurationError, ServiceError, UsageError
from ingest.indexing import chunk_text
from ingest.local_embedding import reads_english_only
from ingest.metering import Caller, in_name_of
from ingest.model import ChunkId, DocumentId
from ingest.spaces import Space, Spaces
from ingest.vectors import unpack_vectors
from retrieval.dense import DenseHit, cosines, dense_search
from retrieval.fusion import dense_weight, letters_per_token, theoretical_min_max
from retrieval.lexical import Lexical, LexicalResult
from retrieval.mask import Masks
from retrieval.model import STAGES, Hit, SearchResult, Stage
from retrieval.narrowing import Narrowing, documents_of
from retrieval.reranking import Asked, Reranker
from retrieval.settings import RetrievalSettings
from retrieval.wanted import Wanted, wanted_from


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that at least one stage brought, with every stage's score."""

    chunk: UUID
    position: int
    lexical: float
    cosine: float


class Search:
    """Searches one store. Holds between questions only which space is in use, masks, and blocks of postings."""

    def __init__(
        self,
        database: Database,
        spaces: Spaces,
        reranker: Reranker | None,
        settings: RetrievalSettings,
    ) -> None:
        self._database = database
        self._spaces = spaces
        self._reranker = reranker
        self.settings = settings
        self._masks = Masks()
        self._lexical = Lexical()

    def search(
        self,
        question: str,
        reader: Reader,
        *,
        k: int = 10,
        stage: Stage = "reranked",
        collection: str | None = None,
        narrowing: Narrowing | None = None,
        caller: Caller | None = None,
    ) -> SearchResult:
        """The k best chunks the reader may read, by one stage; hits carry their ranks in all of them.

        Args:
            narrowing: which documents are searched.
            caller: in whose name models are called; None: in the reader's, for no answer.

        Raises:
            UsageError: an empty question, or k below 1.
            ServiceError: the database does not answer.
        """
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}.")
        depth = max(self.settings.depth, k)
        found = self.candidates(
            question, reader, depth=depth, collection=collection, narrowing=narrowing, caller=caller
        )
        return replace(found, stage=stage, hits=_by_stage(found.hits, stage, k))

    def candidates(
        self,
        question: str,
        reader: Reader,
        *,
        depth: int,
        collection: str | None = None,
        narrowing: Narrowing | None = None,
        caller: Caller | None = None,
    ) -> SearchResult:
        """Every chunk that a stage brought, uncut, by the last stage; for whoever compares the stages.

        Args:
            depth: chunks that the lexical and the dense stage bring each.

        Raises:
            As `search`.
        """
        asked_for = question.strip().replace("\x00", "")
        if not asked_for:
            raise UsageError("Ask something: the question is empty.")
        caller = caller or Caller(reader)
        clock = _Clock()
        text, notes = self._bounded(asked_for)
        wanted = wanted_from(text)
        if not wanted.text:
            raise UsageError(f"Ask for something: {asked_for!r} only says what to leave out.")
        space = self._spaces.active
        vector = self._embedded(wanted.text, space, notes, caller)
        clock.lap("embed")
        documents = documents_of(self._database, reader, narrowing, collection) if narrowing else None
        with self._database.reading(reader) as connection:
            mask = self._masks.mask(connection, reader, collection)
            rights = mask.digest
            if documents is not None:
                mask = mask.restricted(documents)
            clock.lap("mask")
            lexical = self._lexical.search(
                connection, mask, wanted.text, keep=depth * 5 if wanted.narrowed else depth, phrases=wanted.phrases
            )
            clock.lap("lexical")
            dense: list[DenseHit] = []
            route: Literal["", "exact", "hnsw"] = ""
            if vector is not None:
                dense, route = dense_search(connection, reader, mask, vector, space, collection, k=depth)
            clock.lap("dense")
            alpha = self._alpha(wanted.text, space) if vector is not None else 0.0
            order = self._fused(connection, reader, lexical, dense, vector, space, alpha)
            hits = self._loaded(connection, reader, order, lexical, dense, space, wanted)
            clock.lap("fuse")
        if wanted.narrowed and not hits:
            notes.append(_nothing_as(wanted))
        asked = Asked(wanted.text, vector, lexical.idf, lexical.language, wanted.identifiers)
        hits = self._reranked(hits, asked, notes, caller)
        clock.lap("rerank")
        ranked = _by_stage(hits, "reranked", len(hits))
        return SearchResult(
            asked_for,
            "reranked",
            ranked,
            clock.timings_ms(),
            vector,
            lexical.idf,
            lexical.language,
            tuple(notes),
            route,
            mask.chunks,
            (*wanted.in_words(), *(narrowing.in_words() if narrowing else ()), *_collection_in_words(collection)),
            rights,
        )

    def _bounded(self, question: str) -> tuple[str, list[str]]:
        limit = self.settings.max_question_chars
        if len(question) <= limit:
            return question, []
        return question[:limit], [f"The question is longer than {limit} characters; its beginning was searched for."]

    def _embedded(self, question: str, space: Space, notes: list[str], caller: Caller) -> NDArray[np.float32] | None:
        try:
            return in_name_of(space.embedder, caller).embed([question], kind="query")[0]
        except ServiceError as error:
            notes.append(f"Searched by words only: {error}")
        except ConfigurationError as error:
            logging.getLogger(__name__).error("embedder %s: %s", space.embedder.space, error)
            notes.append(
                "Searched by words only: the embedder is not set up as it should be. The log says what to mend."
            )
        return None

    def _alpha(self, question: str, space: Space) -> float:
        if not reads_english_only(space.embedder.space):
            return self.settings.alpha
        size = letters_per_token(question, space.embedder.count_tokens([question])[0])
        return dense_weight(size, alpha=self.settings.alpha, alpha_unread=self.settings.alpha_unread)

    def _fused(
        self,
        connection: Connection,
        reader: Reader,
        lexical: LexicalResult,
        dense: Sequence[DenseHit],
        vector: NDArray[np.float32] | None,
        space: Space,
        alpha: float,
    ) -> list[tuple[Candidate, float]]:
        """Candidates of both stages, every score known for every candidate, best first."""
        known = {hit.position for hit in dense}
        missing = [int(position) for position in lexical.positions if int(position) not in known]
        filled = cosines(connection, reader, vector, space, missing) if vector is not None else []
        exact = dict(zip(lexical.positions.tolist(), lexical.scores.tolist(), strict=True))
        candidates = [
            Candidate(
                hit.chunk,
                hit.position,
                exact.get(hit.position, float(_at(lexical.every_score, hit.position))),
                hit.cosine,
            )
            for hit in (*dense, *filled)
        ]
        if vector is None:
            candidates = self._without_vectors(connection, reader, exact)
        if not candidates:
            return []
        scores = theoretical_min_max(
            np.array([candidate.lexical for candidate in candidates]),
            np.array([candidate.cosine for candidate in candidates]),
            alpha=alpha,
        )
        ranked = sorted(zip(candidates, scores.tolist(), strict=True), key=lambda one: (-one[1], one[0].position))
        return ranked

    def _without_vectors(self, connection: Connection, reader: Reader, exact: dict[int, float]) -> list[Candidate]:
        c, d = schema.chunk, schema.document
        rows = connection.execute(
            select(c.c.id, c.c.position)
            .join(d, d.c.id == c.c.document_id)
            .where(c.c.position.in_(list(exact)), readable(reader))
        )
        return [Candidate(row.id, row.position, exact[row.position], 0.0) for row in rows]

    def _loaded(
        self,
        connection: Connection,
        reader: Reader,
        order: Sequence[tuple[Candidate, float]],
        lexical: LexicalResult,
        dense: Sequence[DenseHit],
        space: Space,
        wanted: Wanted,
    ) -> list[Hit]:
        """Hits in fused order, with text and sentence vectors; the join on `document` decides who sees them."""
        c, d, v = schema.chunk, schema.document, schema.chunk_vector
        answering = (
            select(d.c.source, d.c.collection, d.c.title, d.c.updated_at, d.c.superseded_by)
            .where(d.c.id == c.c.document_id, d.c.current_version == c.c.version, readable(reader))
            .offset(0)  # or the planner, which takes readable documents for a handful, reads all of them first
            .lateral("answering")
        )
        rows = connection.execute(
            select(c, answering, v.c.sentence_vectors)
            .select_from(c)
            .join(answering, true())
            .join(
                v,
                (v.c.document_id == c.c.document_id) & (v.c.chunk_id == c.c.id) & (v.c.space == space.id),
                isouter=True,
            )
            .where(c.c.position.in_([candidate.position for candidate, _ in order]))
        )
        found = {
            row.position: row for row in rows if wanted.admits(chunk_text(row.title, tuple(row.heading), row.text))
        }
        by_words = [int(position) for position in lexical.positions if int(position) in found]
        by_meaning = [hit.position for hit in dense if hit.position in found]
        lexical_rank = {position: rank for rank, position in enumerate(by_words, 1)}
        dense_rank = {position: rank for rank, position in enumerate(by_meaning, 1)}
        hits: list[Hit] = []
        for candidate, fused in order:
            row = found.get(candidate.position)
            if row is None:
                continue
            ranks: dict[Stage, int] = {"fused": len(hits) + 1}
            if candidate.position in lexical_rank:
                ranks["lexical"] = lexical_rank[candidate.position]
            if candidate.position in dense_rank:
                ranks["dense"] = dense_rank[candidate.position]
            offsets = row.sentences
            hits.append(
                Hit(
                    rank=0,
                    score=0.0,
                    source=row.source,
                    collection=row.collection,
                    title=row.title,
                    document=DocumentId(row.document_id),
                    version=row.version,
                    chunk=ChunkId(row.id),
                    page=row.page,
                    start=row.start_offset,
                    end=row.end_offset,
                    heading=tuple(row.heading),
                    text=row.text,
                    updated=row.updated_at.date().isoformat(),
                    superseded_by=None if row.superseded_by is None else DocumentId(row.superseded_by),
                    ranks=ranks,
                    scores={"lexical": candidate.lexical, "dense": candidate.cosine, "fused": fused},
                    sentences=tuple(zip(offsets[::2], offsets[1::2], strict=True)),
                    sentence_vectors=None
                    if row.sentence_vectors is None
                    else unpack_vectors(row.sentence_vectors, space.dimensions),
                )
            )
        return hits

    def _reranked(self, hits: list[Hit], asked: Asked, notes: list[str], caller: Caller) -> list[Hit]:
        """The first hits by the re-ranker's scores, below them the others in fused order."""
        top = hits[: self.settings.rerank_depth]
        scores = self._new_scores(top, asked, notes, caller)
        scored, rest = hits[: len(scores)], hits[len(scores) :]
        order = sorted(range(len(scored)), key=lambda at: (-scores[at], at))
        floor = min(scores, default=0.0)
        ranked = [(scored[at], scores[at]) for at in order]
        ranked += [(hit, floor - 1 - rank / 1000) for rank, hit in enumerate(rest)]
        return [
            replace(hit, ranks={**hit.ranks, "reranked": rank}, scores={**hit.scores, "reranked": score})
            for rank, (hit, score) in enumerate(ranked, 1)
        ]

    def _new_scores(self, top: Sequence[Hit], asked: Asked, notes: list[str], caller: Caller) -> list[float]:
        """Scores of the first of them; their fused ones where nothing can re-rank, so that a search never fails."""
        fused = [hit.scores["fused"] for hit in top]
        if self._reranker is None or not top:
            return fused
        budget_s = self.settings.rerank_budget_s
        try:
            scores = in_name_of(self._reranker, caller).scores(asked, top, budget_s=budget_s)
        except ServiceError as error:
            notes.append(f"Not re-ranked: {error}")
            return fused
        except ConfigurationError as error:  # of use to the operator alone, and it may name folders
            logging.getLogger(__name__).error("re-ranker %s: %s", self._reranker.name, error)
            notes.append("Not re-ranked: the re-ranker is not set up as it should be. The log says what to mend.")
            return fused
        if not scores or len(scores) < len(top):
            notes.append(f"Re-ranked {len(scores)} of {len(top)} passages in the {budget_s:g} s allowed.")
        return scores or fused


def _collection_in_words(collection: str | None) -> tuple[str, ...]:
    return () if collection is None else (f"in the collection {collection}",)


def _nothing_as(wanted: Wanted) -> str:
    """Why a narrowed search found nothing, and the way out."""
    if wanted.phrases:
        named = ", ".join(f"“{one}”" for one in wanted.phrases)
        return (
            f"No passage you may read has {named} word for word. Leave out the quotation marks to find the words apart."
        )
    named = ", ".join(f"-{one}" for one in wanted.excluded)
    return f"Every passage found has a word that {named} leaves out."


def _by_stage(hits: Sequence[Hit], stage: Stage, k: int) -> tuple[Hit, ...]:
    if stage not in STAGES:
        raise UsageError(f"{stage!r} is not a stage. Use one of: {', '.join(STAGES)}.")
    ranked = sorted((hit for hit in hits if stage in hit.ranks), key=lambda hit: hit.ranks[stage])
    return tuple(replace(hit, rank=rank, score=hit.scores[stage]) for rank, hit in enumerate(ranked[:k], 1))


def _at(scores: NDArray[np.float32], position: int) -> float:
    return float(scores[position]) if position < scores.size else 0.0


class _Clock:
    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round((now - self._last) * 1000, 2)
        self._last = now

    def timings_ms(self) -> dict[str, float]:
        return {**self._laps, "total": round((time.perf_counter() - self._started) * 1000, 2)}
