"""An old answer says of each quotation whether its version was replaced, and whether the words stand in what replaced it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assistant import exporting
from assistant.model import Answer, Newer
from assistant.wire import answer_json
from ingest.access import Reader
from ui import wording
from ui.cited_answer import answer_data
from ui.source_pane import OpenSource, target_of

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration

ADA, BO = Reader("ada", frozenset({"pier"})), Reader("bo", frozenset({"pier"}))
FIRST = "# Pier rules\n\nAnglers leave the pier at nine in the evening.\n"
MOVED = "# Pier rules\n\nThe pier is swept on Mondays.\n\nAnglers leave the pier at nine in the evening.\n"
CHANGED = "# Pier rules\n\nAnglers leave the pier at ten in the evening.\n"


def put(quoth: Quoth, folder: Path, content: str, readers: list[str] | None = None) -> None:
    (folder / "pier.md").write_text(content)
    (receipt,) = quoth.pipeline.add([folder / "pier.md"], readers=readers)
    assert receipt.status in ("added", "updated")


def test_a_citation_says_what_replaced_its_version(quoth: Quoth, tmp_path: Path) -> None:
    put(quoth, tmp_path, FIRST, ["pier"])
    *_, answer = quoth.ask("When do anglers leave the pier?", ADA)
    assert isinstance(answer, Answer) and answer.citations
    quote = answer.citations[0].quote

    def again() -> Answer:
        return quoth.answers.get(ADA, answer.id)

    assert again().citations[0].newer is None and answer_json(answer)["citations"][0]["newer"] is None
    put(quoth, tmp_path, MOVED)
    found = again()
    newer = found.citations[0].newer
    start = MOVED.removeprefix("# ").index(quote)
    assert newer is not None and newer.version == 2 and newer.span is not None
    document = found.citations[0].document
    text = quoth.catalog.text(ADA, document, 2)
    assert text[newer.span[0] : newer.span[1]] == quote and newer.span[0] >= start - 2
    assert answer_json(found)["citations"][0]["newer"] == {
        "version": 2, "stands": True, "start": newer.span[0], "end": newer.span[1],
    }  # fmt: skip
    shown = target_of(quoth, ADA, found, OpenSource(str(found.id), marker=1, newer=True))
    assert (shown.version, shown.quote, shown.start) == (2, quote, newer.span[0])
    put(quoth, tmp_path, CHANGED)
    found = again()
    assert found.citations[0].newer == Newer(3, None)
    assert found.citations[0].quote == quote, "what was cited stays what it was"
    assert "does not stand in version 3" in wording.newer_words(found.citations[0])
    assert [note["tone"] for note in answer_data(found, selected=None)["notes"]] == ["warning"]
    assert "replaced by version 3" in exporting.markdown("Pier", [found])
    gone = target_of(quoth, ADA, found, OpenSource(str(found.id), marker=1, newer=True))
    assert (gone.version, gone.quote) == (3, "")


def test_a_shared_conversation_says_so_too_and_who_lost_access_is_told_nothing(quoth: Quoth, tmp_path: Path) -> None:
    *_, answer = quoth.ask("When do anglers leave the pier?", ADA)
    assert isinstance(answer, Answer)
    token = quoth.conversations.share(ADA, answer.conversation)
    put(quoth, tmp_path, MOVED)
    (seen,) = quoth.conversations.shared(BO, token).answers
    assert seen.citations[0].newer is not None and seen.citations[0].newer.span is None
    (unseen,) = quoth.conversations.shared(Reader("eve", frozenset()), token).answers
    assert [(one.source, one.newer) for one in unseen.citations] == [("", None)]
