"""Adding, replacing, reindexing and removing documents, on a real store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.model import Answer
from ingest import schema
from ingest.access import LOCAL, Reader
from ingest.discovery import Input
from ingest.errors import ServiceError, UsageError
from ingest.intake_rows import UPLOAD
from ingest.model import Receipt
from ingest.originals import Originals
from ingest.pipeline import HANDED_AT_ONCE, Pipeline
from ingest.spaces import Space
from ingest.storing import Identity
from ingest.taking import Taking
from ingest.worker import Worker

pytestmark = pytest.mark.integration

PARAGRAPHS = [f"Rule {n}. Office number {n} closes at {n % 12 + 1} in the evening for cleaning." for n in range(120)]


def added(quoth: Quoth, path: Path, **options: object) -> list[Receipt]:
    return list(quoth.pipeline.add([path], **options))  # type: ignore[arg-type]


def rows(quoth: Quoth, statement: str, **values: object) -> list:
    with quoth.database.working() as connection:
        return list(connection.execute(text(statement), values).all())


def test_an_added_document_is_found_and_its_spans_are_exact(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    folder = folder_of({"facilities/bikes.txt": "Bicycles may be parked in the courtyard of building seven only.\n"})
    (receipt,) = added(quoth, folder)
    assert (receipt.source, receipt.status, receipt.version, receipt.reason) == (
        "facilities/bikes.txt",
        "added",
        1,
        None,
    )
    assert receipt.chunks == receipt.chunks_embedded == 1
    hit = quoth.search("Where can I leave my bicycle?", LOCAL).hits[0]
    assert hit.source == "facilities/bikes.txt"
    assert receipt.document is not None
    assert quoth.catalog.text(LOCAL, receipt.document, 1)[hit.start : hit.end] == hit.text


def test_every_stored_span_is_its_text(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    added(quoth, folder_of({"spans.md": "# One\n\nAlpha – ünïcode 𝄞 text.\n\n## Two\n\n- first item\n- second item\n"}))
    found = rows(
        quoth,
        "select c.text = substring(v.canonical_text, c.start_offset + 1, c.end_offset - c.start_offset) from chunk c"
        " join version v on v.document_id = c.document_id and v.number = c.version",
    )
    assert found and all(row[0] for row in found)


def test_the_same_bytes_again_change_nothing(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    folder = folder_of({"same.txt": "The lift is serviced every second Tuesday.\n"})
    first, second = added(quoth, folder)[0], added(quoth, folder)[0]
    assert (second.status, second.version, second.chunks_embedded) == ("unchanged", 1, 0)
    assert second.document == first.document


def test_a_changed_paragraph_embeds_few_chunks_and_makes_a_version(
    quoth: Quoth, folder_of: Callable[..., Path]
) -> None:
    folder = folder_of({"rules.txt": "\n\n".join(PARAGRAPHS)})
    first = added(quoth, folder)[0]
    edited = [*PARAGRAPHS]
    edited[60] = "Rule 60. Office number 60 is now a library and never closes at all."
    (folder / "rules.txt").write_text("\n\n".join(edited))
    second = added(quoth, folder)[0]
    assert (second.status, second.version, second.document) == ("updated", 2, first.document)
    assert 1 <= second.chunks_embedded <= 3 < first.chunks
    assert "library" in quoth.search("Which office became a library?", LOCAL).hits[0].text
    assert first.document is not None
    assert "library" not in quoth.catalog.text(LOCAL, first.document, 1)  # the old version stays citable
    assert rows(quoth, "select distinct version from chunk where document_id = :d", d=first.document) == [(2,)]
    segments = rows(quoth, "select count(*) from lex_document where document_id = :d", d=first.document)
    assert segments == [(1,)]


def test_replacing_never_widens_readers(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    folder = folder_of({"pay.txt": "The bonus pool is nine percent of the margin.\n"})
    added(quoth, folder, readers=["board"])
    (folder / "pay.txt").write_text("The bonus pool is eleven percent of the margin.\n")
    assert added(quoth, folder)[0].status == "updated"
    document, _ = quoth.catalog.find(LOCAL, "pay.txt")
    assert document.readers == ("board",)
    hits = quoth.search("How big is the bonus pool?", Reader("eve", frozenset())).hits
    assert all(hit.source != "pay.txt" for hit in hits)


def test_a_failed_replacement_leaves_the_former_version_answering(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    folder = folder_of({"shift.txt": "The night shift begins at ten.\n"})
    added(quoth, folder)
    (folder / "shift.txt").write_bytes(b"")
    (receipt,) = added(quoth, folder)
    assert (receipt.status, receipt.reason, receipt.version) == ("failed", "empty", 1)
    assert "night shift begins at ten" in quoth.search("When does the night shift begin?", LOCAL).hits[0].text


def test_one_bad_file_does_not_stop_the_rest(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    folder = folder_of(
        {"mixed/a.txt": "Umbrellas are lent at the reception.\n", "mixed/c.txt": "Lockers need a coin.\n"}
    )
    (folder / "mixed" / "b.pdf").write_bytes(b"%PDF-1.7 and then nothing of the kind")
    receipts = {receipt.source: receipt for receipt in added(quoth, folder)}
    assert [receipts[f"mixed/{name}"].status for name in ("a.txt", "b.pdf", "c.txt")] == ["added", "failed", "added"]
    assert receipts["mixed/b.pdf"].reason == "corrupt"
    assert receipts["mixed/b.pdf"].detail


def test_two_files_with_one_name_are_both_refused(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    one, two = folder_of({"twin.txt": "One.\n"}), folder_of({"twin.txt": "Two.\n"})
    receipts = list(quoth.pipeline.add([one, two]))
    assert [(receipt.status, receipt.reason) for receipt in receipts] == [("failed", "ambiguous_name")] * 2


def test_a_missing_path_is_a_usage_error(quoth: Quoth, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        list(quoth.pipeline.add([tmp_path / "nowhere"]))


def test_one_source_in_two_collections_is_two_documents(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    folder = folder_of({"guide.txt": "Visitors sign the green book.\n"})
    ids = {added(quoth, folder, collection=name)[0].document for name in ("north", "south")}
    assert len(ids) == 2
    with pytest.raises(UsageError, match="several documents"):
        quoth.catalog.find(LOCAL, "guide.txt")
    assert quoth.catalog.find(LOCAL, "south/guide.txt")[0].collection == "south"
    found = quoth.search("Which book do visitors sign?", LOCAL, collection="north")
    assert {hit.collection for hit in found.hits} == {"north"}


def test_reindexing_keeps_the_version_and_the_ids(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    (receipt,) = added(quoth, folder_of({"plants.txt": "Plants are watered on Fridays by the caretaker.\n"}))
    assert receipt.document is not None
    before = rows(quoth, "select id, text from chunk where document_id = :d order by ordinal", d=receipt.document)
    (again,) = quoth.pipeline.reindex([receipt.document])
    assert (again.status, again.version, again.chunks_embedded) == ("updated", 1, 1)
    assert (
        rows(quoth, "select id, text from chunk where document_id = :d order by ordinal", d=receipt.document) == before
    )


def test_removing_leaves_nothing_of_the_text_anywhere(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    sentence = "The xylographic archive stays shut on quizmas eve."
    (receipt,) = added(quoth, folder_of({"archive.txt": sentence + "\n"}))
    *_, answer = quoth.ask("When does the xylographic archive stay shut?", LOCAL)
    assert isinstance(answer, Answer) and sentence in answer.text.replace(" [1]", "")
    originals = quoth.settings.home / "originals"
    assert any(sentence in file.read_text("utf-8", "replace") for file in originals.rglob("*") if file.is_file())
    assert receipt.document is not None
    quoth.catalog.remove(receipt.document)
    for table in schema.metadata.tables:
        for row in rows(quoth, f"select to_jsonb(t) from {table} t") if table != "audit_event" else []:
            kept = json.dumps(row[0], ensure_ascii=False)
            if table == "answer":
                kept = kept.replace("When does the xylographic archive stay shut?", "")  # the asker's own words
            assert "xylograph" not in kept and "quizma" not in kept, table
    assert not any(sentence in file.read_text("utf-8", "replace") for file in originals.rglob("*") if file.is_file())
    again = quoth.answers.get(LOCAL, answer.id)
    assert again.status == "answered" and len(again.claims) == len(answer.claims)  # the place stays, the words are gone
    with pytest.raises(UsageError):
        quoth.catalog.find(LOCAL, "archive.txt")


def test_an_original_shared_by_two_documents_goes_with_the_last(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    folder = folder_of({"shared.txt": "The terrace seats forty.\n"})
    one, two = (added(quoth, folder, collection=name)[0].document for name in ("east", "west"))
    assert one is not None and two is not None
    quoth.catalog.remove(one)
    assert quoth.catalog.original(LOCAL, two, 1)[0] == b"The terrace seats forty.\n"
    quoth.catalog.remove(two)
    with pytest.raises(UsageError):
        quoth.catalog.original(LOCAL, two, 1)


def test_a_revocation_holds_at_once(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    (receipt,) = added(quoth, folder_of({"sauna.txt": "The sauna is heated on Thursdays from five.\n"}))
    eve = Reader("eve", frozenset())
    assert quoth.search("When is the sauna heated?", eve).hits[0].source == "sauna.txt"
    assert receipt.document is not None
    quoth.catalog.set_readers(receipt.document, ["staff"])
    assert all(hit.source != "sauna.txt" for hit in quoth.search("When is the sauna heated?", eve).hits)
    bo = Reader("bo", frozenset({"staff"}))
    assert quoth.search("When is the sauna heated?", bo).hits[0].source == "sauna.txt"


def test_a_failing_embedder_changes_nothing(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    class Down:
        space, dimensions = quoth.embedder.space, quoth.embedder.dimensions
        count_tokens = staticmethod(quoth.embedder.count_tokens)

        def embed_passages(self, texts: object, spans: object) -> None:
            raise ServiceError("the embedding model is away")

    class Away:
        active = wanted = Space(quoth.spaces.active.id, quoth.embedder.dimensions, Down())  # type: ignore[arg-type]
        building = None

    folder = folder_of({"pool.txt": "The pool is closed in June.\n"})
    quoth.worker.stop()
    originals, scratch = Originals(quoth.settings.originals), quoth.settings.home / "scratch"
    away: Any = Away()
    taking = Taking(quoth.database, originals, quoth.parser, away, quoth.intake, scratch, remove=lambda document: None)
    worker = Worker(quoth.database, taking, (), concurrency=1, tries=1)
    pipeline = Pipeline(quoth.database, originals, away, quoth.intake, worker, scratch)
    try:
        with pytest.raises(ServiceError, match="the embedding model is away"):
            list(pipeline.add([folder]))
        assert rows(quoth, "select count(*) from document where source = 'pool.txt'") == [(0,)]
        assert not list(scratch.iterdir())
    finally:
        worker.stop()
    (failed,) = [item for item in quoth.intake.recent() if item.identity.source == "pool.txt"]
    assert failed.state == "failed" and quoth.intake.retry([failed.id]) == 1  # its bytes were kept for that
    quoth.worker.start()
    while quoth.intake.items([failed.id])[failed.id].state in ("waiting", "running"):
        time.sleep(0.05)
    assert quoth.search("When is the pool closed?", LOCAL).hits[0].source == "pool.txt"


def test_who_is_slow_to_listen_misses_no_receipt(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    count = 3 * HANDED_AT_ONCE
    folder = folder_of({f"{at:03}.txt": f"The depot number {at} opens at nine in the morning." for at in range(count)})
    receipts = quoth.pipeline.add([folder], collection="slow")
    first = next(receipts)
    deadline = time.monotonic() + 120
    while quoth.intake.progress().waiting + quoth.intake.progress().running and time.monotonic() < deadline:
        time.sleep(0.2)  # all of them are done before anybody looks again
    assert [first.source, *(one.source for one in receipts)] == [f"{at:03}.txt" for at in range(count)]


def test_nobody_replaces_or_opens_what_they_may_not_read(quoth: Quoth, folder_of: Callable[..., Path]) -> None:
    """A file of the same name, with readers of the uploader's choice, would open the former versions to them."""
    (kept,) = quoth.pipeline.add(
        [folder_of({"minutes.txt": "The vault opens with the number 5512."})], readers=["board"]
    )
    ada = Reader("ada", frozenset({"crew"}))
    other = folder_of({"minutes.txt": "Nothing is in the vault."}) / "minutes.txt"
    name = Input(other, Identity("default", "minutes.txt"), ("crew",))
    _, receipts = quoth.pipeline.hand_over([name], by=ada, priority=UPLOAD)
    assert [(one.status, one.reason, one.document, one.version) for one in receipts] == [
        ("failed", "ambiguous_name", None, None)
    ]
    document, version = quoth.catalog.find(LOCAL, str(kept.document))
    assert version == 1 and document.readers == ("board",)
    board = Reader("bo", frozenset({"board"}))
    _, receipts = quoth.pipeline.hand_over([name], by=board, priority=UPLOAD)
    assert receipts == [], "who may read it may replace it"
