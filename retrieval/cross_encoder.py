"""Re-ranking by a cross-encoder in ONNX form: question and passage are read together, and one number says how well."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.errors import ConfigurationError, ServiceError
from ingest.indexing import chunk_text
from ingest.model_folder import ModelFiles
from ingest.onnx_session import batches_by_length, open_session, open_tokenizer, run_batch
from retrieval.model import Hit
from retrieval.reranking import Asked

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MAX_TOKENS: Final = 512  # question, passage and special tokens
QUESTION_TOKENS: Final = 192  # the rest is for the passage, which would else be cut away
GROUP: Final = 4  # passages scored between two looks at the clock


@dataclass(frozen=True, slots=True)
class _Loaded:
    session: Any
    output: str
    questions: Tokenizer  # cuts nothing: one that cuts only the passage refuses to read a question alone
    pairs: Tokenizer


class CrossEncoder:
    """Scores in [0, 1]: the logistic of a model's logit, or of the difference of its two.

    Nothing is read before first use. Threads may share one instance.

    Args:
        files: finds the model, fetching it if need be.
        name: as it is called in records.
        threads: of onnxruntime, per call.
        clock: in seconds.
    """

    def __init__(
        self,
        files: Callable[[], ModelFiles],
        name: str,
        *,
        threads: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._name = name
        self._threads = threads
        self._clock = clock
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        return self._name

    def scores(self, asked: Asked, candidates: Sequence[Hit], *, budget_s: float) -> list[float]:
        """Scores of the first candidates, at least of the first few, and of no group that would end too late.

        Raises:
            ConfigurationError: the model's files are missing, or not of this form.
            ServiceError: the model gives something that is no number, or is still being fetched.
        """
        began = self._clock()
        loaded = self._load()
        question = _cut(loaded.questions, asked.text)
        scores: list[float] = []
        last_s = 0.0
        for first in range(0, len(candidates), GROUP):
            group_began = self._clock()
            if first and group_began - began + last_s > budget_s:
                break
            texts = [chunk_text(hit.title, hit.heading, hit.text) for hit in candidates[first : first + GROUP]]
            scores += _scored(loaded, question, texts)
            last_s = self._clock() - group_began
        return scores

    def release(self) -> None:
        """Give the model's memory back; the next use loads it again."""
        with self._lock:
            self._loaded = None

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                files = self._files()
                try:
                    content, words = files.model.read_bytes(), files.tokenizer.read_bytes()
                except OSError as error:
                    raise ConfigurationError(
                        f"The re-ranker's file {error.filename!r} cannot be read ({error.strerror}). Replace the file."
                    ) from error
                session = open_session(content, files.model, threads=self._threads)
                output = session.get_outputs()[0]
                if len(output.shape) != 2 or (isinstance(output.shape[1], int) and output.shape[1] not in (1, 2)):
                    raise ConfigurationError(
                        f"{str(files.model)!r} is not a cross-encoder: its output has the shape {output.shape!r}, not "
                        "(batch, 1) or (batch, 2). Export it for sequence classification."
                    )
                questions, pairs = (open_tokenizer(words, max_tokens=None) for _ in range(2))
                if pairs.num_special_tokens_to_add(is_pair=True) < 1:
                    raise ConfigurationError(
                        f"{str(files.tokenizer)!r} does not tell question and passage apart. Take the model's own file."
                    )
                pairs.enable_truncation(MAX_TOKENS, strategy="only_second")
                self._loaded = _Loaded(session, output.name, questions, pairs)
            return self._loaded


def _scored(loaded: _Loaded, question: str, texts: Sequence[str]) -> list[float]:
    encodings: list[Encoding] = loaded.pairs.encode_batch([(question, text[: 64 * MAX_TOKENS]) for text in texts])
    logits = np.zeros(len(texts), np.float64)
    for rows in batches_by_length([len(encoding) for encoding in encodings]):
        made = run_batch(loaded.session, [encodings[row] for row in rows], loaded.output)
        if made.ndim != 2 or made.shape[0] != len(rows) or made.shape[1] not in (1, 2):
            raise ServiceError(f"The re-ranker made {made.shape} for {len(rows)} passages. Replace its model.")
        logits[rows] = made[:, -1] - (made[:, 0] if made.shape[1] == 2 else 0)
    if not np.isfinite(logits).all():
        raise ServiceError("The re-ranker's model gave something that is no number. Replace its model.")
    return [logistic(logit) for logit in logits.tolist()]


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), without overflow."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _cut(tokenizer: Tokenizer, question: str) -> str:
    """The question's beginning, so that the passage always has room."""
    offsets = tokenizer.encode(question[: 64 * QUESTION_TOKENS], add_special_tokens=False).offsets
    return question[: offsets[QUESTION_TOKENS - 1][1]] if len(offsets) > QUESTION_TOKENS else question
