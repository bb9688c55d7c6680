"""Files that came inside another: named so that each is one file of one folder, and bounded in number and size."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from ingest.canonical import canonical
from ingest.model import Attachment

MAX_FILES: Final = 200
MAX_BYTES: Final = 200_000_000  # together; the parser's child may write 512 MB
_MAX_NAME_CHARS: Final = 120
_MAX_SUFFIX_CHARS: Final = 12


class Attached:
    """Collects what is attached; what is too much is left out and named in a warning."""

    def __init__(self, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES) -> None:
        self._max_files, self._bytes_left = max_files, max_bytes
        self._files: dict[str, Attachment] = {}  # by name in lower case: two that differ by case are one on some disks
        self._missed: list[str] = []

    def add(self, name: str, content: Callable[[], bytes], media_type: str = "") -> None:
        """Take a file in.

        Args:
            name: as the container calls it; anything.
            content: gives its bytes; not called once the files are too many.
            media_type: what the container says it is; gives a file without a name its ending.
        """
        name = file_name(name) or f"attachment{mimetypes.guess_extension(media_type) or ''}"
        if len(self._files) >= self._max_files:
            self.miss(name)
            return
        own = content()
        if len(own) > self._bytes_left:
            self.miss(name)
            return
        if not own:
            return
        self._bytes_left -= len(own)
        stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
        unique, number = name, 1
        while unique.lower() in self._files:
            number += 1
            unique = f"{stem} ({number}){suffix}"
        self._files[unique.lower()] = Attachment(unique, own)

    def miss(self, name: str) -> None:
        """Note a file that is not taken in."""
        self._missed.append(file_name(name) or "attachment")

    @property
    def files(self) -> tuple[Attachment, ...]:
        return tuple(self._files.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        if not self._missed:
            return ()
        more = f" and {len(self._missed) - 10} more" if len(self._missed) > 10 else ""
        listed = ", ".join(map(repr, self._missed[:10]))
        return (f"Attachments that were too many, too large or only linked are not read: {listed}{more}. Add them.",)


def file_name(name: str) -> str:
    """The last part of what may be a path, without what turns, hides or ends names; "" when nothing is left."""
    name = re.split(r"[/\\]", canonical(name).strip())[-1]
    name = " ".join(re.sub(r"[\x00-\x1f<>:\"|?*\u200e\u200f]", " ", name).split()).strip(". ")
    stem, dot, suffix = name.rpartition(".")
    if dot and stem and len(suffix) <= _MAX_SUFFIX_CHARS:
        return f"{stem[: _MAX_NAME_CHARS - len(suffix)].rstrip('. ')}.{suffix}"
    return name[:_MAX_NAME_CHARS].rstrip(". ")
