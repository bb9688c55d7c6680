"""Runs that the worker does: watched, cancelled, gone on with by the next worker after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from evals.answers_run import load_run
from evals.case_files import read_case_file
from evals.case_import import import_cases
from evals.kept_cases import KeptCases, as_cases
from evals.run_jobs import RunJob, RunJobs
from evals.run_store import Runs
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ui.command import main

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
EVA = Reader("eva@example.org", frozenset({"staff"}))
FERRY = "The ferry to Holm leaves at seven in the morning and returns at six in the evening on working days."
KEYS = "Keys to the boathouse are kept in the harbour office and are handed out against a signature only."
BUDGET = "The dredging budget of the harbour is 84,000 crowns for this year."
CASES = (
    {"id": "ferry", "question": "When does the ferry to Holm leave?", "gold": [{"source": "ferry.md", "quote": FERRY}]},
    {"id": "keys", "question": "Where are the keys to the boathouse?", "gold": [{"source": "keys.md", "quote": KEYS}]},
    {
        "id": "turns",
        "question": "And when does it return?",
        "turns": ["When does the ferry to Holm leave?"],
        "gold": [{"source": "ferry.md", "quote": FERRY}],
        "tags": ["follow"],
    },
    {"id": "none", "question": "What does a krypton laser emit?", "answerable": False, "type": "none"},
)


class Stalling(BaseHTTPRequestHandler):
    """A re-ranker that after some questions says no more until it is let."""

    asked: list[str]
    answers: int
    let: threading.Event
    stuck: threading.Event

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body["query"])
        if len(self.asked) > self.answers and not self.let.is_set():
            self.stuck.set()
            self.let.wait(60)
        given = body.get("documents") or body.get("texts")
        ranked = [{"index": at, "relevance_score": 1.0 - at / 1000} for at in range(len(given))]
        sent = json.dumps({"results": ranked}).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)
        except OSError:  # who asked was killed
            pass

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    root = tmp_path_factory.mktemp("documents")
    for name, words in (("ferry.md", FERRY), ("keys.md", KEYS)):
        (root / name).write_text(words + "\n")
    list(quoth.pipeline.add([root]))
    (root / "budget.md").write_text(BUDGET + "\n")
    list(quoth.pipeline.add([root / "budget.md"], readers=["board"]))
    quoth.worker.stop()
    quoth.worker.take_on(RunJobs(quoth).kind)
    return quoth


@pytest.fixture(scope="module")
def cases_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in CASES))
    return file


@pytest.fixture(scope="module")
def kept(filled: Quoth, cases_file: Path) -> str:
    found = import_cases(filled, "harbour", read_case_file(cases_file), EVA)
    assert (found.version, found.added, found.refused) == (1, 4, ())
    return found.file


@pytest.fixture
def working(filled: Quoth) -> Iterator[Quoth]:
    filled.worker.start()
    yield filled
    filled.worker.stop()


def awaited(jobs: RunJobs, job: RunJob, *states: str, timeout_s: float = 120) -> RunJob:
    deadline = time.monotonic() + timeout_s
    while (now := jobs.find(job.id)).state not in states:
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    return now


def test_imported_cases_are_spans_and_come_back_as_they_were(filled: Quoth, kept: str, cases_file: Path) -> None:
    store = KeptCases(filled.database)
    back = as_cases(store.cases(kept, EVA))
    assert {one.id: one.question for one in back} == {one["id"]: one["question"] for one in CASES}
    (turns,) = [one for one in back if one.id == "turns"]
    assert turns.turns == (CASES[2]["turns"][0],) and turns.tags == ("follow",) and turns.gold[0].quote == FERRY
    with filled.database.owning() as connection:
        rows = connection.scalars(text("select t::text from eval_file_case t")).all()
    assert rows and not any("seven in the morning" in row for row in rows)
    again = import_cases(filled, kept, read_case_file(cases_file), EVA)
    assert again.version == 1 and again.added == 0 and len(again.refused) == 4  # no version that changes nothing


def test_an_import_finds_nothing_that_the_importer_may_not_read(filled: Quoth, tmp_path: Path) -> None:
    file = tmp_path / "guess.jsonl"
    guesses = [
        {"id": "right", "question": "How large is the budget?", "gold": [{"source": "budget.md", "quote": BUDGET}]},
        {"id": "wrong", "question": "How large is it?", "gold": [{"source": "budget.md", "quote": "It is nothing."}]},
        {"id": "as", "question": "How large?", "answerable": False, "groups": ["board"]},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in guesses))
    found = import_cases(filled, "guess", read_case_file(file), EVA)
    assert found.added == 0 and found.version == 0
    said = {one.case_id: one.what for one in found.refused}
    assert said["right"] == said["wrong"] == "gold 1: there is no document 'budget.md'"
    assert "you are not" in said["as"]
    assert "guess" not in [one.file for one in KeptCases(filled.database).files()]
    board = Reader("bo@example.org", frozenset({"board"}))
    assert import_cases(filled, "guess", read_case_file(file), board).added == 2
    lost = {one.id: one.lost for one in KeptCases(filled.database).cases("guess", EVA)}
    assert lost == {"right": 1, "as": 0}
    with pytest.raises(UsageError, match="member of 'board'"):
        RunJobs(filled).submit("guess", None, by=EVA)


def test_a_run_is_done_by_the_worker_under_the_rights_of_who_began_it(working: Quoth, kept: str) -> None:
    jobs = RunJobs(working)
    job = jobs.submit(kept, None, by=EVA, workers=2)
    assert (job.total, job.state, job.version) == (4, "waiting", 1)
    done = awaited(jobs, job, "done", "failed")
    assert (done.state, done.done, done.detail) == ("done", 4, "") and done.finished_at is not None
    assert jobs.worker_alive()
    run = load_run(Runs(working.database), str(done.run))
    assert run.kept.finished_at is not None and run.kept.facts.cases_name == "harbour@1"
    assert len(run.records) == 4 and run.settings["asked_by"] == "eval"
    assert run.settings["groups"] == ["staff", "user:eva@example.org"]
    assert run.measures["gold_citation_recall"].value == 1.0
    assert working.answer_records.listed(EVA) == []  # the questions of a run are not hers
    assert jobs.expected(kept, None, EVA).like == run.id
    actions = [one.action for one in working.latest_events(limit=50)]
    assert "eval.run.queued" in actions
    assert not jobs.cancel(job.id, by=EVA)  # it has ended


def test_a_waiting_run_is_cancelled_and_never_begins(filled: Quoth, kept: str) -> None:
    jobs = RunJobs(filled)
    assert not jobs.worker_alive()
    job = jobs.submit(kept, 1, by=EVA)
    assert jobs.cancel(job.id, by=EVA)
    jobs.take(job.id, lambda: False, False)  # should a worker have fetched it before
    now = jobs.find(job.id)
    assert now.state == "cancelled" and now.run is None and now.starts == 0


def test_a_run_ends_when_it_is_cancelled_halfway_and_is_gone_on_with(filled: Quoth, kept: str) -> None:
    jobs = RunJobs(filled)
    job = jobs.submit(kept, 1, by=LOCAL)
    ended = threading.Event()

    def cancel_after_the_first() -> bool:
        if jobs.find(job.id).done == 1:
            jobs.cancel(job.id, by=EVA)
        return False

    jobs.take(job.id, cancel_after_the_first, False)
    ended.set()
    now = jobs.find(job.id)
    assert now.state == "cancelled" and now.run is not None
    half = Runs(filled.database).find(now.run)
    assert half.finished_at is None and half.done < 4
    again = jobs.submit(kept, 1, by=LOCAL)
    jobs.take(again.id, lambda: False, False)
    assert jobs.find(again.id).run == half.id and Runs(filled.database).find(half.id).done == 4


def test_a_worker_that_ends_in_good_order_puts_the_run_back(filled: Quoth, kept: str) -> None:
    from ingest.intake_rows import Stopped

    jobs = RunJobs(filled)
    job = jobs.submit(kept, 1, by=EVA, workers=1)
    with pytest.raises(Stopped):
        jobs.take(job.id, lambda: True, False)
    now = jobs.find(job.id)
    assert (now.state, now.done, now.starts) == ("waiting", 1, 0)
    jobs.cancel(job.id, by=EVA)


def test_a_run_that_fails_says_why(filled: Quoth, kept: str, cases_file: Path) -> None:
    jobs = RunJobs(filled)
    with pytest.raises(UsageError, match="There is no file of cases 'nothing@0'"):
        jobs.submit("nothing", None, by=EVA)
    with pytest.raises(UsageError, match="17 cases at a time"):
        jobs.submit(kept, None, by=EVA, workers=17)
    job = jobs.submit(kept, 1, by=EVA)
    with filled.database.owning() as connection:
        connection.execute(text("update eval_job set version = 9 where id = :id"), {"id": job.id})
    jobs.take(job.id, lambda: False, False)
    now = jobs.find(job.id)
    assert now.state == "failed" and "harbour@9" in now.detail


def test_a_job_that_the_queue_lost_is_queued_again(filled: Quoth, kept: str) -> None:
    from evals.run_jobs import requeue

    jobs = RunJobs(filled)
    job = jobs.submit(kept, 1, by=EVA)
    with filled.database.owning() as connection:
        connection.execute(text("delete from procrastinate_jobs where queue_name = 'eval.run'"))
    with filled.database.working() as connection:
        assert requeue(connection) == 1
    with filled.database.working() as connection:
        assert requeue(connection) == 0
    jobs.cancel(job.id, by=EVA)


def test_the_run_of_a_killed_worker_is_taken_up_by_the_next(
    filled: Quoth,
    environ: dict[str, str],
    kept: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck, let = threading.Event(), threading.Event()
    handler = type("Handler", (Stalling,), {"asked": [], "answers": 3, "let": let, "stuck": stuck})
    jobs = RunJobs(filled)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/rerank"
        settings = {**environ, "PYTHONPATH": str(ROOT), "QUOTH_RERANKER": url, "QUOTH_ANSWER_DEADLINE_S": "120"}
        command = [sys.executable, "-m", "ui.command", "worker"]
        start: Callable[[], subprocess.Popen[bytes]] = lambda: subprocess.Popen(  # noqa: E731
            command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        first = start()
        job = jobs.submit(kept, 1, by=EVA)
        assert stuck.wait(120), first.communicate()[1]
        half = awaited(jobs, job, "running")
        assert half.run is not None and half.starts == 1
        before = Runs(filled.database).records(half.run)
        assert 0 < len(before) < 4
        first.send_signal(signal.SIGKILL)
        first.communicate()
        let.set()
        second = start()
        try:
            done = awaited(jobs, job, "done", "failed")
        finally:
            second.send_signal(signal.SIGTERM)
            second.communicate()
        server.shutdown()
    assert (done.state, done.done, done.starts, done.run) == ("done", 4, 2, half.run), done
    after = Runs(filled.database).records(half.run)
    assert (
        sorted(after) == [0, 1, 2, 3] and {at: after[at] for at in before} == before
    )  # what was done was not done again
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in environ.items():
        if name.startswith("QUOTH_"):
            monkeypatch.setenv(name, value)
    capfd.readouterr()
    assert main(["eval", "jobs", "--json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert next(one["state"] for one in lines if one["id"] == job.id) == "done"


def test_the_command_hands_over_and_cancels(
    filled: Quoth, environ: dict[str, str], kept: str, cases_file: Path,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in environ.items():
        if name.startswith("QUOTH_"):
            monkeypatch.setenv(name, value)
    assert main(["eval", "cases", str(cases_file), "--keep", "other"]) == 0
    assert main(["eval", "jobs", "--start", "other@1"]) == 0
    out = capfd.readouterr()
    assert "4 cases wait for the worker" in out.err and "other@1  0 of 4" in out.out
    job = RunJobs(filled).list(limit=1)[0]
    assert main(["eval", "jobs", "--cancel", job.id]) == 0
    assert f"{job.id}  cancelled" in capfd.readouterr().out
    assert main(["eval", "jobs", "--start", "other@x"]) == 2
    assert main(["eval", "jobs", "--cancel", "zzzz"]) == 2
