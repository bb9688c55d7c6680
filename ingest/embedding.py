"""Texts to unit vectors: the local model that ships in a package, a model in a folder, or OpenAI's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import ConfigurationError
from ingest.local_embedding import LocalEmbedder
from ingest.metering import Meter
from ingest.model import Embedder
from ingest.model_folder import model_in
from ingest.onnx_embedding import Form, OnnxEmbedder
from ingest.openai_embedding import OPENAI_TIMEOUT_S, OpenAIEmbedder
from ingest.redaction import Redactor

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["LocalEmbedder", "OnnxEmbedder", "OpenAIEmbedder", "embedder_from"]


def embedder_from(
    setting: str,
    *,
    threads: int,
    openai_client_factory: Callable[[], OpenAI],
    timeout_s: float = OPENAI_TIMEOUT_S,
    redactor: Redactor | None = None,
    meter: Meter | None = None,
) -> Embedder:
    """The embedder that QUOTH_EMBEDDER names: local, local-multilingual, onnx:FOLDER or openai:MODEL[:DIMENSIONS].

    Args:
        redactor: for texts that leave the machine.
        meter: of the calls of a remote model.

    Raises:
        ConfigurationError: for anything else, with what may be set.
    """
    scheme, _, rest = setting.strip().partition(":")
    if scheme == "local" and not rest:
        return LocalEmbedder(threads=threads)
    if scheme == "local-multilingual" and not rest:
        from ingest.multilingual_embedding import MultilingualEmbedder

        return MultilingualEmbedder()
    if scheme == "onnx" and rest:
        folder = Path(rest).expanduser()
        files = model_in(folder, f"QUOTH_EMBEDDER={setting!r}")
        return OnnxEmbedder(
            files.model,
            files.tokenizer,
            threads=threads,
            name=folder.resolve().name,
            form=Form.of_folder(folder),
        )
    if scheme == "openai" and rest:
        model, colon, number = rest.rpartition(":")
        if not colon or not number.isascii() or not number.isdigit():
            # a fine-tuned model's name holds colons of its own
            model, number = rest, ""
        if number and not 1 <= int(number) <= 16_000:
            raise ConfigurationError(
                f"QUOTH_EMBEDDER={setting!r}: {number} is not a number of dimensions. Give 1 to 16000."
            )
        return OpenAIEmbedder(
            openai_client_factory(), model, int(number) if number else None, timeout_s, redactor, meter
        )
    raise ConfigurationError(
        f"QUOTH_EMBEDDER={setting!r} is not an embedder. "
        "Use local, local-multilingual, onnx:FOLDER or openai:MODEL[:DIMENSIONS]."
    )
