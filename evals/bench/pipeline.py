"""The whole way of documents into the store: how fast, where the time goes, how much memory, and how it grows.

    python -m evals.bench.pipeline [--documents 1000 5000 20000] [--pages 1000]

Invented small files of four formats (their mean is a hundred words) are added to an empty store by one worker with its
own Postgres, all of the last number, with a line at each smaller one; then one PDF of so many pages (0 leaves it out;
making it needs reportlab). Peak memory is the highest resident size that the kernel notes of each process.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from sqlalchemy import text

from assistant.bootstrap import Quoth, open_quoth
from ingest import postgres, storing, taking

LOOK_EVERY_S: Final = 1.0  # looking costs something itself
NOUNS: Final = (
    "depot crate shelf caretaker invoice ferry harbour ledger turbine orchard kiln beacon turnstile warehouse engine "
    "permit contract parcel bridge tunnel greenhouse workshop archive locker fountain pump valve generator roof"
)
VERBS: Final = "keeps repairs counts orders moves checks closes opens measures labels replaces inspects"
TIMES: Final = ("on Mondays", "before noon", "at the end of the quarter", "after each storm", "twice a year")


class Memory:
    """Watches the processes of this one and of its Postgres until it is left."""

    def __init__(self, roots: Callable[[], list[int]]) -> None:
        self._roots = roots
        self._ended = threading.Event()
        self.peak_bytes: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            for process in processes_of(self._roots()):
                try:
                    status = Path(f"/proc/{process.pid}/status").read_text()
                    kind = kind_of(process)
                except (OSError, psutil.Error):
                    continue
                peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
                self.peak_bytes[kind] = max(self.peak_bytes[kind], peak * 1024)


def processes_of(roots: list[int]) -> Iterator[psutil.Process]:
    for root in roots:
        try:
            process = psutil.Process(root)
            yield from (process, *process.children(recursive=True))
        except psutil.Error:
            continue


def kind_of(process: psutil.Process) -> str:
    if process.pid == os.getpid():
        return "worker"
    words = " ".join(process.cmdline())
    return "parser" if "parser_child" in words else "Postgres" if "postgres" in words else "other"


class Clock:
    """Seconds by the wall and of the processor, in the calling thread, spent within named calls."""

    def __init__(self) -> None:
        self.wall_s: defaultdict[str, float] = defaultdict(float)
        self.cpu_s: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        wall, cpu = time.monotonic(), time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self.wall_s[name] += time.monotonic() - wall
                self.cpu_s[name] += time.thread_time() - cpu

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def counted(*given: Any, **named: Any) -> Any:
            with self.counting(name):
                return call(*given, **named)

        return counted


def timed_taking(quoth: Quoth, clock: Clock) -> None:
    """Put the clock around the steps of taking a file in; of this process alone, which ends with the benchmark."""
    quoth.parser.parse = clock.timed("parse (waiting for the child)", quoth.parser.parse)  # type: ignore[method-assign]
    embedder: Any = quoth.embedder
    embedder.embed_passages = clock.timed("embed", embedder.embed_passages)
    taking.index_document = clock.timed("chunk, analyse and embed", taking.index_document)
    storing.store = clock.timed("store: rows", storing.store)
    worker: Any = quoth.worker
    worker._taking.take = clock.timed("all of a file", worker._taking.take)


def small_file(number: int, chance: random.Random) -> tuple[str, str]:
    """Name and text of one invented file."""

    def sentence() -> str:
        subject, thing = chance.choice(NOUNS.split()), chance.choice(NOUNS.split())
        return (
            f"The {subject} of house {chance.randrange(900)} {chance.choice(VERBS.split())} {chance.randrange(2, 99)} "
            f"{thing}s {chance.choice(TIMES)}."
        )

    title = f"Note {number} on the {chance.choice(NOUNS.split())}"
    paragraphs = [" ".join(sentence() for _ in range(chance.randint(2, 5))) for _ in range(chance.randint(1, 4))]
    match number % 4:
        case 0:
            return f"note-{number:06}.txt", "\n\n".join([title, *paragraphs])
        case 1:
            return f"note-{number:06}.md", "\n\n".join([f"# {title}", *paragraphs])
        case 2:
            body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
            return f"note-{number:06}.html", f"<html><title>{title}</title><body><h1>{title}</h1>{body}</body></html>"
    rows = (f"{chance.choice(NOUNS.split())},{chance.randrange(900)},{chance.choice(TIMES)}" for _ in range(12))
    return f"note-{number:06}.csv", "\n".join(["thing,house,time", *rows])


def write_files(folder: Path, count: int) -> None:
    chance = random.Random(7)
    for number in range(count):
        name, text = small_file(number, chance)
        place = folder / f"{number // 1000:03}"
        place.mkdir(exist_ok=True)
        (place / name).write_text(text)


def write_pdf(path: Path, pages: int) -> None:
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    chance = random.Random(8)
    canvas = Canvas(str(path), pagesize=A4)
    for page in range(1, pages + 1):
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawString(60, 780, f"{page}. The {chance.choice(NOUNS.split())}")
        canvas.setFont("Helvetica", 10)
        for line in range(50):
            words = (chance.choice(names.split()) for names in (NOUNS, VERBS, NOUNS))
            canvas.drawString(60, 750 - 14 * line, f"The {' '.join(words)} {chance.choice(TIMES)}, line {line}.")
        canvas.showPage()
    canvas.save()


def cpu_by_kind(roots: list[int]) -> defaultdict[str, float]:
    """Seconds of the processor used so far, of what has ended too where its parent has waited for it."""
    used: defaultdict[str, float] = defaultdict(float)
    for process in processes_of(roots):
        try:
            times, kind = process.cpu_times(), kind_of(process)
        except psutil.Error:
            continue
        used[kind] += times.user + times.system
        if kind != "worker":
            used[kind] += times.children_user + times.children_system
    return used


def add_all(quoth: Quoth, folder: Path, marks: list[int], roots: Callable[[], list[int]], clock: Clock) -> None:
    started, before = time.monotonic(), cpu_by_kind(roots())
    last, at, chunks, until = started, 0, 0, before
    for count, receipt in enumerate(quoth.pipeline.add([folder]), start=1):
        assert receipt.status == "added", receipt
        chunks += receipt.chunks
        if count in marks:
            now = time.monotonic()
            rate = (count - at) / (now - last)
            used = cpu_by_kind(roots())
            cost = ", ".join(f"{kind} {1000 * (used[kind] - until[kind]) / (count - at):.1f}" for kind in sorted(used))
            print(
                f"{count:7,d} documents: {now - started:8.1f} s; since the line before {rate:6.1f} documents/s,"
                f" processor ms a document: {cost}",
                flush=True,
            )
            until = used
            last, at = now, count
    wall_s = time.monotonic() - started
    used = cpu_by_kind(roots())
    with quoth.database.working() as connection:
        texts = connection.execute(text("select text from chunk order by document_id limit 2000")).scalars().all()
    tokens = sum(quoth.embedder.count_tokens(list(texts))) / len(texts) * chunks if texts else 0
    print(f"{count:,} documents, {chunks:,} chunks, about {tokens:,.0f} tokens in {wall_s:.1f} s: "
          f"{count / wall_s:.1f} documents/s, {tokens / wall_s:,.0f} tokens/s")  # fmt: skip
    print("processor, ms a document: " + ", ".join(
        f"{kind} {1000 * (used[kind] - before[kind]) / count:.1f}" for kind in sorted(used)))  # fmt: skip
    print("within the worker, ms a document (wall; of the processor, in the thread itself):")
    for name in sorted(clock.wall_s, key=lambda name: -clock.wall_s[name]):
        print(f"  {name:32} {1000 * clock.wall_s[name] / count:7.1f} {1000 * clock.cpu_s[name] / count:7.1f}")


@contextmanager
def store(environ: Mapping[str, str]) -> Iterator[Quoth]:
    with tempfile.TemporaryDirectory(prefix="quoth-pipeline-") as home:
        quoth = open_quoth({**environ, "QUOTH_HOME": home, "QUOTH_REBUILD": "no"})
        try:
            yield quoth
        finally:
            quoth.close()
            if "QUOTH_DATABASE_URL" not in environ:
                postgres.remove(Path(home))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[1000, 5000, 20000], help="where to print a line")
    parser.add_argument("--pages", type=int, default=1000, help="of the PDF (1000; 0: none)")
    arguments = parser.parse_args()
    marks = sorted(arguments.documents)
    with tempfile.TemporaryDirectory(prefix="quoth-files-") as files, store(os.environ) as quoth:
        folder = Path(files) / "small"
        folder.mkdir()
        write_files(folder, marks[-1])

        def roots() -> list[int]:
            server = postgres.status(quoth.settings.home).pid
            return [os.getpid(), *([server] if server else [])]

        clock = Clock()
        timed_taking(quoth, clock)
        with Memory(roots) as memory:
            add_all(quoth, folder, marks, roots, clock)
        print_peaks(memory)
        if arguments.pages:
            path = Path(files) / "long.pdf"
            write_pdf(path, arguments.pages)
            with Memory(roots) as memory:
                started = time.monotonic()
                (receipt,) = quoth.pipeline.add([path])
                wall_s = time.monotonic() - started
            print(f"a PDF of {receipt.pages} pages, {path.stat().st_size / 1e6:.1f} MB, {receipt.chunks:,} chunks: "
                  f"{receipt.status} in {wall_s:.1f} s, {arguments.pages / wall_s:.1f} pages/s")  # fmt: skip
            print_peaks(memory)
    return 0


def print_peaks(memory: Memory) -> None:
    peaks = ", ".join(f"{kind} {size / 1e6:,.0f} MB" for kind, size in sorted(memory.peak_bytes.items()))
    print(f"highest resident memory of a process: {peaks}")


if __name__ == "__main__":
    sys.exit(main())
