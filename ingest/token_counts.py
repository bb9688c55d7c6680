"""Counting tokens with a model's own tokenizer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ingest.onnx_session import open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# tokenized at a time, so that memory does not grow with the number of texts
BLOCK_TEXTS: Final = 1024


class TokenCounter:
    """Counts tokens of a tokenizer.json, loaded at first use. Safe to share between threads."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as a whole: without special tokens, cut or padding."""
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = open_tokenizer(self._read(), max_tokens=None)
        counts: list[int] = []
        for block in in_blocks(texts):
            counts += [len(e) for e in self._tokenizer.encode_batch_fast(block, add_special_tokens=False)]
        return counts


def in_blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    for first in range(0, len(texts), BLOCK_TEXTS):
        yield list(texts[first : first + BLOCK_TEXTS])
