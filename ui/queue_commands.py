"""Commands about the queue of files: worker, jobs."""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import asdict
from uuid import UUID

from assistant.wire import item_json
from evals.run_jobs import RunJobs
from ingest.errors import UsageError
from ingest.intake import Progress
from ingest.intake_rows import Item
from ui.command_line import command, json_option, one_line, open_store, print_json, say


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    worker = command(
        commands,
        "worker",
        help="take files from the queue until Ctrl-C",
        example="quoth worker\nQUOTH_WORKERS=8 quoth worker",
        more="""
            `quoth up` has a worker of its own; run more of them, on as many machines as you like, against one
            QUOTH_DATABASE_URL and one QUOTH_ORIGINALS. A worker that is killed loses nothing: another takes up what
            it had begun. It also does the evaluation runs that were started on the page.""",
    )
    worker.set_defaults(run=run_worker)

    jobs = command(
        commands,
        "jobs",
        help="show what waits, what is being read, and what became of the rest",
        example="quoth jobs\nquoth jobs --cancel 3f2a\nquoth jobs --retry all",
        more="JOB is an id, the start of one, or all.",
    )
    change = jobs.add_mutually_exclusive_group()
    change.add_argument("--cancel", metavar="JOB", help="stop it; what it would have replaced goes on answering")
    change.add_argument("--retry", metavar="JOB", help="try again what a service failed on")
    jobs.add_argument("--limit", type=int, default=50, metavar="N", help="lines shown (50)")
    json_option(jobs)
    jobs.set_defaults(run=run_jobs)


def run_worker(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        quoth.serve_metrics()
        quoth.worker.take_on(RunJobs(quoth).kind)
        quoth.worker.start()
        say("Working. Ctrl-C stops it.")
        threading.Event().wait()
    return 0


def run_jobs(arguments: argparse.Namespace) -> int:
    if arguments.limit < 1:
        raise UsageError(f"--limit {arguments.limit} must be at least 1.")
    with open_store() as quoth:
        if arguments.cancel:
            say(f"{quoth.intake.cancel(ids=_named(quoth.intake.recent(limit=100_000), arguments.cancel))} cancelled")
        elif arguments.retry:
            ids = _named(quoth.intake.recent(limit=100_000), arguments.retry)
            say(f"{quoth.intake.retry(ids)} wait again")
        items, progress = quoth.intake.recent(limit=arguments.limit), quoth.intake.progress()
    if arguments.json:
        print_json({"jobs": [item_json(item) for item in items], "progress": asdict(progress)})
        return 0
    for item in items:
        print(item_line(item))
    print(progress_line(progress), file=sys.stderr)
    return 0


def _named(items: list[Item], name: str) -> list[UUID]:
    found = [item.id for item in items if name == "all" or str(item.id).startswith(name.lower())]
    if not found:
        raise UsageError(f"There is no job {name!r}. `quoth jobs` lists them.")
    if name != "all" and len(found) > 1:
        raise UsageError(f"{name!r} begins the id of {len(found)} jobs. Give more of it.")
    return found


def item_line(item: Item) -> str:
    stage = item.stage if item.total <= 1 else f"{item.stage} {item.done} of {item.total}"
    receipt = item.receipt
    if item.state in ("waiting", "running"):
        told = stage if item.state == "running" or item.stage != "waiting" else ""
    elif receipt is None:
        told = ""
    elif receipt.status == "failed":
        told = f"{receipt.reason or 'a service failed'}: {receipt.detail}"
    else:
        told = f"{receipt.status}, version {receipt.version}, {receipt.chunks_embedded} of {receipt.chunks} embedded"
    name = one_line(f"{item.identity.collection}/{item.identity.source}")
    return f"{str(item.id)[:8]}  {item.state:9}  {name}  {told}".rstrip()


def progress_line(progress: Progress) -> str:
    line = f"{progress.waiting} wait, {progress.running} being read, {progress.done} done, {progress.failed} failed"
    if progress.cancelled:
        line += f", {progress.cancelled} cancelled"
    if progress.eta_s and (progress.waiting or progress.running):
        minutes, seconds = divmod(round(progress.eta_s), 60)
        line += f"; about {f'{minutes} min {seconds:02} s' if minutes else f'{seconds} s'} left"
    return line
