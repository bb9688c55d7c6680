"""Commands of kept evaluation runs: eval list, jobs, show, delete, compare, gate."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.bootstrap import Quoth
from evals import answers_report
from evals.answers_run import load_run
from evals.case_files import read_case_file
from evals.comparing import compare, comparison_json, comparison_table
from evals.estimating import duration
from evals.gate_report import gate_junit, gate_markdown, gate_table, write_text
from evals.gating import SAMPLE_BARS, gate, gate_json, read_bars
from evals.overriding import moved, overridden
from evals.retrieval_store import PREFIX, RetrievalRuns, compare_retrieval, retrieval_line, retrieval_table
from evals.reviewing import Reviews
from evals.run_jobs import RunJob, RunJobs
from evals.run_store import Runs
from ingest.access import LOCAL
from ingest.errors import UsageError
from ui.command_line import asking_options, command, json_option, open_store, print_json, reader_of, say


def add_commands(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = command(kinds, "list", help="the runs that are kept, the latest first", example="quoth eval list")
    json_option(listing)
    listing.set_defaults(run=run_list)

    jobs = command(
        kinds,
        "jobs",
        help="the runs that were handed to the worker, and how far they are",
        example="quoth eval jobs\nquoth eval jobs --start conversations\nquoth eval jobs --cancel 3f2a",
        more="""
            Runs that the page Evaluation starts are done by the worker of `quoth up` or by `quoth worker`, one after
            the other. One whose worker is killed is taken up again by the next, case by case.""",
    )
    change = jobs.add_mutually_exclusive_group()
    change.add_argument("--start", metavar="NAME[@VERSION]", help="hand over a run of a kept file of cases")
    change.add_argument("--cancel", metavar="JOB", help="end it when its case under way is done; what is done is kept")
    jobs.add_argument("--workers", type=int, default=1, metavar="N", help="of --start: cases asked at a time (1)")
    jobs.add_argument("--most-usd", type=float, metavar="USD", help="of --start: end once it has spent so much")
    jobs.add_argument("--limit", type=int, default=20, metavar="N", help="lines shown (20)")
    asking_options(jobs)
    json_option(jobs)
    jobs.set_defaults(run=run_jobs)

    show = command(
        kinds,
        "show",
        help="a kept run: its measures, or each of its cases",
        example="quoth eval show latest\nquoth eval show 3f2a --csv > cases.csv",
        more="""
            RUN is an id, the start of one, or latest. Measures are computed anew from what is kept. The words of
            answers are read where answers are kept, and are gone where those are.""",
    )
    show.add_argument("kept", metavar="RUN")
    show.add_argument("--cases", metavar="CASES.jsonl", type=Path, help="with the questions and gold of this file")
    how = show.add_mutually_exclusive_group()
    how.add_argument("--lines", action="store_true", help="print each case's record, one JSON object a line")
    how.add_argument("--csv", action="store_true", help="print each case's values as CSV")
    how.add_argument("--report", metavar="DIR", type=Path, help="write each case's record and a summary")
    json_option(show)
    show.set_defaults(run=run_show)

    delete = command(kinds, "delete", help="forget kept runs", example="quoth eval delete 3f2a91c04b7e")
    delete.add_argument("kept", metavar="RUN", nargs="+")
    delete.set_defaults(run=run_delete)

    comparison = command(
        kinds,
        "compare",
        help="two kept runs case by case: what moved, and whether that is more than chance",
        example="quoth eval compare 3f2a latest",
        more="""
            Cases are paired by id. Each measure has a two-sided randomisation test, corrected for their number (Holm),
            and a 95 % bootstrap interval of its mean difference.""",
    )
    comparison.add_argument("before", metavar="RUN_A")
    comparison.add_argument("after", metavar="RUN_B")
    json_option(comparison)
    comparison.set_defaults(run=run_compare)

    gating = command(
        kinds,
        "gate",
        help="whether a kept run clears its bars; exit code 1 when one is not met",
        example="quoth eval gate latest --bars evals/bars.json --baseline 3f2a --summary summary.md --junit gate.xml",
        more="""
            The bars file: {"gold_citation_recall": {"min": 0.85}, "abstention_fpr": {"max": 0.1}, "citation_f1":
            {"max_drop": 0.02, "significant_drop": true}, "types": {"table": {...}}}. The last two compare with
            --baseline. A measure without a value clears no bar.""",
    )
    gating.add_argument("kept", metavar="RUN")
    gating.add_argument(
        "--bars", metavar="FILE", type=Path, default=SAMPLE_BARS, help="what is asked (that of the samples)"
    )
    gating.add_argument("--baseline", metavar="RUN", help="a former run that this one may not be worse than")
    gating.add_argument("--summary", metavar="FILE.md", type=Path, help="write Markdown for a pull request")
    gating.add_argument("--junit", metavar="FILE.xml", type=Path, help="write JUnit XML for a build server")
    json_option(gating)
    gating.set_defaults(run=run_gate)


def run_list(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        found = Runs(quoth.database).list()
        retrieval = RetrievalRuns(quoth).list()
    for kept in retrieval:
        if arguments.json:
            print_json({"run": kept.id, "kind": "retrieval", **kept.result, "settings": dict(kept.settings)})
        else:
            print(retrieval_line(kept))
    for one in found:
        if arguments.json:
            print_json({"run": one.id, "cases": one.facts.cases, "done": one.done, **answers_report.facts_json(one)})
        else:
            state = "" if one.finished_at else f"  unfinished: {one.done} of {one.facts.cases}"
            settings = one.facts.settings
            print(
                f"{one.id}  {one.started_at:%Y-%m-%d %H:%M}  {one.facts.cases:5} cases  {one.facts.cases_name}  "
                f"{settings.get('system') or settings.get('models')}{state}"
            )
    if not found and not retrieval:
        print("No run is kept. Make one: quoth eval answers CASES.jsonl", file=sys.stderr)
    return 0


def run_jobs(arguments: argparse.Namespace) -> int:
    if arguments.limit < 1:
        raise UsageError(f"--limit {arguments.limit} must be at least 1.")
    with open_store() as quoth:
        jobs = RunJobs(quoth)
        if arguments.start:
            name, version = file_and_version(arguments.start, "--start")
            started = jobs.submit(
                name, version, by=reader_of(quoth, arguments), collection=arguments.collection,
                workers=arguments.workers, most_usd=arguments.most_usd,
            )  # fmt: skip
            say(f"Job {started.id}: {started.total} cases wait for the worker.")
        elif arguments.cancel:
            one = jobs.find(arguments.cancel)
            say(f"Job {one.id} {'ends' if jobs.cancel(one.id, by=LOCAL) else 'had ended before'}.")
        found = jobs.list(limit=arguments.limit)
    for one in found:
        if arguments.json:
            print_json(job_json(one))
        else:
            print(job_line(one))
    if not found:
        print("No run was handed to the worker. The page Evaluation does, or --start.", file=sys.stderr)
    return 0


def job_json(one: RunJob) -> dict[str, Any]:
    said = asdict(one)
    return {**said, "asked_by": one.asked_by.name}


def job_line(one: RunJob) -> str:
    left = f"  about {duration(one.left_s)} left" if one.left_s and one.open else ""
    cost = f"  {one.cost_usd:.2f} USD" if one.cost_usd else ""
    run = f"  run {one.run}" if one.run else ""
    detail = f"  {one.detail}" if one.detail else ""
    return f"{one.id}  {one.state:9}  {one.file}@{one.version}  {one.done} of {one.total}{left}{cost}{run}{detail}"


def file_and_version(text: str, option: str) -> tuple[str, int | None]:
    """The parts of NAME[@VERSION].

    Raises:
        UsageError: the version is no number.
    """
    name, at, number = text.partition("@")
    if at and not number.isdecimal():
        raise UsageError(f"{option} {text!r} must be NAME or NAME@VERSION, as conversations@3.")
    return name, int(number) if at else None


def run_show(arguments: argparse.Namespace) -> int:
    cases = {case.id: case for case in read_case_file(arguments.cases)} if arguments.cases else {}
    with open_store() as quoth:
        if is_retrieval(quoth, arguments.kept):
            kept = RetrievalRuns(quoth).find(arguments.kept)
            print_json(
                {"run": kept.id, "settings": dict(kept.settings), **kept.result, "per_query": dict(kept.per_query)}
            )
            return 0
        run = load_run(Runs(quoth.database), arguments.kept)
        people = moved(run, overridden(run, Reviews(quoth.database).overrides(run.id)))
        if arguments.report is not None:
            answers_report.write_report(run, quoth.answers, cases, arguments.report)
        lines = answers_report.report_lines(run, quoth.answers, cases) if arguments.lines else []
    if arguments.csv:
        sys.stdout.write(answers_report.run_csv(run))
    elif arguments.lines:
        for line in lines:
            print_json(line)
    elif arguments.json:
        said = {one.name: answers_report.measure_json(one.with_people) for one in people}
        made = {**answers_report.run_json(run), "per_case": answers_report.per_case_json(run)}
        print_json({**made, "with_people": said} if said else made)
    else:
        print(answers_report.run_table(run))
        if people:
            print("\nwith what people say of its cases")
        for one in people:
            values = (answers_report.number(each.value) for each in (one.by_rules, one.with_people))
            print(f"{one.name:<40}{' -> '.join(values)}")
    return 0


def run_compare(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        if is_retrieval(quoth, arguments.before) and is_retrieval(quoth, arguments.after):
            return _compare_retrieval(RetrievalRuns(quoth), arguments)
        runs = Runs(quoth.database)
        found = compare(load_run(runs, arguments.before), load_run(runs, arguments.after))
    if arguments.json:
        print_json(comparison_json(found))
    else:
        print(comparison_table(found))
    return 0


def _compare_retrieval(runs: RetrievalRuns, arguments: argparse.Namespace) -> int:
    found = compare_retrieval(runs.find(arguments.before), runs.find(arguments.after))
    if arguments.json:
        print_json(asdict(found))
    else:
        print(retrieval_table(found))
    return 0


def is_retrieval(quoth: Quoth, reference: str) -> bool:
    """Whether a reference names a run of retrieval; ids of answers are hexadecimal throughout."""
    return reference.startswith(PREFIX) and any(one.id.startswith(reference) for one in RetrievalRuns(quoth).list())


def run_gate(arguments: argparse.Namespace) -> int:
    bars = read_bars(arguments.bars)
    with open_store() as quoth:
        runs = Runs(quoth.database)
        run = load_run(runs, arguments.kept)
        baseline = load_run(runs, arguments.baseline) if arguments.baseline else None
    result = gate(run, bars, baseline)
    if arguments.summary is not None:
        write_text(arguments.summary, gate_markdown(result, run))
    if arguments.junit is not None:
        write_text(arguments.junit, gate_junit(result))
    if arguments.json:
        print_json(gate_json(result))
    else:
        print(gate_table(result))
    return 0 if result.met else 1


def run_delete(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        runs = Runs(quoth.database)
        retrieval = RetrievalRuns(quoth)
        kinds = {name: is_retrieval(quoth, name) for name in arguments.kept}
        ids = {name: (retrieval if kinds[name] else runs).find(name).id for name in kinds}  # all, before one goes
        for name, one in ids.items():
            (retrieval if kinds[name] else runs).delete(one)
            say(f"Run {one} is forgotten.")
    return 0
