"""Commands of evaluators: eval retrieval, eval answers, eval checker; those of kept runs lie in run_commands."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from assistant.bootstrap import standalone_checker
from evals import answers_report, checker_run, retrieval_run
from evals.answers_run import Asking, Progress, RunOptions, evaluate_answers
from evals.cases import read_cases
from evals.estimating import Estimate, duration
from evals.judging import roc_points
from evals.roc_picture import roc_svg
from evals.run_store import KeptRun
from ui import run_commands
from ui.command_line import asking_options, command, json_option, open_store, print_json, reader_of, say
from ui.document_commands import progress_bar

SAID_EVERY_S: Final = 10.0  # where no person watches


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    evaluation = command(
        commands,
        "eval",
        help="measure retrieval and answers",
        example="quoth eval retrieval scifact/\nquoth eval answers evals/samples/cases.jsonl --report report/",
    )
    kinds = evaluation.add_subparsers(title="what to measure", metavar="WHAT", required=True)

    retrieval = command(
        kinds,
        "retrieval",
        help="each stage's nDCG@10, Recall@10, Recall@100, RR@10 and latency on a test collection",
        example="quoth eval retrieval scifact/ --runs runs/",
        more="""
            FOLDER holds corpus.jsonl, queries.jsonl and qrels/*.tsv (BEIR form). It is indexed once into a scratch
            collection that answers nobody, and kept for the next run.""",
    )
    retrieval.add_argument("folder", metavar="FOLDER", type=Path)
    retrieval.add_argument("--k", type=int, default=100, help="documents ranked per query (100)")
    retrieval.add_argument("--runs", metavar="OUTDIR", type=Path, help="write one TREC run file per stage")
    json_option(retrieval)
    retrieval.set_defaults(run=run_retrieval)

    answers = command(
        kinds,
        "answers",
        help="whether answers cite the right passages, and abstain when they should",
        example="quoth eval answers cases.jsonl --report report/",
        more="""
            A case's "groups" say who asks it ([]: somebody in no group); without them the reader given here asks.
            Each case is kept as it is done: the same command goes on with a run that was interrupted, if documents,
            settings and program are the same.""",
    )
    answers.add_argument("cases", metavar="CASES.jsonl", type=Path)
    answers.add_argument("--report", metavar="DIR", type=Path, help="write each case's record and a summary")
    answers.add_argument("--workers", type=int, default=1, metavar="N", help="cases asked at a time (1)")
    begun = answers.add_mutually_exclusive_group()
    begun.add_argument("--resume", metavar="RUN", help="go on with this unfinished run")
    begun.add_argument("--fresh", action="store_true", help="begin anew, also where an unfinished run is kept")
    answers.add_argument("--judge", metavar="CHECKER", help="what judges support, written as QUOTH_CHECKER is")
    asking_options(answers)
    json_option(answers)
    answers.set_defaults(run=run_answers)

    checker = command(
        kinds,
        "checker",
        help="how well the support checker tells claims that a passage supports from others",
        example="quoth eval checker pairs.jsonl --roc roc.svg",
        more="""
            PAIRS.jsonl holds lines of {"claim": "...", "passage": "...", "label": true}: whether the passage supports
            the claim. QUOTH_CHECKER says which checker is measured. The store is not opened.""",
    )
    checker.add_argument("pairs", metavar="PAIRS.jsonl", type=Path)
    checker.add_argument("--roc", metavar="FILE.svg", type=Path, help="write the ROC curve as a picture")
    json_option(checker)
    checker.set_defaults(run=run_checker)

    run_commands.add_commands(kinds)


def run_retrieval(arguments: argparse.Namespace) -> int:
    with open_store() as quoth, progress_bar("Measuring") as report:
        run = retrieval_run.evaluate_retrieval(
            quoth, arguments.folder, k=arguments.k, runs=arguments.runs, progress=report
        )
    if arguments.json:
        print_json(retrieval_run.run_json(run))
    else:
        print(retrieval_run.run_table(run))
    return 0


def run_answers(arguments: argparse.Namespace) -> int:
    judge = None
    if arguments.judge:
        judge = standalone_checker({**os.environ, "QUOTH_CHECKER": arguments.judge}, say=say)
    with open_store() as quoth:
        asking = Asking(reader_of(quoth, arguments), arguments.collection, judge)
        options = RunOptions(arguments.workers, arguments.resume, arguments.fresh, announced, watched())
        run = evaluate_answers(quoth, arguments.cases, asking, options)
        if arguments.report is not None:
            cases = {case.id: case for case in read_cases(arguments.cases)}
            answers_report.write_report(run, quoth.answers, cases, arguments.report)
    if arguments.json:
        print_json(answers_report.run_json(run))
    else:
        print(answers_report.run_table(run))
    return 0


def announced(estimate: Estimate, run: KeptRun) -> None:
    """Before the first case: what it will take."""
    went_on = f", {run.done} were done before" if run.done else ""
    say(f"Run {run.id}: {estimate.text}{went_on}")


def watched() -> Callable[[Progress], None]:
    """Progress on stderr: one line that is written over for a person, one now and then for a log."""
    person = sys.stderr.isatty()
    said_at = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal said_at
        last = progress.done == progress.total
        if not person and not last and time.monotonic() - said_at < SAID_EVERY_S:
            return
        said_at = time.monotonic()
        left = "" if progress.left_s is None or last else f", about {duration(progress.left_s)} left"
        line = f"{progress.done}/{progress.total} cases, ${progress.cost_usd:.2f}{left}"
        if person:
            print(f"\r\033[K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
        else:
            say(line)

    return report


def run_checker(arguments: argparse.Namespace) -> int:
    pairs = checker_run.read_pairs(arguments.pairs)
    run = checker_run.evaluate_checker(standalone_checker(os.environ, say=say), pairs)
    if arguments.roc is not None:
        curve = roc_points(run.judged.scores, run.judged.labels)
        arguments.roc.write_text(roc_svg({run.checker: curve}), encoding="utf-8")
    if arguments.json:
        print_json(checker_run.run_json(run))
    else:
        print(checker_run.run_table(run))
    return 0
