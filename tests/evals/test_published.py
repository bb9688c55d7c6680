"""The published table: a seeded draw, three citations at most, every figure with its interval and its aim."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from evals.answers_run import RunOptions
from evals.bench.published import COLLECTION, draw_squad, limited, main, measure_squad, published
from evals.outcome import Cited
from evals.run_store import Runs
from ingest.errors import UsageError
from tests.evals.made_runs import RIGHT, made_run

PLACES = ("Holm", "Varsund", "Ekeby", "Tallnas", "Brunnby", "Lerhamn")


def squad(folder: Path) -> Path:
    """Articles of our own in SQuAD's form."""
    paragraphs = []
    for number, place in enumerate(PLACES):
        context = (
            f"The lighthouse of {place} was built in {1801 + number}. Its keeper tends {number + 2} lamps at night."
        )
        built, lamps = str(1801 + number), f"{number + 2} lamps"
        paragraphs.append(
            {
                "context": context,
                "qas": [
                    {"id": f"b{number}", "question": f"When was the lighthouse of {place} built?", "is_impossible": False,
                     "answers": [{"text": built, "answer_start": context.index(built)}]},
                    {"id": f"l{number}", "question": f"How many lamps are tended at {place}?", "is_impossible": False,
                     "answers": [{"text": lamps, "answer_start": context.index(lamps)}]},
                    {"id": f"n{number}", "question": f"Who painted the chapel of {place}?", "is_impossible": True,
                     "answers": []},
                ],
            }
        )  # fmt: skip
    (folder / "dev-2.0-part-a.json").write_text(json.dumps({"data": [{"title": "Lights", "paragraphs": paragraphs}]}))
    far = {"context": "Krypton is a gas.", "qas": [{"id": f"k{n}", "question": f"Which colour has krypton lamp {n}?",
           "answers": [{"text": "gas", "answer_start": 13}]} for n in range(4)]}  # fmt: skip
    (folder / "dev-1.1.json").write_text(json.dumps({"data": [{"title": "Gases", "paragraphs": [far]}]}))
    return folder


def test_the_draw_is_seeded_and_has_each_kind(tmp_path: Path) -> None:
    drawn = draw_squad(squad(tmp_path), 4, 1)
    assert [one.type for one in drawn.cases] == ["answerable"] * 4 + ["near_miss"] * 4 + ["off_topic"] * 2
    assert drawn == draw_squad(tmp_path, 4, 1) and drawn.cases != draw_squad(tmp_path, 4, 2).cases
    built = next(one for one in drawn.cases if one.id.startswith("b"))
    assert built.gold[0].quote.startswith("The lighthouse of") and built.gold[0].quote.endswith(".")
    (tmp_path / "dev-1.1.json").unlink()
    assert len(draw_squad(tmp_path, 4, 1).cases) == 8
    with pytest.raises(UsageError, match="is not there"):
        draw_squad(tmp_path / "none", 4, 1)
    (tmp_path / "dev-2.0-part-a.json").write_text("[]")
    with pytest.raises(UsageError, match="is not SQuAD"):
        draw_squad(tmp_path, 4, 1)


def test_what_is_cited_beyond_the_third_place_does_not_count() -> None:
    (right,) = RIGHT.citations
    others = tuple(Cited(right.document, 1, (500 + 20 * n, 510 + 20 * n), frozenset({3})) for n in range(3))
    late = made_run([replace(RIGHT, citations=(*others, right))])
    assert late.measure("gold_citation_recall").value == 1.0  # type: ignore[union-attr]
    assert limited(late).measure("gold_citation_recall").value == 0.0  # type: ignore[union-attr]
    early = limited(made_run([replace(RIGHT, citations=(right, right, *others))]))
    assert early.measure("gold_citation_precision").value == pytest.approx(1 / 3, abs=1e-3)  # type: ignore[union-attr]
    assert "1 answers cited more than 3 places" in published([late], "command")


@pytest.mark.integration
def test_the_page_of_a_small_draw(quoth: Quoth, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = measure_squad(quoth, squad(tmp_path), 4, 1, RunOptions())
    assert len(run.records) == 10 and run.kept.facts.settings["collection"] == COLLECTION
    page = published([run], "python -m evals.bench.published")
    assert "| gold span, recall | at least .85 | 1.000 [1.000, 1.000], n=4 |" in page
    assert (
        "| of those without: near miss | at least .60 | " in page
        and "| of those without: off topic | at least .80 |" in page
    )
    assert "| gold page, recall | at least .90 | - |" in page
    assert page.count("| SQuAD 2.0, part a: 4 drawn with seed 1 | ") == 4  # a line a stage
    assert measure_squad(quoth, tmp_path, 4, 1, RunOptions()).id != run.id  # the first was finished
    assert len([one for one in Runs(quoth.database).list() if one.finished_at]) == 2


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["a", "b"])
