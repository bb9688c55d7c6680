"""Measuring retrieval on a test collection: every query once, all four stages from that one search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np

from assistant.bootstrap import Quoth
from evals.beir import Progress, TestCollection, index_beir, read_beir
from evals.intervals import bootstrap_mean
from ingest.access import LOCAL
from ingest.errors import UsageError
from retrieval.model import STAGES, Hit, SearchResult, Stage

MEASURES: Final = {"nDCG@10": 10, "Recall@10": 10, "Recall@100": 100, "RR@10": 10}  # and how deep each looks
SPARE: Final = 2  # chunks searched per document wanted and chunk a document has: some documents fill several places
MAX_DEPTH: Final = 2000


@dataclass(frozen=True, slots=True)
class StageScores:
    """One stage over the scored queries."""

    means: Mapping[str, float | None]  # by measure; None when no query has a relevant document
    intervals: Mapping[str, tuple[float, float] | None]  # 95 %, bootstrap over queries
    per_query: Mapping[str, Mapping[str, float]]  # measure -> query id -> value
    p50_ms: float  # until this stage's ranking stood, embedding the query included where it needs that
    p95_ms: float


@dataclass(frozen=True, slots=True)
class RetrievalRun:
    name: str
    collection: str
    documents: int
    empty_documents: int
    indexed: int  # in this run; the rest was there
    queries: int  # with a judgement
    scored: int  # of these, with a relevant document; means are over them
    depth: int  # chunks that the first stages brought each
    k: int
    stages: Mapping[Stage, StageScores]
    rankings: Mapping[Stage, Mapping[str, list[str]]]  # query id -> document ids, best first


def evaluate_retrieval(
    quoth: Quoth, folder: Path, *, k: int = 100, runs: Path | None = None, progress: Progress | None = None
) -> RetrievalRun:
    """Index a BEIR folder where needed, run its judged queries, and measure each stage.

    Args:
        k: documents ranked per query; below 100 there is no Recall@100, and so on.
        runs: a folder to write lexical.run, dense.run, fused.run and reranked.run to, in TREC form.
        progress: called with an id, "indexing" or "searching", done, total.

    Raises:
        UsageError: the folder is not in BEIR form, or k is below 1.
        ServiceError: a service fails; documents indexed so far stay.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, not {k}.")
    report = progress or (lambda source, stage, done, total: None)
    tests = read_beir(folder)
    if runs is not None:
        _make_folder(runs)
    indexed = index_beir(tests, quoth.pipeline, report)
    stored = quoth.catalog.documents(LOCAL, tests.collection)
    per_document = sum(document.chunks for document in stored) / max(1, len(stored))
    depth = min(MAX_DEPTH, ceil(SPARE * k * max(1.0, per_document)))
    rankings: dict[Stage, dict[str, list[str]]] = {stage: {} for stage in STAGES}
    elapsed_ms: dict[Stage, list[float]] = {stage: [] for stage in STAGES}
    quoth.embedder.embed(["warm"], kind="query")  # loading the model is not a query's latency
    for at, (query, question) in enumerate(tests.queries.items()):
        report(query, "searching", at, len(tests.queries))
        found = quoth.searching.candidates(question, LOCAL, depth=depth, collection=tests.collection)
        for stage in STAGES:
            rankings[stage][query] = documents_ranked(found.hits, stage, k)
            elapsed_ms[stage].append(_elapsed_ms(found, stage))
    report("", "searching", len(tests.queries), len(tests.queries))
    run = RetrievalRun(
        name=tests.name,
        collection=tests.collection,
        documents=len(tests.records),
        empty_documents=tests.empty,
        indexed=indexed,
        queries=len(tests.queries),
        scored=len(tests.scored),
        depth=depth,
        k=k,
        stages={stage: _scores(tests, rankings[stage], elapsed_ms[stage], k) for stage in STAGES},
        rankings=rankings,
    )
    if runs is not None:
        write_runs(run, runs)
    return run


def documents_ranked(hits: Sequence[Hit], stage: Stage, k: int) -> list[str]:
    """Sources by the rank of their best chunk in one stage, each once, at most k."""
    ranked = sorted((hit for hit in hits if stage in hit.ranks), key=lambda hit: hit.ranks[stage])
    return list(dict.fromkeys(hit.source for hit in ranked))[:k]


def measured(
    qrels: Mapping[str, Mapping[str, int]], ranking: Mapping[str, Sequence[str]], queries: Sequence[str]
) -> dict[str, dict[str, float]]:
    """nDCG@10 (log2 discount, linear gain), Recall@10, Recall@100 and RR@10 of each query, by ir_measures.

    A query without a ranking counts 0. Leave out queries without a relevant document: ir_measures would count them 0.
    """
    import ir_measures  # a third of a second that no other command need wait for

    known = {"nDCG@10": "nDCG@10", "Recall@10": "R@10", "Recall@100": "R@100", "RR@10": "RR@10"}
    parsed = {ir_measures.parse_measure(known[name]): name for name in MEASURES}
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(queries, 0.0) for name in MEASURES}
    wanted = set(queries)
    judged = [
        ir_measures.Qrel(query, document, max(0, grade))
        for query in queries
        for document, grade in qrels[query].items()
    ]
    # strictly falling scores: on ties its measures order differently among themselves
    run = [
        ir_measures.ScoredDoc(query, document, float(len(documents) - rank))
        for query, documents in ranking.items()
        if query in wanted
        for rank, document in enumerate(documents)
    ]
    if judged and run:
        for metric in ir_measures.iter_calc(list(parsed), judged, run):
            values[parsed[metric.measure]][metric.query_id] = float(metric.value)
    return values


def write_runs(run: RetrievalRun, folder: Path) -> None:
    """One TREC run file per stage: `query Q0 document rank score tag`, scores strictly falling with rank.

    `per_query.jsonl` beside them holds each scored query's values, for paired tests.
    """
    _make_folder(folder)
    for stage, ranking in run.rankings.items():
        lines = [
            f"{query} Q0 {document} {rank} {len(documents) - rank + 1} quoth-{stage}\n"
            for query, documents in ranking.items()
            for rank, document in enumerate(documents, 1)
        ]
        (folder / f"{stage}.run").write_text("".join(lines), encoding="utf-8")
    scored = next(iter(run.stages.values())).per_query[next(iter(MEASURES))]
    records = [
        {
            "query": query,
            **{
                stage: {name: round(scores.per_query[name][query], 6) for name in MEASURES}
                for stage, scores in run.stages.items()
            },
        }
        for query in scored
    ]
    (folder / "per_query.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")


def run_json(run: RetrievalRun) -> dict[str, Any]:
    """The run as one JSON object; means by stage and measure."""
    return {
        "collection": run.collection,
        "name": run.name,
        "documents": run.documents,
        "empty_documents": run.empty_documents,
        "indexed": run.indexed,
        "queries": run.queries,
        "scored": run.scored,
        "k": run.k,
        "depth": run.depth,
        "stages": {
            stage: {
                **scores.means,
                "intervals": {name: list(pair) if pair else None for name, pair in scores.intervals.items()},
                "latency_ms": {"p50": scores.p50_ms, "p95": scores.p95_ms},
            }
            for stage, scores in run.stages.items()
        },
    }


def run_table(run: RetrievalRun) -> str:
    """The run for a person, as plain text."""
    lines = [
        f"{run.name}: {run.documents} documents, {run.scored} scored queries"
        + (f" ({run.queries - run.scored} more have no relevant document)" if run.queries > run.scored else ""),
        "",
        f"{'stage':<10}" + "".join(f"{name:>12}" for name in MEASURES) + f"{'p50 ms':>10}{'p95 ms':>10}",
    ]
    for stage, scores in run.stages.items():
        cells = "".join(f"{'-' if mean is None else format(mean, '.4f'):>12}" for mean in scores.means.values())
        lines.append(f"{stage:<10}{cells}{scores.p50_ms:>10.1f}{scores.p95_ms:>10.1f}")
    lines += ["", f"Latency is until the stage's ranking stood, with {run.depth} chunks from each first stage."]
    return "\n".join(lines)


def _scores(
    tests: TestCollection, ranking: Mapping[str, Sequence[str]], elapsed_ms: Sequence[float], k: int
) -> StageScores:
    per_query = measured(tests.qrels, ranking, tests.scored)
    # a shallower ranking than the measure looks at would be measured as worse than it is
    values = {name: list(of.values()) if MEASURES[name] <= k else [] for name, of in per_query.items()}
    return StageScores(
        means={name: round(float(np.mean(of)), 4) if of else None for name, of in values.items()},
        intervals={name: bootstrap_mean(of) for name, of in values.items()},
        per_query=per_query,
        p50_ms=round(float(np.percentile(elapsed_ms, 50)), 2),
        p95_ms=round(float(np.percentile(elapsed_ms, 95)), 2),
    )


def _elapsed_ms(found: SearchResult, stage: Stage) -> float:
    laps = {
        "lexical": ("lexical",),
        "dense": ("embed", "dense"),
        "fused": ("embed", "lexical", "dense", "fuse"),
        "reranked": ("total",),
    }
    return sum(found.timings_ms.get(lap, 0.0) for lap in laps[stage])


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {str(folder)!r} cannot be made ({error.strerror}). Choose another.") from error
