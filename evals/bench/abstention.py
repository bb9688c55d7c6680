"""Fit and measure when the quoted answerer abstains: SQuAD questions with and without an answer.

    python -m evals.bench.abstention SQUAD_FOLDER [--questions 2400]

Needs dev-2.0-part-a.json (paragraphs, answerable and adversarially unanswerable questions) and dev-1.1.json (whose
questions on other articles are off topic here). Half of the questions fit the weights, the other half measure them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.bootstrap import Quoth, open_quoth
from assistant.context import ContextSettings, assemble
from assistant.quoting import MAX_QUOTES, Selection, choose, confidence_signals, sentence_candidates
from evals.beir import Record, TestCollection, index_beir
from ingest.access import LOCAL

THRESHOLDS = (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)


@dataclass(frozen=True, slots=True)
class Asked:
    question: str
    paragraph: str  # id of the gold paragraph
    kind: str  # answerable, near_miss, off_topic
    answers: tuple[tuple[int, int], ...]  # spans in the paragraph


def read_squad(folder: Path, questions: int) -> tuple[list[Record], list[Asked]]:
    """Paragraphs as records, and a seeded draw of the questions."""
    records: list[Record] = []
    asked: list[Asked] = []
    inside = json.loads((folder / "dev-2.0-part-a.json").read_text("utf-8"))["data"]
    for article in inside:
        for paragraph in article["paragraphs"]:
            name = f"p{len(records):04}"
            records.append(Record(name, article["title"].replace("_", " "), paragraph["context"]))
            for qa in paragraph["qas"]:
                spans = tuple((a["answer_start"], a["answer_start"] + len(a["text"])) for a in qa["answers"])
                kind = "near_miss" if qa.get("is_impossible") else "answerable"
                asked.append(Asked(qa["question"], name, kind, spans))
    titles = {article["title"] for article in inside}
    outside = json.loads((folder / "dev-1.1.json").read_text("utf-8"))["data"]
    far = [
        Asked(paragraph["qas"][0]["question"], "", "off_topic", ())
        for article in outside
        if article["title"] not in titles
        for paragraph in article["paragraphs"]
    ]
    rng = random.Random(0)
    return records, rng.sample(asked, min(questions, len(asked))) + rng.sample(far, min(questions // 5, len(far)))


@dataclass(frozen=True, slots=True)
class Seen:
    asked: Asked
    signals: dict[str, float]
    cites_paragraph: bool  # one of at most three quotes is in the gold paragraph
    cites_answer: bool  # one of them holds the answer's words at their place


def look(quoth: Quoth, collection: str, asked: list[Asked], selection: Selection) -> Iterator[Seen]:
    for at, one in enumerate(asked):
        if at % 100 == 0:
            print(f"{at}/{len(asked)} questions", file=sys.stderr)
        found = quoth.search(one.question, LOCAL, k=12, collection=collection)
        context = assemble(found.hits, LOCAL, quoth.surroundings, quoth.embedder.count_tokens, ContextSettings())
        candidates = sentence_candidates(context, found, selection)
        chosen = choose(candidates, selection)
        quoted = [(one.passage.source, one.start, one.end) for one in chosen]
        inside = [(start, end) for source, start, end in quoted if source == one.paragraph]
        yield Seen(
            one,
            confidence_signals(candidates, found),
            bool(inside),
            any(start < b and a < end for start, end in inside for a, b in one.answers),
        )


def fit(rows: NDArray[np.float64], labels: NDArray[np.float64], ridge: float = 1.0) -> NDArray[np.float64]:
    """Logistic regression by Newton's method; the last weight is the intercept, which is not penalised."""
    design = np.hstack([rows, np.ones((len(rows), 1))])
    penalty = np.diag([ridge] * rows.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (labels - chance) - penalty @ weights
        curve = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Chance that a positive scores above a negative."""
    return float(np.mean((positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=2400)
    arguments = parser.parse_args()
    records, asked = read_squad(arguments.folder, arguments.questions)
    collection = "eval-squad-abstention"
    with open_quoth(os.environ, say=lambda text: print(text, file=sys.stderr)) as quoth:
        tests = TestCollection(arguments.folder.name, tuple(records), 0, {}, {}, collection)
        index_beir(tests, quoth.pipeline, lambda source, stage, done, total: None)
        seen = list(look(quoth, collection, asked, Selection()))
    report(seen)
    return 0


def report(seen: list[Seen]) -> None:
    names = list(seen[0].signals)
    rows = np.array([[one.signals[name] for name in names] for one in seen])
    kinds = np.array([one.asked.kind for one in seen])
    labels = (kinds == "answerable").astype(float)
    fitted_on = np.arange(len(seen)) % 2 == 0
    weights = fit(rows[fitted_on], labels[fitted_on])
    print("weights: " + ", ".join(f"{name} {w:.3f}" for name, w in zip([*names, "intercept"], weights, strict=True)))
    sure = 1 / (1 + np.exp(-(np.hstack([rows, np.ones((len(rows), 1))]) @ weights)))
    held = ~fitted_on
    answerable = sure[held & (kinds == "answerable")]
    for kind in ("near_miss", "off_topic"):
        print(f"AUC answerable against {kind}: {auc(answerable, sure[held & (kinds == kind)]):.3f}")
    of_answerable = [one for one, keep in zip(seen, held & (kinds == "answerable"), strict=True) if keep]
    print(
        f"held out, without abstaining, at most {MAX_QUOTES} quotes, n={len(of_answerable)}: "
        f"gold paragraph cited {np.mean([one.cites_paragraph for one in of_answerable]):.3f}, "
        f"answer's words quoted {np.mean([one.cites_answer for one in of_answerable]):.3f}"
    )
    print("threshold  wrongly abstained  near misses abstained  off topic abstained")
    for threshold in THRESHOLDS:
        shares = [np.mean(sure[held & (kinds == k)] < threshold) for k in ("answerable", "near_miss", "off_topic")]
        print(f"{threshold:9.2f}  {shares[0]:17.3f}  {shares[1]:21.3f}  {shares[2]:19.3f}")


if __name__ == "__main__":
    sys.exit(main())
