"""Commands of evaluators: eval retrieval, eval answers, eval checker."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from assistant.bootstrap import standalone_checker
from evals import answers_run, checker_run, retrieval_run
from evals.judging import roc_points
from evals.roc_picture import roc_svg
from ui.command_line import asking_options, command, json_option, open_store, print_json, reader_of, say
from ui.document_commands import progress_bar


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
            A case's "groups" say who asks it ([]: somebody in no group); without them the reader given here asks.""",
    )
    answers.add_argument("cases", metavar="CASES.jsonl", type=Path)
    answers.add_argument("--report", metavar="DIR", type=Path, help="write each case's record and a summary")
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
    with open_store() as quoth, progress_bar("Asking") as report:
        reader = reader_of(quoth, arguments)
        run = answers_run.evaluate_answers(
            quoth, arguments.cases, reader=reader, collection=arguments.collection, progress=report
        )
    if arguments.report is not None:
        answers_run.write_report(run, arguments.report)
    if arguments.json:
        print_json(answers_run.run_json(run))
    else:
        print(answers_run.run_table(run))
    return 0


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
