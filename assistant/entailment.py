"""Support as textual entailment, by a classifier in ONNX form: the quotes are the premise, the claim the hypothesis."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from assistant.model import Verdict
from assistant.support import nearest_sentences
from ingest.analysis import Analyzer
from ingest.errors import ConfigurationError, ServiceError
from ingest.model_folder import ModelFiles
from ingest.onnx_session import open_session, open_tokenizer, run_batch

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CONFIG_PLACE: Final = "config.json"
MAX_TOKENS: Final = 512  # premise, hypothesis and special tokens
CLAIM_CHARS: Final = 1000
PREMISE_CHARS: Final = 2400
THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Loaded:
    session: Any
    output: str
    pairs: Tokenizer
    entailed: int  # which of the labels
    labels: int


class EntailmentJudge:
    """The probability of entailment: the softmax over the model's labels.

    Nothing is read before first use. Threads may share one instance.

    Args:
        files: finds the model, fetching it if need be; config.json lies beside its tokenizer.json.
        name: as it is called in records.
        threads: of onnxruntime, per call.
    """

    def __init__(self, files: Callable[[], ModelFiles], name: str, *, threads: int, language: str = "en") -> None:
        self._files = files
        self._name = name
        self._threads = threads
        self._analyzer = Analyzer(language)
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        return self._name

    def judge(self, claim: str, said: str) -> Verdict:
        """Of long quotes, the sentences that share most words with the claim are read.

        Raises:
            ConfigurationError: the model's files are missing, or not of this form.
            ServiceError: the model gives something that is no number, or is still being fetched.
        """
        loaded = self._load()
        premise = nearest_sentences(claim, said, self._analyzer, most_chars=PREMISE_CHARS)
        encoding = loaded.pairs.encode(premise, claim[:CLAIM_CHARS])
        logits = run_batch(loaded.session, [encoding], loaded.output)
        if logits.shape != (1, loaded.labels) or not np.isfinite(logits).all():
            raise ServiceError(f"{self._name!r} gave no probabilities. Replace its model.")
        exponentials = np.exp(logits[0] - logits[0].max())
        likely = float(exponentials[loaded.entailed] / exponentials.sum())
        return Verdict(likely >= THRESHOLD, likely, f"{self._name}: entailed with {likely:.0%}")

    def release(self) -> None:
        """Give the model's memory back; the next use loads it again."""
        with self._lock:
            self._loaded = None

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                files = self._files()
                config = files.tokenizer.parent / CONFIG_PLACE
                labels = labels_in(config)
                try:
                    content, words = files.model.read_bytes(), files.tokenizer.read_bytes()
                except OSError as error:
                    raise ConfigurationError(
                        f"The checker's file {error.filename!r} cannot be read ({error.strerror}). Replace the file."
                    ) from error
                session = open_session(content, files.model, threads=self._threads)
                output = session.get_outputs()[0]
                if len(output.shape) != 2 or (isinstance(output.shape[1], int) and output.shape[1] != len(labels)):
                    raise ConfigurationError(
                        f"{str(files.model)!r} is not an entailment model: its output has the shape {output.shape!r}, "
                        f"not (batch, {len(labels)}) as {CONFIG_PLACE} says. Export it for sequence classification."
                    )
                pairs = open_tokenizer(words, max_tokens=None)
                if pairs.num_special_tokens_to_add(is_pair=True) < 1:
                    raise ConfigurationError(
                        f"{str(files.tokenizer)!r} does not tell premise and hypothesis apart. "
                        "Take the model's own file."
                    )
                pairs.enable_truncation(MAX_TOKENS, strategy="longest_first")
                self._loaded = _Loaded(session, output.name, pairs, entailed_label(labels, config), len(labels))
            return self._loaded


def labels_in(config: Path) -> list[str]:
    """The labels of a model's config.json, in the order of its outputs.

    Raises:
        ConfigurationError: the file is missing or names none.
    """
    try:
        named = json.loads(config.read_text("utf-8"))["id2label"]
        return [str(named[str(number)]) for number in range(len(named))]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{str(config)!r} names no labels: it must hold id2label, as {{'0': 'entailment', ...}}. Put it there."
        ) from error


def entailed_label(labels: list[str], config: Path) -> int:
    """Which output says that the premise entails the hypothesis.

    Raises:
        ConfigurationError: not exactly one does.
    """
    found = [i for i, label in enumerate(labels) if label.lower().startswith(("entail", "support"))]
    if len(found) != 1:
        raise ConfigurationError(
            f"{str(config)!r}: of the labels {labels!r}, one must be 'entailment'. Take a model trained for entailment."
        )
    return found[0]
