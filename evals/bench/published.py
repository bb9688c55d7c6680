"""The published table: retrieval by stage, citations, abstention, latency, with intervals and what is aimed at.

    python -m evals.bench.published SQUAD_FOLDER [--size 300] [--seed 1] [--workers 1] [--write FILE.md]

SQUAD_FOLDER holds dev-2.0-part-a.json and, for questions off topic, dev-1.1.json (SQuAD, CC BY-SA 4.0; not in the
repository). Of part a all paragraphs are searched, each a document in a scratch collection of the store that the
environment names; asked are a seeded draw of SIZE questions with an answer, SIZE near misses and half as many of
articles that are not there. The sample handbook's cases come whole. Each run is kept: the same command goes on with one
that was killed. Without SQUAD_FOLDER only the samples are measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from assistant.bootstrap import Quoth, open_quoth
from evals.answers_report import number
from evals.answers_run import AnswersRun, Asking, GivenCases, Progress, RunOptions, evaluate_cases, measured
from evals.beir import Record, TestCollection, index_beir
from evals.case_files import read_case_file
from evals.case_scores import distinct, distinct_gold, gold_ranks
from evals.cases import Case, Gold
from evals.estimating import duration
from evals.intervals import bootstrap_mean
from evals.outcome import Measure, Outcome
from evals.sampling import SAMPLES, load_samples
from ingest.access import LOCAL
from ingest.errors import UsageError
from ingest.sentences import sentence_spans
from retrieval.model import STAGES, Stage

COLLECTION: Final = "eval-published"
MOST_CITATIONS: Final = 3  # of an answer that count
DEEP: Final = 100
FAR_SHARE: Final = 2  # one question off topic to so many with an answer
NEAR, FAR, FOUND = "near_miss", "off_topic", "answerable"
# over all answerable cases, an abstention scoring 0; None: nothing is aimed at
CITATIONS: Final[tuple[tuple[str, str, str | None], ...]] = (
    ("gold_citation_precision_of_answerable", "gold span, precision", None),
    ("gold_citation_recall_of_answerable", "gold span, recall", "at least .85"),
    ("gold_citation_f1_of_answerable", "gold span, F1", None),
    ("gold_passage_precision_of_answerable", "gold paragraph, precision", None),
    ("gold_passage_recall_of_answerable", "gold paragraph, recall", None),
    ("gold_passage_f1_of_answerable", "gold paragraph, F1", None),
    ("gold_page_precision_of_answerable", "gold page, precision", None),
    ("gold_page_recall_of_answerable", "gold page, recall", "at least .90"),
    ("gold_page_f1_of_answerable", "gold page, F1", None),
    ("uncited_claim_rate", "claims without a citation", "0"),
    ("citation_validity", "citations of what was given", "1"),
    ("quote_match", "quotations found word for word", "1"),
)
REFUSED_FAR: Final = "at least .80"
REFUSED_NEAR: Final = "at least .60"
REFUSED_ANSWERABLE: Final = "at most .10"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Paragraphs to search and questions to ask."""

    records: tuple[Record, ...]
    cases: tuple[Case, ...]


def draw_squad(folder: Path, size: int, seed: int) -> Drawn:
    """A seeded draw of SQuAD.

    Raises:
        UsageError: the folder does not hold the file, or it is not SQuAD's.
    """
    data = _articles(folder / "dev-2.0-part-a.json")
    records: list[Record] = []
    by_kind: dict[str, list[Case]] = {FOUND: [], NEAR: [], FAR: []}
    for article in data:
        for paragraph in article["paragraphs"]:
            name = f"p{len(records):05}"
            records.append(Record(name, article["title"].replace("_", " "), paragraph["context"]))
            for asked in paragraph["qas"]:
                kind = NEAR if asked.get("is_impossible") else FOUND
                gold = () if kind == NEAR else (Gold(name, _sentence(paragraph["context"], asked), COLLECTION),)
                by_kind[kind].append(Case(asked["id"], asked["question"].strip(), kind == FOUND, gold, type=kind))
    inside = {article["title"] for article in data}
    other = folder / "dev-1.1.json"
    if other.is_file():
        by_kind[FAR] = [
            Case(f"far-{asked['id']}", asked["question"].strip(), False, type=FAR)
            for article in _articles(other)
            if article["title"] not in inside
            for paragraph in article["paragraphs"]
            for asked in paragraph["qas"]
        ]
    wanted = {FOUND: size, NEAR: size, FAR: max(1, size // FAR_SHARE)}
    chosen: list[Case] = []
    for kind, cases in by_kind.items():
        random.Random(seed).shuffle(cases)
        chosen += cases[: wanted[kind]]
    return Drawn(tuple(records), tuple(chosen))


def measure_squad(quoth: Quoth, folder: Path, size: int, seed: int, options: RunOptions) -> AnswersRun:
    """Index the paragraphs where needed, and ask."""
    drawn = draw_squad(folder, size, seed)
    tests = TestCollection("SQuAD 2.0", drawn.records, 0, {}, {}, COLLECTION)
    index_beir(tests, quoth.pipeline, lambda source, stage, done, total: None)
    told = [[one.id, one.question, one.type, [gold.quote for gold in one.gold]] for one in drawn.cases]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    given = GivenCases(f"SQuAD 2.0, part a: {size} drawn with seed {seed}", digest, drawn.cases)
    return evaluate_cases(quoth, given, Asking(LOCAL, COLLECTION), options)


def measure_samples(quoth: Quoth, options: RunOptions) -> AnswersRun:
    if not quoth.catalog.documents(LOCAL, "default"):
        load_samples(quoth)
    file = SAMPLES / "cases.jsonl"
    given = GivenCases("sample handbook", hashlib.sha256(file.read_bytes()).hexdigest(), tuple(read_case_file(file)))
    return evaluate_cases(quoth, given, Asking(LOCAL, "default"), options)


def limited(run: AnswersRun) -> AnswersRun:
    """The same run with the first three citations of each answer alone."""
    records = [
        replace(one, outcome=replace(one.outcome, citations=tuple(distinct(one.outcome.citations)[:MOST_CITATIONS])))
        for one in run.records
    ]
    return measured(run.kept, records)


def published(runs: Sequence[AnswersRun], command: str) -> str:
    """The page."""
    kept = [limited(run) for run in runs]
    names = [run.kept.facts.cases_name for run in kept]
    parts = [
        "# Answers, measured\n",
        "As the product answers with the settings named below. In brackets: 95 % intervals, by bootstrap over cases, "
        "of shares of cases by Wilson. Citation measures are over **all** answerable cases, where an abstention scores "
        f"0, with {MOST_CITATIONS} citations an answer at most.\n",
        f"`{command}`\n",
        "## Retrieval, by stage\n",
        _retrieval(kept),
        "\n## Citations\n",
        _table(["measure", "aim", *names], [[words, aim or "", *(_cell(run.measure(name)) for run in kept)]
                                           for name, words, aim in CITATIONS]),
        _most_cited(runs),
        "\n## Abstention\n",
        _table(["share refused", "aim", *names], _refused(kept)),
        "\n## Latency\n",
        _table(["", *names], [
            ["median, ms", *(_plain(run.resources["latency_p50_ms"]) for run in kept)],
            ["95th percentile, ms", *(_plain(run.resources["latency_p95_ms"]) for run in kept)],
        ]),
        "\n## What was run\n",
        _table(["", *names], [
            ["cases", *(str(len(run.records)) for run in kept)],
            *([name, *(str(run.settings.get(name) or "-") for run in kept)]
              for name in ("models", "embedder", "reranker", "checker", "abstain_below")),
            ["cases' digest", *(run.kept.facts.cases_sha256[:12] for run in kept)],
            ["program", *(run.kept.facts.code for run in kept)],
        ]),
        "",
        "SQuAD's paragraphs are documents without pages, so its gold pages are not measured; gold span is the sentence "
        "that holds the answer. The samples have pages, tables and sheets, and people whose documents differ.",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def recall_at(outcome: Outcome, stage: Stage, depth: int) -> float:
    """Gold quotes among the first `depth` chunks of a stage / gold quotes."""
    wanted = len(distinct_gold(outcome.gold))
    return sum(rank <= depth for rank in gold_ranks(outcome, stage)) / wanted if wanted else 0.0


def _retrieval(runs: Sequence[AnswersRun]) -> str:
    rows = []
    for run in runs:
        over = [
            one.outcome for one in run.records if one.outcome.answerable and one.outcome.gold and one.outcome.ranked
        ]
        for stage in STAGES:
            deep = [recall_at(one, stage, DEEP) for one in over]
            rows.append(
                [
                    run.kept.facts.cases_name, stage,
                    *(_cell(run.measure(f"{stage}_{name}_10")) for name in ("ndcg", "recall", "rr")),
                    _cell(Measure(round(sum(deep) / len(deep), 4), len(deep), bootstrap_mean(deep))) if deep else "-",
                ]
            )  # fmt: skip
    return _table(["cases", "stage", "nDCG@10", "Recall@10", "RR@10", f"Recall@{DEEP}"], rows)


def _refused(runs: Sequence[AnswersRun]) -> list[list[str]]:
    kinds = list(dict.fromkeys(kind for run in runs for kind in run.by_type if _unanswerable(run, kind)))
    rows = [
        ["of those with an answer (FPR)", REFUSED_ANSWERABLE, *(_cell(run.measure("abstention_fpr")) for run in runs)],
        ["of those without (TPR)", "", *(_cell(run.measure("abstention_tpr")) for run in runs)],
    ]
    for kind in kinds:
        aim = REFUSED_NEAR if kind == NEAR else REFUSED_FAR if kind == FAR else ""
        cells = (_cell(run.by_type.get(kind, {}).get("abstention_tpr")) for run in runs)
        rows.append([f"of those without: {kind.replace('_', ' ')}", aim, *cells])
    return rows


def _unanswerable(run: AnswersRun, kind: str) -> bool:
    return any(not one.outcome.answerable and one.outcome.type == kind for one in run.records)


def _most_cited(runs: Sequence[AnswersRun]) -> str:
    over = sum(len(distinct(one.outcome.citations)) > MOST_CITATIONS for run in runs for one in run.records)
    return f"\n{over or 'No'} answers cited more than {MOST_CITATIONS} places; what came after was left out.\n"


def _cell(measure: Measure | None) -> str:
    if measure is None or measure.value is None:
        return "-"
    span = f" [{measure.interval[0]:.3f}, {measure.interval[1]:.3f}]" if measure.interval else ""
    return f"{measure.value:.3f}{span}, n={measure.n}"


def _plain(measure: Measure) -> str:
    return "-" if measure.value is None else number(measure.value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(one) + " |" for one in lines)


def _sentence(context: str, asked: Mapping[str, Any]) -> str:
    first = asked["answers"][0]
    start, end = first["answer_start"], first["answer_start"] + len(first["text"])
    around = [span for span in sentence_spans(context) if span[0] < end and span[1] > start] or [(start, end)]
    return context[around[0][0] : around[-1][1]].strip()


def _articles(file: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(file.read_text("utf-8"))["data"])
    except OSError as error:
        raise UsageError(f"{str(file)!r} is not there ({error.strerror}). Name the folder that holds SQuAD.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{str(file)!r} is not SQuAD's JSON ({error!r}).") from error


def _watched(name: str) -> Callable[[Progress], None]:
    def say(now: Progress) -> None:
        if now.done % 50 == 0 or now.done == now.total:
            left = "" if now.left_s is None else f", about {duration(now.left_s)} left"
            print(f"{name}: {now.done} of {now.total}{left}", file=sys.stderr)

    return say


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure what is published: see the module.")
    parser.add_argument("folder", type=Path, nargs="?", metavar="SQUAD_FOLDER")
    parser.add_argument("--size", type=int, default=300, help="questions with an answer, and as many near misses (300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="cases asked at a time (1: latency is undisturbed)")
    parser.add_argument("--write", type=Path, metavar="FILE.md")
    given = parser.parse_args(argv)
    try:
        with open_quoth(os.environ, say=lambda text: print(text, file=sys.stderr)) as quoth:
            runs = []
            if given.folder is None:
                print("Without SQUAD_FOLDER only the samples are measured.", file=sys.stderr)
            else:
                options = RunOptions(given.workers, progress=_watched("SQuAD"))
                runs.append(measure_squad(quoth, given.folder, given.size, given.seed, options))
            runs.append(measure_samples(quoth, RunOptions(given.workers, progress=_watched("samples"))))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    shown = f" SQUAD_FOLDER --size {given.size} --seed {given.seed}" if given.folder else ""
    page = published(runs, f"python -m evals.bench.published{shown}")
    if given.write:
        given.write.write_text(page, encoding="utf-8")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
