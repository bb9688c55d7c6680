"""A claim that was left out gets one attempt more, after all that could be shown, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth, open_quoth
from assistant.model import Answer, ClaimShown
from evals.bench.loopback_model import LoopbackModel
from ingest.access import LOCAL

pytestmark = pytest.mark.integration

TEXT = "The ferry to the island leaves from the north pier. The ferry to the island carries forty cars.\n"
QUESTION = "What about the ferry to the island?"


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel() as one:
        yield one


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("ferry")
    (folder / "ferry.txt").write_text(TEXT)
    assert [one.status for one in quoth.pipeline.add([folder])] == ["added"]


def asked(environ: dict[str, str], double: LoopbackModel, models: str) -> tuple[list[str], Answer, int]:
    """The claims in the order they were shown, the answer, and how many requests it took."""
    before = len(double.requests)
    settings = {"QUOTH_MODELS": models, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url}
    with open_quoth({**environ, **settings}) as quoth:
        events = list(quoth.ask(QUESTION, LOCAL))
    answer = events[-1]
    assert isinstance(answer, Answer)
    return [one.claim.text for one in events if isinstance(one, ClaimShown)], answer, len(double.requests) - before


def test_a_claim_with_an_invented_quote_is_put_right_and_comes_last(
    environ: dict[str, str], double: LoopbackModel, filled: None
) -> None:
    shown, answer, requests = asked(environ, double, "double-mistaken")
    assert requests == 2
    assert shown == [
        "The ferry to the island carries forty cars.",
        "The ferry to the island leaves from the north pier.",
    ]
    assert answer.status == "answered"
    assert all(TEXT[one.start : one.end] == one.quote for one in answer.citations)
    assert [one.reason for one in answer.rejected]  # what was wrong at first stays in the record
    assert "<<REJECTED" in double.requests[-1]["input"][0]["content"]


def test_there_is_one_attempt_and_then_the_next_way(
    environ: dict[str, str], double: LoopbackModel, filled: None
) -> None:
    shown, answer, requests = asked(environ, double, "double-invented")
    assert requests == 2
    assert answer.model == "quoted"
    assert shown
    assert answer.degraded is not None and "nothing it said could be verified" in answer.degraded


def test_what_was_right_costs_no_second_call(environ: dict[str, str], double: LoopbackModel, filled: None) -> None:
    _, answer, requests = asked(environ, double, "double-honest")
    assert requests == 1
    assert not answer.rejected
