"""A store opened again and again in one process: memory that was freed goes back to the system."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from assistant.bootstrap import open_quoth
from ingest import memory
from ingest.access import LOCAL

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only glibc keeps what is freed, and gives it back when asked"
)


def size_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


@linux
def test_what_was_freed_between_what_is_kept_goes_back() -> None:
    memory.give_back()
    before = size_mb()
    pieces = [bytes(20_000) for _ in range(8000)]  # 160 MB, from the heap
    kept = pieces[::400]
    del pieces
    memory.give_back()
    assert len(kept) == 20
    assert size_mb() < before + 60


@linux
@pytest.mark.integration
def test_a_store_opened_again_leaves_no_memory_behind(environ: dict[str, str], folder_of: Callable[..., Path]) -> None:
    folder = folder_of({"weir.md": "The weir has nine gates and a green door."})
    sizes = []
    for _ in range(4):
        with open_quoth(environ) as quoth:
            list(quoth.pipeline.add([folder]))
            *_, answer = quoth.ask("How many gates has the weir?", LOCAL)
            assert answer.status == "answered"  # type: ignore[union-attr]
        sizes.append(size_mb())
    assert sizes[-1] - sizes[0] < 30, sizes  # 60 and more without giving back
