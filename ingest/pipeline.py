"""Ingestion's main path: snapshot, parse, index, store; one document at a time, each on its own."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import func, select

from ingest import schema, storing
from ingest.canonical import PARSER_PROFILE
from ingest.database import Database
from ingest.errors import DocumentError, ServiceError, UsageError
from ingest.indexing import index_document, index_profile
from ingest.model import DocumentId, Embedder, ParsedDocument, Receipt
from ingest.originals import Originals, snapshot
from ingest.parser import Parser
from ingest.storing import Identity, NewVersion

Progress = Callable[[str, str, int, int], None]  # source, stage, done, total

PARSED_AHEAD: Final = 3  # documents parsed while one is embedded; bounds what waits in memory
SWEEP_AFTER_S: Final = 3600  # originals younger than this may belong to a transaction under way
SKIPPED_NAMES: Final = frozenset({"Thumbs.db", "desktop.ini", ".DS_Store"})


@dataclass(frozen=True, slots=True)
class Input:
    """One file to add, under the identity it will have."""

    path: Path
    identity: Identity
    readers: tuple[str, ...] | None = None  # None: everyone for a new document, an existing one keeps its own
    owner: str | None = None
    refused: DocumentError | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot of an input, parsed or found to be unchanged."""

    file: Path
    sha256: bytes
    byte_count: int
    parsed: ParsedDocument | None  # None: the bytes are the current version's, nothing to do


class Pipeline:
    """Takes files in. One instance per process; `add` may run beside others on the same store."""

    def __init__(
        self, database: Database, originals: Originals, parser: Parser, embedder: Embedder, space: int, scratch: Path
    ) -> None:
        self._database = database
        self._originals = originals
        self._parser = parser
        self._embedder = embedder
        self._space = space
        self._scratch = scratch  # a private folder for snapshots
        self._profile = index_profile(embedder)

    def add(
        self,
        paths: Sequence[Path],
        *,
        collection: str = "default",
        readers: Sequence[str] | None = None,
        owner: str | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Receipt]:
        """Add files and folders; yield one receipt per file, in order, as each is done.

        A file that fails is named with its reason and changes nothing; the rest goes on.

        Raises:
            UsageError: a path does not exist or holds no file.
            ServiceError: the database or a remote embedder is unavailable; what was acknowledged stays.
        """
        given = None if readers is None else tuple(readers)
        inputs = [replace(one, readers=given, owner=owner) for one in discover(paths, collection)]
        yield from self.add_inputs(inputs, progress=progress)

    def add_inputs(self, inputs: Sequence[Input], *, progress: Progress | None = None) -> Iterator[Receipt]:
        """As `add`, for inputs that each say who may read them."""
        report = progress or (lambda source, stage, done, total: None)
        ahead: deque[tuple[Input, Future[Taken], float]] = deque()
        waiting = iter(inputs)
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="parse") as pool:
            try:
                for item in waiting:
                    ahead.append((item, pool.submit(self._take, item, report), time.monotonic()))
                    if len(ahead) >= PARSED_AHEAD:
                        yield self._finish(*ahead.popleft(), report)
                while ahead:
                    yield self._finish(*ahead.popleft(), report)
            finally:
                for _, future, _ in ahead:
                    future.cancel()
                for _, future, _ in ahead:
                    with contextlib.suppress(BaseException):
                        future.result().file.unlink(missing_ok=True)

    def add_parsed(
        self,
        identity: Identity,
        original: bytes,
        parsed: ParsedDocument,
        *,
        profile: str,
        readers: Sequence[str],
        owner: str | None = None,
        progress: Progress | None = None,
    ) -> Receipt:
        """Index and store a document that needs no parser, such as a record of a test collection.

        Args:
            original: the bytes it was made from, kept as any original is.
            profile: stands for what made `parsed` of the bytes, in the place of the parser's own profile.
        """
        started = time.monotonic()
        item = Input(Path(identity.source), identity, tuple(readers), owner)
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="add-") as file:
            file.write(original)
            file.flush()
            taken = Taken(Path(file.name), hashlib.sha256(original).digest(), len(original), parsed)
            receipt = self._store(item, taken, parsed, parsed.title, profile, progress or (lambda *_: None))
        return replace(receipt, seconds=round(time.monotonic() - started, 3))

    def up_to_date(self, collection: str, profile: str) -> dict[str, bytes]:
        """SHA-256 by source of a collection's documents that were parsed under `profile` and indexed as now."""
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            rows = connection.execute(
                select(d.c.source, v.c.sha256)
                .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                .where(d.c.collection == collection)
                .where(v.c.parser_profile == profile, d.c.index_profile == self._profile)
            ).all()
        return {row.source: row.sha256 for row in rows}

    def reindex(self, documents: Sequence[DocumentId], *, progress: Progress | None = None) -> Iterator[Receipt]:
        """Parse and index stored originals again, every chunk anew; yield one receipt per document."""
        report = progress or (lambda source, stage, done, total: None)
        for document in documents:
            yield self._reindex_one(document, report)

    def sweep(self) -> int:
        """Delete originals that no version names: what a kill between file and transaction leaves. Returns how many."""
        v = schema.version
        with self._database.working() as connection:
            named = set(connection.scalars(select(v.c.sha256).distinct()))
        stray = self._originals.unreferenced(named, older_than_s=SWEEP_AFTER_S)
        for sha256 in stray:
            storing.delete_if_unreferenced(self._database, self._originals, sha256)
        for left in self._scratch.glob("add-*"):
            if time.time() - left.stat().st_mtime > SWEEP_AFTER_S:
                left.unlink(missing_ok=True)
        return len(stray)

    def stale(self) -> int:
        """How many documents were parsed or indexed otherwise than they would be now."""
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            return (
                connection.scalar(
                    select(func.count())
                    .select_from(d)
                    .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                    .where((v.c.parser_profile != PARSER_PROFILE) | (d.c.index_profile != self._profile))
                    .where(d.c.collection.not_like("eval-%"))
                )
                or 0
            )

    def _take(self, item: Input, report: Progress) -> Taken:
        if item.refused:
            raise item.refused
        report(item.identity.source, "parsing", 0, 1)
        try:
            file, sha256, byte_count = snapshot(item.path, self._scratch)
        except OSError as error:
            raise DocumentError(
                "unreadable",
                f"{item.identity.source!r} cannot be read ({error.strerror}). Check that the file is there and that "
                "you may open it.",
            ) from error
        try:
            with self._database.working() as connection:
                before = storing.current(connection, item.identity)
            if before and (before.sha256, before.parser_profile, before.index_profile) == (
                sha256,
                PARSER_PROFILE,
                self._profile,
            ):
                return Taken(file, sha256, byte_count, None)
            return Taken(file, sha256, byte_count, self._parser.parse(file, name=item.identity.source))
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def _finish(
        self,
        item: Input,
        future: Future[Taken],
        started: float,
        report: Progress,
    ) -> Receipt:
        nothing = Receipt(
            item.identity.source, item.identity.collection, "failed", None, None, None, 0, 0,
            seconds=0.0,
        )  # fmt: skip
        try:
            taken = future.result()
        except DocumentError as error:
            return self._failed(nothing, item, error, started)
        try:
            if taken.parsed is None:
                receipt = self._unchanged(item)
            else:
                title = taken.parsed.title or title_from(item.identity.source)
                receipt = self._store(item, taken, taken.parsed, title, PARSER_PROFILE, report)
        except DocumentError as error:
            return self._failed(nothing, item, error, started)
        finally:
            taken.file.unlink(missing_ok=True)
        return replace(receipt, seconds=round(time.monotonic() - started, 3))

    def _failed(self, receipt: Receipt, item: Input, error: DocumentError, started: float) -> Receipt:
        with self._database.working() as connection:
            before = storing.current(connection, item.identity)
        return replace(
            receipt,
            document=before.document if before else None,  # the former version goes on answering
            version=before.version if before else None,
            reason=error.reason,
            detail=error.detail,
            seconds=round(time.monotonic() - started, 3),
        )

    def _unchanged(self, item: Input) -> Receipt:
        with self._database.working() as connection:
            storing.lock_identity(connection, item.identity)
            before = storing.current(connection, item.identity)
            if before is None:
                raise DocumentError("unreadable", f"{item.identity.source!r} was removed meanwhile. Add it again.")
            storing.set_properties(connection, before.document, item.readers, item.owner)
        return Receipt(
            item.identity.source, item.identity.collection, "unchanged", before.document, before.version,
            before.pages, before.chunks, 0, seconds=0.0,
        )  # fmt: skip

    def _store(
        self, item: Input, taken: Taken, parsed: ParsedDocument, title: str, profile: str, report: Progress
    ) -> Receipt:
        identity = item.identity
        with self._database.working() as connection:
            before = storing.current(connection, identity)
            known = storing.known_vectors(connection, before.document, self._space) if before else {}
        indexed = index_document(
            parsed, title, self._embedder, known, lambda stage, done, total: report(identity.source, stage, done, total)
        )
        report(identity.source, "storing", 0, 1)
        new = NewVersion(identity, title, taken.sha256, taken.byte_count, profile, self._profile, parsed, indexed)
        with self._database.working() as connection:
            storing.lock_identity(connection, identity)
            before = storing.current(connection, identity)
            document, number = storing.store(
                connection, new, self._originals, taken.file, space=self._space, readers=item.readers, owner=item.owner
            )
        report(identity.source, "storing", 1, 1)
        return Receipt(
            identity.source, identity.collection, "updated" if before else "added", document, number,
            parsed.page_count, len(indexed.chunks), indexed.embedded, seconds=0.0,
        )  # fmt: skip

    def _reindex_one(self, document: DocumentId, report: Progress) -> Receipt:
        started = time.monotonic()
        d, v = schema.document, schema.version
        with self._database.working() as connection:
            row = connection.execute(
                select(d.c.collection, d.c.source, d.c.current_version, v.c.sha256, v.c.byte_count)
                .join(v, (v.c.document_id == d.c.id) & (v.c.number == d.c.current_version))
                .where(d.c.id == document)
            ).one_or_none()
        if row is None:
            raise UsageError(f"There is no document {str(document)!r}. `quoth documents` lists them.")
        identity = Identity(row.collection, row.source)
        tell = lambda stage, done, total: report(identity.source, stage, done, total)  # noqa: E731
        try:
            tell("parsing", 0, 1)
            with self._originals.local_file(row.sha256) as file:
                parsed = self._parser.parse(file, name=row.source)
            title = parsed.title or title_from(identity.source)
            indexed = index_document(parsed, title, self._embedder, {}, tell)
            new = NewVersion(
                identity, title, row.sha256, row.byte_count, PARSER_PROFILE, self._profile, parsed, indexed
            )
            tell("storing", 0, 1)
            with self._database.working() as connection:
                storing.lock_identity(connection, identity)
                before = storing.current(connection, identity)
                if before is None or before.sha256 != row.sha256:
                    raise ServiceError(
                        f"{row.source!r} was replaced meanwhile. Reindex it again if it is still needed."
                    )
                _, number = storing.store(
                    connection, new, self._originals, None, space=self._space, readers=None, owner=None
                )
        except DocumentError as error:
            return Receipt(
                row.source, row.collection, "failed", document, row.current_version, None, 0, 0,
                round(time.monotonic() - started, 3), error.reason, error.detail,
            )  # fmt: skip
        return Receipt(
            row.source, row.collection, "updated", document, number, parsed.page_count, len(indexed.chunks),
            indexed.embedded, round(time.monotonic() - started, 3),
        )  # fmt: skip


def discover(paths: Sequence[Path], collection: str) -> list[Input]:
    """The files under the paths, each with its identity; two files with one identity are both refused.

    `source` is the path relative to the folder given, with '/', or the file's name.

    Raises:
        UsageError: a path does not exist, or a folder holds no file.
    """
    found: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.is_file() and not _skipped(file, path)]
            if not inside:
                raise UsageError(f"The folder {str(path)!r} holds no file to add.")
            found.extend((file, file.relative_to(path).as_posix()) for file in inside)
        elif path.exists():
            found.append((path, path.name))
        else:
            raise UsageError(f"{str(path)!r} does not exist. Check the path.")
    found = list({(file.resolve(), source): (file, source) for file, source in found}.values())
    counts = Counter(source for _, source in found)
    return [
        Input(
            file,
            Identity(collection, source),
            refused=DocumentError(
                "ambiguous_name",
                f"Two files of this command would both be {source!r} in the collection {collection!r}. Add them in two "
                "commands with different --collection, or add the folder that holds both.",
            )
            if counts[source] > 1
            else None,
        )
        for file, source in found
    ]


def _skipped(file: Path, root: Path) -> bool:
    parts = file.relative_to(root).parts
    return file.name in SKIPPED_NAMES or any(part.startswith(".") for part in parts) or file.name.startswith("~$")


def title_from(source: str) -> str:
    """A readable title from a file's name: 'hr/travel_policy-2024.pdf' -> 'Travel policy 2024'."""
    stem = PurePosixPath(source).stem.replace("_", " ").replace("-", " ").strip()
    return (stem[:1].upper() + stem[1:]) or source
