"""Commands of content owners: add, documents, show, remove, reindex."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from assistant.wire import document_json, receipt_json
from ingest.access import LOCAL, group_names
from ingest.discovery import Input, discover
from ingest.errors import UsageError
from ingest.model import Receipt
from ui.command_line import (
    asking_options,
    command,
    json_option,
    named_documents,
    one_line,
    open_store,
    print_json,
    reader_of,
)

NOTED_EVERY_S: Final = 30.0


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = command(
        commands,
        "add",
        help="add files and folders and wait until they can be searched",
        example="""
            quoth add handbook/ minutes.pdf
            quoth add salaries.xlsx --readers hr,board --owner "HR office" --json
            quoth add archive/ --detach && quoth jobs""",
        more="""
            A file whose bytes did not change is left alone; a changed one becomes a new version, and only chunks
            whose text changed are embedded again. A file that fails is named with its reason, and the rest goes on.
            With --detach the files are copied into the queue and the command ends: a worker (`quoth up`, `quoth
            worker`) takes them from there, and `quoth jobs` shows how far they are.""",
    )
    add.add_argument("paths", nargs="+", metavar="PATH", type=Path)
    add.add_argument("--collection", metavar="NAME", default="default")
    add.add_argument("--readers", metavar="GROUP[,GROUP]", help="who may read (new documents: everyone)")
    add.add_argument("--owner", metavar="NAME", help="who answers for the documents")
    add.add_argument("--detach", action="store_true", help="leave the work to a worker and do not wait for it")
    json_option(add)
    add.set_defaults(run=run_add)

    documents = command(commands, "documents", help="list the documents you may read", example="quoth documents --json")
    asking_options(documents)
    json_option(documents)
    documents.set_defaults(run=run_documents)

    show = command(
        commands,
        "show",
        help="show documents, or their exact canonical text",
        example="quoth show hr/leave.docx\nquoth show hr/leave.docx@1 --text",
        more="DOCUMENT is an id, the start of one, or a source; @VERSION names an earlier version.",
    )
    show.add_argument("documents", nargs="+", metavar="DOCUMENT[@VERSION]")
    show.add_argument("--text", action="store_true", help="print exactly the canonical text, nothing added")
    asking_options(show)
    json_option(show)
    show.set_defaults(run=run_show)

    remove = command(
        commands,
        "remove",
        help="remove documents with every version, chunk, vector, quotation and original",
        example="quoth remove hr/leave.docx",
    )
    remove.add_argument("documents", nargs="+", metavar="DOCUMENT")
    json_option(remove)
    remove.set_defaults(run=run_remove)

    reindex = command(
        commands,
        "reindex",
        help="parse and index stored originals again",
        example="quoth reindex hr/leave.docx\nquoth reindex --all",
    )
    reindex.add_argument("documents", nargs="*", metavar="DOCUMENT")
    reindex.add_argument("--all", action="store_true", help="every document")
    json_option(reindex)
    reindex.set_defaults(run=run_reindex)


def run_add(arguments: argparse.Namespace) -> int:
    readers = None if arguments.readers is None else group_names(arguments.readers)
    if not arguments.collection.strip() or arguments.collection.startswith("eval-"):
        raise UsageError(f"{arguments.collection!r} cannot be a collection's name. Choose another.")
    given = None if readers is None else tuple(readers)
    inputs = [
        replace(one, readers=given, owner=arguments.owner) for one in discover(arguments.paths, arguments.collection)
    ]
    if arguments.detach:
        return leave_to_worker(inputs, as_json=arguments.json)
    with open_store() as quoth, progress_bar("Adding") as report:
        return print_receipts(quoth.pipeline.add_inputs(inputs, progress=report), as_json=arguments.json)


def leave_to_worker(inputs: Sequence[Input], *, as_json: bool) -> int:
    """Queue files; one line for each: `queued`, or what became of one that needs no work."""
    with open_store() as quoth:
        _, receipts = quoth.pipeline.hand_over(inputs, by=LOCAL, work_here=False)
        lives = quoth.pipeline.worker_lives()
    done = {(one.collection, one.source) for one in receipts}
    waiting = [one.identity for one in inputs if (one.identity.collection, one.identity.source) not in done]
    code = print_receipts((one for one in receipts), as_json=as_json, timed=False)
    for one in waiting:
        if as_json:
            print_json({"source": one.source, "collection": one.collection, "status": "queued"})
        else:
            print(f"{'queued':9}  {one_line(one.source)}")
    if waiting and not lives:
        print("No worker is running, so they wait. Start one: quoth up, or quoth worker", file=sys.stderr)
    elif waiting:
        print("A worker takes them from here. quoth jobs shows how far they are.", file=sys.stderr)
    return code


def print_receipts(receipts: Generator[Receipt], *, as_json: bool, timed: bool = True) -> int:
    """One line per document as it is done; 1 when some failed."""
    counts: dict[str, int] = {}
    started = time.monotonic()
    try:
        with closing(receipts):  # an interrupt cancels what still waits
            for receipt in receipts:
                counts[receipt.status] = counts.get(receipt.status, 0) + 1
                if as_json:
                    print_json(receipt_json(receipt))
                else:
                    print(receipt_line(receipt), flush=True)
    except KeyboardInterrupt:
        print(
            f"{_total(counts) or 'nothing'} until then; what was done behind these stays, the rest is cancelled. "
            "`quoth jobs` tells which; the same command goes on.",
            file=sys.stderr,
        )
        raise
    if timed and not as_json:
        print(f"{_total(counts) or 'nothing to do'} in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 1 if counts.get("failed") else 0


def _total(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def receipt_line(receipt: Receipt) -> str:
    if receipt.status == "failed":
        kept = f" Version {receipt.version} goes on answering." if receipt.version else ""
        return f"{'failed':9}  {one_line(receipt.source)}  {receipt.reason}: {receipt.detail}{kept}"
    pages = f", {receipt.pages} pages" if receipt.pages else ""
    return (
        f"{receipt.status:9}  {one_line(receipt.source)}  version {receipt.version}{pages}, {receipt.chunks} chunks"
        f" ({receipt.chunks_embedded} embedded), {receipt.seconds:.2f} s"
    )


@contextmanager
def progress_bar(verb: str) -> Iterator:
    """A bar on stderr when a person watches; otherwise a line now and then of what takes long."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield noted(verb)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(verb)

        def report(source: str, stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"{verb} {source}: {stage}", completed=done, total=max(total, 1))

        yield report


def noted(verb: str, *, every_s: float = NOTED_EVERY_S) -> Callable[[str, str, int, int], None]:
    """Tells a log that the work goes on."""
    last = time.monotonic()

    def report(source: str, stage: str, done: int, total: int) -> None:
        nonlocal last
        if stage != "done" and time.monotonic() - last >= every_s:
            last = time.monotonic()
            print(f"{verb} {one_line(source)}: {stage}, {done} of {total}", file=sys.stderr, flush=True)

    return report


def run_documents(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        found = quoth.catalog.documents(reader_of(quoth, arguments), arguments.collection)
    if arguments.json:
        for document in found:
            print_json(document_json(document))
        return 0
    for document in found:
        pages = f"{document.pages} p" if document.pages else ""
        print(
            f"{str(document.id)[:8]}  {document.collection}/{one_line(document.source)}  {document.title!r}  "
            f"version {document.version}  {pages:>5} {document.chunks:4} chunks  readers {','.join(document.readers)}"
        )
    if not found:
        print("There are no documents that you may read. Add some: quoth add FOLDER", file=sys.stderr)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        reader = reader_of(quoth, arguments)
        for document, version in named_documents(quoth, arguments.documents, reader, arguments.collection):
            if arguments.text:
                text = quoth.catalog.text(reader, document.id, version)
                if arguments.json:
                    print_json({"document": str(document.id), "version": version, "text": text})
                else:
                    sys.stdout.buffer.write(text.encode())
                    sys.stdout.buffer.flush()
            elif arguments.json:
                print_json({**document_json(document), "shown_version": version})
            else:
                print_document(document_json(document))
    return 0


def print_document(fields: dict) -> None:
    for name, value in fields.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        print(f"{name.replace('_', ' '):12} {'' if shown is None else shown}")


def run_remove(arguments: argparse.Namespace) -> int:
    with open_store() as quoth:
        for document, _ in named_documents(quoth, arguments.documents, LOCAL):
            attached = quoth.catalog.remove(document.id)
            if arguments.json:
                removed = {"document": str(document.id), "source": document.source, "status": "removed"}
                print_json({**removed, "attachments": attached})
            else:
                print(f"removed    {document.collection}/{one_line(document.source)}")
                for source in attached:
                    print(f"removed    {document.collection}/{source}, which was attached to it")
    return 0


def run_reindex(arguments: argparse.Namespace) -> int:
    if bool(arguments.documents) == arguments.all:
        raise UsageError("Name the documents to reindex, or give --all.")
    with open_store() as quoth:
        if arguments.all:
            ids = [document.id for document in quoth.catalog.documents(LOCAL)]
        else:
            ids = [document.id for document, _ in named_documents(quoth, arguments.documents, LOCAL)]
        with progress_bar("Reindexing") as report:
            return print_receipts(quoth.pipeline.reindex(ids, progress=report), as_json=arguments.json)
