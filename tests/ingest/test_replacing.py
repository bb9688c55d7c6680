"""While a document is replaced again and again, whoever looks sees one version of it, whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from evals.bench.replacing import MARKERS, Observer, content, marker_of, observe, report
from retrieval.model import STAGES

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration


def test_nobody_sees_none_or_two_or_a_mixture(quoth: Quoth, tmp_path: Path) -> None:
    observed = observe(quoth, tmp_path, replacements=6, threads=3)
    report(observed)
    assert observed.faults == []
    assert observed.replacements == 6
    assert set(observed.looks) == {*STAGES, "ask", "text"}
    assert len(observed.versions) > 2  # the looking went on while replacing did


def test_the_observer_sees_what_is_wrong(quoth: Quoth, tmp_path: Path) -> None:
    """A half-done replacement, made by hand, is noticed by every way of looking."""
    observer = Observer(quoth, tmp_path, "by-hand")
    version = observer.number
    assert marker_of(version) == MARKERS[1]
    assert [fault for _, look in observer.looks() for fault in [look()[1]] if fault] == []
    with quoth.database.owning() as connection:
        connection.execute(
            text(
                "update chunk set text = replace(text, :new, :old), version = version - 1 where ordinal = 1 and document_id ="
                " (select id from document where collection = 'by-hand')"
            ),
            {"new": MARKERS[1], "old": MARKERS[0]},
        )
        connection.execute(
            text(
                "update version set canonical_text = :text where number = :number and document_id ="
                " (select id from document where collection = 'by-hand')"
            ),
            {"text": content(MARKERS[0]), "number": version},
        )
    wrong = {kind: fault for kind, look in observer.looks() for fault in [look()[1]] if fault}
    assert set(wrong) == {*STAGES, "ask", "text"}, wrong
