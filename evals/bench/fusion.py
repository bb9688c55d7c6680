"""Every stage of retrieval on every known collection, and the weights of fusion and re-ranking fitted on the others.

    python -m evals.bench.fusion DATA_FOLDER --cache FOLDER [--collections scifact cacm ...] [--table]

DATA_FOLDER holds folders of public test collections (`evals.bench.known_collections` says which and in which forms);
those that are missing are named and left out. Documents go through the product's own pipeline into scratch collections
of the store in --cache, or of QUOTH_DATABASE_URL, and queries through its own search, once; what each stage knew of
each candidate is kept in --cache, so that a second run takes minutes less.

Three tables: the stages as the product ranks them now, with 95 % bootstrap intervals over queries and p-values of
paired randomization; fusion functions; and weights chosen on the other families of collections (a family shares texts:
SQuAD and XQuAD are one), which is what a collection that nobody tuned for would see. The last line is the setting that
is best on all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from assistant.bootstrap import Quoth, open_quoth
from evals.beir import index_beir
from evals.bench.fusion_fit import (
    Candidates,
    Floats,
    Fuse,
    Weights,
    best_for,
    by_rank,
    grid,
    min_max,
    ndcg_at_10,
    recall_at_100,
    reciprocal_ranks,
    reranked,
    theoretical_min_max,
    weighed_by_reading,
    z_scores,
)
from evals.bench.known_collections import known_collections
from evals.bench.stage_features import stage_features
from evals.intervals import bootstrap_mean, paired_randomization
from ingest.errors import QuothError, UsageError
from retrieval.model import STAGES
from retrieval.reranking import LocalReranker
from retrieval.settings import RetrievalSettings

DEPTH: Final = 200  # chunks that each first stage brings, where not told: 100 documents need not be 100 chunks
ALPHAS: Final = tuple(round(0.1 * step, 1) for step in range(11))
FITTED_ALPHAS: Final = (0.5, 0.6, 0.7, 0.75, 0.8)
UNREAD: Final = (0.1, 0.3, 0.5, 0.7)
SENTENCE: Final = (0.0, 0.15, 0.3)
COVERAGE: Final = (0.0, 0.1, 0.2)
IDENTIFIERS: Final = (0.0, 0.1)


@dataclass(frozen=True, slots=True)
class Measured:
    """A ranking of every query of one collection."""

    ndcg: Floats  # (queries,)
    recall: Floats


def family(name: str) -> str:
    """Collections that share texts or makers: what is fitted on one says nothing new about the other."""
    first = name.partition("-")[0]
    return "squad" if first == "xquad" else first


def gather(
    quoth: Quoth,
    data: Path,
    cache: Path,
    names: Sequence[str],
    *,
    passages: int | None,
    queries: int | None,
    depth: int = DEPTH,
) -> dict[str, Candidates]:
    """Index and search what is there; with `passages` and `queries`, of each collection no more than so many.

    Raises:
        UsageError: nothing of it is there.
        ServiceError: the database or the embedder fails.
    """
    known, missing = known_collections(data, passages, queries)
    if missing:
        print(f"not in {str(data)!r}, so left out: {', '.join(missing)}", file=sys.stderr)
    chosen = [name for name in known if not names or name in names]
    if not chosen:
        raise UsageError(f"{str(data)!r} holds none of the collections asked for. It may hold: {', '.join(known)}.")
    found: dict[str, Candidates] = {}
    for name in chosen:
        tests = known[name]()
        indexed = index_beir(tests, quoth.pipeline, lambda source, stage, done, total: None)
        features = stage_features(quoth, tests, depth, cache, lambda done, total: None)
        print(
            f"{name}: {len(tests.records)} documents, {indexed} indexed now, {len(features)} queries", file=sys.stderr
        )
        found[name] = Candidates.of(features)
    return found


def of_stages(rows: Candidates) -> dict[str, Measured]:
    """The four stages as the product ranked them."""
    scores = {stage: by_rank(stage)(rows) for stage in STAGES}
    return {
        stage: Measured(
            ndcg_at_10(rows, scores[stage], brought_by=stage), recall_at_100(rows, scores[stage], brought_by=stage)
        )
        for stage in STAGES
    }


def product_weights() -> Weights:
    settings, local = RetrievalSettings(), LocalReranker()
    return Weights(
        settings.alpha,
        settings.alpha_unread,
        local.sentence_weight,
        local.coverage_weight,
        local.identifier_weight,
    )


def with_weights(rows: Candidates, weights: Weights) -> tuple[Measured, Measured]:
    """Fused and re-ranked anew."""
    fused = weighed_by_reading(weights)(rows)
    again = reranked(rows, fused, weights, RetrievalSettings().rerank_depth)
    return tuple(Measured(ndcg_at_10(rows, one), recall_at_100(rows, one)) for one in (fused, again))  # type: ignore[return-value]


def stages_table(found: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    lines = [
        "| collection | queries | lexical | dense | fused | re-ranked | Recall@100 of the four"
        " | p fused against lexical, dense | p re-ranked against best single |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, stages in found.items():
        best = max(("lexical", "dense"), key=lambda stage: stages[stage].ndcg.mean())
        cells = [with_interval(stages[stage].ndcg) for stage in STAGES]
        recalls = " ".join(figure(stages[stage].recall.mean()) for stage in STAGES)
        fused = ", ".join(probability(stages["fused"].ndcg, stages[stage].ndcg) for stage in ("lexical", "dense"))
        last = f"{stages['reranked'].ndcg.mean() - stages[best].ndcg.mean():+.3f} to {best}"
        last += f", {probability(stages['reranked'].ndcg, stages[best].ndcg)}"
        lines.append(f"| {name} | {len(stages[best].ndcg)} | {' | '.join(cells)} | {recalls} | {fused} | {last} |")
    return lines


def functions_table(found: Mapping[str, Candidates]) -> list[str]:
    """nDCG@10 of the fused stage by fusion function; a weight is fitted on the other families."""
    kinds: dict[str, dict[float, Fuse]] = {
        "RRF, k=60": {0.0: reciprocal_ranks()},
        "theoretical min-max": {alpha: theoretical_min_max(alpha) for alpha in ALPHAS},
        "min-max": {alpha: min_max(alpha) for alpha in ALPHAS},
        "z-scores": {alpha: z_scores(alpha) for alpha in ALPHAS},
    }
    lines = ["| function | " + " | ".join(found) + " | mean |", "|---" * (len(found) + 2) + "|"]
    for kind, fuses in kinds.items():
        means = {
            name: np.array([ndcg_at_10(rows, fuse(rows)).mean() for fuse in fuses.values()])
            for name, rows in found.items()
        }
        chosen = {name: best_for(name, means, family) for name in found}
        values = [means[name][chosen[name]] for name in found]
        weights = list(fuses)
        cells = [
            figure(value) + (f" at {weights[chosen[name]]:g}" if len(fuses) > 1 else "")
            for name, value in zip(found, values, strict=True)
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} | {figure(float(np.mean(values)))} |")
    return lines


def fitted_table(found: Mapping[str, Candidates]) -> list[str]:
    """The product's weights against those chosen on the other families; below, those that are best on all."""
    settings = [product_weights(), *grid(FITTED_ALPHAS, UNREAD, SENTENCE, COVERAGE, IDENTIFIERS)]
    means = settings_means(found, settings)
    lines = ["| collection | now | fitted on the others | weights | p |", "|---|---|---|---|---|"]
    for name, rows in found.items():
        chosen = settings[best_for(name, means, family)]
        (_, now), (_, then) = with_weights(rows, product_weights()), with_weights(rows, chosen)
        lines.append(
            f"| {name} | {figure(now.ndcg.mean())} | {with_interval(then.ndcg)} | {in_words(chosen)} |"
            f" {probability(then.ndcg, now.ndcg)} |"
        )
    at = best_for("", means, family)
    gained = np.mean([of[at] - of[0] for of in means.values()])
    return [*lines, "", f"Best on all of them: {in_words(settings[at])}; {gained:+.4f} on average over collections."]


def in_words(weights: Weights) -> str:
    return (
        f"alpha {weights.alpha:g} to {weights.alpha_unread:g}, sentence {weights.sentence:g},"
        f" coverage {weights.coverage:g}, identifiers {weights.identifiers:g}"
    )


def settings_means(found: Mapping[str, Candidates], settings: Sequence[Weights]) -> dict[str, Floats]:
    """By collection, the mean nDCG@10 of the re-ranked stage under each setting.

    Rows beyond the depth of re-ranking are left out for speed: they only count where fewer than ten documents are
    within it.
    """
    depth = RetrievalSettings().rerank_depth
    means: dict[str, Floats] = {}
    for name, rows in found.items():
        kept: dict[tuple[float, float], tuple[Candidates, Floats]] = {}
        of: list[float] = []
        for one in settings:
            alphas = (one.alpha, one.alpha_unread)
            if alphas not in kept:
                fused = weighed_by_reading(one)(rows)
                near = rows.places(fused) < depth
                kept = {alphas: (rows.only(near), fused[near])}
            some, fused = kept[alphas]
            of.append(float(ndcg_at_10(some, reranked(some, fused, one, depth)).mean()))
        means[name] = np.array(of)
    return means


def with_interval(values: Floats) -> str:
    pair = bootstrap_mean(values.tolist())
    return f"{figure(values.mean())} [{figure(pair[0])}, {figure(pair[1])}]" if pair else "-"


def probability(these: Floats, those: Floats) -> str:
    """The p-value of a difference, as it is written."""
    p = paired_randomization((these - those).tolist())
    return "p<.001" if p < 0.001 else f"p={p:.3f}".replace("=0.", "=.")


def figure(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="the store and what searches found are kept here")
    parser.add_argument("--collections", nargs="+", default=[])
    parser.add_argument("--passages", type=int, help="the most of each collection, judged ones first; all when absent")
    parser.add_argument("--queries", type=int, help="the most of each collection; all when absent")
    parser.add_argument("--depth", type=int, default=DEPTH, help="chunks that each first stage brings")
    parser.add_argument("--no-fit", action="store_true", help="the product's stages only")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    try:
        quoth = open_quoth({"QUOTH_HOME": str(cache / "home"), **os.environ, "QUOTH_REBUILD": "no"})
        try:
            found = gather(
                quoth, arguments.folder, cache / "features", arguments.collections,
                passages=arguments.passages, queries=arguments.queries, depth=arguments.depth,
            )  # fmt: skip
        finally:
            quoth.close()
    except QuothError as error:
        print(error, file=sys.stderr)
        return 2
    print("As the product ranks now, nDCG@10 with 95 % intervals:\n")
    print("\n".join(stages_table({name: of_stages(rows) for name, rows in found.items()})), flush=True)
    if arguments.no_fit or len({family(name) for name in found}) < 2:
        return 0
    print("\nFusion functions, nDCG@10 of the fused stage, weights fitted without the collection's family:\n")
    print("\n".join(functions_table(found)), flush=True)
    print("\nRe-ranked, nDCG@10, weights fitted without the collection's family:\n")
    print("\n".join(fitted_table(found)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
