"""kill -9 of workers, the database, the app and the loading command at random moments of a load: nothing is lost.

Whatever is killed is started again at once, as a service manager would, and the command that loads is run until it
says that it is done. Then every document must be there exactly once and be the same, in all its tables, as in a load
that nobody disturbed. The short form kills three times; `pytest -m soak tests/test_load_under_kills.py` fifty times
during a load of five hundred documents. Both print how long it took after each kill until nothing was left of what
had been begun before it.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psycopg
import pytest
from sqlalchemy import Connection, text

from assistant.bootstrap import open_quoth
from ingest import postgres
from ingest.access import LOCAL
from ingest.postgres_liveness import was_killed
from ingest.queueing import ALIVE

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration

SEED: Final = 20_261_121
VICTIMS: Final = ("worker", "database", "app", "add")
PATIENCE_S: Final = 120.0  # nothing here takes a quarter of it, unless something is stuck
WORDS: Final = (
    "crate",
    "barge",
    "anchor",
    "rope",
    "ledger",
    "harbour",
    "pilot",
    "tide",
    "winch",
    "buoy",
    "mast",
    "quay",
)


def documents(folder: Path, count: int, longest: int) -> Path:
    """Documents of different lengths, each with words of its own."""
    rng = random.Random(SEED)
    folder.mkdir()
    for number in range(count):
        paragraphs = [
            f"Depot {number} keeps {rng.randint(2, 900)} of the {rng.choice(WORDS)} kind {rng.randint(1000, 9999)} "
            f"beside the {rng.choice(WORDS)} on shelf {at}. Its {rng.choice(WORDS)} is checked by watch {number}."
            for at in range(rng.randint(5, longest))
        ]
        heads = [f"# Depot {number}\n\n{paragraphs[0]}", *paragraphs[1:]]
        (folder / f"depot{number:04}.md").write_text("\n\n".join(heads) + "\n", encoding="utf-8")
    return folder


class Service:
    """A process of the product that is started again whenever it ends, until it is told to stay down."""

    def __init__(self, name: str, environ: dict[str, str], log: Path, *arguments: str, once: bool = False) -> None:
        self.name = name
        self._environ = environ
        self._log = log
        self._arguments = arguments
        self._once = once  # an exit code of 0 is its end
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = True
        self.done = threading.Event()
        self.starts = 0
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while self._wanted:
            with self._log.open("ab") as log, self._lock:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "ui.command", *self._arguments],
                    env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
                self.starts += 1
            if self._process.wait() == 0 and self._once:
                break
            time.sleep(0.2)
        self.done.set()

    def kill(self) -> None:
        """kill -9; what it started itself notices by itself."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def stop(self) -> None:
        self._wanted = False
        with self._lock:
            if self._process is not None:
                self._process.send_signal(signal.SIGTERM)
        if not self.done.wait(60):
            self.kill()
            self.done.wait(10)


class Load:
    """A store with a worker, an app and a command that loads a folder; and the knife."""

    def __init__(self, home: Path, folder: Path, scratch: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
        self.home = home
        self.temporary = scratch / "tmp"
        self.temporary.mkdir()
        self.log = scratch / "log"
        self.environ = {**kept, "QUOTH_HOME": str(home), "QUOTH_WORKERS": "1", "TMPDIR": str(self.temporary)}
        self.url = postgres.start(home).url
        self.services = {
            "app": Service("app", self.environ, self.log, "up", "--no-browser"),
            "worker": Service("worker", self.environ, self.log, "worker"),
        }
        self.adding = Service("add", self.environ, self.log, "add", str(folder), "--json", once=True)
        self.recovered_s: dict[str, list[float]] = {victim: [] for victim in VICTIMS}
        self.workers_back_s: list[float] = []  # after the database was killed under them
        self.unmeasured = 0

    def asked(self, statement: str) -> tuple[Any, ...] | None:
        """One row straight from the store; None while it does not answer."""
        with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=5) as connection:
            return connection.execute(statement).fetchone()
        return None

    def done(self) -> int:
        row = self.asked("select count(distinct source) from intake where state = 'done'")
        return int(row[0]) if row else -1

    def workers(self) -> int | None:
        """How many services work on the queue now; the loading command may have a worker besides."""
        row = self.asked(
            f"select count(*) from pg_locks where locktype = 'advisory' and classid = {ALIVE} and objsubid = 2"
        )
        return int(row[0]) if row else None

    def kill(self, victim: str) -> None:
        if victim == "database":
            server = postgres.status(self.home).pid
            if server:
                with suppress(ProcessLookupError):
                    os.kill(server, signal.SIGKILL)
            postgres.start(self.home)  # as any command does first
        elif victim == "add":
            self.adding.kill()
        else:
            self.services[victim].kill()

    def kill_and_measure(self, victim: str) -> None:
        """How long until everything that had been begun before the kill has ended, or was begun anew."""
        row = self.asked("select clock_timestamp()::text")
        begun = time.monotonic()
        self.kill(victim)
        if row is None:
            self.unmeasured += 1
            return
        left = f"select count(*) from intake where state = 'running' and started_at <= timestamptz '{row[0]}'"
        while time.monotonic() - begun < PATIENCE_S:
            found = self.asked(left)
            if found is not None and found[0] == 0:
                self.recovered_s[victim].append(time.monotonic() - begun)
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"{PATIENCE_S} s after the kill of {victim} what it had begun is not taken up")
        if victim == "database":
            while (self.workers() or 0) < len(self.services) and time.monotonic() - begun < PATIENCE_S:
                time.sleep(0.1)
            self.workers_back_s.append(time.monotonic() - begun)

    def stop(self) -> None:
        for service in (self.adding, *self.services.values()):
            service.stop()

    def report(self) -> None:
        for victim, seconds in self.recovered_s.items():
            if seconds:
                print(
                    f"{victim:9} killed {len(seconds):2} times; taken up again after {statistics.median(seconds):.1f} s"
                    f" (median), {max(seconds):.1f} s at most"
                )
        if self.workers_back_s:
            print(
                f"workers registered anew after a kill of the database: {statistics.median(self.workers_back_s):.1f} s"
                f" (median), {max(self.workers_back_s):.1f} s at most"
            )
        starts = {service.name: service.starts for service in (*self.services.values(), self.adding)}
        print(f"starts: {starts}; {self.unmeasured} kills came while the database was down")


COUNTED: Final = """
    select d.source, v.number, length(v.canonical_text), v.sha256,
        (select count(*) from element e where e.document_id = d.id and e.version = v.number),
        (select array_agg((c.ordinal, c.start_offset, c.end_offset, c.text_hash)::text order by c.ordinal)
            from chunk c where c.document_id = d.id),
        (select count(distinct c.version) from chunk c where c.document_id = d.id),
        (select count(*) from chunk_vector w join chunk c on c.document_id = w.document_id and c.id = w.chunk_id
            where w.document_id = d.id),
        (select count(*) from chunk_vector w where w.document_id = d.id),
        (select count(*) from lex_document m where m.document_id = d.id),
        (select m.chunks from lex_document m where m.document_id = d.id),
        (select m.tokens from lex_document m where m.document_id = d.id),
        (select array_agg(term order by term) from lex_document m, unnest(m.terms) term where m.document_id = d.id),
        (select min(c.position) - min(m.first) from chunk c, lex_document m
            where c.document_id = d.id and m.document_id = d.id)
    from document d left join version v on v.document_id = d.id
    where d.collection = :collection order by d.source, v.number"""


def tables(quoth: Quoth, collection: str) -> dict[str, tuple[Any, ...]]:
    """For each source everything that can be counted of it; a source that is there twice ends the test."""
    with quoth.database.owning() as connection:
        rows = connection.execute(text(COUNTED), {"collection": collection}).all()
        postings = postings_of(connection, collection)
    found = {row.source: (*tuple(row)[1:], postings.get(row.source)) for row in rows}
    assert len(found) == len(rows), "a document has several versions, or is there twice"
    return found


def postings_of(connection: Connection, collection: str) -> dict[str, set[tuple[str, int, int, int]]]:
    """For each source its (term, ordinal, tf, length), cut out of the blocks that documents share."""
    query = "select d.source, m.first from lex_document m join document d on d.id = m.document_id"
    ranges = connection.execute(text(f"{query} order by m.first")).all()

    mine = connection.execute(text(f"{query} where d.collection = :c order by m.first"), {"c": collection}).all()
    firsts = np.array([row.first for row in ranges])
    names = {row.first: row.source for row in mine}
    found: dict[str, set[tuple[str, int, int, int]]] = {}
    for term, ids, tf, dl in connection.execute(text("select term, ids, tf, dl from lex_block")):
        positions = np.frombuffer(ids, "<i4")
        first = firsts[np.searchsorted(firsts, positions, side="right") - 1]
        for at, start, count, length in zip(positions, first, tf, np.frombuffer(dl, "<u2"), strict=True):
            if int(start) in names:
                found.setdefault(names[int(start)], set()).add((term, int(at - start), count, int(length)))
    return found


def check(load: Load, folder: Path, count: int) -> None:
    """All are there once and whole; nothing waits; nothing is left over."""
    with open_quoth(load.environ) as quoth:
        receipts = list(quoth.pipeline.add([folder], collection="undisturbed"))
        assert [receipt.status for receipt in receipts] == ["added"] * count
        disturbed, undisturbed = tables(quoth, "default"), tables(quoth, "undisturbed")
        assert len(disturbed) == count
        assert disturbed == undisturbed
        with quoth.database.owning() as connection:
            stray = "select count(*) from {} where document_id not in (select id from document)"
            for table in ("version", "element", "chunk", "chunk_vector", "lex_document", "document_name"):
                assert connection.execute(text(stray.format(table))).scalar() == 0, table
            unlinked = "select count(*) from lex_block where seg not in (select seg from lex_segment)"
            assert connection.execute(text(unlinked)).scalar() == 0
            assert connection.execute(text("select count(*) from procrastinate_jobs")).scalar() == 0
            states = connection.execute(text("select state, count(*) from intake group by state")).all()
            hashes = connection.execute(text("select distinct encode(sha256, 'hex') from version")).scalars().all()
        assert {row.state for row in states} <= {"done", "cancelled"}, states
        print("rows of the queue:", {row.state: row.count for row in states})
        left = collect(quoth)
        print(f"swept: {left} files that kills had left among originals and in the scratch folder")
        originals = [file.name for file in Path(quoth.settings.originals).rglob("*") if file.is_file()]
        assert sorted(originals) == sorted(hashes) and len(originals) == count
        assert list((quoth.settings.home / "scratch").iterdir()) == []
        hit = quoth.search("What does depot 7 keep?", LOCAL, collection="default").hits[0]
        assert hit.source in disturbed


def collect(quoth: Quoth) -> int:
    """Sweep as an hour later; returns how many files it took away."""
    places = [Path(quoth.settings.originals), quoth.settings.home / "scratch"]
    before = [file for place in places for file in place.rglob("*")]
    for file in before:
        os.utime(file, (time.time() - 7200, time.time() - 7200))
    quoth.pipeline.sweep()
    return sum(not file.exists() for file in before)


def run(tmp_path: Path, count: int, longest: int, victims: list[str], rng: random.Random) -> None:
    began = time.monotonic()

    def told(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}")

    folder = documents(tmp_path / "documents", count, longest)
    home = tmp_path / "home"
    moments = sorted(rng.randrange(0, max(1, int(count * 0.9))) for _ in victims)
    try:
        load = Load(home, folder, tmp_path)
        try:
            for victim, moment in zip(victims, moments, strict=True):
                wait_for(lambda moment=moment: load.done() >= moment, f"{moment} documents")  # type: ignore[misc]
                time.sleep(rng.random())
                told(f"{load.done()} documents are done; kill of {victim}")
                load.kill_and_measure(victim)
            wait_for(load.adding.done.is_set, "the end of the load")
            wait_for(lambda: load.done() >= count, "the last document")
            told("loaded")
        except BaseException:
            print(load.log.read_text(encoding="utf-8", errors="replace")[-4000:])
            raise
        finally:
            load.stop()
            told("stopped")
            load.report()
        check(load, folder, count)
        told("checked")
    finally:
        postgres.remove(home)


def wait_for(come: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S * 5
    while not come():
        assert time.monotonic() < deadline, f"{what}: did not come"
        time.sleep(0.1)


def test_a_killed_server_is_told_from_one_that_was_stopped(tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        assert not was_killed(home)
        postgres.start(home)
        assert not was_killed(home)
        server = postgres.status(home).pid
        assert server is not None
        os.kill(server, signal.SIGKILL)
        wait_for(lambda: was_killed(home), "the end of the server's processes")
        postgres.start(home)
        assert not was_killed(home)
        assert postgres.stop(home)
        assert not was_killed(home)
    finally:
        postgres.remove(home)


def test_three_kills(tmp_path: Path) -> None:
    run(tmp_path, 18, 8, ["database", "worker", "app"], random.Random(SEED))


@pytest.mark.soak
def test_fifty_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("QUOTH_KILLS_SEED", SEED))
    print(f"QUOTH_KILLS_SEED={seed}")
    rng = random.Random(seed)
    run(tmp_path, 500, 60, [rng.choice(VICTIMS) for _ in range(50)], rng)
