"""The stored originals, by the SHA-256 of their bytes, behind fsspec: a local folder, or any store it can reach."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ingest.errors import NoRoom, ServiceError, is_full

BLOCK_BYTES = 1 << 20
REMOVED = "removed"  # the folder of notes


class Originals:
    """A content-addressed store. Whoever writes or deletes holds the database's lock on the hash (see storing)."""

    def __init__(self, url: str) -> None:
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)

    def _place(self, sha256: bytes) -> str:
        name = sha256.hex()
        return f"{self._root}/{name[:2]}/{name}"

    def put(self, path: Path, sha256: bytes) -> None:
        """Store the file's bytes; a second put of the same bytes does nothing. Never leaves half a file."""
        place = self._place(sha256)
        if self._fs.exists(place):
            return
        parent = place.rsplit("/", 1)[0]
        half = f"{parent}/.half-{uuid.uuid4().hex}"
        try:
            self._fs.makedirs(parent, exist_ok=True)
            with path.open("rb") as source, self._fs.open(half, "wb") as target:
                shutil.copyfileobj(source, target, BLOCK_BYTES)
                if self._local:
                    target.flush()
                    os.fsync(target.fileno())
            self._fs.mv(half, place)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._fs.rm_file(half)
            if is_full(error):
                raise NoRoom(f"The disk of the stored originals is full. Make room in {self._root!r}.") from error
            raise ServiceError(f"The original could not be stored: {error.strerror or error}.") from error

    def read(self, sha256: bytes) -> bytes:
        try:
            return bytes(self._fs.cat_file(self._place(sha256)))
        except FileNotFoundError as error:
            raise ServiceError(
                f"The original {sha256.hex()[:12]} is missing from the store; add the file again."
            ) from error

    @contextmanager
    def local_file(self, sha256: bytes) -> Iterator[Path]:
        """The original as a file of this machine, for a parser; a copy where the store is elsewhere."""
        place = self._place(sha256)
        if not self._fs.exists(place):
            raise ServiceError(f"The original {sha256.hex()[:12]} is missing from the store; add the file again.")
        if self._local:
            yield Path(place)
            return
        with tempfile.TemporaryDirectory(prefix="quoth-original-") as folder:
            copy = Path(folder) / sha256.hex()
            self._fs.get_file(place, str(copy))
            yield copy

    def delete(self, sha256: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._place(sha256))

    def holds(self, sha256: bytes) -> bool:
        return bool(self._fs.exists(self._place(sha256)))

    def note_removal(self, document: UUID) -> None:
        """Keep, outside the database, that a document was removed: a restore of an older backup removes it again."""
        place = f"{self._root}/{REMOVED}/{document}"
        self._fs.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
        self._fs.pipe_file(place, b"")

    def noted_removals(self) -> set[UUID]:
        folder = f"{self._root}/{REMOVED}"
        if not self._fs.exists(folder):
            return set()
        return {UUID(place.rsplit("/", 1)[-1]) for place in self._fs.find(folder)}

    def unreferenced(self, referenced: Collection[bytes], *, older_than_s: float) -> list[bytes]:
        """Hashes that no version names any more: what a kill between file and transaction leaves behind.

        Ages are by the clock of the store's own machine, which wrote down when its files were made.
        """
        found = []
        known = {sha256.hex() for sha256 in referenced}
        entries = self._fs.find(self._root, detail=True)
        young_s = self._now_s() - older_than_s if entries else 0.0
        for place, entry in entries.items():
            name = place.rsplit("/", 1)[-1]
            if _written_s(entry) > young_s:
                continue
            if name.startswith(".half-"):
                self._fs.rm_file(place)
            elif len(name) == 64 and name not in known:
                found.append(bytes.fromhex(name))
        return found

    def _now_s(self) -> float:
        probe = f"{self._root}/.half-{uuid.uuid4().hex}"
        self._fs.pipe_file(probe, b"-")
        try:
            return _written_s(self._fs.info(probe))
        finally:
            self._fs.rm_file(probe)


def _written_s(entry: Mapping[str, Any]) -> float:
    """Unix time; 0 where the store does not say."""
    written = entry.get("mtime") or entry.get("LastModified") or entry.get("created") or 0
    return written.timestamp() if isinstance(written, datetime) else float(written)


def snapshot(path: Path, folder: Path) -> tuple[Path, bytes, int]:
    """Copy a file that others may be writing; return the copy, its SHA-256 and its size in bytes.

    What is parsed, hashed and stored is then one and the same thing.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source:
        descriptor, name = tempfile.mkstemp(prefix="add-", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as target:
                while block := source.read(BLOCK_BYTES):
                    digest.update(block)
                    target.write(block)
                    size += len(block)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return Path(name), digest.digest(), size
