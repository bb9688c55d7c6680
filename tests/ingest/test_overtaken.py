"""Who may replace a document is asked again when a file is taken in: its name may be another's by then."""

from __future__ import annotations

import pytest

from ingest.access import LOCAL, Reader
from ingest.intake_rows import REBUILD
from tests.ingest.test_queue import Desk, desk, states  # noqa: F401  # the fixture

pytestmark = pytest.mark.integration


def test_a_name_that_was_free_and_is_anothers_document_by_now_is_not_replaced(desk: Desk) -> None:  # noqa: F811
    eve = Reader("eve", frozenset({"staff"}))
    late = desk.submit("plans.txt", "Eve writes of tulips.\n", by=eve, readers=("everyone",), priority=REBUILD)
    broken = desk.submit("plans.txt", "", by=eve, readers=("everyone",), priority=REBUILD)
    first = desk.submit("plans.txt", "The board plans a new quay.\n", readers=("board",))
    done, refused, unread = desk.work_off(first, late, broken)
    assert (done.state, refused.state, unread.state) == ("done", "failed", "failed")
    assert refused.receipt is not None and refused.receipt.reason == "ambiguous_name"
    assert "another's document" in (refused.receipt.detail or "")
    for item in (refused, unread):  # nothing of the other's document is told
        assert item.receipt is not None
        assert (item.document, item.receipt.document, item.receipt.version) == (None, None, None)
    assert "quay" in desk.said("plans.txt")
    document, version = desk.quoth.catalog.find(LOCAL, "plans.txt", "default")
    assert (document.readers, version) == (("board",), 1)


def test_who_may_read_it_by_a_claim_or_by_the_table_of_now_replaces_it(desk: Desk) -> None:  # noqa: F811
    (first,) = desk.work_off(desk.submit("rota.txt", "The rota begins on Monday.\n", readers=("crew",)))
    assert first.state == "done"
    desk.worker.stop()
    by_claim = desk.submit("rota.txt", "The rota begins on Tuesday.\n", by=Reader("cy", frozenset({"crew"})))
    assert states(desk.work_off(by_claim)) == ["done"]
    desk.worker.stop()
    by_table = desk.submit("rota.txt", "The rota begins on Friday.\n", by=Reader("deb", frozenset()))
    desk.quoth.groups.add("crew", ["user:deb"])
    assert states(desk.work_off(by_table)) == ["done"]
    assert "Friday" in desk.said("rota.txt")


def test_the_same_file_of_two_people_is_queued_for_each(desk: Desk) -> None:  # noqa: F811
    one, two = (
        desk.submit("song.txt", "A song of the sea.\n", by=Reader(name, frozenset())) for name in ("fay", "gus")
    )
    assert one != two
    assert two == desk.submit("song.txt", "A song of the sea.\n", by=Reader("gus", frozenset())), "and once for each"
    assert set(states(desk.work_off(one, two))) == {"done"}
