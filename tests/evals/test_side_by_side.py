"""`quoth eval prompts`: the same cases with each version of the prompt, over a model that reads what it is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.bench.loopback_model import LoopbackModel

pytestmark = pytest.mark.integration


def test_versions_of_the_prompt_are_run_and_compared_by_the_same_cases(
    environ: dict[str, str], folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    folder = folder_of({"leave.txt": "Parental leave lasts twenty weeks for every parent.\n"})
    cases = tmp_path / "cases.jsonl"
    lines = [
        {
            "id": "leave", "question": "How many weeks does parental leave last?", "answerable": True,
            "gold": [{"source": "leave.txt", "quote": "Parental leave lasts twenty weeks"}],
        },
        {"id": "moon", "question": "Who painted the moon?", "answerable": False, "gold": []},
    ]  # fmt: skip
    cases.write_text("".join(json.dumps(one) + "\n" for one in lines))
    with LoopbackModel() as double:

        def quoth(*arguments: str, code: int = 0, models: str = "gpt-6-luna") -> str:
            settings = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url, "QUOTH_MODELS": models}
            done = subprocess.run(
                [sys.executable, "-m", "ui.command", *arguments], env={**environ, **settings}, capture_output=True,
                text=True, timeout=300,
            )  # fmt: skip
            assert done.returncode == code, done.stderr
            return done.stdout if code == 0 else done.stderr

        quoth("add", str(folder))
        found = json.loads(quoth("eval", "prompts", str(cases), "--versions", "full,short", "--json"))
        assert len({str(request["instructions"]) for request in double.requests}) == 2  # both were asked for
        assert "two versions" in quoth("eval", "prompts", str(cases), "--versions", "full", code=2)
        assert "'brief'" in quoth("eval", "prompts", str(cases), "--versions", "full,brief", code=2)
        assert "QUOTH_MODELS" in quoth("eval", "prompts", str(cases), models="", code=2)
    assert set(found["runs"]) == {"full", "short"} and found["runs"]["full"] != found["runs"]["short"]
    assert found["measures"] and all(set(values) == {"full", "short"} for values in found["measures"].values())
    assert found["compared"]["full, short"]["cases"] == 2
