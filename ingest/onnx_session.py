"""What the local models share: an onnxruntime session, its tokenizer, and texts in batches of like length."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

INPUTS: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})
BATCH_TOKENS: Final = 512  # padded; on a CPU, 2,048 were no faster and took 80 MB more


def open_session(model: bytes, path: Path, *, threads: int) -> Any:
    """An onnxruntime.InferenceSession of a model without external data.

    Raises:
        ConfigurationError: onnxruntime cannot load it, or it has inputs that are not a text encoder's.
    """
    # onnxruntime tells its maker of every session from 1.31 on, and keeps a device's number, unless this stands in C's
    # environment before it is loaded; the call that turns it off comes too late for the first of it
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # here, because a command that embeds nothing should not pay for loading it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else idle threads burn whole cores
    options.enable_mem_pattern = False  # plans memory per shape, and every batch has its own
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes have no documented root
        raise ConfigurationError(
            f"{str(path)!r} is not a model onnxruntime can load from one file. Replace the file."
        ) from error
    unknown = {given.name for given in session.get_inputs()} - INPUTS
    if unknown:
        raise ConfigurationError(
            f"{str(path)!r} is not a text encoder of the expected form: the inputs {sorted(unknown)!r} are unknown. "
            "Export it with input_ids, attention_mask, token_type_ids as inputs."
        )
    return session


def open_tokenizer(content: bytes, *, max_tokens: int | None) -> Tokenizer:
    """A tokenizer without padding, which cuts texts to max_tokens, special tokens included.

    Raises:
        ConfigurationError: the bytes are no tokenizer.json.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises a bare Exception
        raise ConfigurationError("The model's tokenizer.json cannot be read. Replace the file.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if max_tokens is not None:
        tokenizer.enable_truncation(max_tokens)
    return tokenizer


def run_batch(session: Any, encodings: Sequence[Encoding], output: str) -> NDArray[np.float32]:
    """One output of the model for texts padded to the longest of them."""
    shape = (len(encodings), max(1, *map(len, encodings)))
    ids, mask, types = (np.zeros(shape, np.int64) for _ in range(3))
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = encoding.ids
        mask[row, : len(encoding)] = 1
        types[row, : len(encoding)] = encoding.type_ids
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    wanted: Collection[str] = [one.name for one in session.get_inputs()]
    (made,) = session.run([output], {name: given[name] for name in wanted})
    return np.asarray(made, dtype=np.float32)


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows sorted by length, in batches that stay within BATCH_TOKENS when padded to their longest."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
