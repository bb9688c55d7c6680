"""The dashboard and the runbook name only what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import assistant
from assistant.metrics import Looks, Metrics
from assistant.settings import NAMES

FOLDER = Path(assistant.__path__[0]) / "operations"


def exported() -> set[str]:
    """The names of everything that Prometheus would store, labels aside."""
    looks = Looks(lambda: {"m": "closed"}, lambda: {"waiting": 1}, lambda: (1, 1), lambda: {("reader", "busy"): 1})
    names = set()
    for family in Metrics(looks).registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def test_every_metric_of_the_dashboard_exists_and_none_is_left_out() -> None:
    board = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = set(re.findall(r"quoth_\w+", " ".join(queries)))
    assert named <= exported()
    assert {one for one in exported() if not one.endswith(("_count", "_sum"))} <= named
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_runbook_names_settings_and_metrics_that_there_are() -> None:
    text = (FOLDER / "runbook.md").read_text(encoding="utf-8")
    for name in re.findall(r"QUOTH_[A-Z_]*[A-Z](?!\w|_\*)", text):
        assert name in NAMES or any(known.startswith(f"{name}_") for known in NAMES)
    assert set(re.findall(r"quoth_[a-z_]+", text)) <= exported()
