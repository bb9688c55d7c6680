"""The commands about versions, properties, attention and removal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shell import Shell

pytestmark = pytest.mark.integration


def test_a_documents_life_from_the_command_line(shell: Shell, folder_of: Callable[..., Path]) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        ended, out, err = shell(*arguments)
        assert ended == code, err
        return out if code in (0, 1) else err

    run("add", str(folder_of({"leave.txt": "Leave\n\nNew parents take 16 weeks of leave.\n"})))
    run("add", str(folder_of({"leave.txt": "Leave\n\nNew parents take 20 weeks of leave.\n"})))
    assert [json.loads(line)["number"] for line in run("versions", "leave.txt", "--json").splitlines()] == [2, 1]
    assert "[-16-]{+20+} weeks" in run("diff", "leave.txt")
    (change,) = json.loads(run("diff", "leave.txt@2", "leave.txt@1", "--json"))["changes"]
    assert change["kind"] == "changed"
    assert "quoth revert leave.txt@1" in run("revert", "leave.txt", code=2)
    assert json.loads(run("revert", "leave.txt@1", "--json"))["version"] == 3
    set_now = json.loads(run("properties", "leave.txt", "--owner", "HR", "--review-by", "2020-01-31", "--json"))
    assert (set_now["owner"], set_now["review_by"]) == ("HR", "2020-01-31")
    assert "none" in run("properties", "leave.txt", "--expires-on", "soon", code=2)
    assert "review" in run("attention")
    assert "was removed here" in run("doctor", "--removed", "leave.txt", code=2)
    run("remove", "leave.txt")
    assert json.loads(run("doctor", "--removed", "leave.txt", "--json"))["clean"] is True
