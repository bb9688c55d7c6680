"""Measure a support checker on labelled pairs: `quoth eval checker`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.model import Checker
from evals.judging import Judged, Measured, confusion, labelled, measures, roc_points
from ingest.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class LabelledPair:
    claim: str
    passage: str
    label: bool  # whether the passage supports the claim


@dataclass(frozen=True, slots=True)
class CheckerRun:
    """A checker's verdicts and what they are worth."""

    checker: str
    judged: Judged
    measures: dict[str, Measured]
    confusion: dict[str, int]
    ms_per_claim: float  # wall clock, one claim after the other
    cpu_ms_per_claim: float
    failed: int  # judged by the local checker because the one named could not


def read_pairs(path: Path) -> list[LabelledPair]:
    """Lines of {"claim", "passage", "label"}; further fields are left alone.

    Raises:
        ConfigurationError: naming the file, the line and what is wrong in it.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read. Give a file of JSON lines.") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            claim, passage, label = row["claim"], row["passage"], row["label"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigurationError(
                f"{str(path)!r}, line {number}: an object with claim, passage and label is needed."
            ) from error
        if not isinstance(claim, str) or not isinstance(passage, str) or not isinstance(label, bool):
            raise ConfigurationError(
                f"{str(path)!r}, line {number}: claim and passage must be texts, and label true or false."
            )
        pairs.append(LabelledPair(claim, passage, label))
    if not pairs:
        raise ConfigurationError(f"{str(path)!r} holds no pairs. Give at least one line.")
    return pairs


def evaluate_checker(checker: Checker, pairs: Sequence[LabelledPair]) -> CheckerRun:
    """Every pair counts, also those that the checker could not judge by itself."""
    verdicts = []
    began, cpu_began = time.perf_counter(), time.process_time()
    for pair in pairs:
        verdicts.append(checker.check(pair.claim, [pair.passage], around=[]))
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    judged = labelled([(one.score, one.supported) for one in verdicts], [pair.label for pair in pairs])
    failed = sum(f"{checker.name} did not judge" in one.reason for one in verdicts)
    each = 1000 / len(pairs)
    return CheckerRun(checker.name, judged, measures(judged), confusion(judged), wall_s * each, cpu_s * each, failed)


def run_json(run: CheckerRun) -> dict[str, Any]:
    """As `--json` prints it: measures as those of answers, with the confusion and the points of the ROC."""
    count = len(run.judged.labels)
    return {
        "checker": run.checker,
        "pairs": count,
        "supported": int(run.judged.labels.sum()),
        "measures": {
            name: {"value": one.value, "n": count, "interval": one.interval} for name, one in run.measures.items()
        },
        "confusion": run.confusion,
        "failed": run.failed,
        "ms_per_claim": round(run.ms_per_claim, 2),
        "cpu_ms_per_claim": round(run.cpu_ms_per_claim, 2),
        "roc": [[round(x, 4), round(y, 4)] for x, y in roc_points(run.judged.scores, run.judged.labels)],
    }


def run_table(run: CheckerRun) -> str:
    """For people."""
    labels = run.judged.labels
    lines = [f"{run.checker}: {len(labels)} pairs, {int(labels.sum())} of them supported", ""]
    for name, one in run.measures.items():
        value = "-" if one.value is None else f"{one.value:.3f}"
        interval = "" if one.interval is None else f"  [{one.interval[0]:.3f}, {one.interval[1]:.3f}]"
        lines.append(f"{name:<18} {value:>6}{interval}")
    of = run.confusion
    lines += [
        "",
        f"supported    accepted {of['tp']:>5}   refused {of['fn']:>5}",
        f"unsupported  accepted {of['fp']:>5}   refused {of['tn']:>5}",
        "",
        f"{run.ms_per_claim:.1f} ms per claim, {run.cpu_ms_per_claim:.1f} ms of them on this machine's processors",
    ]
    if run.failed:
        lines.append(f"{run.failed} claims were judged by the local checker, because {run.checker} could not.")
    return "\n".join(lines)
