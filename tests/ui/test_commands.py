"""The command line as scripts use it: exit codes, JSON on stdout alone, one line per document, who is asking."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from tests.shell import Shell
from ui.command import parser

pytestmark = pytest.mark.integration

LEAVE = "Parental leave lasts twenty weeks for every parent. It is paid in full.\n"
RESERVE = "The severance reserve stands at 4.2 million crowns.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    (made / "hr").mkdir()
    (made / "hr" / "leave.txt").write_text(LEAVE)
    (made / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    return made


@pytest.fixture(scope="module", autouse=True)
def added(environ: dict[str, str], folder: Path) -> list[dict]:
    """What `quoth add FOLDER --json` prints, as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ui.command", "add", str(folder), "--json"],
        env=environ, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr  # one of the two failed
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_add_prints_one_line_per_file_with_the_contracts_fields(added: list[dict]) -> None:
    by_source = {line["source"]: line for line in added}
    assert set(by_source) == {"hr/leave.txt", "broken.pdf"}
    good, bad = by_source["hr/leave.txt"], by_source["broken.pdf"]
    fields = [
        "source",
        "collection",
        "status",
        "document",
        "version",
        "pages",
        "chunks",
        "chunks_embedded",
        "seconds",
        "reason",
        "detail",
    ]
    assert all(set(fields) <= set(line) for line in added)
    assert (good["status"], good["version"], good["reason"], good["detail"]) == ("added", 1, None, None)
    assert (bad["status"], bad["reason"]) == ("failed", "corrupt") and bad["detail"]


def test_show_text_is_exactly_the_canonical_text(environ: dict[str, str], shell: Shell) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ui.command", "show", "hr/leave.txt", "--text"],
        env=environ, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    code, out, _ = shell("show", "hr/leave.txt", "--text", "--json")
    assert code == 0
    assert json.loads(out)["text"].encode() == done.stdout
    assert done.stdout.decode().strip() == LEAVE.strip()


def test_ask_json_is_the_contracts_object_and_nothing_else(shell: Shell) -> None:
    code, out, _ = shell("ask", "How many weeks does parental leave last?", "--json")
    assert code == 0 and out.count("\n") == 1
    answer = json.loads(out)
    fields = "answer conversation question status text claims citations passages missing model prompt_version degraded"
    assert set(fields.split()) | {"usage", "timings_ms"} <= set(answer)
    assert answer["status"] == "answered" and answer["model"] == "quoted"
    citation = answer["citations"][0]
    _, text, _ = shell("show", citation["document"], "--text", "--json")
    assert json.loads(text)["text"][citation["start"] : citation["end"]] == citation["quote"]
    assert {"retrieve", "first_token", "first_verified_claim", "total"} <= set(answer["timings_ms"])
    assert {"input_tokens", "cached_input_tokens", "output_tokens", "cost_usd"} == set(answer["usage"])


def test_an_abstention_says_what_was_searched_and_whose_the_nearest_document_is(shell: Shell) -> None:
    code, out, _ = shell("ask", "Which submarine engine did the fleet of Atlantis prefer?")
    assert code == 0
    assert "do not say" in out and "Nearest passages:" in out
    assert "passage that you may read for “Which submarine engine" in out or "passages that you may read" in out
    assert "owns the nearest document" in out


def test_an_abstention_over_nothing_says_that_there_is_nothing(shell: Shell) -> None:
    _, out, _ = shell("ask", "How many weeks does parental leave last?", "--collection", "empty")
    assert "There is no document that you may read yet (in the collection empty)." in out and "passages" not in out


def test_ask_streams_claims_and_sources_for_people(shell: Shell) -> None:
    code, out, _ = shell("ask", "How many weeks does parental leave last?")
    assert code == 0
    assert "twenty weeks" in out and "[1]" in out and "hr/leave.txt" in out


def test_a_conversation_goes_on(shell: Shell) -> None:
    first = json.loads(shell("ask", "How long is parental leave?", "--json")[1])
    second = json.loads(shell("ask", "Is it paid?", "--conversation", first["conversation"], "--json")[1])
    assert second["conversation"] == first["conversation"]
    assert shell("ask", "Is it paid?", "--conversation", "nonsense")[0] == 2


def test_search_json_has_ranks_and_timings(shell: Shell) -> None:
    code, out, _ = shell("search", "parental leave", "--json", "-k", "3")
    found = json.loads(out)
    assert code == 0 and found["stage"] == "reranked"
    hit = found["hits"][0]
    fields = "rank score source collection document version chunk page start end heading text ranks"
    assert set(fields.split()) <= set(hit)
    assert {"embed", "lexical", "dense", "fuse", "rerank", "total"} <= set(found["timings_ms"])


def test_a_reader_without_the_group_finds_nothing_in_any_command(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "reserve.txt").write_text(RESERVE)
    assert shell("add", str(tmp_path / "reserve.txt"), "--readers", "board", "--json")[0] == 0
    assert shell("members", "bo", "board")[0] == 0
    (tmp_path / "q.jsonl").write_text('{"id": "1", "question": "How large is the severance reserve?"}\n')
    cases = {"id": "1", "question": "How large is the severance reserve?", "answerable": True,
             "gold": [{"source": "reserve.txt", "quote": RESERVE.strip()}]}  # fmt: skip
    (tmp_path / "cases.jsonl").write_text(json.dumps(cases) + "\n")
    for who in (["--groups", "staff"], ["--as", "eve"]):
        shown = ""
        for command in (
            ["documents", "--json"],
            ["documents"],
            ["show", "reserve.txt", "--text"],
            ["search", "severance reserve crowns", "--json"],
            ["search", "severance reserve crowns", "--explain"],
            ["ask", "How large is the severance reserve?", "--json"],
            ["ask", "How large is the severance reserve?"],
            ["batch", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / f"{who[1]}.jsonl")],
            ["eval", "answers", str(tmp_path / "cases.jsonl"), "--json"],
        ):
            code, out, err = shell(*command, *who)
            shown += out + err
        shown += (tmp_path / f"{who[1]}.jsonl").read_text()
        shown = shown.replace("How large is the severance reserve?", "")
        assert "4.2 million" not in shown and "stands at" not in shown
    assert "4.2 million" in shell("ask", "How large is the severance reserve?", "--as", "bo")[1]
    assert "4.2 million" in shell("ask", "How large is the severance reserve?", "--groups", "board")[1]


def test_readers_holds_at_once(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "den.txt").write_text("The den is painted ochre.\n")
    shell("add", str(tmp_path / "den.txt"))
    assert "ochre" in shell("ask", "What colour is the den painted?", "--as", "eve")[1]
    assert shell("readers", "den.txt", "painters")[0] == 0
    assert "ochre" not in shell("ask", "What colour is the den painted?", "--as", "eve")[1]


def test_remove_takes_a_document_away(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_text("The attic holds seven trunks.\n")
    shell("add", str(tmp_path / "gone.txt"))
    assert shell("remove", "gone.txt")[0] == 0
    assert shell("show", "gone.txt")[0] == 2
    assert "seven trunks" not in shell("search", "trunks in the attic", "--json")[1]


def test_batch_keeps_the_order_and_resumes(shell: Shell, tmp_path: Path) -> None:
    questions = [{"id": f"q{n}", "question": f"Is parental leave paid, number {n}?"} for n in range(7)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    out = tmp_path / "a.jsonl"
    assert shell("batch", str(tmp_path / "q.jsonl"), "--out", str(out), "--workers", "3")[0] == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == [one["id"] for one in questions]
    whole = out.read_text().splitlines(keepends=True)
    out.write_text("".join(whole[:3]) + whole[3][:40])  # as a kill leaves it
    assert shell("batch", str(tmp_path / "q.jsonl"), "--out", str(out))[0] == 0
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in again] == [one["id"] for one in questions]
    assert [line["answer"] for line in again[:3]] == [line["answer"] for line in lines[:3]]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"id": 1}\n', "line 1"),
        ('{"id": "1", "question": "a"}\n{"id": "1", "question": "b"}\n', "twice"),
        ("x\n", "line 1"),
    ],
)
def test_batch_names_the_line_that_is_wrong(shell: Shell, tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "q.jsonl").write_text(content)
    code, _, err = shell("batch", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "a.jsonl"))
    assert code == 2 and complaint in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["ask", ""],
        ["add", "/no/such/path"],
        ["show", "no-such-document"],
        ["reindex"],
        ["search", "x", "-k", "0"],
        ["documents", "--as", "local"],
        ["add", "x", "--readers", "a*b"],
        ["up", "--host", "0.0.0.0"],
    ],
)
def test_wrong_usage_is_2_and_says_why(shell: Shell, arguments: list[str]) -> None:
    code, out, err = shell(*arguments)
    assert code == 2
    assert err.strip() and "Traceback" not in err and out == ""


def test_a_misspelt_setting_names_the_nearest(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_RERANKR", "none")
    code, _, err = shell("documents")
    assert code == 2 and "QUOTH_RERANKER" in err


def test_an_unreachable_database_is_3(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_DATABASE_URL", "postgresql://a:secret@127.0.0.1:1/none")
    code, _, err = shell("documents")
    assert code == 3 and "secret" not in err


def test_doctor_lists_every_setting_and_checks_each_part(shell: Shell) -> None:
    code, out, _ = shell("doctor", "--json")
    found = json.loads(out)
    faults = [check for check in found["checks"] if not check["ok"] and check["kind"] == "fault"]
    assert [one for one in faults if one["name"] != "durability"] == []  # a server of tests alone may go without fsync
    assert code == (3 if faults else 0)
    assert {"QUOTH_HOME", "QUOTH_DATABASE_URL", "QUOTH_MODELS"} <= set(found["settings"])
    assert found["settings"]["QUOTH_DATABASE_URL"] == {**found["settings"]["QUOTH_DATABASE_URL"], "value": "(set)"}
    assert {check["name"] for check in found["checks"]} >= {"python", "database", "embedder", "parser", "index"}


def _commands() -> list[list[str]]:
    root = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    inner = root["eval"]._subparsers._group_actions[0].choices
    return [[name] for name in root] + [["eval", name] for name in inner]


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_teaches_itself_with_an_example(shell: Shell, command: list[str]) -> None:
    code, out, _ = shell(*command, "--help")
    assert code == 0 and "example:" in out and "quoth " in out


def test_files_left_to_a_worker_are_there_once_one_has_worked(
    shell: Shell, quoth: Quoth, folder_of: Callable[..., Path]
) -> None:
    root = folder_of({"harbour.txt": "The harbour closes its gates at ten.\n"})
    code, out, err = shell("add", str(root), "--collection", "left", "--detach")
    assert (code, out) == (0, "queued     harbour.txt\n") and "quoth up, or quoth worker" in err
    assert "harbour" not in shell("documents", "--json")[1]
    quoth.worker.start()
    try:
        while quoth.intake.progress().waiting + quoth.intake.progress().running:
            time.sleep(0.05)
        code, out, err = shell("add", str(root), str(folder_of({"quay.txt": "The quay is long.\n"})), "--collection",
                               "left", "--detach", "--json")  # fmt: skip
    finally:
        quoth.worker.stop()
    assert [(one["source"], one["status"]) for one in map(json.loads, out.splitlines())] == [
        ("harbour.txt", "unchanged"), ("quay.txt", "queued"),
    ]  # fmt: skip
    assert code == 0 and "quoth jobs" in err
    assert "gates at ten" in shell("search", "When does the harbour close?", "--json")[1]
