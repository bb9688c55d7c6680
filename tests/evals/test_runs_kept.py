"""Runs are kept whole, gone on with after a kill, and hold no word of a document."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from evals.answers_report import run_json, words_of
from evals.answers_run import Asking, Progress, RunOptions, evaluate_answers, load_run
from evals.case_check import check_cases
from evals.case_files import read_case_file
from evals.run_store import Runs
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ingest.removal import proof
from ui.command import main

pytestmark = pytest.mark.integration

FERRY = "The ferry to Holm leaves at seven in the morning and returns at six in the evening on working days."
KEYS = "Keys to the boathouse are kept in the harbour office and are handed out against a signature only."
STAFF = Reader("ada", frozenset())


class Slow(BaseHTTPRequestHandler):
    """A chat endpoint that cites nothing, and after some answers says no more until it is let."""

    asked: list[str]
    answers: int
    let = threading.Event()
    stuck = threading.Event()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body["messages"][-1]["content"])
        if len(self.asked) > self.answers and not self.let.is_set():
            self.stuck.set()
            self.let.wait(60)
        message = {"role": "assistant", "content": "The ferry leaves at seven [1].", "citations": ["ferry.md"]}
        said = {"id": "1", "model": "slow-1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}  # fmt: skip
        sent = json.dumps(said).encode()
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


@pytest.fixture
def slow() -> Iterator[tuple[str, type[Slow]]]:
    handler = type(
        "Handler", (Slow,), {"asked": [], "answers": 2, "let": threading.Event(), "stuck": threading.Event()}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", handler
        handler.let.set()
        server.shutdown()


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Quoth:
    root = tmp_path_factory.mktemp("documents")
    (root / "ferry.md").write_text(FERRY + "\n")
    (root / "keys.md").write_text(KEYS + "\n")
    assert [one.status for one in quoth.pipeline.add([root])] == ["added", "added"]
    return quoth


@pytest.fixture(scope="module")
def cases_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    asked = {
        "ferry": ("When does the ferry to Holm leave?", "ferry.md", FERRY),
        "back": ("When does the ferry return in the evening?", "ferry.md", FERRY),
        "keys": ("Where are the keys to the boathouse kept?", "keys.md", KEYS),
        "sign": ("How are keys handed out?", "keys.md", KEYS),
    }
    lines = [
        {"id": name, "question": question, "gold": [{"source": source, "quote": quote}], "type": "fact", "tags": ["t"]}
        for name, (question, source, quote) in asked.items()
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_the_same_run_twice_measures_the_same_with_any_number_of_workers(filled: Quoth, cases_file: Path) -> None:
    told: list[Progress] = []
    first = evaluate_answers(filled, cases_file, Asking(STAFF), RunOptions(progress=told.append))
    second = evaluate_answers(filled, cases_file, Asking(STAFF), RunOptions(workers=3))
    assert first.id != second.id  # the first was finished
    assert [one.done for one in told] == [1, 2, 3, 4] and told[-1].left_s == 0 and told[0].total == 4
    assert {name: one.value for name, one in first.measures.items()} == {
        name: one.value for name, one in second.measures.items()
    }
    assert [one.outcome.citations for one in first.records] == [one.outcome.citations for one in second.records]
    facts = second.kept.facts
    assert facts.key == first.kept.facts.key and facts.settings["models"] == "quoted" and facts.cases == 4
    assert run_json(second)["finished_at"] is not None and second.records[0].tags == ("t",)
    assert load_run(Runs(filled.database), second.id).measures == second.measures
    assert load_run(Runs(filled.database), "latest").id == second.id


def test_a_killed_run_is_gone_on_with(
    filled: Quoth, environ: dict[str, str], cases_file: Path, slow: tuple[str, type[Slow]]
) -> None:
    url, endpoint = slow
    command = [sys.executable, "-m", "ui.command", "eval", "answers", str(cases_file), "--endpoint", url, "--json"]
    command += ["--groups", "staff"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, env={**environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert endpoint.stuck.wait(120), process.communicate()[1]
    runs = Runs(filled.database)
    (half,) = [one for one in runs.list() if one.finished_at is None]
    with pytest.raises(UsageError, match="Another process"), runs.held(half.id):
        pass  # its lock lives as long as it does
    process.send_signal(signal.SIGKILL)
    process.communicate()
    endpoint.let.set()
    assert runs.find(half.id).done == 2
    done = subprocess.run(command, env={**environ, "PYTHONPATH": str(root)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["run"] == half.id and found["cases"] == 4
    assert f"Run {half.id}: 2 cases" in done.stderr and "2 were done before" in done.stderr
    assert len(endpoint.asked) == 2 + 1 + 2  # two answered, one cut, two more: those that were missing
    assert found["resources"]["input_tokens"]["value"] == 100
    assert found["measures"]["quote_match"]["value"] == 0  # a source without a quotation proves nothing


def test_a_run_whose_facts_changed_is_not_mixed_with_another(filled: Quoth, cases_file: Path, tmp_path: Path) -> None:
    runs = Runs(filled.database)
    finished = evaluate_answers(filled, cases_file, Asking(STAFF), RunOptions(fresh=True))
    with pytest.raises(UsageError, match="is finished"):
        evaluate_answers(filled, cases_file, Asking(STAFF), RunOptions(resume=finished.id))
    begun = runs.begin(finished.kept.facts)
    other = tmp_path / "cases.jsonl"
    other.write_text(cases_file.read_text().splitlines()[0] + "\n")
    with pytest.raises(UsageError, match="the cases changed since"):
        evaluate_answers(filled, other, Asking(STAFF), RunOptions(resume=begun.id))
    with pytest.raises(UsageError, match="No case of run"):
        load_run(runs, begun.id)
    assert evaluate_answers(filled, cases_file, Asking(STAFF), RunOptions(resume=begun.id)).id == begun.id
    with pytest.raises(UsageError, match="no run 'zzzz'"):
        runs.find("zzzz")
    with pytest.raises(UsageError, match="no run"):
        runs.find("")
    runs.delete(begun.id)
    assert begun.id not in {one.id for one in runs.list()}


def test_only_who_reads_everything_sees_runs(filled: Quoth) -> None:
    with filled.database.reading(Reader("ada", frozenset({"hr"}))) as connection:
        assert connection.scalar(text("select count(*) from eval_run")) == 0
        assert connection.scalar(text("select count(*) from eval_case")) == 0
    with filled.database.reading(LOCAL) as connection:
        assert connection.scalar(text("select count(*) from eval_case")) > 0


def test_the_commands(
    filled: Quoth,
    environ: dict[str, str],
    cases_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in environ.items():
        if name.startswith("QUOTH_"):
            monkeypatch.setenv(name, value)

    def shell(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = main(["eval", *arguments])
        return code, capfd.readouterr().out

    run = evaluate_answers(filled, cases_file, Asking(STAFF), RunOptions(fresh=True))
    code, out = shell("list", "--json")
    assert code == 0 and run.id in [json.loads(line)["run"] for line in out.splitlines()]
    assert run.id in shell("list")[1]
    code, out = shell("show", run.id[:8], "--json")
    assert code == 0 and set(json.loads(out)["per_case"]["abstention_fpr"]) == {"ferry", "back", "keys", "sign"}
    lines = [json.loads(line) for line in shell("show", run.id, "--lines", "--cases", str(cases_file))[1].splitlines()]
    assert [line["id"] for line in lines] == ["ferry", "back", "keys", "sign"]
    assert lines[0]["gold"][0]["quote"] == FERRY and lines[0]["citations"][0]["quote"] in FERRY
    assert shell("show", run.id, "--csv")[1].splitlines()[0].startswith("case,type,tags,answerable")
    (tmp_path / "bars.json").write_text('{"quote_match": {"min": 1}, "abstention_fpr": {"max_drop": 0}}')
    bars = ["--bars", str(tmp_path / "bars.json"), "--baseline", run.id]
    summary, junit = tmp_path / "s.md", tmp_path / "j.xml"
    assert shell("gate", run.id, *bars, "--summary", str(summary), "--junit", str(junit))[0] == 0
    assert summary.read_text().startswith("## Answer quality: met") and "<testsuites>" in junit.read_text()
    (tmp_path / "bars.json").write_text('{"abstention_tpr": {"min": 0}}')  # there is no unanswerable case
    code, out = shell("gate", run.id, *bars, "--json")
    assert code == 1 and json.loads(out)["checks"][0]["value"] is None
    code, out = shell("compare", run.id, run.id, "--json")
    assert code == 0 and json.loads(out)["moved"] == []
    assert shell("cases", str(cases_file))[0] == 0
    assert shell("delete", run.id)[0] == 0 and shell("show", run.id)[0] == 2


def test_gold_follows_a_document_to_its_next_version_or_is_missed(
    filled: Quoth, cases_file: Path, tmp_path: Path
) -> None:
    cases = read_case_file(cases_file)
    assert check_cases(filled, cases, STAFF).troubles == ()
    (tmp_path / "keys.md").write_text("New: a lock.\n\n" + KEYS + "\n")  # it moves
    (tmp_path / "ferry.md").write_text(FERRY.replace("seven", "eight") + "\n")  # it changes
    assert [one.status for one in filled.pipeline.add([tmp_path])] == ["updated", "updated"]
    found = check_cases(filled, cases, STAFF)
    assert (found.gold, found.located) == (4, 2)
    assert {one.case_id for one in found.troubles} == {"ferry", "back"}
    assert "stood in version 1" in found.troubles[0].what and "leaves at eight" in found.troubles[0].what
    run = evaluate_answers(filled, cases_file, Asking(STAFF))
    by_id = {one.case_id: one for one in run.records}
    assert by_id["keys"].failure_class == "used" and by_id["ferry"].failure_class == "unscorable"
    assert run.measures["unscorable"].value == 0.5


def test_after_a_removal_a_run_holds_no_word_of_the_document(filled: Quoth, cases_file: Path) -> None:
    run = evaluate_answers(filled, cases_file, Asking(STAFF), RunOptions(fresh=True))
    record = next(one for one in run.records if one.case_id == "keys")
    before = words_of(filled.answers, record)
    assert before is not None and "harbour office" in before.text
    (document,) = [one for one in filled.catalog.documents(LOCAL) if one.source == "keys.md"]
    filled.catalog.remove(document.id)
    assert proof(filled.database, filled.originals, str(document.id)).clean
    after = words_of(filled.answers, record)
    assert after is not None and "harbour office" not in after.text
    assert load_run(Runs(filled.database), run.id).measures == run.measures  # the numbers stay


def test_labels_of_people_measure_the_judge_and_correct_what_it_reports(
    filled: Quoth, environ: dict[str, str], cases_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in environ.items():
        if name.startswith("QUOTH_"):
            monkeypatch.setenv(name, value)
    pairs = [
        {"claim": FERRY, "passage": FERRY, "label": True},
        {"claim": KEYS, "passage": KEYS, "label": True},
        {"claim": "The ferry to Holm leaves at nine in the morning.", "passage": FERRY, "label": False},
        {"claim": "Keys are kept in the town hall.", "passage": FERRY, "label": False},
    ]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps(one) + "\n" for one in pairs))
    capfd.readouterr()
    command = ["eval", "answers", str(cases_file), "--fresh", "--judge-labels", str(labels)]
    assert main([*command, "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert made["judge"]["labels"] == 4 and made["judge"]["true_positive_rate"] == 1.0
    assert made["corrected"]["supported_sentences"]["n"] == made["measures"]["faithfulness"]["n"] > 0
    labels.write_text(json.dumps({"claim": "x"}) + "\n")
    assert main(command) == 2
    assert "passage" in capfd.readouterr().err
