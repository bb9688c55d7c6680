"""The weights of answerability, and how they were made."""

from __future__ import annotations

from typing import Final

from assistant.support import SupportModel

THRESHOLD: Final = 0.2
FITTED: Final = SupportModel(weights={}, scales={}, intercept=0.0, threshold=THRESHOLD)
