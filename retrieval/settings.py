"""How retrieval is tuned. Defaults are measured; `quoth eval retrieval` prints what a change does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    depth: int = 100  # candidates that each of the two first stages brings
    alpha: float = 0.7  # weight of the dense side in fusion
    rerank_depth: int = 50  # candidates that are re-ranked; those below keep their fused order
    max_question_chars: int = 4000  # longer questions are searched by their beginning
