"""Whether the capitalised first word of a sentence is a name: its letters do not tell, its place in the sentence does.

A linear reading of the shipped encoder's vector of the word in its sentence, fitted on words inside sentences, where a
capital letter says which they are (evals/bench/first_words.py). The encoder itself sees no capitals.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assistant.first_word_weights import INTERCEPT, THRESHOLD, WEIGHTS
from assistant.support import SpanEmbedder
from ingest.model import Span

# Words that no other language writes so, one of which an English sentence of some length has: the weights read English.
_ENGLISH: Final = re.compile(
    r"\b(?:the|of|and|from|with|by|are|was|were|has|have|must|may|should|will|would|its|their|than|that|this|which|"
    r"who|does|not|for|when|in|is|to|at|on)\b"
)


def is_name(claim: str, word: Span, embedder: SpanEmbedder) -> bool:
    """Whether the word is a name as the claim uses it; False in languages that the encoder does not read."""
    return len(set(_ENGLISH.findall(claim))) > 0 and name_logit(claim, word, embedder) >= THRESHOLD


def name_logit(claim: str, word: Span, embedder: SpanEmbedder) -> float:
    """Above 0: more likely a name than not."""
    _, (vectors,) = embedder.embed_passages([claim], [[word]])
    weights = _weights()
    return float(vectors[0] @ weights) + INTERCEPT if len(weights) == vectors.shape[1] else -np.inf


@cache
def _weights() -> NDArray[np.float32]:
    return np.frombuffer(base64.b85decode(WEIGHTS), np.float16).astype(np.float32)


def packed(weights: NDArray[np.float64]) -> str:
    """As first_word_weights.py holds them."""
    return base64.b85encode(weights.astype(np.float16).tobytes()).decode("ascii")
