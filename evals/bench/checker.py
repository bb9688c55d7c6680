"""Measure the local support checker on labelled claims and sources, and fit its weights anew.

    python -m evals.bench.checker DATA_FOLDER [--cache FILE.npz] [--fit] [--svg FILE] [--longest CHARS]

Reads, where they are, scifact/ (claims with sentences that support or contradict them), attributionbench/ (whether a
source supports a sentence) and climate-fever/, and our own paraphrases. "unrelated" pairs a claim with the evidence of
another one. What is printed for a collection comes from weights fitted on the others; --fit prints the weights fitted
on all, as assistant/support_weights.py holds them.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assistant.exact_comparisons import refusals
from assistant.grounding import REFUSED_SCORE, needed_for_words
from assistant.support import SupportModel, signals
from assistant.support_weights import FITTED
from evals.bench.abstention import fit
from evals.bench.support_pairs import (
    SUPPORT,
    KnownSimilarities,
    Pair,
    attribution_pairs,
    climate_pairs,
    paraphrase_pairs,
    scifact_pairs,
    with_unrelated,
)
from evals.judging import brier, calibration_error, roc_auc, roc_points
from evals.roc_picture import roc_svg
from ingest.analysis import Analyzer
from ingest.embedding import LocalEmbedder

PARAPHRASES: Final = Path(__file__).parents[1] / "samples" / "paraphrases.jsonl"
SOURCES: Final = {"scifact": scifact_pairs, "attributionbench": attribution_pairs, "climate-fever": climate_pairs}
OWN: Final = "own paraphrases"
UNRELATED_ACCEPTED: Final = 0.02
RIDGE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A collection with the signals of each pair."""

    pairs: tuple[Pair, ...]
    rows: tuple[Mapping[str, float], ...]
    refused: NDArray[np.bool_]  # by an exact comparison
    needed: NDArray[np.float64]  # probability, at least, for how few of the claim's words the quotes have

    @property
    def labels(self) -> NDArray[np.bool_]:
        return np.array([pair.kind == SUPPORT for pair in self.pairs])

    @property
    def kinds(self) -> NDArray[np.str_]:
        return np.array([pair.kind for pair in self.pairs])


def sampled(pairs: list[Pair], most: int | None) -> list[Pair]:
    return pairs if most is None else random.Random(2).sample(pairs, min(most, len(pairs)))


def measured(pairs: Sequence[Pair], known: KnownSimilarities, analyzer: Analyzer) -> Measured:
    rows = [signals(known.of(pair), pair.claim, pair.said, pair.near, analyzer) for pair in pairs]
    refused = [any(True for _ in refusals(pair.claim, pair.said, pair.near, analyzer)) for pair in pairs]
    needed = [needed_for_words(pair.claim, pair.said, analyzer) for pair in pairs]
    return Measured(tuple(pairs), tuple(rows), np.array(refused), np.array(needed))


def fitted(collections: Sequence[Measured]) -> SupportModel:
    """A model of what these collections hold; each counts the same, whatever its size, and so do its two labels."""
    names = list(collections[0].rows[0])
    values = np.array([[row[name] for name in names] for one in collections for row in one.rows])
    labels = np.concatenate([one.labels for one in collections])
    means, spreads = values.mean(axis=0), values.std(axis=0) + 1e-9
    most = max(len(one.rows) for one in collections)
    chosen: list[int] = []
    first = 0
    for one in collections:  # repeated up to the size of the largest: the solver takes no weights
        chosen += [first + i % len(one.rows) for i in range(most)]
        first += len(one.rows)
    weights = fit(((values - means) / spreads)[chosen], labels[chosen].astype(float), RIDGE)
    return SupportModel(
        weights={name: round(float(weight), 4) for name, weight in zip(names, weights, strict=False)},
        scales={
            name: (round(float(mean), 4), round(float(spread), 4))
            for name, mean, spread in zip(names, means, spreads, strict=True)
        },
        intercept=round(float(weights[-1]), 4),
        threshold=FITTED.threshold,
    )


def scores_of(one: Measured, model: SupportModel) -> NDArray[np.float64]:
    """As LocalChecker gives them."""
    likely = np.array([model.probability(row) for row in one.rows])
    return np.where(one.refused, np.minimum(likely, REFUSED_SCORE), likely)


def threshold_for(collections: Sequence[tuple[Measured, NDArray[np.float64]]]) -> float:
    """The lowest probability at which fewer than 2 % of the unrelated quotes pass, no exact comparison helping."""
    worst = 0.0
    for one, scores in collections:
        unrelated = np.sort(scores[one.kinds == "unrelated"])
        if len(unrelated):
            worst = max(worst, float(np.quantile(unrelated, 1 - UNRELATED_ACCEPTED)))
    return worst


def report(name: str, one: Measured, model: SupportModel, threshold: float) -> None:
    """Print a collection's measures, supported pairs against each other kind."""
    likely = np.array([model.probability(row) for row in one.rows])
    scores, labels, kinds = scores_of(one, model), one.labels, one.kinds
    accepted = (scores >= np.maximum(threshold, one.needed)) & ~one.refused
    error = calibration_error(scores, labels)
    print(f"{name}: {labels.sum()} supported of {len(labels)}; Brier {brier(scores, labels):.3f}, ECE {error:.3f}")
    kept, refused = accepted[labels].mean(), one.refused[labels].mean()
    print(f"    supported: accepted {kept:.3f}; refused by exact comparison {refused:.3f}; "
          f"of the others accepted {accepted[labels & ~one.refused].mean():.3f}")  # fmt: skip
    for kind in sorted(set(kinds) - {SUPPORT}):
        of = kinds == kind
        either = labels | of
        let_in = accepted[of].mean()
        print(
            f"    against {kind} ({of.sum()}): AUC {roc_auc(scores[either], labels[either]):.3f} "
            f"(without refusals {roc_auc(likely[either], labels[either]):.3f}), "
            f"balanced accuracy {(kept + 1 - let_in) / 2:.3f}, accepted {let_in:.3f}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds scifact/, attributionbench/ and climate-fever/")
    parser.add_argument("--cache", type=Path, help="keep similarities here between runs")
    parser.add_argument("--fit", action="store_true", help="print weights fitted on all collections")
    parser.add_argument("--svg", type=Path, help="write the ROC curves here")
    parser.add_argument("--most", type=int, help="pairs of each public collection (all)")
    parser.add_argument("--longest", type=int, help="leave out pairs whose quotes are longer than this many characters")
    arguments = parser.parse_args(argv)
    present = {name: read for name, read in SOURCES.items() if (arguments.folder / name).is_dir()}
    if not present:
        print(f"{str(arguments.folder)!r} holds none of {', '.join(SOURCES)}.", file=sys.stderr)
        return 2
    known, analyzer = KnownSimilarities(LocalEmbedder(threads=1), arguments.cache), Analyzer("en")
    pairs = {name: sampled(list(read(arguments.folder / name)), arguments.most) for name, read in present.items()}
    pairs[OWN] = list(with_unrelated(paraphrase_pairs(PARAPHRASES, "tuning")))
    collections: dict[str, Measured] = {}
    for name, every in pairs.items():
        kept = [pair for pair in every if arguments.longest is None or len(pair.said) <= arguments.longest]
        if len(kept) < len(every):
            print(f"{name}: {len(every) - len(kept)} pairs left out for their length")
        collections[name] = measured(kept, known, analyzer)
        known.keep()
    held = {name: fitted([other for key, other in collections.items() if key != name]) for name in collections}
    if arguments.fit:
        whole = fitted(list(collections.values()))
        print(f"weights={dict(whole.weights)!r},\nscales={dict(whole.scales)!r},\nintercept={whole.intercept!r},")
        outside = [(one, scores_of(one, held[name])) for name, one in collections.items()]
        print(f"# least threshold: {threshold_for(outside):.3f}")
    curves = {}
    for name, one in collections.items():
        report(name, one, held[name], FITTED.threshold)
        scores = scores_of(one, held[name])
        curves[name] = roc_points(scores, one.labels)
    for name, one in collections.items():  # what is shipped has seen them all
        print("shipped, " + name, end=": ")
        accepted = (scores_of(one, FITTED) >= np.maximum(FITTED.threshold, one.needed)) & ~one.refused
        print(", ".join(f"{kind} {accepted[one.kinds == kind].mean():.3f}" for kind in sorted(set(one.kinds))))
    if arguments.svg is not None:
        arguments.svg.write_text(roc_svg(curves), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
