"""Fusing and re-ranking kept candidates with any weights, and choosing weights on some collections for another.

All queries of a collection lie in flat arrays, one row a candidate, so that one set of weights costs a few sorts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evals.bench.stage_features import COLUMNS, QueryFeatures
from retrieval.fusion import dense_weight
from retrieval.model import STAGES, Stage

RRF_CONSTANT: Final = 60
BELOW: Final = 1e6  # what is not re-ranked lies this far below what is

Floats = NDArray[np.float64]
Fuse = Callable[["Candidates"], Floats]  # a score for each row


@dataclass(frozen=True, slots=True)
class Weights:
    """Of fusion and of the local re-ranker."""

    alpha: float
    alpha_unread: float
    sentence: float
    coverage: float
    identifiers: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of all queries of a collection, grouped by query."""

    query: NDArray[np.int32]  # (rows,) number of the query, rising
    document: NDArray[np.int32]  # (rows,)
    columns: Mapping[str, Floats]  # (rows,) each, by COLUMNS
    ranks: Mapping[Stage, NDArray[np.int32]]  # (rows,) each, from 1; 0: not of that stage
    gain: Floats  # (rows,) of the row's document for its query
    ideal: Floats  # (queries,) DCG@10 of a perfect ranking
    relevant: Floats  # (queries,) how many relevant documents there are, met or not
    signals: Mapping[str, Floats]  # (queries,) each

    @classmethod
    def of(cls, queries: Sequence[QueryFeatures]) -> Candidates:
        sizes = [len(one.documents) for one in queries]
        values = np.concatenate([one.values for one in queries]).astype(np.float64)
        ranks = np.concatenate([one.ranks for one in queries])
        gain = [[one.relevant.get(int(document), 0) for document in one.documents] for one in queries]
        return cls(
            query=np.repeat(np.arange(len(queries), dtype=np.int32), sizes),
            document=np.concatenate([one.documents for one in queries]),
            columns={name: values[:, at] for at, name in enumerate(COLUMNS)},
            ranks={stage: ranks[:, at] for at, stage in enumerate(STAGES)},
            gain=np.array([one for row in gain for one in row], np.float64),
            ideal=np.array([_dcg(one.grades[:10]) for one in queries]),
            relevant=np.array([len(one.grades) for one in queries], np.float64),
            signals={name: np.array([one.signals[name] for one in queries]) for name in queries[0].signals},
        )

    def only(self, kept: NDArray[np.bool_]) -> Candidates:
        """These queries with some of their rows."""
        return replace(
            self,
            query=self.query[kept],
            document=self.document[kept],
            columns={name: values[kept] for name, values in self.columns.items()},
            ranks={stage: values[kept] for stage, values in self.ranks.items()},
            gain=self.gain[kept],
        )

    def highest(self, values: Floats) -> Floats:
        """For each row, the highest value among its query's."""
        best = np.full(len(self.ideal), -np.inf)
        np.maximum.at(best, self.query, values)
        return best[self.query]

    def mean_and_deviation(self, values: Floats) -> tuple[Floats, Floats]:
        count = np.bincount(self.query, minlength=len(self.ideal)).clip(min=1)
        mean = np.bincount(self.query, values, len(self.ideal)) / count
        variance = np.bincount(self.query, values**2, len(self.ideal)) / count - mean**2
        return mean[self.query], np.sqrt(variance.clip(min=1e-12))[self.query]

    def places(self, scores: Floats) -> NDArray[np.int64]:
        """The rank of each row within its query, from 0, highest first; ties keep the rows' order."""
        order = np.lexsort((np.arange(len(scores)), -scores, self.query))
        starts = np.searchsorted(self.query, np.arange(len(self.ideal)))
        places = np.empty(len(scores), np.int64)
        places[order] = np.arange(len(scores)) - starts[self.query[order]]
        return places


def theoretical_min_max(alpha: float | Floats) -> Fuse:
    """As retrieval.fusion has it; alpha one for all, or of each query."""

    def fuse(rows: Candidates) -> Floats:
        lexical, dense = rows.columns["lexical"], rows.columns["dense"]
        best = rows.highest(lexical)
        weight = alpha if isinstance(alpha, float | int) else alpha[rows.query]
        return np.asarray(
            weight * (dense + 1) / rows.highest(dense + 1).clip(min=1e-9)
            + (1 - weight) * np.where(best > 0, lexical / np.where(best > 0, best, 1), 0)
        )

    return fuse


def weighed_by_reading(weights: Weights) -> Fuse:
    """As the product fuses: the dense side weighs less where its model reads a question in small pieces."""

    def fuse(rows: Candidates) -> Floats:
        sizes = rows.signals["letters_per_token"].tolist()
        alpha = [dense_weight(size, alpha=weights.alpha, alpha_unread=weights.alpha_unread) for size in sizes]
        return theoretical_min_max(np.array(alpha))(rows)

    return fuse


def min_max(alpha: float) -> Fuse:
    """Both sides from 0 to 1 among a query's candidates."""

    def scaled(rows: Candidates, name: str) -> Floats:
        values = rows.columns[name]
        low = -rows.highest(-values)
        return np.asarray((values - low) / (rows.highest(values) - low).clip(min=1e-9))

    return lambda rows: alpha * scaled(rows, "dense") + (1 - alpha) * scaled(rows, "lexical")


def z_scores(alpha: float) -> Fuse:
    """Both sides with mean 0 and deviation 1 among a query's candidates."""

    def scaled(rows: Candidates, name: str) -> Floats:
        mean, deviation = rows.mean_and_deviation(rows.columns[name])
        return np.asarray((rows.columns[name] - mean) / deviation)

    return lambda rows: alpha * scaled(rows, "dense") + (1 - alpha) * scaled(rows, "lexical")


def reciprocal_ranks(constant: int = RRF_CONSTANT) -> Fuse:
    """Reciprocal rank fusion of the two first stages' ranks. Source: Cormack, Clarke, Buettcher, SIGIR 2009."""

    def fuse(rows: Candidates) -> Floats:
        parts = [
            np.where(rows.ranks[stage] > 0, 1 / (constant + rows.ranks[stage]), 0) for stage in ("lexical", "dense")
        ]
        return np.asarray(parts[0] + parts[1])

    return fuse


def by_rank(stage: Stage) -> Fuse:
    """The order the product had in one stage; rows that the stage did not bring come last."""
    return lambda rows: np.where(rows.ranks[stage] > 0, -rows.ranks[stage].astype(np.float64), -BELOW)


def reranked(rows: Candidates, fused: Floats, weights: Weights, depth: int) -> Floats:
    """The local re-ranker over the first `depth` rows of each query; those below keep their fused order."""
    scores = (
        fused
        + weights.sentence * rows.columns["sentence"]
        + weights.coverage * rows.columns["coverage"]
        + weights.identifiers * rows.columns["identifiers"]
    )
    return np.where(rows.places(fused) < depth, scores, fused - BELOW)


def ndcg_at_10(rows: Candidates, scores: Floats, *, brought_by: Stage | None = None) -> Floats:
    """nDCG@10 of each query, a document ranked by its best row; gain linear, discount log2.

    Args:
        brought_by: only rows of that stage count.
    """
    gains, places = _documents(rows, scores, brought_by)
    discount = np.where(places < 10, 1 / np.log2(2 + places), 0.0)
    dcg = np.bincount(gains.query, gains.gain * discount, len(rows.ideal))
    return np.asarray(dcg / rows.ideal)


def recall_at_100(rows: Candidates, scores: Floats, *, brought_by: Stage | None = None) -> Floats:
    """Recall@100 of each query, a document ranked by its best row."""
    gains, places = _documents(rows, scores, brought_by)
    met = np.bincount(gains.query, (gains.gain > 0) & (places < 100), len(rows.ideal))
    return np.asarray(met / rows.relevant)


@dataclass(frozen=True, slots=True)
class _Gains:
    query: NDArray[np.int32]
    gain: Floats


def _documents(rows: Candidates, scores: Floats, brought_by: Stage | None) -> tuple[_Gains, NDArray[np.int64]]:
    """Query and gain of each document of each query, and its rank from 0."""
    kept = np.flatnonzero(rows.ranks[brought_by] > 0) if brought_by else np.arange(len(scores))
    order = kept[np.lexsort((kept, -scores[kept], rows.query[kept]))]
    keys = rows.query[order].astype(np.int64) << 32 | rows.document[order]
    first = np.zeros(len(order), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    order = order[first]
    query = rows.query[order]
    starts = np.searchsorted(query, np.arange(len(rows.ideal)))
    return _Gains(query, rows.gain[order]), np.arange(len(order)) - starts[query]


def grid(*values: Sequence[float]) -> Iterator[Weights]:
    """Every combination, the values in the order of Weights' fields."""
    return (Weights(*one) for one in product(*values))


def best_for(held_out: str, means: Mapping[str, Floats], family: Callable[[str], str]) -> int:
    """Which setting is best on average over the families that a collection is not of; collections of one family
    share that family's weight, as they share texts.

    Args:
        means: by collection, the mean of each setting.
        held_out: a collection; "" leaves none out.
    """
    families: dict[str, list[Floats]] = {}
    for name, of_settings in means.items():
        if not held_out or family(name) != family(held_out):
            families.setdefault(family(name), []).append(of_settings)
    if not families:
        raise ValueError(f"There is nothing to fit on without {held_out!r}.")
    total = np.mean([np.mean(each, axis=0) for each in families.values()], axis=0)
    return int(np.argmax(total))


def _dcg(gains: NDArray[np.int32]) -> float:
    return float((gains / np.log2(2 + np.arange(len(gains)))).sum())
