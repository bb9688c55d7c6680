"""What owners say of documents, and that it holds at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from assistant.model import Answer
from ingest.access import LOCAL, Reader
from ingest.errors import UsageError
from ingest.model import Document, DocumentId

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration

TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def documents(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> dict[str, DocumentId]:
    folder = tmp_path_factory.mktemp("documents")
    for name, month in (("old", "May"), ("new", "June"), ("third", "July")):
        (folder / f"{name}.txt").write_text(f"Regatta\n\nThe {name} regatta begins in {month}.\n", encoding="utf-8")
    return {one.source[:-4]: one.document for one in quoth.pipeline.add([folder]) if one.document}


def shown(quoth: Quoth, document: DocumentId) -> Document:
    return quoth.catalog.find(LOCAL, str(document))[0]


def test_only_what_is_given_changes_and_the_audit_knows(quoth: Quoth, documents: dict[str, DocumentId]) -> None:
    one = documents["third"]
    quoth.properties.set(one, by=LOCAL, owner="Harbour office", review_by=TODAY)
    quoth.properties.set(one, by=LOCAL, review_by=None)
    assert (shown(quoth, one).owner, shown(quoth, one).review_by) == ("Harbour office", None)
    with quoth.database.owning() as connection:
        details = connection.scalars(
            text("select detail from audit_event where action = 'document.properties' and subject = :one order by id"),
            {"one": one},
        ).all()
    assert [sorted(detail) for detail in details] == [["owner", "review_by"], ["review_by"]]
    assert "Harbour" not in str(details)


def test_nonsense_is_refused_and_changes_nothing(quoth: Quoth, documents: dict[str, DocumentId]) -> None:
    old, new, third = documents["old"], documents["new"], documents["third"]
    with pytest.raises(UsageError, match="would never answer"):
        quoth.properties.set(old, by=LOCAL, effective_from=TODAY, expires_on=TODAY)
    quoth.properties.set(old, by=LOCAL, effective_from=TODAY)
    with pytest.raises(UsageError, match="would never answer"):  # against what is stored already
        quoth.properties.set(old, by=LOCAL, expires_on=TODAY - DAY, owner="lost")
    assert (shown(quoth, old).expires_on, shown(quoth, old).owner) == (None, "")
    quoth.properties.set(old, by=LOCAL, effective_from=None)
    with pytest.raises(UsageError, match="cannot supersede itself"):
        quoth.properties.set(old, by=LOCAL, superseded_by=old)
    quoth.properties.set(old, by=LOCAL, superseded_by=new)
    quoth.properties.set(new, by=LOCAL, superseded_by=third)
    with pytest.raises(UsageError, match="circle"):
        quoth.properties.set(third, by=LOCAL, superseded_by=old)
    assert shown(quoth, third).superseded_by is None


def test_who_may_not_read_a_document_cannot_set_anything(quoth: Quoth, documents: dict[str, DocumentId]) -> None:
    quoth.catalog.set_readers(documents["third"], ["hr"])
    with pytest.raises(UsageError, match="that you may read"):
        quoth.properties.set(documents["third"], by=Reader("eve", frozenset({"sales"})), owner="eve")
    quoth.catalog.set_readers(documents["third"], ["everyone"])


def test_expired_and_future_documents_do_not_answer(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    (receipt,) = quoth.pipeline.add(
        [folder_of({"ice.txt": "Ice\n\nThe ice rink opens at ten in the morning.\n"})], collection="dated"
    )
    assert receipt.document is not None

    def answers() -> tuple[int, bool]:
        *_, answer = quoth.ask("When does the ice rink open?", LOCAL, collection="dated")
        assert isinstance(answer, Answer)
        return len(quoth.search("ice rink opens", LOCAL, collection="dated").hits), "ten" in answer.text

    assert answers() == (1, True)
    quoth.properties.set(receipt.document, by=LOCAL, expires_on=TODAY)
    assert answers() == (0, False)
    quoth.properties.set(receipt.document, by=LOCAL, expires_on=TODAY + 2 * DAY, effective_from=TODAY + DAY)
    assert answers() == (0, False)
    quoth.properties.set(receipt.document, by=LOCAL, effective_from=None)
    assert answers() == (1, True)
