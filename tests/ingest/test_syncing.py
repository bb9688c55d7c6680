"""Keeping documents in step: after a pass the documents are the files; a mishap of the place destroys nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from assistant.bootstrap import ALL_MIGRATIONS
from ingest import schema, storing
from ingest.audit import Trail
from ingest.canonical import PARSER_PROFILE
from ingest.catalog import Catalog
from ingest.database import Database
from ingest.discovery import Input
from ingest.errors import ConfigurationError, DocumentError, ServiceError, UsageError
from ingest.folder_source import FolderSource
from ingest.model import DocumentId, Receipt
from ingest.originals import Originals
from ingest.parser import Parser, ParserLimits
from ingest.sources import Entry, Gone, Listed, Remembered, Unlisted
from ingest.storing import Identity
from ingest.syncing import Syncing, Terms

pytestmark = pytest.mark.integration


class Shelf:
    """Takes text files in as the pipeline does, without reading or embedding them: rows of the real store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.handed: list[str] = []  # names of files that had to be read
        self.reread: list[DocumentId] = []

    def take_in(self, inputs: Sequence[Input]) -> Iterator[Receipt]:
        for item in inputs:
            self.handed.append(item.identity.source)
            yield self._take(item)

    def read_again(self, documents: Sequence[DocumentId]) -> Iterator[Receipt]:
        for document in documents:
            self.reread.append(document)
            yield Receipt("", "default", "updated", document, 1, None, 0, 0, 0.0)

    def _take(self, item: Input) -> Receipt:
        source, collection = item.identity.source, item.identity.collection
        with self._database.working() as connection:
            before = storing.current(connection, item.identity)
            document, version = (before.document, before.version) if before else (None, None)
            refused = item.refused
            if refused is None and not item.path.read_bytes():
                refused = DocumentError("empty", f"{source!r} is empty. Fill it.")
            if refused is not None:
                return Receipt(
                    source, collection, "failed", document, version, None, 0, 0, 0.0, refused.reason, refused.detail
                )
            content = item.path.read_bytes()
            sha256 = hashlib.sha256(content).digest()
            d = schema.document
            given = {"readers": item.readers, "owner": item.owner, "origin": item.origin}
            given = {name: value for name, value in given.items() if value is not None}
            if before is None:
                document, version = DocumentId(uuid.uuid4()), 0
                values = {"readers": ["everyone"], "owner": "", "title": source, "chunks": 0, "index_profile": ""}
                named = {"collection": collection, "source": source}
                connection.execute(insert(d).values(id=document, current_version=1, **named, **{**values, **given}))
                connection.execute(insert(schema.document_name).values(document_id=document, **named))
            elif given:
                connection.execute(update(d).where(d.c.id == document).values(**given))
            if before is None or before.sha256 != sha256:
                version = (version or 0) + 1
                text = content.decode()
                connection.execute(
                    insert(schema.version).values(
                        document_id=document, number=version, sha256=sha256, parser_profile=PARSER_PROFILE, title=source,
                        media_type="text/plain", language="en", byte_count=len(content), canonical_text=text,
                        text_sha256=hashlib.sha256(text.encode()).digest(), warnings=[],
                    )
                )  # fmt: skip
                connection.execute(update(d).where(d.c.id == document).values(current_version=version))
        status = "added" if before is None else "unchanged" if before.sha256 == sha256 else "updated"
        return Receipt(source, collection, status, document, version, None, 0, 0, 0.0)

    def texts(self, collection: str = "default") -> dict[str, str]:
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            rows = connection.execute(
                select(d.c.source, v.c.canonical_text)
                .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                .where(d.c.collection == collection)
            ).all()
        return {row.source: row.canonical_text for row in rows}

    def documents(self) -> dict[str, DocumentId]:
        d = schema.document
        with self._database.working() as connection:
            return {row.source: row.id for row in connection.execute(select(d.c.source, d.c.id))}

    def readers(self, source: str) -> list[str]:
        with self._database.working() as connection:
            before = storing.current(connection, Identity("default", source))
        assert before is not None
        return list(before.readers)

    def clear(self) -> None:
        with self._database.working() as connection:
            for table in (schema.source_entry, schema.document_name, schema.document):
                connection.execute(delete(table))
        self.handed.clear()


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url, Trail((b"k" * 32,), None))
    opened.migrate(ALL_MIGRATIONS)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def everything(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Syncing:
    home = tmp_path_factory.mktemp("home")
    shelf = Shelf(database)
    catalog = Catalog(database, Originals(str(home / "originals")), Parser(ParserLimits()))
    (home / "scratch").mkdir()
    return Syncing(database, catalog, shelf.take_in, shelf.read_again, home / "scratch")


@pytest.fixture
def shelf(everything: Syncing) -> Shelf:
    found: Shelf = everything.take_in.__self__  # type: ignore[attr-defined]
    found.clear()
    found.reread.clear()
    return found


@pytest.fixture
def sync(everything: Syncing, shelf: Shelf) -> Callable[..., dict[str, str]]:
    """Sync a folder; what became of each name."""

    def carry_out(source: Path | object, **terms: object) -> dict[str, str]:
        opened = FolderSource(source) if isinstance(source, Path) else source
        shelf.handed.clear()
        return {one.source: one.status for one in everything.sync(opened, Terms(**terms))}  # type: ignore[arg-type]

    return carry_out


def settled() -> None:
    """Give the files an age at which their time stamps are trusted. The change time cannot be set: wait for it."""
    time.sleep(1.1)


def test_a_pass_adds_updates_leaves_and_retires(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"a.txt": "one", "hr/b.txt": "two", "c.txt": "three"})
    assert sync(root) == {"a.txt": "added", "hr/b.txt": "added", "c.txt": "added"}
    (root / "a.txt").write_text("one and more")
    (root / "c.txt").unlink()
    (root / "d.txt").write_text("four")
    assert sync(root) == {"a.txt": "updated", "hr/b.txt": "unchanged", "d.txt": "added", "c.txt": "removed"}
    assert shelf.texts() == {"a.txt": "one and more", "hr/b.txt": "two", "d.txt": "four"}


def test_what_did_not_change_is_not_read_again(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"a.txt": "one", "b.txt": "two", "empty.txt": ""})
    settled()
    sync(root)
    assert sync(root) == {"a.txt": "unchanged", "b.txt": "unchanged", "empty.txt": "failed"}
    assert shelf.handed == []
    (root / "empty.txt").write_text("now it holds something")
    assert sync(root)["empty.txt"] == "added"


def test_a_document_replaced_by_other_means_is_read_again(sync, shelf: Shelf, folder_of, tmp_path: Path) -> None:
    root = folder_of({"a.txt": "one"})
    settled()
    sync(root)
    (tmp_path / "a.txt").write_text("another text under the same name")
    list(shelf.take_in([Input(tmp_path / "a.txt", Identity("default", "a.txt"))]))
    assert sync(root) == {"a.txt": "updated"}
    assert shelf.texts() == {"a.txt": "one"}


def test_a_renamed_file_keeps_its_document_and_who_may_read_it(
    everything: Syncing, sync, shelf: Shelf, folder_of
) -> None:
    root = folder_of({"salaries.txt": "what everyone earns", "b.txt": "two"})
    sync(root)
    before = shelf.documents()
    everything.catalog.set_readers(before["salaries.txt"], ["hr"])
    (root / "pay").mkdir()
    (root / "salaries.txt").rename(root / "pay" / "2026.txt")
    receipts = {one.source: one for one in everything.sync(FolderSource(root), Terms())}
    assert set(receipts) == {"pay/2026.txt", "b.txt"}
    assert receipts["pay/2026.txt"].status == "unchanged"
    assert receipts["pay/2026.txt"].detail == "renamed from 'salaries.txt'"
    assert shelf.documents()["pay/2026.txt"] == before["salaries.txt"]
    assert shelf.readers("pay/2026.txt") == ["hr"]
    with everything.database.owning() as connection:
        events = connection.execute(select(schema.audit_event.c.action, schema.audit_event.c.subject)).all()
    assert ("document.renamed", before["salaries.txt"]) in [tuple(event) for event in events]


def test_another_ending_has_the_document_read_again(everything: Syncing, sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"notes.txt": "# Title", "b.txt": "two"})
    sync(root)
    (root / "notes.txt").rename(root / "notes.md")
    receipts = {one.source or "notes.md": one for one in everything.sync(FolderSource(root), Terms())}
    assert receipts["notes.md"].status == "updated" and "renamed" in (receipts["notes.md"].detail or "")
    assert shelf.reread == [shelf.documents()["notes.md"]]


def test_two_candidates_are_new_documents_that_nobody_else_may_read(
    everything: Syncing, sync, shelf: Shelf, folder_of
) -> None:
    root = folder_of({"a.txt": "same", "b.txt": "same", "c.txt": "other"})
    sync(root)
    before = shelf.documents()
    everything.catalog.set_readers(before["a.txt"], ["hr", "board"])
    everything.catalog.set_readers(before["b.txt"], ["board"])
    (root / "a.txt").rename(root / "x.txt")
    (root / "b.txt").rename(root / "y.txt")
    done = sync(root)
    assert done == {"x.txt": "added", "y.txt": "added", "c.txt": "unchanged", "a.txt": "removed", "b.txt": "removed"}
    assert set(before.values()).isdisjoint({shelf.documents()["x.txt"], shelf.documents()["y.txt"]})
    assert shelf.readers("x.txt") == shelf.readers("y.txt") == ["board"]


def test_readers_owner_and_collection_apply(everything: Syncing, sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"a.txt": "one"})
    settled()
    sync(root)
    sync(root, readers=("hr",))
    assert shelf.handed == [] and shelf.readers("a.txt") == ["hr"]
    sync(root)
    assert shelf.readers("a.txt") == ["hr"]
    assert sync(root, collection="second") == {"a.txt": "added"}
    (root / "a.txt").unlink()
    (root / "b.txt").write_text("two")
    assert sync(root) == {"a.txt": "removed", "b.txt": "added"}
    assert shelf.texts("second") == {"a.txt": "one"}


# -- never by accident -------------------------------------------------------------------------------------------------


def test_a_missing_root_and_a_file_as_root_are_errors_that_retire_nothing(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"a.txt": "one"})
    sync(root)
    root.rename(root.with_name("moved"))
    with pytest.raises(UsageError, match="does not exist"):
        sync(root)
    root.write_text("a file")
    with pytest.raises(UsageError, match="not a folder"):
        sync(root)
    assert shelf.texts() == {"a.txt": "one"}


def test_an_emptied_root_is_refused_and_force_is_the_way_out(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"a.txt": "one"})
    sync(root)
    (root / "a.txt").unlink()
    with pytest.raises(ConfigurationError, match=r"no file at all.*--force"):
        sync(root)
    assert shelf.texts() == {"a.txt": "one"}
    assert sync(root, force=True) == {"a.txt": "removed"}
    assert shelf.texts() == {}


def test_losing_more_than_half_of_twenty_is_refused_before_anything_is_done(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({f"{i}.txt": f"text {i}" for i in range(20)})
    sync(root)
    for i in range(11):
        (root / f"{i}.txt").unlink()
    (root / "new.txt").write_text("new")
    with pytest.raises(ConfigurationError, match=r"11 of its 20.*--force"):
        sync(root)
    assert len(shelf.texts()) == 20 and "new.txt" not in shelf.texts()
    (root / "0.txt").write_text("text 0")
    assert list(sync(root).values()).count("removed") == 10


def test_a_renamed_folder_is_no_loss(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({f"old/{i}.txt": f"text {i}" for i in range(25)})
    sync(root)
    before = set(shelf.documents().values())
    (root / "old").rename(root / "new")
    assert set(sync(root).values()) == {"unchanged"}
    assert set(shelf.documents().values()) == before
    assert all(source.startswith("new/") for source in shelf.documents())


if os.geteuid() != 0:  # root may list everything

    def test_a_folder_that_may_not_be_listed_keeps_what_it_held(sync, shelf: Shelf, folder_of) -> None:
        root = folder_of({"a.txt": "one", "closed/b.txt": "two"})
        sync(root)
        (root / "closed").chmod(0)
        try:
            assert sync(root)["closed"] == "failed"
        finally:
            (root / "closed").chmod(0o755)
        assert set(shelf.texts()) == {"a.txt", "closed/b.txt"}


class Scripted:
    """A source that lists what it is told to; `fail_after` entries the listing breaks off."""

    origin = "scripted://place"

    def __init__(self, listed: Sequence[Listed], folder: Path, *, breaks: bool = False) -> None:
        self.listed, self.folder, self.breaks = listed, folder, breaks

    def entries(self, remembered: Remembered) -> Iterator[Listed]:
        yield from self.listed
        if self.breaks:
            raise ServiceError("The place went away. Try again.")

    def fetch(self, entry: Entry, folder: Path) -> Path:
        if entry.source == "broken.txt":
            raise DocumentError("unreadable", "'broken.txt' cannot be had. Sync again.")
        return Path(shutil.copy(self.folder / entry.source, folder))

    def holds(self, source: str) -> bool:
        return False

    def close(self) -> None:
        pass


def test_a_listing_that_breaks_off_or_leaves_out_retires_nothing_of_it(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"a.txt": "one", "b.txt": "two", "broken.txt": "three"})
    (root / "x").mkdir()
    both = [Entry("a.txt", "1"), Entry("b.txt", "1")]
    assert sync(Scripted(both, root)) == {"a.txt": "added", "b.txt": "added"}
    with pytest.raises(ServiceError):
        sync(Scripted(both[:1], root, breaks=True))
    assert sync(Scripted([both[0], Unlisted("")], root)) == {"a.txt": "unchanged"}
    assert sync(Scripted([both[0], Unlisted("b.txt")], root)) == {"a.txt": "unchanged"}
    assert set(shelf.texts()) == {"a.txt", "b.txt"}
    done = sync(Scripted([both[0], Unlisted(""), Gone("b.txt"), Entry("broken.txt", "1")], root))
    assert done == {"a.txt": "unchanged", "b.txt": "removed", "broken.txt": "failed"}


def test_a_file_being_written_is_neither_taken_nor_retired(everything: Syncing, sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"a.txt": "one"})
    sync(Scripted([Entry("a.txt", "1")], root))
    later = everything.sync(Scripted([Entry("a.txt", "2", quiet=False)], root), Terms())
    assert list(later) == [] and later.postponed == 1
    assert set(shelf.texts()) == {"a.txt"}


def test_documents_added_otherwise_are_never_retired(sync, shelf: Shelf, folder_of, tmp_path: Path) -> None:
    root = folder_of({"a.txt": "one"})
    sync(root)
    (tmp_path / "loose.txt").write_text("added by itself")
    list(shelf.take_in([Input(tmp_path / "loose.txt", Identity("default", "loose.txt"))]))
    assert sync(root) == {"a.txt": "unchanged"}
    assert sync(root, force=True) == {"a.txt": "unchanged"}
    assert "loose.txt" in shelf.texts()


def test_two_sources_do_not_share_a_name(sync, shelf: Shelf, folder_of) -> None:
    first, second = folder_of({"readme.txt": "first"}), folder_of({"readme.txt": "second"})
    sync(first)
    assert sync(second) == {"readme.txt": "failed"}
    assert shelf.texts() == {"readme.txt": "first"}
    assert sync(second, force=True) == {"readme.txt": "updated"}
    assert sync(first) == {"readme.txt": "failed"}


def test_one_name_written_in_two_ways_is_refused(sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"caf\u00e9.txt": "composed", "cafe\u0301.txt": "decomposed", "b.txt": "two"})
    if len(os.listdir(root)) != 3:  # noqa: PTH208
        pytest.skip("this file system takes both for one")
    assert sync(root) == {"caf\u00e9.txt": "failed", "b.txt": "added"}


def test_what_came_with_a_mail_moves_and_goes_with_it(everything: Syncing, sync, shelf: Shelf, folder_of) -> None:
    root = folder_of({"m.eml": "the mail", "b.txt": "two"})
    sync(root)
    part = root / "part"
    part.write_text("the attachment")
    list(shelf.take_in([Input(part, Identity("default", "m.eml/plan.txt"))]))
    part.unlink()
    d = schema.document
    with everything.database.working() as connection:
        change = update(d).where(d.c.source == "m.eml/plan.txt").values(parent_id=shelf.documents()["m.eml"])
        connection.execute(change)
    (root / "m.eml").rename(root / "n.eml")
    sync(root)
    assert set(shelf.texts()) == {"n.eml", "n.eml/plan.txt", "b.txt"}
    (root / "n.eml").unlink()
    assert sync(root) == {"b.txt": "unchanged", "n.eml": "removed", "n.eml/plan.txt": "removed"}
    assert set(shelf.texts()) == {"b.txt"}


# -- the law -------------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a.txt", "b.txt", "sub/a.txt", "sub/deep/c.md", "A.txt", "\u00e4.txt"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.sampled_from(["alpha", "beta", "gamma", ""])),
        st.tuples(st.just("rename"), NAMES, NAMES),
        st.tuples(st.just("delete"), NAMES, st.just("")),
        st.tuples(st.just("sync"), st.just(""), st.just("")),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_each_pass_the_documents_are_the_files(everything: Syncing, shelf: Shelf, tmp_path: Path, steps) -> None:
    shelf.clear()
    root = tmp_path / uuid.uuid4().hex
    root.mkdir()
    for act, name, other in [*steps, ("sync", "", "")]:
        file = root / name
        if act == "write":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(other)
        elif act == "rename" and file.is_file():
            (root / other).parent.mkdir(parents=True, exist_ok=True)
            file.rename(root / other)
        elif act == "delete":
            file.unlink(missing_ok=True)
        elif act == "sync":
            kept = shelf.texts()
            list(everything.sync(FolderSource(root), Terms(force=True)))
            held = {p.relative_to(root).as_posix(): p.read_text() for p in root.rglob("*") if p.is_file()}
            # an emptied file is a failed replacement: the former text goes on answering
            failed = {name for name, text in held.items() if not text}
            now = shelf.texts()
            assert {name: text for name, text in now.items() if name not in failed} == {
                name: text for name, text in held.items() if text
            }
            assert {name for name in now if name in failed} <= failed
            assert all(now[name] == kept[name] for name in failed & now.keys() & kept.keys())
