"""`quoth usage`, over calls that a real chain of models made."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evals.bench.loopback_model import LoopbackModel
from tests.shell import Shell

pytestmark = pytest.mark.integration


def test_usage_shows_what_questions_cost(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, folder_of: Callable[..., Path]
) -> None:
    folder = folder_of({"leave.txt": "Parental leave lasts twenty weeks for every parent.\n"})

    def quoth(*arguments: str, code: int = 0, **settings: str) -> str:
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            ended, out, err = shell(*arguments)
        assert ended == code, err
        return out if code == 0 else err

    quoth("add", str(folder))
    assert json.loads(quoth("usage", "--json")) == {
        "by": "day", "since": None, "rows": [],
        "total": {
            "calls": 0, "failed": 0, "input_tokens": 0, "cached_input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0,
        },
    }  # fmt: skip
    with LoopbackModel() as double:
        settings = {
            "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url, "QUOTH_MODELS": "double-500,gpt-6-luna",
            "QUOTH_LIMITS": "user 2 requests/day",
        }  # fmt: skip
        question = "How many weeks does parental leave last?"
        answer = json.loads(quoth("ask", question, "--as", "ann", "--json", **settings))
        assert answer["model"] == "gpt-6-luna" and answer["usage"]["cost_usd"] > 0
        limited = json.loads(quoth("ask", question, "--as", "ann", "--json", **settings))
    assert limited["model"] == "quoted" and limited["status"] == "answered"
    assert limited["degraded"].startswith("Too little is left of the limit of 2 requests a day for you.")
    assert limited["degraded"].count("2 requests") == 1
    rows = json.loads(quoth("usage", "--by", "model", "--json"))["rows"]
    assert [(row["model"], row["calls"], row["failed"]) for row in rows] == [("gpt-6-luna", 1, 0), ("double-500", 1, 1)]
    assert rows[0]["cost_usd"] == pytest.approx(answer["usage"]["cost_usd"])
    assert rows[0]["input_tokens"] == answer["usage"]["input_tokens"]
    today = datetime.now(UTC).date().isoformat()
    head, day, total = quoth("usage", "--since", today).splitlines()
    assert head.split()[:2] == ["day", "calls"] and day.startswith(today) and total.split()[:3] == ["total", "2", "1"]
    assert "ann" in quoth("usage", "--by", "user")
    listed = json.loads(quoth("usage", "--answers", "--as", "ann", "--json"))["answers"]
    assert [one["id"] for one in listed] == [limited["answer"], answer["answer"]]
    assert [one["calls"] for one in listed] == [0, 2]
    record = json.loads(quoth("usage", "--answer", answer["answer"], "--as", "ann", "--json"))
    assert [(one["purpose"], one["model"], one["status"]) for one in record["calls"]] == [
        ("answer", "double-500", "unavailable"), ("answer", "gpt-6-luna", "done"),
    ]  # fmt: skip
    assert record["made"]["chain"] == [
        {"answerer": "double-500", "outcome": "unavailable"}, {"answerer": "gpt-6-luna", "outcome": "done"},
    ]  # fmt: skip
    assert record["hits"][0]["ranks"]["reranked"] == 1 and "twenty weeks" in record["hits"][0]["excerpt"]
    assert record["claims"][0]["reason"] == "the claim is the quotation" and record["left_out"] == []
    assert record["made"]["settings"]["models"] == "double-500,gpt-6-luna"
    assert record["made"]["settings"]["retrieval"]["rerank_depth"] > 0
    told = " ".join(quoth("usage", "--answer", answer["answer"], "--as", "ann").split())
    for words in ("What was found", "Calls of models", "double-500", "the claim is the quotation"):
        assert words in told
    assert "You have no answer" in quoth("usage", "--answer", answer["answer"], code=2)  # it is ann's
    assert "not an answer's id" in quoth("usage", "--answer", "x", code=2)
    assert "not a day" in quoth("usage", "--since", "yesterday", code=2)
