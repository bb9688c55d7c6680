"""Evaluations, groups and usage over the API: what comes back, to whom, and what does not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from assistant.bootstrap import Quoth
from assistant.callers import Role
from assistant.model import Answer, Usage
from assistant.model_calls import begin, end
from evals.case_record import to_json
from evals.kept_cases import KeptCases, NewCase
from evals.run_store import Runs
from ingest.access import Reader
from tests.evals.made_runs import ASIDE, RIGHT, SILENT, facts, made_run
from tests.ui.served_api import serving
from ui.api.serving import served_api

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(quoth: Quoth) -> Iterator[httpx.Client]:
    with serving(served_api(quoth, local=False)) as address, httpx.Client(base_url=address, timeout=60) as opened:
        yield opened


def key(quoth: Quoth, user: str, role: Role = "reader", *groups: str) -> dict[str, str]:
    return {"authorization": f"Bearer {quoth.api_keys.create(user, roles=[role], groups=groups)[1]}"}


def test_an_evaluator_looks_at_runs_compares_and_gates_them(quoth: Quoth, client: httpx.Client, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "lock.md").write_text("# Lock\n\nThe lock gate is opened at dawn by the keeper.\n")
    assert [one.status for one in quoth.pipeline.add([tmp_path / "lock.md"], readers=["keepers"])] == ["added"]
    *_, answer = quoth.ask("When is the lock gate opened?", Reader("kim", frozenset({"keepers"})))
    assert isinstance(answer, Answer) and "dawn" in answer.text
    runs = Runs(quoth.database)
    ids = []
    for outcomes in ((RIGHT, SILENT), (RIGHT, ASIDE)):
        kept = runs.begin(facts(cases=2))
        for at, record in enumerate(made_run(outcomes).records):
            runs.keep(
                kept.id, at, f"case-{at}",
                to_json(replace(record, outcome=replace(record.outcome, case_id=f"case-{at}"), answer=answer.id,
                                principal="kim")),
            )  # fmt: skip
        runs.finish(kept.id)
        ids.append(kept.id)
    before, after = ids
    asked = key(quoth, "eve", "evaluator")
    listed = client.get("/api/evaluations", params={"limit": 1}, headers=asked).json()
    assert ([one["run"] for one in listed["runs"]], listed["total"], listed["next_offset"]) == ([after], 2, 1)
    shown = client.get(f"/api/evaluations/{before}", headers=asked).json()
    assert shown["cases"] == 2 and shown["measures"]["citation_precision"]["n"] == 1
    cases = client.get(f"/api/evaluations/{before}/cases", headers=asked).json()
    assert [one["id"] for one in cases["cases"]] == ["case-0", "case-1"]
    assert "dawn" not in str(cases), "an evaluator reads what they may, and no more"
    keeper = key(quoth, "kay", "evaluator", "keepers")
    assert "dawn" in str(client.get(f"/api/evaluations/{before}/cases", headers=keeper).json())
    failed = client.get(f"/api/evaluations/{before}/cases", params={"failed": True}, headers=asked).json()
    assert [one["id"] for one in failed["cases"]] == ["case-1"]
    beside = client.get(f"/api/evaluations/{after}/comparison", params={"before": before}, headers=asked).json()
    assert (beside["before"], beside["after"], beside["cases"]) == (before, after, 2)
    for bars, met in (
        ({"gold_citation_recall": {"min": 1.0}}, True),
        ({"abstention_tpr": {"min": 0.5}}, False),  # no case asks for an abstention: a measure without a value
    ):
        held = client.post(f"/api/evaluations/{before}/gate", json={"bars": bars}, headers=asked)
        assert held.status_code == 200 and held.json()["met"] is met, held.text
    wrong = client.post(f"/api/evaluations/{before}/gate", json={"bars": {"goodness": {"min": 1}}}, headers=asked)
    assert wrong.status_code == 400 and "goodness" in wrong.json()["detail"]
    assert client.get("/api/evaluations/ffffffffffff", headers=asked).status_code == 404
    assert client.get("/api/evaluations", headers=key(quoth, "rob")).status_code == 403


def test_an_evaluator_hands_a_run_to_the_worker_and_ends_it(quoth: Quoth, client: httpx.Client) -> None:
    asked = key(quoth, "eve", "evaluator")
    missing = client.post("/api/evaluations", json={"file": "none"}, headers=asked)
    assert missing.status_code in (400, 404)
    KeptCases(quoth.database).add(
        "lunch", NewCase("What is for lunch?", False, (), None), by=Reader("eve", frozenset())
    )
    started = client.post("/api/evaluations", json={"file": "lunch", "most_usd": 1.5}, headers=asked)
    assert started.status_code == 202 and started.json()["total"] == 1, started.text
    job = started.json()["job"]
    assert job in {one["job"] for one in client.get("/api/evaluations/jobs", headers=asked).json()["jobs"]}
    ended = client.delete(f"/api/evaluations/jobs/{job}", headers=asked).json()
    assert ended["state"] in ("cancelled", "done")
    assert client.get(f"/api/evaluations/jobs/{job}", headers=key(quoth, "rob")).status_code == 403


def test_an_administrator_changes_groups_and_it_holds_at_once(quoth: Quoth, client: httpx.Client) -> None:
    asked = key(quoth, "ann", "admin")
    changed = client.patch("/api/groups/rowers", json={"add": ["user:rob", "user:sue"]}, headers=asked)
    assert changed.json() == {"group": "rowers", "added": ["user:rob", "user:sue"], "removed": []}
    client.patch("/api/groups/club", json={"add": ["rowers"]}, headers=asked)
    of = client.get("/api/groups/of/user:rob", headers=asked).json()
    assert (of["direct"], of["inherited"]) == (["rowers"], ["club"])
    client.patch("/api/groups/rowers", json={"remove": ["user:rob"]}, headers=asked)
    listed = client.get("/api/groups", params={"limit": 1, "offset": 1}, headers=asked).json()
    assert listed == {"groups": [{"group": "rowers", "members": ["user:sue"]}], "total": 2, "next_offset": None}
    refused = client.patch("/api/groups/rowers", json={"add": ["everyone"]}, headers=asked)
    assert refused.status_code == 400 and refused.headers["content-type"] == "application/problem+json"
    for who in (key(quoth, "eve", "evaluator"), key(quoth, "oli", "owner")):
        assert client.get("/api/groups", headers=who).status_code == 403
        assert client.patch("/api/groups/rowers", json={"add": ["user:oli"]}, headers=who).status_code == 403


def test_everybody_sees_their_own_use_of_models_and_administrators_all(quoth: Quoth, client: httpx.Client) -> None:
    now = datetime.now(UTC)
    for name, model in (("rob", "small"), ("rob", "large"), ("sue", "small")):
        with quoth.database.working() as connection:
            call = uuid.uuid4()
            begin(connection, call, Reader(name, frozenset()), "answer", model, None, now, now + timedelta(hours=1))
            end(connection, call, "done", Usage(input_tokens=100, output_tokens=10, cost_usd=0.5), 20.0)
    own = client.get("/api/usage/mine", params={"by": "model"}, headers=key(quoth, "rob")).json()
    assert ({one["name"] for one in own["used"]}, own["total"]["calls"]) == ({"small", "large"}, 2)
    assert "sue" not in str(own)
    own = client.get("/api/usage/mine", params={"by": "user"}, headers=key(quoth, "sue")).json()
    assert [(one["name"], one["calls"]) for one in own["used"]] == [("sue", 1)]
    every = client.get("/api/usage", params={"by": "user", "limit": 1}, headers=key(quoth, "ann", "admin")).json()
    assert (every["used"][0]["name"], every["total"]["calls"], every["next_offset"]) == ("rob", 3, 1)
    late = {"since": (now + timedelta(days=2)).date().isoformat()}
    assert client.get("/api/usage", params=late, headers=key(quoth, "ann", "admin")).json()["total"]["calls"] == 0
    assert client.get("/api/usage", headers=key(quoth, "eve", "evaluator")).status_code == 403
