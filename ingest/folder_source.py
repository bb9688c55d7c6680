"""A folder of this machine as a source. Nothing outside of it is read, whatever links it holds."""

from __future__ import annotations

import os
import stat
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ingest.errors import DocumentError, ServiceError, UsageError
from ingest.sources import Entry, Listed, Remembered, Unlisted, refused_name, skipped, stable_name

TRUSTED_AFTER_S = 1.0  # a file changed more recently may change again without a new time stamp


class FolderSource:
    def __init__(self, root: Path, *, quiet_s: float = 0.0) -> None:
        """Open nothing yet.

        Args:
            quiet_s: files changed less than this many seconds ago are being written, and left for the next pass.
        """
        self.root = root.resolve()
        self._quiet_s = quiet_s

    @property
    def origin(self) -> str:
        return f"folder:{self.root.as_posix()}"

    def check(self) -> None:
        """Whether there is such a folder.

        Raises:
            UsageError: there is none.
        """
        if not self.root.exists():
            raise UsageError(
                f"The folder {str(self.root)!r} does not exist. Check the path, and whether it is mounted."
            )
        if not self.root.is_dir():
            raise UsageError(f"{str(self.root)!r} is not a folder. Use `quoth add` for single files.")

    def entries(self, remembered: Remembered) -> Iterator[Listed]:
        self.check()
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(self.root / folder) as scan:
                    found = sorted(scan, key=lambda one: one.name)
            except OSError as error:
                if not folder:
                    raise ServiceError(
                        f"The folder {str(self.root)!r} cannot be listed ({error.strerror}). Check that you may."
                    ) from error
                yield _unlisted(folder, error)
                continue
            for one in found:
                name = f"{folder}/{one.name}" if folder else one.name
                if skipped(name):
                    continue
                if one.is_dir(follow_symlinks=False):
                    waiting.append(name)
                else:
                    yield from self._entry(name, one)

    def _entry(self, name: str, found: os.DirEntry[str]) -> Iterator[Listed]:
        try:
            if found.is_symlink() and not self._inside(self.root / name):
                return
            status = found.stat()
        except FileNotFoundError:  # gone since the folder was listed, or a link to nothing
            return
        except OSError as error:
            yield _unlisted(name, error)
            return
        if not stat.S_ISREG(status.st_mode):
            return
        refused = refused_name(name)
        if refused is not None:
            yield Unlisted(name.encode("utf-8", "backslashreplace").decode(), refused)
            return
        age_s = time.time() - max(status.st_mtime, status.st_ctime)
        print_of = f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_size} {status.st_ino}"
        yield Entry(
            stable_name(name),
            print_of if age_s > TRUSTED_AFTER_S else None,
            status.st_size,
            quiet=not 0 <= age_s < self._quiet_s,
            place=name,
        )

    def fetch(self, entry: Entry, folder: Path) -> Path:
        path = self.root / entry.place
        if not path.is_file() or not self._inside(path):
            raise DocumentError(
                "unreadable", f"{entry.source!r} went away while the folder was read. Nothing is lost: sync again."
            )
        if not os.access(path, os.R_OK):
            raise DocumentError(
                "unreadable", f"{entry.source!r} cannot be read. Check that you may open it, and sync again."
            )
        return path

    def holds(self, source: str) -> bool:
        forms = () if skipped(source) else (source, unicodedata.normalize("NFD", source))
        return any((self.root / form).is_file() and self._inside(self.root / form) for form in forms)

    def close(self) -> None:
        pass

    def _inside(self, path: Path) -> bool:
        """Whether a path ends inside the folder, in the folder it is in by name: no link on the way leads elsewhere."""
        real = path.resolve()
        if not real.is_relative_to(self.root):
            return False
        return path.parent.resolve() == path.parent


def _unlisted(name: str, error: OSError) -> Unlisted:
    shown = stable_name(name.encode("utf-8", "backslashreplace").decode())
    return Unlisted(
        shown,
        DocumentError(
            "unreadable", f"{shown!r} cannot be read ({error.strerror}). Check that you may; nothing in it was retired."
        ),
    )
