"""A model in a folder: which files it needs, and where they may lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.errors import ConfigurationError

MODEL_PLACES: Final = ("model.onnx", "onnx/model.onnx")  # the second is where model hubs put it
TOKENIZER_PLACE: Final = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    model: Path
    tokenizer: Path


def model_in(folder: Path, setting: str) -> ModelFiles:
    """The folder's model.onnx, or its onnx/model.onnx, and tokenizer.json.

    Args:
        setting: name and value of the setting that led here, for the message.

    Raises:
        ConfigurationError: naming the folder and what is missing.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{setting}: there is no folder {str(folder)!r}. Make it, with model.onnx in it.")
    model = next((folder / place for place in MODEL_PLACES if (folder / place).is_file()), None)
    missing = [" or ".join(MODEL_PLACES)] if model is None else []
    missing += [] if (folder / TOKENIZER_PLACE).is_file() else [TOKENIZER_PLACE]
    if model is None or missing:
        raise ConfigurationError(f"{setting}: the folder {str(folder)!r} lacks {' and '.join(missing)}. Put it there.")
    return ModelFiles(model, folder / TOKENIZER_PLACE)
