"""What a document is called, from the name that a browser or a program sent its file under."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from ingest.sources import skipped

HIDING: Final = re.compile(r"^[.\s]+")  # what a name may not begin with


def safe_name(name: str) -> str:
    """The last part of a file's name as the browser sent it; never a path, never hidden, never empty."""
    last = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name.strip()
    encoded = last.encode("utf-8", "replace")[-200:]  # the end of a long name keeps its suffix
    return HIDING.sub("", encoded.decode("utf-8", "ignore")) or "unnamed"


def safe_source(name: str) -> str:
    """What a document is called by the name that the browser sent: 'handbook/hr/leave.pdf' becomes 'hr/leave.pdf'.

    The folder's own name is left out, as `quoth add FOLDER` does, so that either updates what the other added.

    Returns:
        A relative path without '..' or hidden parts; '' for a file of a folder that is nobody's document.
    """
    parts = [part for part in name.replace("\\", "/").replace("\0", "").split("/") if part not in ("", ".", "..")]
    if len(parts) < 2:
        return safe_name(name)
    inside = parts[1:]
    if skipped("/".join(inside)):
        return ""
    return "/".join(safe_name(part) for part in inside)


def safe_path(name: str) -> str:
    """As `safe_source`, for a program that says the path as it wants it: 'hr/leave.pdf' stays so."""
    return safe_source(f"-/{name}") if name else ""
