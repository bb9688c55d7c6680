"""What a place must offer so that documents can be kept in step with it: list its files, and hand one over.

Three forms ship: a folder (`folder_source`), any store that fsspec reaches (`store_source`), a web site (`web_source`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ingest.errors import DocumentError

Remembered = Callable[[], Iterator[tuple[str, str]]]  # name and fingerprint of what earlier passes took in

MOST_FILE_BYTES: Final = 200_000_000  # what the parser reads at most
FETCH_S: Final = 600.0  # for one file, whatever its size
MOST_NAME_BYTES: Final = 1000  # of UTF-8; the store's index of names takes no more
SKIPPED_NAMES: Final = frozenset({"Thumbs.db", "desktop.ini", ".DS_Store"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source, as its listing tells of it."""

    source: str  # its name within the source, with "/"
    fingerprint: str | None  # equal as long as the file is; None: only reading it tells
    size: int | None = None  # bytes
    quiet: bool = True  # False: it is being written; leave it for the next pass
    place: str = ""  # where to fetch it, when its name does not tell; the source's own affair


@dataclass(frozen=True, slots=True)
class Unlisted:
    """What lies at a name and beneath it could not be listed: nothing of it may be retired."""

    prefix: str  # "" is everything
    error: DocumentError | None = None  # None: by design, nothing to complain of


@dataclass(frozen=True, slots=True)
class Gone:
    """The source says of a name that it is no more, however incomplete the listing is."""

    source: str


Listed = Entry | Unlisted | Gone


class Source(Protocol):
    @property
    def origin(self) -> str:
        """The place in one string without credentials, e.g. 'folder:/srv/handbook'; the same at each pass."""
        ...

    def entries(self, remembered: Remembered) -> Iterator[Listed]:
        """List the files, one at a time, in any order.

        Args:
            remembered: for sources that ask whether something changed since; not called by the others.

        Raises:
            UsageError: there is no such place.
            ServiceError: it cannot be listed, or not to the end; what was yielded is not all.
        """
        ...

    def fetch(self, entry: Entry, folder: Path) -> Path:
        """The file on this machine: where it lies anyhow, or a copy in `folder` that the caller deletes.

        Raises:
            DocumentError: this file cannot be had: unreadable, too_large, timeout.
            ServiceError: none can.
        """
        ...

    def holds(self, source: str) -> bool:
        """Asked before a document is retired: whether the file is there after all.

        A listing taken while files move about may miss one that never went away.
        """
        ...

    def close(self) -> None: ...


def skipped(source: str) -> bool:
    """Whether a name is hidden, an editor's temporary file, or a file system's own."""
    *_, name = parts = source.split("/")
    return name in SKIPPED_NAMES or any(part.startswith(".") for part in parts) or name.startswith("~$")


def stable_name(name: str) -> str:
    """One form of a name, however the file system composes its accents."""
    return unicodedata.normalize("NFC", name)


def refused_name(source: str) -> DocumentError | None:
    """Why a name cannot be a document's; None when it can."""
    try:
        length = len(source.encode())
    except UnicodeEncodeError:
        shown = source.encode("utf-8", "backslashreplace").decode()
        return DocumentError("unreadable", f"The name {shown!r} is not written in UTF-8. Rename the file.")
    if length > MOST_NAME_BYTES or "\0" in source:
        return DocumentError(
            "unreadable", f"The name {source[:80] + '…'!r} is longer than {MOST_NAME_BYTES} bytes. Shorten its path."
        )
    return None


def too_large(source: str, max_bytes: int) -> DocumentError:
    return DocumentError(
        "too_large", f"{source!r} is larger than {max_bytes / 1e6:,.0f} MB. Split it, or leave it out of the source."
    )
