"""Measure the local support checker on labelled claims and sources.

    python -m evals.bench.checker DATA_FOLDER

Reads scifact/claims_with_rationales.jsonl with scifact/corpus.jsonl (claims with sentences that support or contradict
them) and attributionbench/*.jsonl (whether a source supports a sentence), those that are there. "unrelated" pairs a
claim with the evidence of another one. Prints the area under the ROC curve, and at the checker's own threshold the
balanced accuracy and the share of each kind that is accepted.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.grounding import THRESHOLD, LocalChecker
from assistant.model import Checker, Verdict


@dataclass(frozen=True, slots=True)
class Pair:
    claim: str
    quotes: tuple[str, ...]
    around: tuple[str, ...]
    kind: str  # "support", or what it is instead


def scifact_pairs(folder: Path) -> Iterator[Pair]:
    """Claims with their rationale sentences, and each with another claim's."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        abstracts = {row["_id"]: f"{row['title']}\n{row['text']}" for row in map(json.loads, lines)}
    with (folder / "claims_with_rationales.jsonl").open(encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["evidence_sentences"]]
    others = random.Random(0).sample(rows, len(rows))
    for row, other in zip(rows, others, strict=True):
        kind = "support" if row["label"] == "SUPPORT" else "contradict"
        yield Pair(row["claim"], tuple(row["evidence_sentences"]), (abstracts.get(row["doc_id"], ""),), kind)
        if other["doc_id"] != row["doc_id"]:
            around = (abstracts.get(other["doc_id"], ""),)
            yield Pair(row["claim"], tuple(other["evidence_sentences"]), around, "unrelated")


def attribution_pairs(folder: Path) -> Iterator[Pair]:
    """Sentences of answers with the sources they name, as people judged them."""
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                kind = "support" if row["attribution_label"] == "attributable" else "not attributable"
                yield Pair(row["claim"], tuple(row["references"]), (), kind)


def area_under_roc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """The chance that a supported pair scores above another; ties count half."""
    positive, negative = scores[labels], np.sort(scores[~labels])
    below = np.searchsorted(negative, positive, "left")
    ties = np.searchsorted(negative, positive, "right") - below
    return float((below + ties / 2).sum() / (len(positive) * len(negative)))


def report(name: str, pairs: Sequence[Pair], checker: Checker) -> None:
    """Print the measures of one collection, supported pairs against each other kind."""
    verdicts = [checker.check(pair.claim, pair.quotes, around=pair.around) for pair in pairs]
    kinds = sorted({pair.kind for pair in pairs} - {"support"})
    for kind in kinds:
        chosen = [(p, v) for p, v in zip(pairs, verdicts, strict=True) if p.kind in ("support", kind)]
        scores = np.array([verdict.score for _, verdict in chosen])
        labels = np.array([pair.kind == "support" for pair, _ in chosen])
        accepted = np.array([verdict.supported for _, verdict in chosen])
        kept, let_in = accepted[labels].mean(), accepted[~labels].mean()
        measured = f"AUC {area_under_roc(scores, labels):.3f}, balanced accuracy {(kept + 1 - let_in) / 2:.3f}"
        print(f"{name}: support ({labels.sum()}) against {kind} ({(~labels).sum()})")
        print(f"    {measured}, accepted {kept:.3f} and {let_in:.3f}")
        print("    balanced accuracy by threshold: " + _by_threshold(scores, labels))
    for kind in ("support", *kinds):
        refused = Counter(
            _signal(v) for p, v in zip(pairs, verdicts, strict=True) if p.kind == kind and not v.supported
        )
        print(f"    refused, {kind}: {dict(refused)}")


def _by_threshold(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> str:
    values = []
    for threshold in np.arange(0.2, 0.95, 0.05):
        above = scores >= threshold
        values.append(f"{threshold:.2f} {(above[labels].mean() + 1 - above[~labels].mean()) / 2:.3f}")
    return ", ".join(values)


def _signal(verdict: Verdict) -> str:
    for word in ("name", "negated", "claim says", "cover", "only"):
        if word in verdict.reason:
            return word
    return "quantity"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the local support checker.")
    parser.add_argument("folder", type=Path, help="holds scifact/ and attributionbench/")
    arguments = parser.parse_args(argv)
    checker = LocalChecker()
    print(f"checker {checker.name}, threshold {THRESHOLD}")
    sources = (("scifact", scifact_pairs), ("attributionbench", attribution_pairs))
    present = [(name, read) for name, read in sources if (arguments.folder / name).is_dir()]
    if not present:
        print(f"{str(arguments.folder)!r} holds neither scifact nor attributionbench.", file=sys.stderr)
        return 2
    for name, read in present:
        report(name, list(read(arguments.folder / name)), checker)
    return 0


if __name__ == "__main__":
    sys.exit(main())
