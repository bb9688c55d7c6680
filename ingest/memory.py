"""Memory that was freed and that the C library keeps: given back to the system when there is time."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def give_back() -> None:
    """Return what nobody uses to the system, as far as its C library can (glibc's malloc_trim; others do so by
    themselves or not at all).

    After a model or a large document has been let go, glibc keeps its pages for later: a process that opened and closed
    a store stays near its highest size, and shrinks to less than half with this. It takes some milliseconds.
    """
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
