"""How retrieval is tuned. Defaults are measured; `quoth eval retrieval` prints what a change does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ingest.errors import ConfigurationError

BUDGET_RANGE_S: Final = (0.05, 120.0)


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    depth: int = 100  # candidates that each of the two first stages brings
    alpha: float = 0.7  # weight of the dense side in fusion
    alpha_unread: float = 0.2  # the same where the model reads a question letter by letter
    rerank_depth: int = 50  # candidates that are re-ranked; those below keep their fused order
    rerank_budget_s: float = 2.0  # what is not re-ranked within it keeps its fused order too
    max_question_chars: int = 4000  # longer questions are searched by their beginning

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> RetrievalSettings:
        """Read QUOTH_RERANK_BUDGET_S; the rest is not for operators to tune.

        Raises:
            ConfigurationError: it is no number of seconds in BUDGET_RANGE_S.
        """
        given = environ.get("QUOTH_RERANK_BUDGET_S", "").strip()
        if not given:
            return cls()
        low, high = BUDGET_RANGE_S
        try:
            budget_s = float(given)
        except ValueError:
            budget_s = float("nan")
        if not low <= budget_s <= high:
            raise ConfigurationError(f"QUOTH_RERANK_BUDGET_S={given!r} must be a number from {low:g} to {high:g}.")
        return cls(rerank_budget_s=budget_s)
