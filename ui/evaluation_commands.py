"""Commands of evaluators: eval retrieval, answers, cases, generate, checker; those of kept runs lie in run_commands."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from assistant.bootstrap import Quoth, open_quoth, standalone_checker
from assistant.prices import prices_from
from assistant.prompting import answer_prompt, answer_prompts
from assistant.settings import Settings
from evals import answers_report, checker_run, retrieval_run
from evals.answers_run import Asking, Progress, RunOptions, cases_digest, evaluate_answers
from evals.beir import index_beir, read_beir
from evals.case_check import check_cases, check_json, check_table
from evals.case_files import read_case_file
from evals.case_import import import_cases
from evals.cases import Case
from evals.correcting import corrected_json, corrected_rates, corrected_table, judge_rates
from evals.estimating import Estimate, duration
from evals.gold import GoldFinder
from evals.judging import roc_points
from evals.kept_cases import KeptCases, cases_jsonl
from evals.outside import Endpoint, OutsideSystem, answers_from_file, outside_facts
from evals.probing import probe_answers, probes_json, probes_table
from evals.proposing import Proposals, Wanted
from evals.retrieval_store import RetrievalRuns
from evals.roc_picture import roc_svg
from evals.run_store import KeptRun
from evals.side_by_side import side_by_side_json, side_by_side_table
from ingest.access import Reader
from ingest.errors import UsageError
from ui import run_commands
from ui.command_line import asking_options, command, json_option, open_store, print_json, reader_of, say
from ui.document_commands import progress_bar
from ui.run_commands import file_and_version

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
    answers.add_argument("cases", metavar="CASES", type=Path, help="JSONL, CSV, SQuAD's JSON or a BEIR folder")
    answers.add_argument("--report", metavar="DIR", type=Path, help="write each case's record and a summary")
    answers.add_argument("--workers", type=int, default=1, metavar="N", help="cases asked at a time (1)")
    begun = answers.add_mutually_exclusive_group()
    begun.add_argument("--resume", metavar="RUN", help="go on with this unfinished run")
    begun.add_argument("--fresh", action="store_true", help="begin anew, also where an unfinished run is kept")
    answers.add_argument("--judge", metavar="CHECKER", help="what judges support, written as QUOTH_CHECKER is")
    other = answers.add_mutually_exclusive_group()
    other.add_argument("--answers", metavar="FILE.jsonl", type=Path, help="measure these answers of another system")
    other.add_argument("--endpoint", metavar="URL", help="measure an OpenAI-compatible chat endpoint (OPENAI_API_KEY)")
    answers.add_argument("--endpoint-model", metavar="MODEL", default="default", help="the model to name there")
    answers.add_argument(
        "--judge-labels",
        metavar="PAIRS.jsonl",
        type=Path,
        help="people's labels, as of eval checker: measures the judge and corrects the rates it reports",
    )
    asking_options(answers)
    json_option(answers)
    answers.set_defaults(run=run_answers)

    cases = command(
        kinds,
        "cases",
        help="whether cases can be measured, or with no FILE the case files that the store keeps",
        example="quoth eval cases cases.jsonl\nquoth eval cases --export conversations > cases.jsonl",
        more="""
            FILE is JSONL, CSV, SQuAD's JSON or a folder in BEIR form. Exit code 1 when a gold quote cannot be found in
            the current version of its document, or its asker may not read it.""",
    )
    cases.add_argument("cases", metavar="FILE", type=Path, nargs="?")
    cases.add_argument("--keep", metavar="NAME", help="keep those that can be found in a file of the store")
    cases.add_argument("--export", metavar="NAME[@VERSION]", help="print a kept file of cases as JSONL")
    asking_options(cases)
    json_option(cases)
    cases.set_defaults(run=run_cases)

    generate = command(
        kinds,
        "generate",
        help="propose cases from documents, for a person to accept, change or reject",
        example="""
            quoth eval generate --count 30 --collection hr
            quoth eval generate --list
            quoth eval generate --accept 3f2a --into hr --question "How long is parental leave?"
            quoth eval generate --reject 91c0""",
        more="""
            By the first model of QUOTH_MODELS, whose quotations must be found word for word; else by rules, from
            sentences with numbers, times, places and definitions: drafts to be rewritten. Every third is a near miss,
            which the documents should not answer. Only what the reader given here may read is used.""",
    )
    generate.add_argument("--count", type=int, default=20, metavar="N", help="cases to propose (20)")
    generate.add_argument("--rules", action="store_true", help="by rules, also where there is a model")
    generate.add_argument("--no-near-misses", action="store_true", help="only cases that the documents answer")
    generate.add_argument("--seed", type=int, default=1, metavar="N", help="draws documents and passages (1)")
    act = generate.add_mutually_exclusive_group()
    act.add_argument("--list", action="store_true", help="show what is proposed and not decided")
    act.add_argument("--accept", metavar="ID", help="make it a case (all: each one)")
    act.add_argument("--reject", metavar="ID", help="it is not proposed again (all: each one)")
    generate.add_argument("--into", metavar="NAME", default="proposed", help="the file of cases (proposed)")
    generate.add_argument("--question", metavar="TEXT", help="of --accept: as it should be asked")
    asking_options(generate)
    json_option(generate)
    generate.set_defaults(run=run_generate)

    prompts = command(
        kinds,
        "prompts",
        help="the same cases with several versions of the prompt, side by side, case by case",
        example="quoth eval prompts cases.jsonl --versions full,short",
        more="""
            Each version is a run of its own, kept as those of `eval answers` are; the second and further ones are
            compared with the first, by differences of the same case. Needs QUOTH_MODELS.""",
    )
    prompts.add_argument("cases", metavar="CASES.jsonl", type=Path)
    prompts.add_argument("--versions", metavar="A,B", default=",".join(answer_prompts()), help="which (all there are)")
    prompts.add_argument("--workers", type=int, default=1, metavar="N", help="cases asked at a time (1)")
    asking_options(prompts)
    json_option(prompts)
    prompts.set_defaults(run=run_prompts)
    probes = command(
        kinds,
        "probes",
        help="whether answers rest on what they cite: asked again with what was found changed",
        example="quoth eval probes evals/samples/cases.jsonl",
        more="""
            Each case that is answered is asked again with its cited passages removed, with other digits in them, beside
            passages of another question, in the opposite order, and reworded. Only the first two should change it.""",
    )
    probes.add_argument("cases", metavar="CASES", type=Path)
    asking_options(probes)
    json_option(probes)
    probes.set_defaults(run=run_probes)

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
        kept = RetrievalRuns(quoth).keep(run)
    say(f"Kept as run {kept.id}. `quoth eval compare` takes two of them.")
    if arguments.json:
        print_json({"run": kept.id, **retrieval_run.run_json(run)})
    else:
        print(retrieval_run.run_table(run))
    return 0


def run_answers(arguments: argparse.Namespace) -> int:
    judge = None
    pairs = checker_run.read_pairs(arguments.judge_labels) if arguments.judge_labels else []
    if arguments.judge:
        judge = standalone_checker({**os.environ, "QUOTH_CHECKER": arguments.judge}, say=say)
    with open_store() as quoth:
        collection = arguments.collection
        if arguments.cases.is_dir() and collection is None:
            tests = read_beir(arguments.cases)
            collection = tests.collection
            with progress_bar("Indexing") as report:
                index_beir(tests, quoth.pipeline, report or (lambda source, stage, done, total: None))
        system = outside_system(quoth, arguments, collection)
        asking = Asking(reader_of(quoth, arguments), collection, judge, system)
        options = RunOptions(arguments.workers, arguments.resume, arguments.fresh, announced, watched())
        run = evaluate_answers(quoth, arguments.cases, asking, options)
        if arguments.report is not None:
            cases = {case.id: case for case in read_case_file(arguments.cases)}
            answers_report.write_report(run, quoth.answers, cases, arguments.report)
        rates = judge_rates(judge or quoth.checker, pairs) if pairs else None
    made = answers_report.run_json(run)
    table = answers_report.run_table(run)
    if rates is not None:
        found = corrected_rates([one.outcome for one in run.records], rates)
        made |= corrected_json(rates, found)
        table += "\n\n" + corrected_table(rates, found)
    if arguments.json:
        print_json(made)
    else:
        print(table)
    return 0


def run_cases(arguments: argparse.Namespace) -> int:
    if arguments.cases is None:
        return _export_cases(arguments) if arguments.export else _list_cases(arguments)
    if arguments.export:
        raise UsageError("--export prints a file that the store keeps. Leave FILE out.")
    cases = read_case_file(arguments.cases)
    if arguments.keep:
        return _keep_cases(arguments, cases)
    with open_store() as quoth:
        found = check_cases(quoth, cases, reader_of(quoth, arguments), arguments.collection)
    if arguments.json:
        print_json(check_json(found))
    else:
        print(check_table(found))
    return 1 if found.troubles else 0


def _keep_cases(arguments: argparse.Namespace, cases: list[Case]) -> int:
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        found = import_cases(quoth, arguments.keep, cases, reader, collection=arguments.collection)
    if arguments.json:
        print_json(asdict(found))
    else:
        for one in found.refused:
            print(f"{one.case_id}: {one.what}")
        say(f"{found.added} of {len(cases)} cases are kept in {found.file}, version {found.version}.")
    return 1 if found.refused else 0


def _list_cases(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        found = KeptCases(quoth.database).files()
    for one in found:
        if arguments.json:
            print_json({**asdict(one), "made_at": one.made_at.isoformat()})
        else:
            print(f"{one.file}@{one.version}  {one.cases:5} cases  {one.made_at:%Y-%m-%d %H:%M}  {one.made_by}")
    if not found:
        say("No file of cases is kept. The page Evaluation makes cases of conversations.")
    return 0


def _export_cases(arguments: argparse.Namespace) -> int:
    name, version = file_and_version(arguments.export, "--export")
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        found = KeptCases(quoth.database).cases(name, reader, version=version)
    sys.stdout.write(cases_jsonl(found))
    lost = sum(bool(one.lost) for one in found)
    if lost:
        say(f"{lost} of {len(found)} cases are left out: their quotations are gone, or this reader may not read them.")
    return 1 if lost else 0


def run_generate(arguments: argparse.Namespace) -> int:
    if arguments.question and (not arguments.accept or arguments.accept == "all"):
        raise UsageError("--question goes with --accept and the id of one proposal.")
    with open_store() as quoth:
        reader, proposals = reader_of(quoth, arguments), Proposals(quoth)
        if arguments.accept or arguments.reject:
            return _decide(proposals, reader, arguments)
        if not arguments.list:
            wanted = Wanted(
                arguments.count, arguments.collection, not arguments.no_near_misses, arguments.rules, arguments.seed
            )
            with progress_bar("Proposing") as bar:

                def report(done: int, total: int) -> None:
                    if bar is not None:
                        bar("cases", "drafting", done, total)

                made = proposals.generate(reader, wanted, report)
            dropped = ", ".join(f"{n} {why}" for why, n in made.dropped.items())
            say(
                f"{made.answerable} cases and {made.unanswerable} near misses by {made.drafted_by} from "
                f"{made.passages} passages{f'; dropped: {dropped}' if dropped else ''}"
            )
        found = proposals.listed(reader)
    for one in found if arguments.list else [one for one in found if one.id in made.ids]:
        if arguments.json:
            print_json(asdict(one))
        else:
            kind = one.type if one.answerable else f"near miss{f', {one.swapped}' if one.swapped else ''}"
            print(f"{one.id}  {one.question}\n          {kind}, by {one.drafted_by}, {one.source}: {one.quote}")
    return 0


def _decide(proposals: Proposals, reader: Reader, arguments: argparse.Namespace) -> int:
    named = arguments.accept or arguments.reject
    found = proposals.listed(reader) if named == "all" else [proposals.find(reader, named)]
    refused = 0
    for one in found:
        try:
            if arguments.reject:
                proposals.reject(one, by=reader)
                say(f"{one.id} is rejected.")
            else:
                case, version = proposals.accept(one, arguments.into, by=reader, question=arguments.question)
                say(f"{one.id} is case {case} of {arguments.into}, version {version}.")
        except UsageError as error:
            if named != "all":
                raise
            refused += 1
            say(f"{one.id}: {error}")
    return 1 if refused else 0


def run_probes(arguments: argparse.Namespace) -> int:
    cases = read_case_file(arguments.cases)
    with open_store() as quoth, progress_bar("Probing") as bar:

        def report(case: str, done: int, total: int) -> None:
            if bar is not None:
                bar(case, "asking", done, total)

        reader = reader_of(quoth, arguments)
        found = probe_answers(quoth, cases, reader, arguments.collection, progress=report)
    if arguments.json:
        print_json(probes_json(found))
    else:
        print(probes_table(found))
    return 0


def outside_system(quoth: Quoth, arguments: argparse.Namespace, collection: str | None) -> OutsideSystem | None:
    """Another system than Quoth, where one is given."""
    finder = GoldFinder(quoth.catalog, collection)
    if arguments.answers:
        facts = outside_facts(f"file {arguments.answers.name}", cases_digest(arguments.answers), "outside")
        return OutsideSystem(answers_from_file(arguments.answers), finder, facts)
    if not arguments.endpoint:
        return None
    import openai  # a third of a second that nothing else here need wait for

    if not arguments.endpoint.startswith(("http://", "https://")):
        raise UsageError(f"--endpoint {arguments.endpoint!r} must be an address that begins with https://.")
    client = openai.OpenAI(base_url=arguments.endpoint, api_key=os.environ.get("OPENAI_API_KEY") or "none")
    parts = urlsplit(arguments.endpoint)
    place = f"{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"  # without a password
    prices, model = prices_from(quoth.settings.prices), arguments.endpoint_model
    endpoint = Endpoint(client, model, lambda given, made: prices.most_usd(model, given, made) or 0.0)
    return OutsideSystem(endpoint.ask, finder, outside_facts(f"endpoint {place}", "", model))


def run_prompts(arguments: argparse.Namespace) -> int:
    names = [one.strip() for one in arguments.versions.split(",")]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"--versions {arguments.versions!r} must name two versions or more, each once, as full,short.")
    for name in names:
        answer_prompt(name)  # all must exist before the first is asked
    if Settings.from_env(os.environ).models is None:
        raise UsageError("Quoted answers have no prompt. Set QUOTH_MODELS to compare versions of it.")
    runs = []
    for name in names:
        say(f"Version {name}")
        with open_quoth({**os.environ, "QUOTH_PROMPT_VERSION": name}, say=say) as quoth:
            asking = Asking(reader_of(quoth, arguments), arguments.collection)
            options = RunOptions(arguments.workers, announce=announced, progress=watched())
            runs.append(evaluate_answers(quoth, arguments.cases, asking, options))
    if arguments.json:
        print_json(side_by_side_json(names, runs))
    else:
        print(side_by_side_table(names, runs))
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
        cost = f", {progress.cost_usd:.2f} USD" if progress.cost_usd else ""
        line = f"{progress.done}/{progress.total} cases{cost}{left}"
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
