"""What an owner should look at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from assistant.attention import attention
from ingest.access import LOCAL, Reader
from ingest.model import DocumentId

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def document(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> DocumentId:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "tides.txt").write_text("Tides\n\nHigh tide comes at noon on Mondays.\n", encoding="utf-8")
    (folder / "next.txt").write_text("Moorings\n\nBoats moor at the eastern pier.\n", encoding="utf-8")
    found = {one.source: one.document for one in quoth.pipeline.add([folder])}
    assert found["tides.txt"] is not None and found["next.txt"] is not None
    quoth.catalog.set_readers(found["tides.txt"], ["harbour"])
    return found["tides.txt"]


def kinds(quoth: Quoth, now: datetime = NOW, reader: Reader = LOCAL) -> set[str]:
    return {one.kind for one in attention(quoth.database, reader, now=now) if one.source == "tides.txt"}


def test_a_document_in_order_needs_nothing(quoth: Quoth, document: DocumentId) -> None:
    assert kinds(quoth) == set()


def test_dates_and_successors_are_told(quoth: Quoth, document: DocumentId) -> None:
    successor = quoth.catalog.find(LOCAL, "next.txt")[0].id
    cases = [
        ({"review_by": TODAY - DAY}, {"review"}),
        ({"review_by": TODAY}, set()),
        ({"review_by": None, "expires_on": TODAY}, {"expired"}),
        ({"expires_on": TODAY + 30 * DAY}, {"expiring"}),
        ({"expires_on": TODAY + 31 * DAY}, set()),
        ({"expires_on": None, "effective_from": TODAY + DAY}, {"not_yet"}),
        ({"effective_from": None, "superseded_by": successor}, {"superseded"}),
        ({"superseded_by": None}, set()),
    ]
    for given, expected in cases:
        quoth.properties.set(document, by=LOCAL, **given)  # type: ignore[arg-type]
        assert kinds(quoth) == expected, given


def test_a_document_that_no_answer_drew_on_is_told_until_one_does(quoth: Quoth, document: DocumentId) -> None:
    later = NOW + 91 * DAY
    assert kinds(quoth, later) == {"unused"}
    list(quoth.ask("When does high tide come?", LOCAL))
    with quoth.database.owning() as connection:
        connection.execute(text("update answer set asked_at = :then"), {"then": later - DAY})
    assert kinds(quoth, later) == set()


def test_what_reading_remarked_is_told(quoth: Quoth, document: DocumentId) -> None:
    changes = (
        ('update version set findings = \'[{"kind": "hidden_text"}]\' where document_id = :one', "finding"),
        ("update version set parser_profile = 'earlier' where document_id = :one", "outdated"),
        ("insert into page values (:one, 1, 1, 0, 5, 1, 1, '', 0.5)", "recognition"),
    )
    for statement, kind in changes:
        assert kind not in kinds(quoth)
        with quoth.database.owning() as connection:
            connection.execute(text(statement), {"one": document})
        assert kind in kinds(quoth)


def test_a_failed_file_is_told_to_whose_it_is_until_it_succeeds(
    quoth: Quoth, document: DocumentId, folder_of: Callable[..., Path]
) -> None:
    def failed(reader: Reader) -> list[str]:
        return [one.source for one in attention(quoth.database, reader, now=NOW) if one.kind == "failed"]

    broken = folder_of({"broken.txt": "%PDF-1.7 and nothing after it"})
    (receipt,) = quoth.pipeline.add([broken])
    assert receipt.status == "failed"
    assert failed(LOCAL) == ["broken.txt"]
    assert failed(Reader("eve", frozenset())) == []
    (broken / "broken.txt").write_text("A text after all.\n", encoding="utf-8")
    (receipt,) = quoth.pipeline.add([broken])
    assert receipt.status == "added", receipt.detail
    assert failed(LOCAL) == []


def test_who_may_not_read_a_document_hears_nothing_of_it(quoth: Quoth, document: DocumentId) -> None:
    quoth.properties.set(document, by=LOCAL, review_by=TODAY - DAY)
    assert "review" in kinds(quoth, reader=Reader("ada", frozenset({"harbour"})))
    assert kinds(quoth, reader=Reader("eve", frozenset({"sales"}))) == set()
