"""The evaluators' page in a real browser: the keys of the review, a run started and watched to its end."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from evals.answers_run import Asking, evaluate_answers
from evals.case_files import read_case_file
from evals.case_import import import_cases
from evals.reviewing import Label, Reviews
from evals.run_jobs import RunJobs
from evals.run_store import Runs
from ingest.access import LOCAL
from ui.server import streamlit_command

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = [pytest.mark.browser, pytest.mark.integration]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
START_TIMEOUT_S = 90.0
WAIT_MS = 60_000
FACTS = {
    "ferry": ("When does the ferry to Holm leave?", "The ferry to Holm leaves at seven in the morning."),
    "keys": ("Where are the keys to the boathouse kept?", "The keys to the boathouse are kept in the office."),
    "crane": ("How much may the crane lift?", "The crane of the north quay may lift twelve tonnes."),
    "berth": ("What does a berth cost?", "A berth in the guest harbour costs 30 crowns a night."),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian's package `chromium`)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def measured(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    """A store with a finished run of four cases, which are also kept as a file."""
    root = tmp_path_factory.mktemp("documents")
    lines = []
    for name, (question, sentence) in FACTS.items():
        (root / f"{name}.md").write_text(f"# {name.title()}\n\n{sentence}\n", encoding="utf-8")
        lines.append({"id": name, "question": question, "gold": [{"source": f"{name}.md", "quote": sentence}]})
    list(quoth.pipeline.add([root]))
    file = root / "cases.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    run = evaluate_answers(quoth, file, Asking(LOCAL))
    assert sum(len(one.outcome.claims) for one in run.records) >= len(FACTS)
    import_cases(quoth, "harbour", read_case_file(file), LOCAL)
    quoth.worker.stop()
    return quoth


@pytest.fixture(scope="module")
def address(environ: dict[str, str], measured: Quoth) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(streamlit_command("127.0.0.1", port), env=environ, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, "the web app ended at once"
                assert time.monotonic() < deadline, "the web app does not answer"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    yield opened
    context.close()


def labels(quoth: Quoth) -> list[Label]:
    runs = [one.id for one in Runs(quoth.database).list()]
    return [one.label for one in Reviews(quoth.database).labels(runs)]


def awaited(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_MS / 1000
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_keys_of_the_review_keep_a_verdict_each(page: Any, address: str, measured: Quoth) -> None:
    page.goto(f"{address}/evaluation?section=review")
    for number, (key, label) in enumerate((("1", "supported"), ("2", "partly"), ("3", "not"), ("4", "skipped")), 1):
        page.get_by_text(f"{number - 1} of ").first.wait_for()
        page.locator("[class*='st-key-review-supported-'] button").first.wait_for()
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        page.locator("body").press(key)
        awaited(lambda label=label, number=number: (len(labels(measured)), label in labels(measured)) == (number, True))
        page.get_by_text(f"{number} of ").first.wait_for()
    assert sorted(labels(measured)) == ["not", "partly", "skipped", "supported"]


def test_a_run_is_started_by_hand_and_done_by_the_worker_while_the_page_watches(
    page: Any, address: str, measured: Quoth
) -> None:
    page.goto(f"{address}/evaluation")
    page.get_by_text("Start a run").click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("A run of 4 cases waits for the worker. No worker lives now").wait_for()
    job = RunJobs(measured).list()[0]
    assert job.state == "waiting"
    measured.worker.take_on(RunJobs(measured).kind)
    measured.worker.start()
    try:
        page.get_by_text("4 of 4 cases · run").wait_for()
    finally:
        measured.worker.stop()
    done = RunJobs(measured).find(job.id)
    assert done.state == "done" and done.run is not None
    assert page.get_by_text(done.run).first.is_visible()
