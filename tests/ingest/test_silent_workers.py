"""Workers that are there and do not work: paused or hung, found by the database's clock, named, struck off, back again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant import store_checks
from assistant.bootstrap import Quoth
from assistant.diagnosis import worker_alive
from assistant.machine_checks import Check
from assistant.settings import Settings
from evals.run_jobs import KIND
from ingest import queueing

pytestmark = pytest.mark.integration
PATIENCE_S = 120
HANGING = """
import os, threading, time
from assistant.bootstrap import open_quoth
from ingest.queueing import worker_alive
with open_quoth(dict(os.environ)) as quoth:
    quoth.worker.start()
    alive = False
    while not alive:
        time.sleep(0.2)
        with quoth.database.working() as connection:
            alive = worker_alive(connection)
    print("hangs", flush=True)
    quoth.worker._loop.call_soon_threadsafe(time.sleep, 3600)
    threading.Event().wait()
"""


def come(wanted: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not wanted():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


@contextmanager
def process(environ: dict[str, str], *command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, *command], env=environ, stdout=subprocess.PIPE, text=True) as begun:
        try:
            yield begun
        finally:
            begun.kill()


def seen(quoth: Quoth) -> list[queueing.Worker]:
    with quoth.database.working() as connection:
        return queueing.workers(connection)


def alive(quoth: Quoth) -> bool:
    with quoth.database.working() as connection:
        return queueing.worker_alive(connection)


def pass_by(quoth: Quoth, seconds: int) -> None:
    """As if so much time had passed since each heartbeat; a worker that lives sends its next one within five."""
    with quoth.database.owning() as connection:
        connection.execute(
            text("update procrastinate_workers set last_heartbeat = last_heartbeat - cast(:s as interval)"),
            {"s": f"{seconds} seconds"},
        )


def the_check(quoth: Quoth) -> Check:
    return next(one for one in store_checks.queue(quoth.database) if one.name == "worker")


def test_a_paused_worker_is_no_worker_and_is_told_with_its_cure(quoth: Quoth, environ: dict[str, str]) -> None:
    settings = Settings.from_env(environ)
    with process(environ, "-m", "ui.command", "worker") as begun:
        number = begun.pid
        come(lambda: alive(quoth))
        (one,) = seen(quoth)
        assert (one.machine, one.process, one.alive) == (queueing.this_machine(), str(number), True)
        assert worker_alive(settings, environ).ok and the_check(quoth).ok
        os.kill(number, signal.SIGSTOP)
        pass_by(quoth, 40)
        assert not alive(quoth)
        with quoth.database.working() as connection:
            assert not queueing.kind_served(connection, KIND)
        for found in (worker_alive(settings, environ), the_check(quoth)):
            assert not found.ok and f"process {number} on {queueing.this_machine()}" in found.detail
            assert f"kill -CONT {number}" in found.cure
        command = [sys.executable, "-m", "ui.command", "doctor", "--worker"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 3 and str(number) in done.stdout and "kill -CONT" in done.stderr
        os.kill(number, signal.SIGCONT)
        come(lambda: alive(quoth))
        assert worker_alive(settings, environ).ok and the_check(quoth).ok
    come(lambda: not seen(quoth))


def test_a_worker_whose_loop_hangs_is_no_worker(quoth: Quoth, environ: dict[str, str]) -> None:
    with process(environ, "-c", HANGING) as begun:
        number = begun.pid
        assert begun.stdout is not None and begun.stdout.readline() == "hangs\n"
        pass_by(quoth, 40)
        time.sleep(queueing.HEARTBEAT_S + 2)  # one that lived would have sent its next
        assert not alive(quoth) and f"kill -9 {number}" in the_check(quoth).cure
    come(lambda: not seen(quoth))
    assert the_check(quoth).ok, "it is gone, and nothing waits"


def test_a_paused_workers_files_are_taken_by_another_and_it_comes_back(
    quoth: Quoth, environ: dict[str, str], tmp_path: Path
) -> None:
    with process(environ, "-m", "ui.command", "worker") as begun:
        number = begun.pid
        come(lambda: alive(quoth))
        os.kill(number, signal.SIGSTOP)
        pass_by(quoth, 40)
        (tmp_path / "ferry.txt").write_text("The ferry leaves at seven.\n", encoding="utf-8")
        assert [one.status for one in quoth.pipeline.add([tmp_path])] == ["added"]  # by a worker of this process
        silent = next(one for one in seen(quoth) if one.process == str(number))
        assert silent.silent_s is None and not silent.alive, "the other struck it off"
        quoth.worker.stop()
        os.kill(number, signal.SIGCONT)
        come(lambda: [one.process for one in seen(quoth) if one.alive] == [str(number)])
        (tmp_path / "ferry.txt").write_text("The ferry leaves at eight.\n", encoding="utf-8")
        assert [one.status for one in quoth.pipeline.add([tmp_path])] == ["updated"]
        assert not quoth.worker.running, "the one that came back did it"
