"""`quoth eval checker` over a real file, and what it says of one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.grounding import LocalChecker
from evals.checker_run import evaluate_checker, read_pairs, run_json, run_table
from evals.edits import edits_of, names_of
from ingest.errors import ConfigurationError
from ui.command import main

PAIRS = [
    {"claim": "Leave is 20 weeks.", "passage": "Leave is twenty weeks long.", "label": True},
    {"claim": "Leave is 21 weeks.", "passage": "Leave is twenty weeks long.", "label": False},
    {"claim": "Cats sleep on warm roofs.", "passage": "Leave is twenty weeks long.", "label": False, "note": "kept"},
]


def written(folder: Path, lines: list[str]) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_every_pair_is_judged_and_counted(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, [*map(json.dumps, PAIRS), ""]))
    run = evaluate_checker(LocalChecker(), pairs)
    said = run_json(run)
    assert said["pairs"] == 3 and said["confusion"] == {"tp": 1, "fp": 0, "fn": 0, "tn": 2}
    assert said["measures"]["balanced_accuracy"]["value"] == 1.0
    assert set(said["measures"]) == {"balanced_accuracy", "kappa", "roc_auc", "brier", "ece"}
    assert said["roc"][0] == [0, 0] and said["roc"][-1] == [1, 1]
    assert "accepted     1   refused     0" in run_table(run)


@pytest.mark.parametrize(
    ("line", "word"),
    [("{", "line 1"), ('{"claim": "a", "label": true}', "passage"),
     ('{"claim": "a", "passage": "b", "label": "yes"}', "true or false"), ("", "no pairs")],
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path: Path, line: str, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        read_pairs(written(tmp_path, [line]))


def test_the_command_prints_json_and_draws_the_curve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)  # the suite's own
    monkeypatch.setenv("QUOTH_HOME", str(tmp_path / "home"))
    path = written(tmp_path, list(map(json.dumps, PAIRS)))
    assert main(["eval", "checker", str(path), "--json", "--roc", str(tmp_path / "roc.svg")]) == 0
    assert json.loads(capsys.readouterr().out)["checker"] == "local-3"
    assert "area 1.000" in (tmp_path / "roc.svg").read_text("utf-8")
    assert main(["eval", "checker", str(tmp_path / "absent.jsonl")]) == 2
    assert not (tmp_path / "home").exists()  # no store was opened


def test_edits_change_one_place_and_repeat() -> None:
    claim = "At most 20 weeks of leave are paid in Veldhaven before 3 May 2025."
    passage = "In Veldhaven, up to twenty weeks of leave are paid before 3 May 2025."
    made = {edited.kind: edited for edited in edits_of(claim, passage, ["Veldhaven", "Korsmark"])}
    assert made == {edited.kind: edited for edited in edits_of(claim, passage, ["Veldhaven", "Korsmark"])}
    assert set(made) == {"number", "date", "unit", "name", "negation", "direction"}
    for edited in made.values():
        assert edited.claim != claim and edited.now.lower() in edited.claim.lower()
        assert not LocalChecker().check(edited.claim, [passage], around=[]).supported, edited


def test_names_are_those_written_with_a_capital_alone() -> None:
    assert names_of("Ask Maria Weber in the Office, or the office of HR-21 on Monday.") == ["Maria", "Weber", "HR-21"]
