"""Groups and readers on the command line: what scripts read, what helps teach, and that it holds at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shell import Shell

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def documents(quoth, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("files")
    (folder / "den.txt").write_text("The den is painted ochre.\n")
    (folder / "hall.txt").write_text("The hall is painted teal.\n")
    assert len(list(quoth.pipeline.add([folder], collection="rooms", readers=["staff"]))) == 2


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_member_of_a_member_reads_at_once_and_no_longer_once_taken_out(shell: Shell) -> None:
    question = ("search", "What colour is the den painted?", "--json")
    assert "ochre" not in shell(*question, "--as", "ada")[1]
    assert shell("groups", "add", "painters", "user:ada", "--json") == (
        0, '{"group": "painters", "changed": ["user:ada"], "members": ["user:ada"]}\n', "",
    )  # fmt: skip
    assert shell("groups", "add", "staff", "painters")[0] == 0
    assert "ochre" in shell(*question, "--as", "ada")[1]
    assert "ochre" in shell(*question, "--groups", "painters")[1]
    assert lines(shell("groups", "--json")[1]) == [
        {"group": "painters", "members": ["user:ada"]}, {"group": "staff", "members": ["painters"]},
    ]  # fmt: skip
    assert lines(shell("groups", "show", "ada", "--json")[1]) == [
        {"user": "ada", "groups": ["painters"], "inherited": ["staff"]}
    ]
    assert "through these also in staff" in shell("groups", "show", "ada")[1]
    assert lines(shell("groups", "show", "group:painters", "--json")[1])[0]["groups"] == ["staff"]
    assert lines(shell("members", "ada", "--json")[1]) == [{"user": "ada", "groups": ["painters"]}]
    assert shell("groups", "remove", "staff", "painters")[0] == 0
    assert "ochre" not in shell(*question, "--as", "ada")[1]
    assert shell("documents", "--as", "ada", "--json")[1] == ""


def test_a_name_that_may_be_a_slip_is_pointed_out_and_a_wrong_one_refused(shell: Shell) -> None:
    code, _, err = shell("groups", "add", "painters", "bo")
    assert code == 0 and "A person is user:bo" in err
    assert shell("groups", "remove", "painters", "bo")[2] == ""
    code, _, err = shell("groups", "add", "everyone", "user:bo")
    assert code == 2 and "implied" in err


def test_help_teaches_with_examples(shell: Shell) -> None:
    assert "quoth groups add staff managers engineering" in shell("groups", "--help")[1]
    assert "quoth groups show ada" in shell("groups", "show", "--help")[1]
    assert "--collection handbook --add interns" in shell("readers", "--help")[1]


def test_readers_of_a_collection_are_added_and_taken_away(shell: Shell) -> None:
    code, out, err = shell("readers", "--collection", "rooms", "--add", "guests", "--json")
    assert code == 0 and "2 of 2 documents" in err
    assert lines(out) == [{"collection": "rooms", "added": ["guests"], "removed": [], "documents": 2, "changed": 2}]
    assert len(lines(shell("documents", "--groups", "guests", "--json")[1])) == 2
    assert shell("readers", "--collection", "rooms", "--remove", "guests")[0] == 0
    assert shell("documents", "--groups", "guests", "--json")[1] == ""
    code, out, _ = shell("readers", "den.txt", "--add", "user:eve", "--json")
    assert code == 0 and lines(out)[0]["readers"] == ["staff", "user:eve"]
    assert len(lines(shell("documents", "--as", "eve", "--json")[1])) == 1


@pytest.mark.parametrize(
    "given",
    [(), ("den.txt",), ("den.txt", "hr", "--add", "x"), ("--collection", "rooms"), ("--collection", "absent", "--add", "x"),
     ("den.txt", "--collection", "rooms", "--add", "x"), ("--collection", "rooms", "--remove", "staff")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_a_way_out(shell: Shell, given) -> None:
    code, out, err = shell("readers", *given)
    assert (code, out) == (2, "") and "." in err
