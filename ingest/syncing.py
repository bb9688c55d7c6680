"""Keeping documents in step with a source: what is new or changed is taken in, what is gone is retired.

One pass lists everything first, then follows files to their new names, then takes in, then retires. A listing that
does not end, or that looks as if the place itself were lost, retires nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Final

from ingest.access import LOCAL, Reader
from ingest.catalog import Catalog
from ingest.database import Database
from ingest.discovery import Input
from ingest.errors import ConfigurationError, DocumentError
from ingest.model import DocumentId, Receipt
from ingest.origins import Found, Kept, Known, Origin
from ingest.sources import Entry, Gone, Source, Unlisted
from ingest.storing import Identity

TakeIn = Callable[[Sequence[Input]], Iterator[Receipt]]
Reread = Callable[[Sequence[DocumentId]], Iterator[Receipt]]

LISTED_AT_ONCE: Final = 500
TAKEN_AT_ONCE: Final = 200
FETCHED_BYTES: Final = 256 << 20  # on disk at a time
UNKNOWN_BYTES: Final = 4 << 20  # a file whose size no listing tells
FEW: Final = 20  # documents; below, losing most of them is an ordinary day
BLOCK_BYTES: Final = 1 << 20
SWEEP_AFTER_S: Final = 7 * 24 * 3600  # longer than any pass


@dataclass(frozen=True, slots=True)
class Terms:
    """What the documents of a source get, as with `add`; None leaves it to the document."""

    collection: str = "default"
    readers: tuple[str, ...] | None = None
    owner: str | None = None
    force: bool = False  # retire however many are gone, and take over names of other sources


class Syncing:
    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        take_in: TakeIn,
        reread: Reread,
        scratch: Path,
        *,
        by: Reader = LOCAL,
    ) -> None:
        """Wire it.

        Args:
            take_in: takes files in and yields a receipt for each as it is done; `Pipeline.add_inputs`.
            reread: reads stored documents again; `Pipeline.reindex`.
            scratch: a private folder for what is fetched.
            by: in whose name documents are renamed and retired, for the audit.
        """
        self.database = database
        self.catalog = catalog
        self.take_in = take_in
        self.reread = reread
        self.scratch = scratch
        self.by = by

    def sync(self, source: Source, terms: Terms) -> Pass:
        """One pass over a source; it happens as its receipts are taken."""
        return Pass(self, source, terms)


@dataclass(slots=True)
class Seen:
    """What a listing told."""

    names: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)  # two files of one name
    withheld: set[str] = field(default_factory=set)  # names whose files, and all beneath, may exist unseen
    gone: set[str] = field(default_factory=set)  # said to be no more
    postponed: int = 0  # files being written
    arriving: int | None = None  # bytes so far of the smallest of them that is new: it may be one that moves

    def awaits(self, byte_count: int) -> bool:
        """Whether a file of so many bytes may be arriving under another name."""
        return self.arriving is not None and self.arriving <= byte_count

    def lacks(self, source: str) -> bool:
        """Whether a name may be taken for gone."""
        if source in self.names:
            return False
        if source in self.gone:
            return True
        if not self.withheld:
            return True
        above = [str(one) for one in PurePosixPath(source).parents if str(one) != "."]
        return not self.withheld.intersection(("", source, *above))


class Pass:
    """Iterate to carry it out: one receipt per file and per document retired."""

    def __init__(self, syncing: Syncing, source: Source, terms: Terms) -> None:
        self._syncing = syncing
        self._source = source
        self._terms = terms
        self._origin = Origin(syncing.database, source.origin, terms.collection)
        self._by = syncing.by
        self._seen = Seen()
        self._renamed: dict[str, str] = {}  # new name -> old
        self._lent: dict[str, tuple[str, ...]] = {}  # new name -> readers of what it may have been

    @property
    def postponed(self) -> int:
        """How many files were left for the next pass because they were being written."""
        return self._seen.postponed

    def __iter__(self) -> Generator[Receipt]:
        """Carry the pass out.

        Raises:
            UsageError: there is no such place.
            ConfigurationError: the place has lost so much that it looks like a mistake; nothing was changed.
            ServiceError: the place, or the database, does not answer; what was acknowledged stays.
        """
        started = self._origin.clock()
        self._sweep()
        with (
            tempfile.TemporaryFile("w+", dir=self._syncing.scratch, prefix="sync-", encoding="utf-8") as pending,
            tempfile.TemporaryDirectory(dir=self._syncing.scratch, prefix="sync-") as folder,
        ):
            yield from self._list(pending)
            lost = [
                one
                for one in self._origin.kept(started)
                if self._seen.lacks(one.source) and not self._seen.awaits(one.byte_count)
            ]
            if lost:
                lost = self._follow(lost, pending, Path(folder))
                self._refuse_ruin(lost)
            yield from self._take(pending, Path(folder))
        yield from self._retire(lost, started)
        self._tidy()

    # -- listing -------------------------------------------------------------------------------------------------

    def _list(self, pending: IO[str]) -> Iterator[Receipt]:
        """Ask for everything; what did not change is done with, the rest is written down."""
        listed = self._source.entries(self._origin.remembered)
        while batch := list(islice(listed, LISTED_AT_ONCE)):
            entries = []
            for one in batch:
                if isinstance(one, Unlisted):
                    self._seen.withheld.add(one.prefix)
                    if one.error is not None:
                        yield self._failed(one.prefix or self._source.origin, one.error, None)
                elif isinstance(one, Gone):
                    self._seen.gone.add(one.source)
                else:
                    entries.append(one)
            known = self._origin.known([one.source for one in entries])
            for entry in entries:
                yield from self._judge(entry, known.get(entry.source), pending)

    def _judge(self, entry: Entry, known: Known | None, pending: IO[str]) -> Iterator[Receipt]:
        if entry.source in self._seen.names:
            self._seen.doubled.add(entry.source)
        self._seen.names.add(entry.source)
        if not entry.quiet:
            self._seen.postponed += 1
            if known is None or known.document is None:
                size = entry.size or 0
                self._seen.arriving = size if self._seen.arriving is None else min(size, self._seen.arriving)
            return
        same = known is not None and entry.fingerprint is not None and entry.fingerprint == known.fingerprint
        if same and known is not None and known.reason is not None:
            yield self._failed(entry.source, DocumentError(known.reason, known.detail or ""), known)
        elif same and known is not None and known.document is not None and known.origin == self._origin.name:
            self._give_properties(known.document, known)
            yield Receipt(
                entry.source, self._terms.collection, "unchanged", known.document, known.version, known.pages,
                known.chunks, 0, 0.0,
            )  # fmt: skip
        else:
            other = known.origin if known is not None and known.origin != self._origin.name else ""
            has_document = known is not None and known.document is not None
            pending.write(json.dumps([asdict(entry), has_document, other]) + "\n")

    def _give_properties(self, document: DocumentId, known: Known) -> None:
        readers = self._terms.readers if self._terms.readers != known.readers else None
        owner = self._terms.owner if self._terms.owner != known.owner else None
        if readers is not None or owner is not None:
            self._origin.set_properties(document, readers, owner, by=self._by)

    # -- names that moved ------------------------------------------------------------------------------------------

    def _follow(self, lost: list[Kept], pending: IO[str], folder: Path) -> list[Kept]:
        """Rename documents whose bytes lie under one new name; returns what is lost all the same."""
        by_sha256: dict[bytes, list[Kept]] = {}
        for one in lost:
            by_sha256.setdefault(one.sha256, []).append(one)
        sizes = {one.byte_count for one in lost}
        new: dict[bytes, list[str]] = {}
        for entry, has_document, _ in _read(pending):
            if has_document or (entry.size is not None and entry.size not in sizes):
                continue
            try:
                with _fetched(self._source, entry, folder) as (_, sha256):
                    if sha256 in by_sha256:
                        new.setdefault(sha256, []).append(entry.source)
            except DocumentError:
                continue  # it is told when it is taken in
        moved = set()
        for sha256, sources in new.items():
            before = by_sha256[sha256]
            if len(before) == len(sources) == 1:
                if self._origin.rename(before[0], sources[0], by=self._by):
                    self._renamed[sources[0]] = before[0].source
                    moved.add(before[0].document)
            else:  # nobody can tell which became which: new documents, for those only who could read all of the old
                common = set.intersection(*(set(one.readers) for one in before))
                self._lent.update(dict.fromkeys(sources, tuple(sorted(common))))
        return [one for one in lost if one.document not in moved]

    def _refuse_ruin(self, lost: list[Kept]) -> None:
        if self._terms.force or not lost:
            return
        before = sum(1 for _ in self._origin.kept(self._origin.clock()))
        if not self._seen.names:
            held = "no file at all"
        elif before >= FEW and len(lost) * 2 > before:
            held = f"no longer {len(lost)} of its {before} documents"
        else:
            return
        raise ConfigurationError(
            f"{self._source.origin!r} holds {held}, which looks like a place that is not mounted or a wrong address; "
            "nothing was changed. If it is meant, sync again with --force."
        )

    # -- taking in -------------------------------------------------------------------------------------------------

    def _take(self, pending: IO[str], folder: Path) -> Iterator[Receipt]:
        batch: list[tuple[Entry, str]] = []
        byte_count = 0
        for entry, _, other in _read(pending):
            batch.append((entry, other))
            byte_count += UNKNOWN_BYTES if entry.size is None else entry.size
            if len(batch) == TAKEN_AT_ONCE or byte_count > FETCHED_BYTES:
                yield from self._take_batch(batch, folder)
                batch, byte_count = [], 0
        if batch:
            yield from self._take_batch(batch, folder)

    def _take_batch(self, batch: Sequence[tuple[Entry, str]], folder: Path) -> Iterator[Receipt]:
        inputs: dict[str, Input] = {}
        read: dict[str, tuple[str | None, bytes]] = {}
        with tempfile.TemporaryDirectory(dir=folder) as fetched:
            for entry, other in batch:
                if entry.source in inputs:
                    continue
                given = Input(
                    Path(entry.source),
                    Identity(self._terms.collection, entry.source),
                    readers=self._terms.readers,
                    owner=self._terms.owner,
                    origin=self._origin.name,
                )
                try:
                    given = replace(given, readers=self._readers_of(entry.source))
                    self._refuse_name(entry.source, other)
                    path = self._source.fetch(entry, Path(fetched))
                    read[entry.source] = (entry.fingerprint, sha256_of(path, entry.source))
                    inputs[entry.source] = replace(given, path=path)
                except DocumentError as error:
                    inputs[entry.source] = replace(given, refused=error)
            found = []
            for receipt in self._syncing.take_in(list(inputs.values())):
                if receipt.parent is None and receipt.source in read:
                    fingerprint, sha256 = read[receipt.source]
                    found.append(
                        Found(
                            receipt.source, fingerprint, sha256, receipt.document, receipt.reason,
                            receipt.detail if receipt.reason else None,
                        )
                    )  # fmt: skip
                yield self._with_former_name(receipt)
            self._origin.note(found)

    def _readers_of(self, source: str) -> tuple[str, ...] | None:
        if self._terms.readers is not None or source not in self._lent:
            return self._terms.readers
        if not self._lent[source]:
            raise DocumentError(
                "ambiguous_name",
                f"{source!r} holds what several documents with different readers held, all gone under their names. Say"
                " who may read it: sync with --readers, or `quoth add` it.",
            )
        return self._lent[source]

    def _refuse_name(self, source: str, other: str) -> None:
        if source in self._seen.doubled:
            raise DocumentError(
                "ambiguous_name",
                f"Two files of {self._source.origin!r} are both named {source!r}, written differently. Rename one.",
            )
        if other and not self._terms.force:
            raise DocumentError(
                "ambiguous_name",
                f"{source!r} in the collection {self._terms.collection!r} is kept in step with {other!r}. Sync this "
                "source with another --collection, or take the name over with --force.",
            )

    def _with_former_name(self, receipt: Receipt) -> Receipt:
        former = self._renamed.get(receipt.source)
        if former is None or receipt.parent is not None or receipt.document is None or receipt.status == "failed":
            return receipt
        words = f"renamed from {former!r}"
        if receipt.status == "unchanged" and PurePosixPath(former).suffix != PurePosixPath(receipt.source).suffix:
            for reread in self._syncing.reread([receipt.document]):  # the ending says how a file of text is read
                if reread.parent is None:
                    receipt = reread if reread.status == "failed" else replace(reread, status="updated")
        if receipt.status == "failed":
            return receipt
        return replace(receipt, detail=words)

    # -- retiring ----------------------------------------------------------------------------------------------------

    def _retire(self, lost: Sequence[Kept], started: datetime) -> Iterator[Receipt]:
        for one in lost:
            if self._source.holds(one.source) or not self._origin.still(one, started):
                continue
            parts = self._origin.parts(one.document)
            self._syncing.catalog.remove(one.document, by=self._by)
            yield self._removed(one.source, one.document, one.version, None)
            for document, source in parts:
                yield self._removed(source, document, None, one.source)

    def _tidy(self) -> None:
        """Forget the fingerprints of files that are gone and never were documents."""
        stale = [source for source, _ in self._origin.remembered() if self._seen.lacks(source)]
        for first in range(0, len(stale), LISTED_AT_ONCE):
            self._origin.forget(stale[first : first + LISTED_AT_ONCE])

    def _sweep(self) -> None:
        """Delete what a pass that was killed had fetched."""
        for left in self._syncing.scratch.glob("sync-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > SWEEP_AFTER_S:
                    shutil.rmtree(left)

    def _removed(self, source: str, document: DocumentId, version: int | None, parent: str | None) -> Receipt:
        return Receipt(
            source, self._terms.collection, "removed", document, version, None, 0, 0, seconds=0.0, parent=parent
        )

    def _failed(self, source: str, error: DocumentError, known: Known | None) -> Receipt:
        return Receipt(
            source, self._terms.collection, "failed", known.document if known else None,
            known.version if known else None, None, 0, 0, 0.0, error.reason, error.detail,
        )  # fmt: skip


def _read(pending: IO[str]) -> Iterator[tuple[Entry, bool, str]]:
    """What was written down: the entry, whether a document has its name, and whose document that is."""
    pending.seek(0)
    for line in pending:
        entry, has_document, other = json.loads(line)
        yield Entry(**entry), has_document, other


class _fetched:
    """A file for a moment: its path and SHA-256; a copy is deleted again, a file of the source is not."""

    def __init__(self, source: Source, entry: Entry, folder: Path) -> None:
        self._source, self._entry, self._folder = source, entry, folder

    def __enter__(self) -> tuple[Path, bytes]:
        self._path = self._source.fetch(self._entry, self._folder)
        return self._path, sha256_of(self._path, self._entry.source)

    def __exit__(self, *_: object) -> None:
        if self._path.is_relative_to(self._folder):
            self._path.unlink(missing_ok=True)


def sha256_of(path: Path, source: str) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise DocumentError(
            "unreadable", f"{source!r} cannot be read ({error.strerror}). Check that you may open it, and sync again."
        ) from error
    return digest.digest()
