"""An answer that rests on its passage goes with it; what does not bear on it leaves it alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from evals.cases import Case
from evals.probing import PROBES, probe_answers, probes_json, probes_table
from ingest.access import Reader

FACTS = {
    "sluice.md": "The sluice of the old canal opens at 6 in the morning from April to October.",
    "toll.md": "The toll on the wooden bridge is 14 crowns for a cart and is paid to the keeper.",
    "lamp.md": "Lanterns on the towpath are lit by the watchman as soon as the church bell rings.",
}


@pytest.mark.integration
def test_answers_go_with_their_passages_and_stay_beside_others(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    receipts = list(quoth.pipeline.add([folder_of({name: text + "\n" for name, text in FACTS.items()})]))
    assert {one.status for one in receipts} == {"added"}
    cases = [
        Case("sluice", "When does the sluice of the old canal open in the morning?"),
        Case("toll", "What is the toll on the wooden bridge for a cart?"),
        Case("lamp", "Who lights the lanterns on the towpath?"),
        Case("unanswerable", "Which year is it?", answerable=False),
        Case("follow-up", "And in winter?", turns=("When does the sluice open?",)),
    ]
    found = {one.probe.name: one for one in probe_answers(quoth, cases, Reader("ada", frozenset()))}
    assert set(found) == {probe.name for probe in PROBES}
    assert set(found["removed"].changed) == {"sluice", "toll", "lamp"}  # nothing is said from memory
    assert set(found["swapped"].changed) == {"sluice", "toll"}  # the third quotes no digit
    for name in ("distracted", "reordered", "reworded"):
        assert found[name].n == 3
    assert found["reordered"].changed == ()
    told = probes_json(list(found.values()))["probes"]
    assert told["removed"]["changed"] == 1 and told["removed"]["against"] == []
    assert "removed" in probes_table(list(found.values()))
