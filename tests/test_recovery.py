"""kill -9 in the middle of `quoth add`: the next start recovers by itself, nothing is half there, `add` finishes.

The short form kills the command and Postgres at a few seeded moments; `make soak` at many more.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from assistant.bootstrap import open_quoth
from ingest import postgres
from ingest.access import LOCAL

pytestmark = pytest.mark.integration

DOCUMENTS = 14


def environ_of(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "OPENAI_"))}
    return {**kept, "QUOTH_HOME": str(home)}


def run(home: Path, *arguments: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ui.command", *arguments],
        env=environ_of(home), capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    rng = random.Random(5)
    for number in range(DOCUMENTS):
        paragraphs = [
            f"Depot {number} keeps {rng.randint(2, 900)} crates of part {rng.randint(1000, 9999)} on shelf {at}."
            for at in range(40)
        ]
        (made / f"depot{number:02}.txt").write_text("\n\n".join(paragraphs) + "\n")
    return made


def postmaster(home: Path) -> psutil.Process | None:
    """The server process of this home, found by its data folder; never by its name alone."""
    status = postgres.status(home)
    return psutil.Process(status.pid) if status.pid else None


def wholeness(home: Path) -> int:
    """How many documents there are; each must be whole: version, chunks, vectors and postings agree."""
    with open_quoth(environ_of(home)) as quoth:
        documents = quoth.catalog.documents(LOCAL)
        with quoth.database.working() as connection:
            for document in documents:
                values = {"d": document.id, "v": document.version}
                count = "select count(*) from {} where document_id = :d"
                chunks = connection.execute(text(count.format("chunk") + " and version = :v"), values).scalar()
                vectors = connection.execute(text(count.format("chunk_vector")), values).scalar()
                segment = connection.execute(
                    text("select sum(chunks) from lex_document where document_id = :d"), values
                ).scalar()
                assert document.chunks == chunks == vectors == segment > 0
            strays = "select count(*) from {} where document_id not in (select id from document)"
            for table in ("version", "element", "chunk", "chunk_vector", "lex_document", "document_name"):
                assert connection.execute(text(strays.format(table))).scalar() == 0
            assert (
                connection.execute(
                    text(
                        "select count(*) from lex_segment s where not exists (select from lex_document m where m.seg = s.seg)"
                    )
                ).scalar()
                == 0
            )
        for document in documents:
            assert quoth.catalog.original(LOCAL, document.id, document.version)[0]
        return len(documents)


def kill_in_the_middle(home: Path, folder: Path, victim: str, lines: int, extra_s: float) -> None:
    """Start `quoth add`, wait for some receipts and a moment more, kill -9 the victim."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ui.command", "add", str(folder), "--json"],
        env=environ_of(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(lines):
        if not process.stdout.readline():
            break
    time.sleep(extra_s)
    if victim in ("postgres", "both"):
        server = postmaster(home)
        if server is not None:
            server.kill()
            server.wait(10)
    if victim in ("command", "both"):
        process.kill()
    process.stdout.read()
    process.wait(60)
    process.stdout.close()


def check(home: Path, folder: Path, victim: str, lines: int, extra_s: float) -> None:
    kill_in_the_middle(home, folder, victim, lines, extra_s)
    assert 0 <= wholeness(home) <= DOCUMENTS  # the next start recovers by itself
    finished = run(home, "add", str(folder), "--json")
    assert finished.returncode == 0, finished.stderr
    statuses = [json.loads(line)["status"] for line in finished.stdout.splitlines()]
    assert len(statuses) == DOCUMENTS and set(statuses) <= {"added", "unchanged"}
    assert wholeness(home) == DOCUMENTS


MOMENTS = [("command", 0, 0.6), ("both", 3, 0.05)]
MANY = [
    (victim, lines, extra_s)
    for victim, lines, extra_s in zip(
        ("command", "postgres", "both", "command", "postgres", "both", "command", "postgres", "both", "command"),
        (0, 0, 0, 1, 2, 4, 7, 9, 11, 13),
        (0.2, 0.9, 1.5, 0.0, 0.01, 0.1, 0.03, 0.2, 0.0, 0.05),
        strict=True,
    )
]


@pytest.mark.parametrize(("victim", "lines", "extra_s"), MOMENTS)
def test_killed_in_the_middle_of_add(tmp_path: Path, folder: Path, victim: str, lines: int, extra_s: float) -> None:
    home = tmp_path / "home"
    try:
        check(home, folder, victim, lines, extra_s)
    finally:
        postgres.remove(home)


@pytest.mark.soak
@pytest.mark.parametrize(("victim", "lines", "extra_s"), MANY)
def test_killed_at_ten_moments(tmp_path: Path, folder: Path, victim: str, lines: int, extra_s: float) -> None:
    test_killed_in_the_middle_of_add(tmp_path, folder, victim, lines, extra_s)


def test_an_interrupt_ends_with_130_and_loses_nothing_acknowledged(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    for number in range(150):  # more than can be done before the signal comes, however busy the machine
        (folder / f"more{number:03}.txt").write_text(f"Depot {number} is closed on public holidays.\n" * 60)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "ui.command", "add", str(folder), "--json"],
            env=environ_of(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's is ignored,
        )  # fmt: skip
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        acknowledged = [first, *(json.loads(line) for line in out.splitlines())]
        with open_quoth(environ_of(home)) as quoth:
            stored = {document.source for document in quoth.catalog.documents(LOCAL)}
        assert {receipt["source"] for receipt in acknowledged} <= stored
    finally:
        postgres.remove(home)
