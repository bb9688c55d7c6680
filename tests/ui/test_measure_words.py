"""Every measure that a run has is explained."""

from __future__ import annotations

from evals.measures import measures, resources
from ui.measure_words import measure_meaning


def test_every_measure_has_words_of_its_own() -> None:
    names = [*measures([]), *resources([])]
    assert len(names) > 40
    assert [name for name in names if not measure_meaning(name)] == []
    assert measure_meaning("aurc_of_answerable_") == "" == measure_meaning("lexical_none_10")
    assert "counts as 0" in measure_meaning("gold_citation_recall_of_answerable")
