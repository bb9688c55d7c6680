"""The queue's rules, with a worker that takes one file at a time, on a real store."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from evals.bench.loopback_model import LoopbackModel
from ingest import queueing
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ingest.intake import MOST_STARTS
from ingest.intake_rows import BULK, OPEN, REBUILD, UPLOAD, Handed, Item
from ingest.model import Attachment, DocumentId, ParsedDocument
from ingest.originals import Originals
from ingest.pipeline import Pipeline
from ingest.storing import Identity
from ingest.taking import Taking
from ingest.worker import Worker

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration

PATIENCE_S = 120.0


class SteppedParser:
    """The real parser, which notes what it reads, waits where it is told to, and hands attachments over.

    A line "attached NAME: WORDS" of a file becomes an attachment.
    """

    def __init__(self, quoth: Quoth) -> None:
        self._quoth = quoth
        self.read: list[str] = []
        self.held: set[str] = set()  # names to stop at
        self.stopped_at = threading.Event()
        self.go_on = threading.Event()

    def parse(self, file: Path, *, name: str, **more: Any) -> ParsedDocument:
        self.read.append(name)
        if name in self.held:
            self.stopped_at.set()
            assert self.go_on.wait(PATIENCE_S)
        parsed = self._quoth.parser.parse(file, name=name, **more)
        lines = [line for line in parsed.text.splitlines() if line.startswith("attached ")]
        attached = [line.removeprefix("attached ").split(": ", 1) for line in lines]
        return replace(parsed, attachments=tuple(Attachment(name, words.encode()) for name, words in attached))


class Desk:
    """A worker of its own beside the store's, and the ways to give it work."""

    def __init__(self, quoth: Quoth, folder: Path) -> None:
        self.quoth = quoth
        self.folder = folder
        self.originals = Originals(quoth.settings.originals)
        self.parser = SteppedParser(quoth)
        scratch = quoth.settings.home / "scratch"
        parser: Any = self.parser
        taking = Taking(
            quoth.database, self.originals, parser, quoth.spaces, quoth.intake, scratch, remove=quoth.catalog.remove
        )
        self.worker = Worker(quoth.database, taking, (), concurrency=1)
        self.pipeline = Pipeline(quoth.database, self.originals, quoth.spaces, quoth.intake, self.worker, scratch)

    def file(self, name: str, content: str) -> Path:
        file = self.folder / name
        file.write_text(content, encoding="utf-8")
        return file

    def submit(self, name: str, content: str, *, priority: int = BULK, by: Reader = LOCAL, **more: Any) -> UUID:
        """Queue a file without starting a worker."""
        file = self.folder / f"handed-{uuid.uuid4().hex}"
        file.write_text(content, encoding="utf-8")
        sha256 = hashlib.sha256(content.encode()).digest()
        handed = Handed(file, sha256, len(content.encode()), Identity("default", name), **more)
        return self.quoth.intake.submit([handed], batch=uuid.uuid4(), by=by, priority=priority)[0]

    def item(self, one: UUID) -> Item:
        return self.quoth.intake.items([one])[one]

    def work_off(self, *wanted: UUID) -> list[Item]:
        """Let the worker live until these have ended."""
        self.worker.start()
        wait_for(lambda: all(item.state not in OPEN for item in self.quoth.intake.items(wanted).values()))
        return [self.item(one) for one in wanted]

    def said(self, name: str) -> str:
        """The text of the current version."""
        document, version = self.quoth.catalog.find(LOCAL, name, "default")
        return self.quoth.catalog.text(LOCAL, document.id, version)

    def jobs(self) -> int:
        with self.quoth.database.owning() as connection:
            return int(connection.execute(text("select count(*) from procrastinate_jobs")).scalar_one())


@pytest.fixture
def desk(quoth: Quoth, tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(quoth, tmp_path)
    try:
        yield opened
    finally:
        opened.parser.go_on.set()
        opened.worker.stop()


def wait_for(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not come():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def states(items: Sequence[Item]) -> list[str]:
    return [item.state for item in items]


# -- order -----------------------------------------------------------------------------------------------------------


def test_a_person_who_waits_goes_before_a_bulk_load_and_rebuilding_comes_last(desk: Desk) -> None:
    (old,) = desk.work_off(desk.submit("old.txt", "The old gate is painted green.\n"))
    assert old.document is not None
    desk.worker.stop()
    desk.parser.read.clear()
    (again,) = desk.quoth.intake.submit_documents([old.document], "reindex", batch=uuid.uuid4(), priority=REBUILD)
    bulk = [desk.submit(f"bulk{n}.txt", f"Bulk file {n} speaks of barrels.\n") for n in range(4)]
    upload = desk.submit("urgent.txt", "The urgent notice speaks of ice.\n", priority=UPLOAD)
    assert set(states(desk.work_off(again, *bulk, upload))) == {"done"}
    assert desk.parser.read == ["urgent.txt", *(f"bulk{n}.txt" for n in range(4)), "old.txt"]
    wait_for(lambda: desk.jobs() == 0)


def test_an_upload_goes_before_what_is_left_of_a_load_under_way(desk: Desk) -> None:
    desk.parser.held = {"first.txt"}
    load = [desk.submit(name, f"{name} speaks of nets.\n") for name in ("first.txt", "second.txt", "third.txt")]
    desk.worker.start()
    assert desk.parser.stopped_at.wait(PATIENCE_S)
    upload = desk.submit("now.txt", "This one speaks of hooks.\n", priority=UPLOAD)
    desk.parser.go_on.set()
    desk.work_off(upload, *load)
    assert desk.parser.read == ["first.txt", "now.txt", "second.txt", "third.txt"]


# -- cancelling and trying again ---------------------------------------------------------------------------------------


def test_what_waits_can_be_cancelled_and_leaves_nothing(desk: Desk) -> None:
    wanted = desk.submit("wanted.txt", "The wanted file speaks of sails.\n")
    unwanted = desk.submit("unwanted.txt", "The unwanted file speaks of sails.\n")
    sha256 = desk.item(unwanted).sha256
    assert sha256 is not None and desk.originals.holds(sha256)
    assert desk.quoth.intake.cancel(ids=[unwanted]) == 1
    assert desk.quoth.intake.cancel(ids=[unwanted]) == 0
    assert not desk.originals.holds(sha256)
    assert states(desk.work_off(wanted, unwanted)) == ["done", "cancelled"]
    assert desk.parser.read == ["wanted.txt"]
    with pytest.raises(UsageError):
        desk.quoth.catalog.find(LOCAL, "unwanted.txt", "default")


def test_what_is_being_read_can_be_cancelled_and_the_former_version_answers(desk: Desk) -> None:
    desk.work_off(desk.submit("plan.txt", "The ferry leaves at nine.\n"))
    desk.parser.held = {"plan.txt"}
    edit = desk.submit("plan.txt", "The ferry leaves at noon.\n")
    assert desk.parser.stopped_at.wait(PATIENCE_S)
    assert desk.item(edit).state == "running"
    assert desk.quoth.intake.cancel(ids=[edit]) == 1
    desk.parser.go_on.set()
    wait_for(lambda: desk.jobs() == 0)
    assert desk.item(edit).state == "cancelled"
    assert desk.said("plan.txt") == "The ferry leaves at nine."


def test_others_can_neither_cancel_nor_try_again(desk: Desk) -> None:
    ann, bob = Reader("ann", frozenset()), Reader("bob", frozenset())
    hers = desk.submit("hers.txt", "Her file speaks of oars.\n", by=ann)
    assert desk.quoth.intake.cancel(by=bob, ids=[hers]) == 0
    assert hers not in {item.id for item in desk.quoth.intake.recent(by=bob)}
    assert hers in {item.id for item in desk.quoth.intake.recent(by=ann)}
    assert desk.quoth.intake.cancel(by=ann, ids=[hers]) == 1


def test_a_bad_file_is_not_tried_again_and_its_bytes_are_let_go(desk: Desk) -> None:
    bad = desk.submit("bad.pdf", "%PDF-1.7 and nothing of the kind\n")
    sha256 = desk.item(bad).sha256
    (item,) = desk.work_off(bad)
    assert item.state == "failed" and item.receipt is not None and item.receipt.reason == "corrupt"
    assert desk.quoth.intake.retry([bad]) == 0
    assert sha256 is not None and not desk.originals.holds(sha256)


# -- workers that die --------------------------------------------------------------------------------------------------


@contextmanager
def another_worker(desk: Desk, job: UUID) -> Iterator[None]:
    """A process that is registered, shows that it lives, and has taken the job; it dies at the end of the `with`."""
    with psycopg.connect(desk.quoth.database.conninfo, autocommit=True) as connection:
        row = connection.execute("insert into procrastinate_workers default values returning id").fetchone()
        assert row is not None
        connection.execute("select pg_advisory_lock_shared(%s, %s)", (queueing.ALIVE, row[0]))
        taken = connection.execute(
            "select id from procrastinate_fetch_job_v2(%s, %s)", ([queueing.QUEUE], row[0])
        ).fetchone()
        assert taken is not None
        assert desk.quoth.intake.begin(job) is not None
        yield


def rescued(desk: Desk) -> int:
    with desk.quoth.database.working() as connection:
        return queueing.rescue(connection)


def test_a_dead_workers_file_is_taken_up_and_a_living_ones_is_not(desk: Desk) -> None:
    job = desk.submit("orphan.txt", "The orphaned file speaks of lamps.\n")
    with another_worker(desk, job):
        assert rescued(desk) == 0
        assert desk.item(job).state == "running"
    wait_for(lambda: rescued(desk) == 1)  # the server notices the end of a connection by itself
    (item,) = desk.work_off(job)
    assert item.state == "done" and item.starts == 2


def test_a_file_that_ends_its_worker_again_and_again_fails_alone(desk: Desk) -> None:
    poison = desk.submit("poison.txt", "This file ends whoever reads it.\n")
    for _ in range(MOST_STARTS):
        with another_worker(desk, poison):
            pass
        wait_for(lambda: rescued(desk) == 1)
    healthy = [desk.submit(f"healthy{n}.txt", f"Healthy file {n} speaks of bread.\n") for n in range(3)]
    dead, *alive = desk.work_off(poison, *healthy)
    assert dead.state == "failed" and dead.receipt is not None
    assert dead.receipt.reason == "unsafe" and str(MOST_STARTS) in str(dead.receipt.detail)
    assert states(alive) == ["done"] * 3
    assert "poison.txt" not in desk.parser.read
    wait_for(lambda: desk.jobs() == 0)


def test_an_orderly_end_does_not_count_against_a_file(desk: Desk) -> None:
    desk.parser.held = {"long.txt"}
    job = desk.submit("long.txt", "The long file speaks of rivers.\n")
    desk.worker.start()
    assert desk.parser.stopped_at.wait(PATIENCE_S)
    stopping = threading.Thread(target=desk.worker.stop)
    stopping.start()
    time.sleep(0.2)  # the parser goes on after the worker was told to end
    desk.parser.go_on.set()
    stopping.join(PATIENCE_S)
    item = desk.item(job)
    assert (item.state, item.starts) == ("waiting", 0)
    assert desk.jobs() == 1
    assert desk.work_off(job)[0].state == "done"


def test_what_the_queue_lost_sight_of_is_queued_again(desk: Desk) -> None:
    job = desk.submit("forgotten.txt", "The forgotten file speaks of wells.\n")
    with desk.quoth.database.owning() as connection:
        connection.execute(text("delete from procrastinate_jobs"))
    assert desk.work_off(job)[0].state == "done"
    wait_for(lambda: desk.jobs() == 0)


# -- the same file again -----------------------------------------------------------------------------------------------


def test_the_same_bytes_are_not_queued_twice(desk: Desk) -> None:
    first = desk.submit("twice.txt", "Said twice.\n")
    assert desk.submit("twice.txt", "Said twice.\n") == first
    other = desk.submit("twice.txt", "Said twice.\n", readers=("hr",))  # that is a change
    assert other != first
    assert desk.submit("elsewhere.txt", "Said twice.\n") != first
    assert set(states(desk.work_off(first, other))) == {"done"}
    assert desk.quoth.catalog.find(LOCAL, "twice.txt", "default")[0].readers == ("hr",)


def test_an_edit_back_while_one_waits_is_queued(desk: Desk) -> None:
    """A, then B waits, then A again: the end must be A."""
    desk.work_off(desk.submit("back.txt", "Version A.\n"))
    desk.worker.stop()
    b = desk.submit("back.txt", "Version B.\n")
    (receipt,) = desk.pipeline.add([desk.file("back.txt", "Version A.\n")])
    wait_for(lambda: desk.item(b).state == "done")  # passed over, if it came last
    assert desk.said("back.txt") == "Version A." and receipt.status == "updated"


def test_a_later_copy_supersedes_one_that_waits(desk: Desk) -> None:
    older = desk.submit("rota.txt", "The rota of May.\n", priority=BULK)
    newer = desk.submit("rota.txt", "The rota of June.\n", priority=UPLOAD)
    late, first = desk.work_off(older, newer)
    assert first.receipt is not None and first.receipt.status == "added"
    assert late.receipt is not None
    if late.receipt.status == "unchanged":  # it came last and was passed over
        assert "later copy" in str(late.receipt.detail)
    assert desk.said("rota.txt") == "The rota of June."


# -- what comes along ----------------------------------------------------------------------------------------------------

MAIL = "From ann.\n\nattached list.txt: Buy nine lamps.\n\nattached map.txt: The pier is east.\n"


def test_attachments_become_documents_named_by_their_mail(desk: Desk) -> None:
    file = desk.file("note.txt", MAIL)
    receipts = list(desk.pipeline.add([file], readers=["crew"]))
    found = [(receipt.source, receipt.parent, receipt.status) for receipt in receipts]
    assert found == [
        ("note.txt", None, "added"),
        ("note.txt/list.txt", "note.txt", "added"),
        ("note.txt/map.txt", "note.txt", "added"),
    ]
    for receipt in receipts:
        assert desk.quoth.catalog.find(LOCAL, receipt.source, "default")[0].readers == ("crew",)
    file.write_text(MAIL.replace("attached map.txt", "unattached map.txt"), encoding="utf-8")
    again = list(desk.pipeline.add([file]))
    assert (again[0].source, again[0].status) == ("note.txt", "updated")
    with pytest.raises(UsageError):
        desk.quoth.catalog.find(LOCAL, "note.txt/map.txt", "default")
    assert desk.said("note.txt/list.txt") == "Buy nine lamps."
    assert again[0].document is not None
    assert desk.quoth.catalog.remove(again[0].document) == ["note.txt/list.txt"]
    assert not [one for one in desk.quoth.catalog.documents(LOCAL) if one.source.startswith("note.txt")]


# -- made anew -----------------------------------------------------------------------------------------------------------


def test_reindexing_goes_through_the_queue_and_loses_to_an_edit(desk: Desk) -> None:
    (item,) = desk.work_off(desk.submit("pier.txt", "The pier is closed on Mondays.\n"))
    assert item.document is not None
    (receipt,) = desk.pipeline.reindex([item.document])
    assert (receipt.status, receipt.version, receipt.chunks_embedded) == ("updated", 1, receipt.chunks)
    desk.worker.stop()
    (anew,) = desk.quoth.intake.submit_documents([item.document], "reindex", batch=uuid.uuid4(), priority=REBUILD)
    edit = desk.submit("pier.txt", "The pier is closed on Tuesdays.\n", priority=UPLOAD)
    assert set(states(desk.work_off(edit, anew))) == {"done"}
    assert desk.said("pier.txt") == "The pier is closed on Tuesdays."
    with pytest.raises(UsageError, match="no document"):
        desk.quoth.intake.submit_documents([DocumentId(uuid.uuid4())], "reindex", batch=uuid.uuid4())


def test_another_embedding_model_is_built_beside_the_one_that_answers(
    environ: dict[str, str], folder_of: Callable[..., Path]
) -> None:
    from assistant.bootstrap import open_quoth

    names = ("lamp", "oar", "sail", "rope", "bell")
    folder = folder_of({f"{name}.txt": f"The {name} of the boat house hangs on hook {name}.\n" for name in names})
    with LoopbackModel() as model:
        given = {**environ, "OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": model.base_url, "QUOTH_REBUILD": "no"}
        with open_quoth(given) as old:
            list(old.pipeline.add([folder], collection="boats"))
            old.worker.stop()
            with open_quoth({**given, "QUOTH_EMBEDDER": "openai:text-embedding-3-small:256"}) as new:
                former = new.spaces.active.id
                assert new.spaces.building is not None and former == old.spaces.active.id != new.spaces.wanted.id

                def found(quoth: Quoth) -> set[str]:
                    hits = quoth.search("Where is the bell?", LOCAL, k=20, stage="dense", collection="boats").hits
                    return {hit.source for hit in hits}

                everything = {f"{name}.txt" for name in names}
                assert found(old) == found(new) == everything
                queued = new.pipeline.rebuild()
                assert queued >= len(names)
                items = [item for item in new.intake.recent(hidden=True, limit=1000) if item.kind == "space"]
                half = items[: len(items) // 2]
                held = items[len(half) :]
                new.intake.cancel(ids=[item.id for item in held])  # only half of it is made at first
                new.worker.start()
                wait_for(lambda: all(item.state == "done" for item in new.intake.items([h.id for h in half]).values()))
                progress = new.spaces.progress()
                assert progress is not None and 0 < progress[0] < progress[1]
                assert not new.spaces.switch_if_complete()
                assert new.spaces.active.id == former
                assert found(old) == found(new) == everything
                looks = 0
                deadline = time.monotonic() + PATIENCE_S
                while new.spaces.active.id == former:
                    assert time.monotonic() < deadline
                    new.pipeline.rebuild()
                    assert found(old) == found(new) == everything
                    looks += 1
                assert looks > 0 and new.spaces.building is None
                wait_for(lambda: old.spaces.active.id == new.spaces.wanted.id)  # the other process notices
                assert found(old) == found(new) == everything
                assert new.search("Where is the bell?", LOCAL, stage="dense", collection="boats").hits[0].source == (
                    "bell.txt"
                )
