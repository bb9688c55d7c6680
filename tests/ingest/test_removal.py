"""Removing is provable: nothing is left, and what is left is found."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from assistant.model import Answer
from ingest.access import LOCAL
from ingest.errors import UsageError
from ingest.intake_rows import BULK, Handed
from ingest.model import DocumentId
from ingest.removal import RemovalProof, proof
from ingest.storing import Identity

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

pytestmark = pytest.mark.integration

Folder = Callable[..., Path]
WORDS = "The harbour master keeps the brass key of the old lighthouse behind the third barometer."


def added(quoth: Quoth, folder_of: Folder, source: str, words: str = WORDS) -> DocumentId:
    (receipt,) = quoth.pipeline.add([folder_of({source: f"Keys\n\n{words}\n"})])
    assert receipt.document is not None, receipt.detail
    return receipt.document


def looked(quoth: Quoth, document: DocumentId) -> RemovalProof:
    return proof(quoth.database, quoth.originals, str(document), [quoth.settings.home / "scratch"])


def places(found: RemovalProof) -> set[tuple[str, str]]:
    return {(one.place, one.what) for one in found.leftovers}


def test_after_a_removal_nothing_is_left_but_the_places(quoth: Quoth, folder_of: Folder) -> None:
    document = added(quoth, folder_of, "keys.txt")
    added(quoth, folder_of, "keys.txt", WORDS + " Ask for the spare one.")
    *_, answer = quoth.ask("Where does the harbour master keep the brass key of the old lighthouse?", LOCAL)
    assert isinstance(answer, Answer) and "barometer" in answer.text
    with pytest.raises(UsageError):
        looked(quoth, document)  # it is there
    quoth.catalog.remove(document)
    found = looked(quoth, document)
    assert found.leftovers == ()
    assert found.versions == 2 and found.columns > 50
    assert "answer_span.document_id" in {one.place for one in found.kept}
    assert "barometer" not in quoth.answers.get(LOCAL, answer.id).text
    assert proof(quoth.database, quoth.originals, "keys.txt").document == document
    assert proof(quoth.database, quoth.originals, "default/keys.txt").clean


def test_what_waits_under_the_name_goes_with_the_document(quoth: Quoth, folder_of: Folder, tmp_path: Path) -> None:
    document = added(
        quoth, folder_of, "waits.txt", "A parcel of seven blue lanterns waits for the evening boat to come."
    )
    copy = tmp_path / "copy"
    copy.write_text("A parcel of eight blue lanterns.", encoding="utf-8")
    sha256 = b"w" * 32
    quoth.worker.stop()
    quoth.intake.submit([Handed(copy, sha256, 32, Identity("default", "waits.txt"))], batch=uuid.uuid4(), priority=BULK)
    assert quoth.originals.holds(sha256)
    quoth.catalog.remove(document)
    assert not quoth.originals.holds(sha256)
    assert not [one for one in quoth.intake.recent(limit=1000) if one.identity.source == "waits.txt"]
    assert looked(quoth, document).clean


def test_who_pointed_to_the_document_forgets_it(quoth: Quoth, folder_of: Folder) -> None:
    new = added(quoth, folder_of, "new.txt", "Newer rules about the mooring of boats by the eastern pier in winter.")
    old = added(quoth, folder_of, "old.txt", "Older rules about the mooring of boats by the eastern pier in winter.")
    quoth.properties.set(old, by=LOCAL, superseded_by=new)
    quoth.catalog.remove(new)
    assert quoth.catalog.find(LOCAL, "old.txt")[0].superseded_by is None
    assert not [one for one in looked(quoth, new).leftovers if one.what == "id"]


def test_a_document_that_shares_the_original_keeps_it_and_is_no_leftover(quoth: Quoth, folder_of: Folder) -> None:
    words = "Two files hold exactly these very same words about the tide tables of March."
    one, other = added(quoth, folder_of, "one.txt", words), added(quoth, folder_of, "other.txt", words)
    quoth.catalog.remove(one)
    *_, answer = quoth.ask("What do two files hold about the tide tables of March?", LOCAL)
    assert isinstance(answer, Answer) and "tide tables of March" in answer.text  # as the other document says
    assert looked(quoth, one).clean
    assert quoth.catalog.original(LOCAL, other, 1)[0]
    quoth.catalog.remove(other)
    assert looked(quoth, other).clean


def test_what_was_never_removed_has_no_proof(quoth: Quoth) -> None:
    with pytest.raises(UsageError, match="was removed here"):
        proof(quoth.database, quoth.originals, "nothing.txt")


PLANTED = {  # one statement per place: :id, :sha, :words are of the removed document
    "document_name.document_id": "insert into document_name values ('planted', :tag, :id)",
    "lex_document.document_id": (
        "with s as (insert into lex_segment (first, last, chunks) values (0, 0, 0) returning seg)"
        " insert into lex_document select :id, seg, 0, 0, 0, '', '{}' from s"
    ),
    "lex_block.term": (
        "with s as (insert into lex_segment (first, last, chunks) values (0, 0, 0) returning seg)"
        " insert into lex_block select :words, seg, '', '', '' from s"
    ),
    "intake.receipt": (
        "insert into intake (id, batch, kind, collection, source, principal, priority, state, stage, done, total,"
        " starts, receipt) values (gen_random_uuid(), gen_random_uuid(), 'add', 'p', :tag, 'local', 0, 'done', '',"
        " 0, 0, 0, jsonb_build_object('document', cast(:id as uuid)))"
    ),
    "intake.sha256": (
        "insert into intake (id, batch, kind, collection, source, principal, priority, state, stage, done, total,"
        " starts, sha256) values (gen_random_uuid(), gen_random_uuid(), 'add', 'p', :tag, 'local', 0, 'done', '',"
        " 0, 0, 0, :sha)"
    ),
    "source_entry.detail": (
        "insert into source_entry (origin, collection, source, fingerprint, profile, detail)"
        " values ('o', 'p', :tag, '', '', :words)"
    ),
    "group_member.group_name": "insert into group_member values (:tag, :words)",
    "audit_event.detail": (
        "insert into audit_event (principal, action, detail) values ('local', 'x', jsonb_build_object('t', cast(:words as text)))"
    ),
    "embedding_space.setting": (
        "insert into embedding_space (name, dimensions, active, setting) values (:tag, 3, false, :words)"
    ),
    "conversation.principal": "insert into conversation (id, principal) values (gen_random_uuid(), :words)",
    "answer_claim.text": (
        "with c as (insert into conversation (id, principal) values (gen_random_uuid(), 'local') returning id),"
        " a as (insert into answer (id, conversation_id, principal, question, status, model, prompt_version, usage,"
        " timings_ms, hits, rejected, raw_output) select gen_random_uuid(), id, 'local', '', '', '', '', '{}', '{}',"
        " '[]', '[]', '' from c returning id)"
        " insert into answer_claim select id, 0, :words, '', 0, '{}' from a"
    ),
    "answer.raw_output": (
        "with c as (insert into conversation (id, principal) values (gen_random_uuid(), 'local') returning id)"
        " insert into answer (id, conversation_id, principal, question, status, model, prompt_version, usage,"
        " timings_ms, hits, rejected, raw_output) select gen_random_uuid(), id, 'local', '', '', '', '', '{}', '{}',"
        " '[]', '[]', :words from c"
    ),
    "document.superseded_by": (
        "insert into document (id, collection, source, title, owner, readers, current_version, chunks, index_profile,"
        " superseded_by) values (gen_random_uuid(), 'p', :tag, '', '', '{hr}', 1, 0, '', :id)"
    ),
    "document.owner": (
        "insert into document (id, collection, source, title, owner, readers, current_version, chunks, index_profile)"
        " values (gen_random_uuid(), 'p', :tag, '', :words, '{hr}', 1, 0, '')"
    ),
}


@pytest.fixture(scope="module")
def removed(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> tuple[DocumentId, bytes]:
    folder = tmp_path_factory.mktemp("planted")
    words = WORDS.replace("brass", "copper")
    (folder / "planted.txt").write_text(f"Keys\n\n{words}\n", encoding="utf-8")
    (receipt,) = quoth.pipeline.add([folder])
    assert receipt.document is not None
    sha256 = bytes.fromhex(quoth.history.versions(LOCAL, receipt.document)[0].sha256)
    quoth.catalog.remove(receipt.document)
    return receipt.document, sha256


@pytest.mark.parametrize("place", PLANTED)
def test_what_is_left_in_a_table_is_found(quoth: Quoth, removed: tuple[DocumentId, bytes], place: str) -> None:
    document, sha256 = removed
    clean = places(looked(quoth, document))
    assert place not in {where for where, _ in clean}
    values = {"id": document, "sha": sha256, "words": WORDS.replace("brass", "copper"), "tag": uuid.uuid4().hex}
    used = {name: value for name, value in values.items() if f":{name}" in PLANTED[place]}
    with quoth.database.owning() as connection:
        connection.execute(text(PLANTED[place]), used)
    assert place in {where for where, _ in places(looked(quoth, document)) - clean}


def test_a_table_made_tomorrow_is_looked_at_too(quoth: Quoth, removed: tuple[DocumentId, bytes]) -> None:
    document, _ = removed
    with quoth.database.owning() as connection:
        connection.execute(text('create table "later table" (note jsonb)'))
        connection.execute(
            text("insert into \"later table\" values (jsonb_build_object('seen', cast(:words as text)))"),
            {"words": WORDS.replace("brass", "copper").upper()},
        )
    assert ("later table.note", "words") in places(looked(quoth, document))
    with quoth.database.owning() as connection:
        connection.execute(text('drop table "later table"'))


def test_what_is_left_in_a_folder_is_found(quoth: Quoth, removed: tuple[DocumentId, bytes], tmp_path: Path) -> None:
    document, sha256 = removed
    bytes_of_it = f"Keys\n\n{WORDS.replace('brass', 'copper')}\n".encode()
    forgotten = quoth.settings.home / "scratch" / "add-forgotten"
    forgotten.write_bytes(bytes_of_it)
    assert (str(forgotten), "original") in places(looked(quoth, document))
    forgotten.unlink()
    copy = tmp_path / "copy"
    copy.write_bytes(bytes_of_it)
    quoth.originals.put(copy, sha256)
    with quoth.database.owning() as connection:  # planted above: a row that names it would say that it is wanted
        connection.execute(text("delete from intake where sha256 = :sha"), {"sha": sha256})
    assert ("originals", "original") in places(looked(quoth, document))
