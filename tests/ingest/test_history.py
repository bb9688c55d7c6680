"""Versions: listed, brought back, and let go when their time is over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from assistant.model import Answer
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ingest.model import DocumentId

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration

Folder = Callable[..., Path]
SIXTEEN = "Parental leave\n\nNew parents take 16 weeks of paid leave.\n"
TWENTY = "Parental leave\n\nNew parents take 20 weeks of paid leave.\n"


def added(quoth: Quoth, folder: Path, collection: str, readers: list[str] | None = None) -> DocumentId:
    (receipt,) = quoth.pipeline.add([folder], collection=collection, readers=readers)
    assert receipt.document is not None, receipt.detail
    return receipt.document


def two_versions(quoth: Quoth, folder_of: Folder, collection: str, words: str = "") -> DocumentId:
    added(quoth, folder_of({"leave.txt": SIXTEEN + words}), collection)
    return added(quoth, folder_of({"leave.txt": TWENTY + words}), collection)


def replaced_days_ago(quoth: Quoth, document: DocumentId, days: int) -> None:
    with quoth.database.working() as connection:
        connection.execute(
            text(
                "update version set replaced_at = now() - make_interval(days => :days)"
                " where document_id = :document and replaced_at is not null"
            ),
            {"days": days, "document": document},
        )


def test_versions_are_listed_latest_first(quoth: Quoth, folder_of: Folder) -> None:
    document = two_versions(quoth, folder_of, "listed")
    latest, first = quoth.history.versions(LOCAL, document)
    assert (latest.number, latest.current, latest.replaced_at) == (2, True, None)
    assert (first.number, first.current, first.chunks) == (1, False, 0)
    assert first.replaced_at is not None and first.replaced_at >= first.stored_at
    assert latest.chunks > 0 and latest.sha256 != first.sha256
    assert first.characters == len(quoth.catalog.text(LOCAL, document, 1))
    assert first.bytes == len(quoth.catalog.original(LOCAL, document, 1)[0])


def test_who_may_not_read_a_document_learns_nothing_of_its_versions(quoth: Quoth, folder_of: Folder) -> None:
    document = added(quoth, folder_of({"pay.txt": "Salaries rise in May.\n"}), "closed", readers=["hr"])
    stranger = Reader("eve", frozenset({"sales"}))
    with pytest.raises(UsageError):
        quoth.history.versions(stranger, document)
    with pytest.raises(UsageError):
        quoth.history.restore(document, 1, by=stranger)


def test_an_old_version_answers_again_as_a_new_one(quoth: Quoth, folder_of: Folder) -> None:
    document = two_versions(quoth, folder_of, "restored")
    quoth.catalog.set_readers(document, ["hr"])
    receipt = quoth.history.restore(document, 1, by=LOCAL)
    assert (receipt.status, receipt.document, receipt.version) == ("updated", document, 3)
    assert [(one.number, one.current) for one in quoth.history.versions(LOCAL, document)] == [
        (3, True),
        (2, False),
        (1, False),
    ]
    assert quoth.catalog.original(LOCAL, document, 3) == quoth.catalog.original(LOCAL, document, 1)
    assert quoth.catalog.text(LOCAL, document, 3) == quoth.catalog.text(LOCAL, document, 1)
    hits = quoth.search("weeks of paid leave for new parents", LOCAL, collection="restored").hits
    assert {hit.version for hit in hits} == {3} and "16 weeks" in hits[0].text
    assert quoth.catalog.find(LOCAL, str(document))[0].readers == ("hr",)


def test_what_cannot_be_restored_is_refused_with_the_way_out(quoth: Quoth, folder_of: Folder) -> None:
    document = two_versions(quoth, folder_of, "refused")
    with pytest.raises(UsageError, match="Stored are: 1, 2"):
        quoth.history.restore(document, 7, by=LOCAL)
    with pytest.raises(UsageError, match="same file as the current version"):
        quoth.history.restore(document, 2, by=LOCAL)
    assert len(quoth.history.versions(LOCAL, document)) == 2


def test_old_versions_go_with_their_originals_and_the_current_one_stays(quoth: Quoth, folder_of: Folder) -> None:
    document = two_versions(quoth, folder_of, "pruned", words="\nOf the pruned collection alone.\n")
    latest, first = quoth.history.versions(LOCAL, document)
    replaced_days_ago(quoth, document, 30)
    assert quoth.history.prune(0) == 0
    assert quoth.history.prune(31) == 0
    assert quoth.originals.holds(bytes.fromhex(first.sha256))
    assert quoth.history.prune(29) == 1
    assert [one.number for one in quoth.history.versions(LOCAL, document)] == [2]
    assert not quoth.originals.holds(bytes.fromhex(first.sha256))
    assert quoth.originals.holds(bytes.fromhex(latest.sha256))


def test_an_original_that_another_version_names_outlives_the_pruning(quoth: Quoth, folder_of: Folder) -> None:
    document = two_versions(quoth, folder_of, "shared", words="\nShared by the first and the third.\n")
    quoth.history.restore(document, 1, by=LOCAL)
    replaced_days_ago(quoth, document, 30)
    assert quoth.history.prune(29) == 2
    (latest,) = quoth.history.versions(LOCAL, document)
    assert latest.number == 3 and quoth.originals.holds(bytes.fromhex(latest.sha256))
    assert "16 weeks" in quoth.catalog.text(LOCAL, document, 3)


def test_an_answer_that_quoted_a_pruned_version_keeps_the_place_and_loses_the_words(
    quoth: Quoth, folder_of: Folder
) -> None:
    added(quoth, folder_of({"boats.txt": "Boats\n\nThe ferry leaves at seven in the morning.\n"}), "quoted")
    *_, answer = quoth.ask("When does the ferry leave?", LOCAL, collection="quoted")
    assert isinstance(answer, Answer)
    assert "seven" in answer.text
    document = added(quoth, folder_of({"boats.txt": "Boats\n\nThe ferry leaves at nine in the morning.\n"}), "quoted")
    assert "seven" in quoth.answers.get(LOCAL, answer.id).text  # still citable
    replaced_days_ago(quoth, document, 30)
    quoth.history.prune(29)
    kept = quoth.answers.get(LOCAL, answer.id)
    assert "seven" not in kept.text and not any("seven" in citation.quote for citation in kept.citations)
    assert [citation.document for citation in kept.citations] == [document] * len(answer.citations)
