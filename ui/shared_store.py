"""The one open store of the web server's process, shared by all its sessions."""

from __future__ import annotations

import os
import threading
from typing import Final

from assistant.bootstrap import Quoth, open_quoth
from ingest.errors import ConfigurationError

_LOCK: Final = threading.Lock()
_OPEN: Final[list[Quoth]] = []  # none or one


def shared_store() -> Quoth:
    """The store that the environment names; the first call opens it.

    Raises:
        ConfigurationError: a setting is wrong.
        ServiceError: the database cannot be reached or started.
    """
    with _LOCK:
        if not _OPEN:
            opened = open_quoth(os.environ)
            try:
                opened.serve_metrics()
            except ConfigurationError:
                opened.close()
                raise
            _OPEN.append(opened)
        return _OPEN[0]


def close_store() -> None:
    """Let go of the store, if one is open."""
    with _LOCK:
        if _OPEN:
            _OPEN.pop().close()
