"""What fails around Quoth: full disks, no connection to spare, a database, a worker or an API that stands still.

Each time: the error says whose it is, nothing that was acknowledged is lost, and all goes on by itself afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import text

from assistant.backups import backup, looked_at
from assistant.bootstrap import Quoth, open_quoth, restore_store
from assistant.model import Answer
from evals.bench.load import served
from ingest import postgres
from ingest.access import LOCAL
from ingest.database import Database
from ingest.discovery import Input
from ingest.errors import NoRoom, ServiceError, UsageError
from ingest.intake_rows import UPLOAD
from ingest.parser import Parser
from ingest.queueing import worker_alive
from ingest.storing import Identity
from ingest.unanswered import Unanswered
from tests.small_disk import SmallDisk, small_disk
from tests.ui.served_api import serving
from ui.api.serving import served_api

if TYPE_CHECKING:
    from ingest.model import Receipt

pytestmark = pytest.mark.integration
QUESTION = "How many lanterns does the lock keeper hold?"
FACT = "The lock keeper holds fourteen lanterns."
PATIENCE_S = 120.0


def note(number: int) -> str:
    return (
        f"# Lock {number}\n\nThe gate of lock {number} opens at {number % 12 + 1} o'clock and its keeper rests after.\n"
    )


def notes(folder: Path, count: int, *, first: int = 0, longer: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        (folder / f"lock{number:03}.md").write_text(note(number) + "The water is low in August. \n" * longer)
    return folder


def answered(quoth: Quoth) -> Answer:
    *_, last = quoth.ask(QUESTION, LOCAL)
    assert isinstance(last, Answer)
    return last


def added(receipts: Iterator[Receipt]) -> list[str]:
    return [one.status for one in receipts]


def come(what: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


@contextmanager
def standing_still(*processes: psutil.Process) -> Iterator[None]:
    """Stopped as by a debugger, and going on afterwards, whatever happens."""
    try:
        for one in processes:
            one.suspend()
        yield
    finally:
        for one in processes:
            with suppress(psutil.NoSuchProcess):
                one.resume()


def server_processes(home: Path) -> list[psutil.Process]:
    pid = postgres.status(home).pid
    assert pid is not None
    postmaster = psutil.Process(pid)
    return [postmaster, *postmaster.children(recursive=True)]


# -- full disks ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 24) as made:
        yield made


@pytest.fixture
def on_small_disk(environ: dict[str, str], disk: SmallDisk, folder_of: Callable[..., Path]) -> Iterator[Quoth]:
    """Originals, scratch and keys on a small disk; the database elsewhere, as with a server of one's own."""
    with open_quoth({**environ, "QUOTH_HOME": str(disk.folder / "home"), "QUOTH_WORKERS": "1"}) as quoth:
        assert added(quoth.pipeline.add([folder_of({"lanterns.md": FACT})]))[0] in ("added", "unchanged", "updated")
        yield quoth


def test_a_full_disk_stops_adding_and_not_answering(
    on_small_disk: Quoth, disk: SmallDisk, folder_of: Callable[..., Path]
) -> None:
    folder = folder_of({"gate.md": note(1)})
    disk.fill()
    with pytest.raises(NoRoom, match="full"):
        added(on_small_disk.pipeline.add([folder]))
    assert list((on_small_disk.settings.home / "scratch").glob("add-*")) == []
    assert answered(on_small_disk).status == "answered"
    disk.free()
    assert added(on_small_disk.pipeline.add([folder])) == ["added"]


@pytest.fixture
def larger_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """With room for what the parser unpacks when it begins."""
    with small_disk(tmp_path / "larger", 300) as made:
        yield made


def test_a_parser_that_has_no_room_to_begin_does_not_blame_the_document(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    (tmp_path / "gate.md").write_text(note(3))
    with Parser() as parser, pytest.raises(NoRoom, match="full"):
        parser.parse(tmp_path / "gate.md", name="gate.md")


def test_a_file_for_which_its_reader_has_no_room_waits_until_there_is_some(
    quoth: Quoth, environ: dict[str, str], larger_disk: SmallDisk, tmp_path: Path
) -> None:
    disk = larger_disk
    temporary = disk.folder / "tmp"
    temporary.mkdir()
    (tmp_path / "gate9.md").write_text(note(9))
    with working({**environ, "TMPDIR": str(temporary), "QUOTH_WORKERS": "1"}, quoth):
        wanted = [Input(tmp_path / "gate9.md", Identity("default", name)) for name in ("first.md", "gate9.md")]
        batch, _ = quoth.pipeline.hand_over(wanted[:1], by=LOCAL, priority=UPLOAD)
        come(lambda: quoth.intake.recent(batch=batch)[0].state == "done")  # it works in that folder from now on
        disk.fill()
        batch, _ = quoth.pipeline.hand_over(wanted[1:], by=LOCAL, priority=UPLOAD)
        come(lambda: "full" in quoth.intake.recent(batch=batch)[0].stage)
        assert quoth.intake.recent(batch=batch)[0].state == "waiting"
        disk.free()
        come(lambda: quoth.intake.recent(batch=batch)[0].state == "done")


@contextmanager
def working(environ: dict[str, str], quoth: Quoth) -> Iterator[psutil.Process]:
    """A `quoth worker` beside an open store."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ui.command", "worker"], env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        come(lambda: _alive(quoth))
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _alive(quoth: Quoth) -> bool:
    with quoth.database.working() as connection:
        return worker_alive(connection)


def test_an_upload_for_which_there_is_no_room_is_the_operators(on_small_disk: Quoth, disk: SmallDisk) -> None:
    with serving(served_api(on_small_disk, local=True)) as address:
        disk.fill()
        files = [("files", ("gate7.md", note(7)))]
        refused = httpx.post(f"{address}/api/documents", files=files, timeout=60)
        assert refused.status_code == 507, refused.text
        assert (refused.json()["code"], refused.json()["whose"]) == ("no_room", "operator")
        asked = httpx.post(f"{address}/api/answers", json={"question": QUESTION}, timeout=60).json()
        assert asked["status"] == "answered"
        disk.free()
        assert httpx.post(f"{address}/api/documents", files=files, timeout=60).status_code == 202


def test_a_backup_onto_a_full_disk_leaves_nothing_and_says_so(quoth: Quoth, disk: SmallDisk) -> None:
    disk.fill(leave_kb=40)
    before = set(disk.folder.iterdir())
    with pytest.raises(NoRoom, match="full"):
        backup(quoth.database, quoth.originals, quoth.settings.home, disk.folder / "store.tar")
    assert set(disk.folder.iterdir()) == before
    disk.free()
    backup(quoth.database, quoth.originals, quoth.settings.home, disk.folder / "store.tar")
    assert looked_at(disk.folder / "store.tar").documents >= 0


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that Postgres' own user may enter, so that its data lies there and nowhere else."""
    folder = Path(tempfile.mkdtemp(prefix="quoth-full-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.soak
def test_a_full_disk_of_the_embedded_database_is_survived(reachable: Path, tmp_path: Path) -> None:
    """Data, originals and keys on one disk, which runs full while files are added and questions asked."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    (tmp_path / "lanterns.md").write_text(FACT)
    many = notes(tmp_path / "many", 60, longer=60)
    with small_disk(reachable / "disk", 260) as disk:
        home = disk.folder / "home"
        environ = {**kept, "QUOTH_HOME": str(home), "QUOTH_WORKERS": "1", "QUOTH_RERANKER": "none"}
        acknowledged: list[Receipt] = []
        errors: list[ServiceError] = []

        def add() -> None:
            try:
                acknowledged.extend(quoth.pipeline.add([many]))
            except ServiceError as error:
                errors.append(error)

        try:
            with open_quoth(environ) as quoth:
                assert str(postgres.status(home).data).startswith(str(disk.folder))
                assert added(quoth.pipeline.add([tmp_path / "lanterns.md"])) == ["added"]
                disk.fill(leave_kb=400)
                adding = threading.Thread(target=add, daemon=True)
                adding.start()
                adding.join(20)
                assert len(acknowledged) < 60, "the disk did not run full"
                with suppress(ServiceError):
                    answered(quoth)
                disk.free()
                adding.join(5 * PATIENCE_S)
                assert not adding.is_alive()
                assert {one.status for one in acknowledged} <= {"added"}
                assert all("full" in str(one) or "database" in str(one) for one in errors), errors
                come(lambda: _answers(quoth), 2 * PATIENCE_S)
                finished = added(quoth.pipeline.add([many]))
                assert len(finished) == 60 and set(finished) <= {"added", "unchanged", "updated"}
                stored = {one.source for one in quoth.catalog.documents(LOCAL)}
                assert {one.source for one in acknowledged} <= stored and len(stored) == 61
                assert quoth.verify_audit().whole
        finally:
            postgres.remove(home)


def _answers(quoth: Quoth) -> bool:
    with suppress(ServiceError):
        return answered(quoth).status == "answered"
    return False


# -- the database ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quoth]:
    """A store on an embedded Postgres of its own, which may be stopped."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    folder = tmp_path_factory.mktemp("own")
    environ = {**kept, "QUOTH_HOME": str(folder / "home"), "QUOTH_WORKERS": "1", "QUOTH_RERANKER": "none"}
    (folder / "lanterns.md").write_text(FACT)
    try:
        with open_quoth(environ) as quoth:
            assert added(quoth.pipeline.add([folder / "lanterns.md"])) == ["added"]
            yield quoth
    finally:
        postgres.remove(folder / "home")


def test_no_connection_to_spare_is_said_and_passes(own: Quoth) -> None:
    other = Database(own.database.conninfo)  # as another process, whose pool is empty
    held: list[psycopg.Connection] = []
    try:
        with suppress(psycopg.OperationalError):
            while len(held) < 200:
                held.append(psycopg.connect(own.database.conninfo))
        with pytest.raises(ServiceError, match="takes no more connections") as caught, other.working():
            pass
        assert "max_connections" in str(caught.value)
    finally:
        for one in held:
            one.close()
    come(lambda: _works(other))
    other.close()
    assert answered(own).status == "answered"


def _works(database: Database) -> bool:
    with suppress(ServiceError), database.working() as connection:
        return connection.scalar(text("select 1")) == 1
    return False


def test_a_database_that_stands_still_is_told_of_and_goes_on(own: Quoth) -> None:
    database = Database(own.database.conninfo)
    impatient = Unanswered(own.database.conninfo, long_s=0.5, look_every_s=0.2, knock_s=2)
    impatient.watch(database.engine("worker"))
    assert _works(database)
    try:
        with standing_still(*server_processes(own.settings.home)):
            begun = time.monotonic()
            with pytest.raises(ServiceError, match="does not answer"), database.working() as connection:
                connection.execute(text("select 1"))
            assert time.monotonic() - begun < PATIENCE_S
        come(lambda: _works(database))
    finally:
        impatient.close()
        database.close()
    assert answered(own).status == "answered"


def test_a_slow_statement_is_not_taken_for_a_database_that_stands_still(own: Quoth) -> None:
    database = Database(own.database.conninfo)
    impatient = Unanswered(own.database.conninfo, long_s=0.1, look_every_s=0.1, knock_s=2)
    impatient.watch(database.engine("worker"))
    try:
        with database.working() as connection:
            assert connection.scalar(text("select 7 from pg_sleep(1.5)")) == 7
    finally:
        impatient.close()
        database.close()


@pytest.mark.soak
def test_questions_asked_of_a_database_that_stands_still_end_by_themselves(own: Quoth) -> None:
    """With the limits as they are shipped."""
    assert answered(own).status == "answered"
    outcomes: list[object] = []

    def ask() -> None:
        try:
            outcomes.append(answered(own).status)
        except ServiceError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    with standing_still(*server_processes(own.settings.home)):
        for one in threads:
            one.start()
        for one in threads:
            one.join(PATIENCE_S)
        assert not any(one.is_alive() for one in threads)
    assert all(isinstance(one, ServiceError) for one in outcomes)
    come(lambda: _answers(own))


# -- the product's own processes ---------------------------------------------------------------------------------------


@pytest.fixture
def lanterns(environ: dict[str, str], folder_of: Callable[..., Path]) -> dict[str, str]:
    plain = {**environ, "QUOTH_RERANKER": "none"}
    with open_quoth(plain) as quoth:
        assert set(added(quoth.pipeline.add([folder_of({"lanterns.md": FACT})]))) <= {"added", "unchanged", "updated"}
    return plain


def test_an_api_and_a_worker_that_stood_still_go_on_where_they_were(lanterns: dict[str, str], tmp_path: Path) -> None:
    with served(lanterns, tmp_path / "log") as (address, parts):
        with standing_still(parts["worker"]):
            sent = httpx.post(f"{address}/api/documents", files=[("files", ("gate8.md", note(8)))], timeout=60)
            assert sent.status_code == 202
            batch = sent.json()["batch"]
            waiting = httpx.get(f"{address}/api/batches/{batch}", timeout=60).json()["items"]
            assert [one["state"] for one in waiting] == ["waiting"]
        states = lambda: httpx.get(f"{address}/api/batches/{batch}", timeout=60).json()["items"]  # noqa: E731
        come(lambda: [one["state"] for one in states()] == ["done"])
        found: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: found.append(
                httpx.post(f"{address}/api/answers", json={"question": QUESTION}, timeout=PATIENCE_S)
            )
        )
        with standing_still(parts["api"]):
            asking.start()
            time.sleep(1.0)
            assert not found
        asking.join(PATIENCE_S)
        assert found[0].json()["status"] == "answered"


@pytest.mark.soak
def test_what_a_worker_that_stands_still_was_reading_is_read_once(lanterns: dict[str, str], tmp_path: Path) -> None:
    """Another takes its files up; when it goes on, it finds that it was given up for dead and starts anew."""
    folder = notes(tmp_path / "many", 24, longer=100)
    with served(lanterns, tmp_path / "log") as (address, parts):
        files = [("files", (one.name, one.read_bytes())) for one in sorted(folder.iterdir())]
        batch = httpx.post(f"{address}/api/documents", files=files, timeout=60).json()["batch"]
        states = lambda: [  # noqa: E731
            one["state"] for one in httpx.get(f"{address}/api/batches/{batch}", timeout=60).json()["items"]
        ]
        come(lambda: states().count("done") >= 3)
        with open_quoth(lanterns) as quoth, working(lanterns, quoth):
            with standing_still(parts["worker"], *parts["worker"].children(recursive=True)):
                come(lambda: len(states()) - states().count("done") <= 4, 5 * PATIENCE_S)
                time.sleep(40)  # longer than a worker may be silent
            come(lambda: set(states()) == {"done"}, 5 * PATIENCE_S)
        listed = httpx.get(f"{address}/api/documents", params={"words": "lock", "limit": 500}, timeout=60).json()
        mine = [one for one in listed["documents"] if one["source"].startswith("lock")]
        assert len(mine) == 24 and {one["version"] for one in mine} == {1}


# -- archives and clocks -------------------------------------------------------------------------------------------------


def test_a_backup_that_was_cut_anywhere_or_changed_is_refused(lanterns: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "store.tar"
    with open_quoth(lanterns) as quoth:
        backup(quoth.database, quoth.originals, quoth.settings.home, file)
    content = file.read_bytes()
    with tarfile.open(file) as tar:
        members = [(one.name, one.offset, one.offset_data, one.size) for one in tar]
    assert {"database.dump", "keys/audit.key"} <= {name for name, *_ in members}
    damaged = tmp_path / "damaged.tar"
    for name, offset, data, size in members:
        for cut in (offset, data, data + size // 2):  # before it, after its header, in its midst
            damaged.write_bytes(content[:cut])
            with pytest.raises(UsageError):
                looked_at(damaged)
        changed = bytearray(content)
        changed[data + size // 2] ^= 1
        damaged.write_bytes(changed)
        if name != "manifest.json":
            with pytest.raises(UsageError, match="damaged"):
                looked_at(damaged)
            with pytest.raises(UsageError):
                restore_store(lanterns, damaged, replace=True)
    with open_quoth(lanterns) as quoth:
        assert answered(quoth).status == "answered", "nothing was changed"


def test_a_keys_days_are_counted_by_the_clock_that_ends_them(quoth: Quoth) -> None:
    key, _ = quoth.api_keys.create("ada", days=30)
    with quoth.database.working() as connection:
        left = connection.scalar(
            text("select extract(epoch from expires_at - created_at) from api_key where id = :id"), {"id": key.id}
        )
    assert abs(float(left) - 30 * 86_400) < 1
