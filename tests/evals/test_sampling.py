"""The sample documents arrive with their readers, and the example users where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from evals.cases import read_cases
from evals.gold import GoldFinder
from evals.sampling import SAMPLES, load_samples
from ingest.access import LOCAL, Reader
from ingest.errors import ConfigurationError


@pytest.mark.integration
def test_samples_are_added_with_their_readers_once(quoth: Quoth) -> None:
    first = load_samples(quoth)
    assert {receipt.status for receipt in first} == {"added"}, [one for one in first if one.status != "added"]
    readers = {document.source: document.readers for document in quoth.catalog.documents(LOCAL)}
    assert readers["hr/investigations.docx"] == ("hr",)
    assert quoth.groups.of_users()["fia"] == ("board", "hr")
    seen = {document.source for document in quoth.catalog.documents(Reader("emil", frozenset()))}
    assert "finance/travel_policy.pdf" in seen and "hr/investigations.docx" not in seen

    quoth.groups.set_of_user("ada", ["legal"])
    assert {receipt.status for receipt in load_samples(quoth)} == {"unchanged"}
    assert quoth.groups.of_users()["ada"] == ("legal",)  # somebody has decided since


@pytest.mark.integration
def test_every_gold_quote_of_the_sample_cases_stands_in_the_store(quoth: Quoth) -> None:
    load_samples(quoth)
    finder = GoldFinder(quoth.catalog, None)
    cases = [case for case in read_cases(SAMPLES / "cases.jsonl") if case.answerable]
    lost = [(case.id, one.quote, finder.locate(one).problem) for case in cases for one in case.gold]
    assert [entry for entry in lost if entry[2]] == []


def test_samples_that_are_not_installed_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="manifest"):
        load_samples(None, samples=tmp_path)  # type: ignore[arg-type]
